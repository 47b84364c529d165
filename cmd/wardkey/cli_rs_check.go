package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/attacks"
	"github.com/wardkey/wardkey/internal/rscheck"
)

// rsCheckFlags say how a service is reached, what it wants, and who makes its tokens.
type rsCheckFlags struct {
	method, data   string
	header         []string
	audience       string
	scope          string
	otherScope     string
	alg            string
	scp            bool
	listen         string
	issuerURL      string
	live           bool
	server         tokenFlags
	only           []string
	framework      string
	timeout        time.Duration
	wait, patience time.Duration
}

// rsCheckCommand is `wardkey rs-check`.
func (c *cli) rsCheckCommand() *cobra.Command {
	var f rsCheckFlags
	cmd := &cobra.Command{
		Use: "rs-check URL", Short: "Send a service forged tokens, and say what it does about each",
		Long: `Send a service what attackers send (forged, foreign, expired, malformed tokens), and say which of it
the service refuses, how grave it is where it does not, and the line to change. Only URL is called,
and with --live the server, for a token and its keys.

The tokens are those of an issuer that runs in this command, for as long as it takes: configure the
service for it as is said at the beginning, in a place where nothing of value is behind it. What is
sent begins when the service accepts a good token. With --live they are made from one token of the
real server instead, for a service that cannot be configured; then about half can be made.

Good tokens are among them, so URL is requested as if by a client: choose one that only reads.

  A  nothing failed                    D  one or two serious failures
  B  one to three minor failures       E  more of them
  C  more of them                      F  a critical failure

The exit status is 0 for A, B and C. Notes do not count, and whether revoked tokens are refused before
they end is a note. A service that refuses good tokens is not graded.`,
		Example: `  wardkey rs-check http://localhost:3000/profiles --audience https://api.example.com --scope "section:nordic email:read"
  wardkey rs-check https://staging.example.com/profiles --listen 0.0.0.0:9000 --issuer-url http://auth.staging.example.com:9000
  wardkey rs-check https://api.example.com/profiles --live --secret-file crm.json --json`,
		Args: takes("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(args[0], c.plain()); err != nil {
				return err
			}
			return c.rsCheck(cmd, args[0], &f)
		},
	}
	f.flags(cmd)
	complete(cmd, "only", rscheck.Names()...)
	complete(cmd, "framework", rscheck.Frameworks()...)
	complete(cmd, "alg", attacks.Algs...)
	return c.administering(cmd)
}

func (f *rsCheckFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.audience, "audience", "", "whom the service's tokens are for (default the origin of URL)")
	fs.StringVar(&f.scope, "scope", "", "what the service needs at URL, separated by blanks")
	fs.StringVar(&f.otherScope, "other-scope", "", "the same with another Section, which the service must answer with 403")
	fs.StringVar(&f.method, "method", http.MethodGet, "how URL is requested")
	fs.StringArrayVar(&f.header, "header", nil, `a header field of the requests, like "Accept: text/html"; may repeat`)
	fs.StringVar(&f.data, "data", "", "the body of the requests")
	fs.StringVar(&f.alg, "alg", attacks.ES256, "what tokens are signed with: ES256, RS256 or EdDSA")
	fs.BoolVar(&f.scp, "scp", false, "put scope into tokens as an array too (scp), as wardkey serve --audience-scp does")
	fs.StringVar(&f.listen, "listen", "127.0.0.1:0", "where the issuer of this check listens")
	fs.StringVar(&f.issuerURL, "issuer-url", "", "how the service reaches it (default http:// and where it listens)")
	fs.BoolVar(&f.live, "live", false, "make what can be made from a token of the real server")
	fs.StringVar(&f.server.url, "url", "", "with --live: where the server is (default WARDKEY_URL, else the profile's)")
	f.server.source.flags(cmd)
	fs.StringArrayVar(&f.only, "only", nil, "send this attack only, and a good token; may repeat")
	fs.StringVar(&f.framework, "framework", "", "what the service is built with, if it does not show: "+strings.Join(rscheck.Frameworks(), ", "))
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for each answer")
	fs.DurationVar(&f.wait, "wait", 5*time.Minute, "how long to wait until the service is configured")
	fs.DurationVar(&f.patience, "patience", 40*time.Second, "how long the service's caches may take to notice a new key")
}

// validate says what is wrong with the command line, before anything listens or is sent.
func (f *rsCheckFlags) validate(address string, plainHTTP bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return usagef("URL must be like https://api.example.com/profiles, without a user")
	case f.live && u.Scheme == "http" && !isLoopback(u.Hostname()) && !plainHTTP:
		return usagef("%s is not https, so others on the way could read the real token; if the network is yours, say --plain-http", u.Host)
	case !slices.Contains(attacks.Algs, f.alg):
		return usagef("--alg must be one of %s, not %q", strings.Join(attacks.Algs, ", "), f.alg)
	case f.framework != "" && !slices.Contains(rscheck.Frameworks(), f.framework):
		return usagef("--framework must be one of %s, not %q", strings.Join(rscheck.Frameworks(), ", "), f.framework)
	}
	for _, name := range f.only {
		if !slices.Contains(rscheck.Names(), name) {
			return usagef("there is no attack %q; there are %s", name, strings.Join(rscheck.Names(), ", "))
		}
	}
	if f.audience == "" && !f.live {
		f.audience = u.Scheme + "://" + u.Host
	}
	_, err = f.fields()
	return err
}

// fields are what --header says.
func (f *rsCheckFlags) fields() (http.Header, error) {
	header := http.Header{}
	for _, field := range f.header {
		name, value, ok := strings.Cut(field, ":")
		name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
		if !ok || name == "" {
			return nil, usagef(`--header must be like "Accept: text/html"`)
		}
		if name == "Authorization" {
			return nil, usagef("--header Authorization is what is tested; leave it out")
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// rsCheck runs the issuer, and the attacks.
func (c *cli) rsCheck(cmd *cobra.Command, address string, f *rsCheckFlags) (err error) {
	issuer, stop, err := f.issuer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	check, err := c.newCheck(cmd, address, f, issuer)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if !f.live {
		if err := c.instruct(cmd, check, f.wait); err != nil {
			return err
		}
		if err := check.Await(ctx, f.wait); err != nil {
			return awaited(ctx, err, issuer)
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Sending attacks; this takes up to %s longer if the service keeps old keys.\n", f.patience)
	report, err := check.Run(ctx)
	if err != nil {
		return errInterrupted
	}
	return reportOn(c.printer(cmd), report)
}

// awaited says why a service never became ready.
func awaited(ctx context.Context, err error, issuer *attacks.Issuer) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	fetched := "it never asked for the keys"
	if n := issuer.Requests(attacks.JWKSPath); n > 0 {
		fetched = "it fetched the keys " + plural(n, "time")
	}
	return fmt.Errorf("rs-check: %w; %s", err, fetched)
}

// newCheck prepares the check of a service.
func (c *cli) newCheck(cmd *cobra.Command, address string, f *rsCheckFlags, issuer *attacks.Issuer) (*rscheck.Check, error) {
	header, err := f.fields()
	if err != nil {
		return nil, err
	}
	check := &rscheck.Check{
		URL: address, Method: f.method, Header: header, Body: f.data,
		Issuer: issuer, Live: f.live, Framework: f.framework, Only: f.only, Patience: f.patience,
		Client: &http.Client{
			Transport:     userAgent{http.DefaultTransport},
			Timeout:       f.timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Facts: rscheck.Facts{Issuer: issuer.URL, Audience: f.audience, JWKS: issuer.URL + attacks.JWKSPath, Scope: f.scope},
	}
	if f.live {
		return check, c.useLive(cmd, f, check)
	}
	check.Forge = issuer.Forge(f.alg, f.scope)
	check.Forge.Elsewhere = f.otherScope
	return check, nil
}

// useLive has tokens made from one of the real server.
func (c *cli) useLive(cmd *cobra.Command, f *rsCheckFlags, check *rscheck.Check) error {
	remote, who, err := c.integration(cmd, &f.server)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	server, err := remote.metadata(ctx)
	if err != nil {
		return err
	}
	var resource []string
	if f.audience != "" {
		resource = []string{f.audience}
	}
	g, err := remote.token(ctx, who, f.scope, resource)
	if err != nil {
		return err
	}
	keys, err := remote.jwks(ctx)
	if err != nil {
		return err
	}
	audience := orElse(f.audience, fmt.Sprint(segment(g.AccessToken, 1)["aud"]))
	check.Facts = rscheck.Facts{Issuer: server.Issuer, Audience: audience, JWKS: server.Issuer + attacks.JWKSPath, Scope: g.Scope}
	check.Forge, err = attacks.Live(g.AccessToken, keys, check.Issuer)
	return err
}

// jwks fetches the keys of the server.
func (r *remote) jwks(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+attacks.JWKSPath, nil)
	if err != nil {
		return nil, err
	}
	status, body, err := r.exchange(req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s%s answers %d %s", r.url, attacks.JWKSPath, status, http.StatusText(status))
	}
	return body, err
}
