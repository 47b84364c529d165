package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// A Verifier checks the access tokens that one issuer makes for one audience.
// Its methods may be called concurrently.
type Verifier struct {
	issuer   string
	audience string
	log      *slog.Logger
	source   *source
	cache    *cache
}

// An Option is a setting of [New]. None of them changes what a valid token is.
type Option func(*Verifier)

// WithHTTPClient has the keys fetched with client, for a proxy or a private
// certificate authority. Redirects are not followed even so.
func WithHTTPClient(client *http.Client) Option {
	return func(v *Verifier) { v.source.client = client }
}

// WithJWKSURL has the keys fetched from address, without asking the issuer's
// metadata, where the issuer's own address does not lead to it. The address may
// be plain http; then whoever controls the network in between controls who gets in.
func WithJWKSURL(address string) Option {
	return func(v *Verifier) { v.source.configured = address }
}

// WithLogger has failed refreshes of the keys told to log at level Warn, and
// refused tokens at level Debug, instead of to [slog.Default].
func WithLogger(log *slog.Logger) Option {
	return func(v *Verifier) { v.log = log }
}

// New returns a Verifier of the tokens that issuer makes for audience, both
// exactly as they stand in a token. It neither reaches for the network nor
// starts a goroutine; the keys are fetched when the first token arrives.
//
// The issuer is an https URL, or http on a loopback address. The audience is also
// the realm of the answers to HTTP requests.
func New(issuer, audience string, options ...Option) (*Verifier, error) {
	v := &Verifier{issuer: issuer, audience: audience, log: slog.Default(), source: &source{issuer: issuer, client: &http.Client{}}}
	for _, option := range options {
		option(v)
	}
	if err := v.validate(); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v.source.client = withoutRedirects(v.source.client)
	v.cache = &cache{fetch: v.source.keys, log: v.log}
	return v, nil
}

// Close ends a refresh of the keys that is under way and waits for it. The
// Verifier then goes on with the keys that it has.
func (v *Verifier) Close() { v.cache.close() }

// Verify returns what a token says, or an error that matches [ErrInvalidToken]
// and its reason, or [ErrUnavailable]. The error never has the token in it. The
// context bounds the wait for keys, if there is any.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	c, err := parse(token)
	if err != nil {
		return nil, err
	}
	t, err := c.claims.token()
	if err != nil {
		return nil, err
	}
	k, err := v.cache.key(ctx, c.kid)
	if err != nil {
		return nil, err
	}
	if err := k.verify(c); err != nil {
		return nil, err
	}
	if err := v.check(t, time.Now()); err != nil {
		return nil, err
	}
	return t, nil
}

func (v *Verifier) validate() error {
	if v.audience == "" || strings.ContainsFunc(v.audience, unquotable) {
		return errors.New("the audience must be printable ASCII without quotes, backslashes and blanks")
	}
	if v.source.client == nil || v.log == nil {
		return errors.New("an option is nil")
	}
	if v.source.configured != "" {
		if _, err := parseURL(v.source.configured); err != nil {
			return fmt.Errorf("the address of the keys %w", err)
		}
	}
	u, err := parseURL(v.issuer)
	if err != nil || strings.ContainsAny(v.issuer, "?#") {
		return errors.New("the issuer must be an http or https URL without query and fragment")
	}
	if v.source.configured == "" && !private(u) {
		return errors.New("the issuer must be https: whoever can change its keys on the way makes tokens")
	}
	return nil
}

// unquotable says whether r cannot stand in a quoted string of a challenge (RFC 6750 §3).
func unquotable(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

func parseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, errors.New("must be an http or https URL without user")
	}
	return u, nil
}

// private says whether nobody on the way to u can change what it answers.
func private(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}
