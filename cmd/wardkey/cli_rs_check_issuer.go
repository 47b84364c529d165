package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/attacks"
	"github.com/wardkey/wardkey/internal/rscheck"
)

// How long a service may keep what the issuer of a check says. It is short, so that the check is.
const (
	checkKeysAge   = 10 * time.Second
	checkStatusTTL = 5 * time.Second
)

// issuer runs the issuer of a check until stop is called.
func (f *rsCheckFlags) issuer() (issuer *attacks.Issuer, stop func() error, err error) {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return nil, nil, usagef("--listen must be like 127.0.0.1:9000, not %q", f.listen)
	}
	if ip := net.ParseIP(host); f.issuerURL == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return nil, nil, usagef("--listen %s has no address that the service could use; say one with --issuer-url", f.listen)
	}
	listener, err := net.Listen("tcp", f.listen) //nolint:noctx // it does not wait
	if err != nil {
		return nil, nil, fmt.Errorf("rs-check: %w", err)
	}
	issuer, err = attacks.NewIssuer(orElse(f.issuerURL, "http://"+listener.Addr().String()), f.audience)
	if err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	issuer.MaxAge, issuer.StatusTTL, issuer.SCP = checkKeysAge, checkStatusTTL, f.scp
	server := &http.Server{Handler: issuer.Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return issuer, func() error {
		closed := server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return errors.Join(closed, fmt.Errorf("rs-check: serve the keys: %w", err))
		}
		return closed
	}, nil
}

// instruct says how to configure the service. Programs read standard output, so then it is said
// beside it.
func (c *cli) instruct(cmd *cobra.Command, check *rscheck.Check, wait time.Duration) error {
	p := c.printer(cmd)
	if p.json {
		p.w, p.colour = cmd.ErrOrStderr(), false
	}
	fmt.Fprintln(p.w, "Configure the service for this issuer, which ends with this check:")
	err := p.fields(
		[2]string{"  issuer", check.Facts.Issuer},
		[2]string{"  JWKS", check.Facts.JWKS},
		[2]string{"  audience", check.Facts.Audience},
		[2]string{"  scope", orElse(check.Facts.Scope, "none (say --scope if it needs one)")},
	)
	fmt.Fprintf(p.w, "Waiting until it accepts a good token, for %s at most …\n\n", wait)
	return err
}
