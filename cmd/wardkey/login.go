package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// loginCommand is `wardkey login`.
func (c *cli) loginCommand() *cobra.Command {
	var p profile
	var source secretSource
	cmd := &cobra.Command{
		Use: "login", Short: "Save a server and the client that administers it, as a profile",
		Long: `Save a server and the client that administers it, as a profile, so that other commands need no
environment. The client must hold wardkey:read or wardkey:write. What is not given is asked for, or
taken from WARDKEY_URL, WARDKEY_CLIENT_ID and WARDKEY_CLIENT_SECRET. The secret is saved as it is,
in a file that only you can read.`,
		Example: `  wardkey login --url https://auth.example.com
  wardkey login --url https://auth.example.com --secret-file bootstrap.json
  wardkey login --profile staging --url https://auth.staging.example.com --client-id 35779f4a-e7b9-4b61-a57e-4b51d83e2cfb --secret-stdin < secret`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.completeLogin(cmd, &p, source); err != nil {
				return err
			}
			return c.login(cmd, &p)
		},
	}
	cmd.Flags().StringVar(&p.URL, "url", "", "where the server is, for example https://auth.example.com")
	cmd.Flags().StringVar(&p.AdminURL, "admin-url", "", "where its admin API is, if it has an address of its own")
	cmd.Flags().StringVar(&p.ClientID, "client-id", "", "the Client ID")
	source.flags(cmd)
	return c.reaching(cmd)
}

// completeLogin finds what flags did not say: in the secret's file, in the environment, or by
// asking.
func (c *cli) completeLogin(cmd *cobra.Command, p *profile, source secretSource) error {
	env := c.fromEnvironment()
	p.PlainHTTP = env.PlainHTTP
	if source.given() {
		who, err := source.read(cmd)
		if err != nil {
			return err
		}
		p.ClientSecret = who.secret
		if p.ClientID != "" && who.id != "" && p.ClientID != who.id {
			return usagef("--client-id is not the one that the secret came with")
		}
		p.ClientID = orElse(p.ClientID, who.id)
	}
	p.AdminURL = orElse(p.AdminURL, env.AdminURL)
	for _, value := range []struct {
		name, question, flag, env string
		to                        *string
	}{
		{"the URL of the server", "URL of the server: ", "--url", env.URL, &p.URL},
		{"the Client ID", "Client ID: ", "--client-id", env.ClientID, &p.ClientID},
	} {
		*value.to = orElse(*value.to, value.env)
		if *value.to != "" {
			continue
		}
		if !interactive(cmd) || source.stdin {
			return usagef("%s is missing: give %s", value.name, value.flag)
		}
		var err error
		if *value.to, err = ask(cmd, value.question); err != nil {
			return err
		}
	}
	if p.ClientSecret == "" {
		p.ClientSecret = env.ClientSecret
	}
	if p.ClientSecret != "" {
		return nil
	}
	if !interactive(cmd) {
		return usagef("the secret is missing: give --secret-file or --secret-stdin")
	}
	secret, err := askSecret(cmd, "Client Secret (not shown): ")
	p.ClientSecret = secret
	return err
}

func orElse(text, other string) string {
	if text != "" {
		return text
	}
	return other
}

// login checks a profile against the server, and saves it.
func (c *cli) login(cmd *cobra.Command, p *profile) error {
	api, err := p.admin()
	if err != nil {
		return err
	}
	if err := api.check(cmd.Context()); err != nil {
		return err
	}
	all, err := readProfiles()
	if err != nil {
		return err
	}
	p.URL, p.AdminURL = strings.TrimRight(p.URL, "/"), strings.TrimRight(p.AdminURL, "/")
	all[c.profileName()] = *p
	path, err := all.save()
	if err != nil {
		return err
	}
	return c.printer(cmd).say("Logged in to %s as client %s, which holds %s.\nSaved as profile %q in %s", p.URL, p.ClientID, clean(api.tokenScope), c.profileName(), path)
}

// check says whether the credentials are right, and open an admin API where one is looked for.
func (a *adminAPI) check(ctx context.Context) error {
	_, _, err := fetch[page[adminclient.Section]](a.ListSections(ctx, &adminclient.ListSectionsParams{Limit: new(1)}))
	if isProblem(err, "insufficient-scope") {
		return fmt.Errorf("client %s may not administer: it holds %s, and neither wardkey:read nor wardkey:write", a.who.id, clean(a.tokenScope))
	}
	return err
}

// logoutCommand is `wardkey logout`.
func (c *cli) logoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logout", Short: "Forget a profile",
		Long:    "Forget a profile, its secret, and the tokens that were cached for its client. The secret itself lives on; wardkey secret revoke ends it.",
		Example: "  wardkey logout\n  wardkey logout --profile staging",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := readProfiles()
			if err != nil {
				return err
			}
			name := c.profileName()
			p, ok := all[name]
			if !ok {
				return fmt.Errorf("there is no profile %q to forget", name)
			}
			delete(all, name)
			if _, err := all.save(); err != nil {
				return err
			}
			if err := forgetTokens(p.URL, p.ClientID); err != nil {
				return err
			}
			return c.printer(cmd).say("Forgot profile %q. Its client's secret lives on.", name)
		},
	}
	return c.reaching(cmd)
}
