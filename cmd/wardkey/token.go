package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// tokenFlags are what is asked for, and by whom.
type tokenFlags struct {
	url      string
	scope    string
	resource []string
	noCache  bool
	source   secretSource
}

// tokenCommand is `wardkey token`.
func (c *cli) tokenCommand() *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use: "token", Short: "Get an access token for an integration, and print it",
		Long: `Get an access token for an integration, and print it.

The Client ID and Secret come from --secret-file or --secret-stdin, from WARDKEY_CLIENT_ID and
WARDKEY_CLIENT_SECRET, or from a profile if --profile names it; the server from --url, WARDKEY_URL
or a profile. A token is kept on the disk, for you only, and given again until it is nearly over.`,
		Example: `  curl -H "Authorization: Bearer $(wardkey token)" https://api.example.com/profiles
  wardkey token --secret-file crm.json --scope "section:nordic email:read"
  wardkey token --profile default --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			remote, who, err := c.integration(cmd, &f)
			if err != nil {
				return err
			}
			g, err := c.getToken(cmd, remote, who, &f)
			if err != nil {
				return err
			}
			if c.json {
				return c.printer(cmd).value(g)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), g.AccessToken)
			return err
		},
	}
	cmd.Flags().StringVar(&f.url, "url", "", "where the server is (default WARDKEY_URL, else the profile's)")
	cmd.Flags().StringVar(&f.scope, "scope", "", "what it shall allow, separated by blanks (default all that the client holds)")
	cmd.Flags().StringArrayVar(&f.resource, "resource", nil, "an API that it is for; may repeat (default the client's)")
	cmd.Flags().BoolVar(&f.noCache, "no-cache", false, "get a new one, and do not keep it")
	f.source.flags(cmd)
	return c.administering(cmd)
}

// integration finds the server to ask, and who asks.
func (c *cli) integration(cmd *cobra.Command, f *tokenFlags) (*remote, credentials, error) {
	if c.profile != "" && !f.source.given() {
		if f.url != "" {
			return nil, credentials{}, usagef("a profile's secret goes only to its own server; leave out --url")
		}
		p, err := c.saved()
		if err != nil {
			return nil, credentials{}, err
		}
		remote, err := newRemote(p.URL, "", p.PlainHTTP)
		return remote, credentials{p.ClientID, p.ClientSecret}, err
	}
	remote, err := c.server(f.url)
	if err != nil {
		return nil, credentials{}, err
	}
	env := c.fromEnvironment()
	who := credentials{env.ClientID, env.ClientSecret}
	if f.source.given() {
		if who, err = f.source.read(cmd); err != nil {
			return nil, who, err
		}
		who.id = orElse(who.id, env.ClientID)
	}
	switch {
	case who.id == "" && who.secret == "":
		return nil, who, usagef("who asks? Set WARDKEY_CLIENT_ID and WARDKEY_CLIENT_SECRET, or give --secret-file, --secret-stdin or --profile")
	case who.id == "":
		return nil, who, usagef("whose secret is it? Set WARDKEY_CLIENT_ID, or give JSON with client_id and client_secret")
	case who.secret == "":
		return nil, who, usagef("the secret is missing: set WARDKEY_CLIENT_SECRET, or give --secret-file or --secret-stdin")
	}
	return remote, who, nil
}

// server is the one at url, or else that of a profile named by flag, or else the environment's, or
// else that of any profile.
func (c *cli) server(url string) (*remote, error) {
	if url == "" && c.profile == "" {
		url = c.getenv("WARDKEY_URL")
	}
	if url != "" {
		return newRemote(url, "", c.plain())
	}
	p, err := c.saved()
	if err != nil {
		return nil, err
	}
	return newRemote(p.URL, "", p.PlainHTTP)
}

// getToken returns a token that was kept, or a new one.
func (c *cli) getToken(cmd *cobra.Command, remote *remote, who credentials, f *tokenFlags) (*grant, error) {
	now := time.Now()
	scope := strings.Join(strings.Fields(f.scope), " ")
	resource := slices.Compact(slices.Sorted(slices.Values(f.resource)))
	path, err := cachePath(remote.url, who, scope, resource)
	if f.noCache || err != nil { // or there is nowhere to keep it
		return remote.token(cmd.Context(), who, scope, resource)
	}
	if t := readToken(path); t != nil && t.fresh(now) {
		t.Grant.ExpiresIn = int(t.Ends.Sub(now) / time.Second)
		return &t.Grant, nil
	}
	g, err := remote.token(cmd.Context(), who, scope, resource)
	if err != nil {
		return nil, err
	}
	ends := now.Add(time.Duration(g.ExpiresIn) * time.Second)
	if err := keepToken(path, &cachedToken{remote.url, who.id, ends, *g}, now); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "wardkey:", err) // there is a token all the same
	}
	return g, nil
}
