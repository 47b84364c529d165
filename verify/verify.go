package verify

import (
	"cmp"
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
	observer func(Outcome) // nil if nobody wants to know
	source   *source
	cache    *cache

	statuses      *statuses
	introspection *introspection // nil if the issuer is not asked
	reports       *reports       // nil if the issuer is told nothing
	outage        Outage

	resource    *Resource // nil if it does not describe itself
	metadataURL string    // where it does
}

// An Option is a setting of [New]. None of them changes what a valid token is.
type Option func(*Verifier)

// WithHTTPClient has the issuer asked with client, for a proxy or a private
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

// WithLogger has it told to log when the issuer cannot be had, at level Warn, and
// refused tokens at level Debug, instead of to [slog.Default].
func WithLogger(log *slog.Logger) Option {
	return func(v *Verifier) { v.log = log }
}

// New returns a Verifier of the tokens that issuer makes for audience, both
// exactly as they stand in a token. It neither reaches for the network nor
// starts a goroutine; keys and status lists are fetched when the first token arrives.
//
// The issuer is an https URL, or http on a loopback address. The audience is also
// the realm of the answers to HTTP requests.
func New(issuer, audience string, options ...Option) (*Verifier, error) {
	v := &Verifier{
		issuer: issuer, audience: audience, log: slog.Default(),
		source:   &source{issuer: issuer, client: &http.Client{}},
		statuses: &statuses{longest: longestTTL},
	}
	for _, option := range options {
		option(v)
	}
	if err := cmp.Or(v.validate(), v.describe()); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v.source.client = withoutRedirects(v.source.client)
	v.cache = &cache{fetch: v.source.keys, log: v.log}
	v.statuses.source, v.statuses.keys, v.statuses.log = v.source, v.cache, v.log
	if v.introspection != nil {
		v.introspection.source, v.introspection.log = v.source, v.log
	}
	if v.reports != nil {
		v.reports.source, v.reports.log, v.reports.audience = v.source, v.log, v.audience
	}
	return v, nil
}

// Close sends what is left to report, for 5 seconds at most, ends all that the Verifier
// does in the background, and waits for it. The
// Verifier then goes on with the keys and the status lists that it has, until
// they are too old; introspection says [ErrUnavailable].
func (v *Verifier) Close() {
	v.reports.close()
	v.statuses.close()
	if v.introspection != nil {
		v.introspection.close()
	}
	v.cache.close()
}

// Verify returns what a token says, or an error that matches [ErrInvalidToken]
// and its reason, or [ErrUnavailable]. The error never has the token in it. The
// context bounds the wait for the issuer, if there is any.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	o := v.judge(ctx, token)
	v.observe(ctx, o)
	v.reports.refused(nil, o, nil)
	return o.answer()
}

// judge says what is to become of a token.
func (v *Verifier) judge(ctx context.Context, token string) Outcome {
	t, kid, err := v.genuine(ctx, token)
	if err == nil {
		err = v.check(t, time.Now())
	}
	if err == nil {
		err = v.standing(ctx, t, token)
	}
	if t != nil {
		t.reports = v.reports
	}
	return Outcome{Result: result(err), Err: err, Token: t, KeyID: kid}
}

// standing says whether a token that is good in itself has been revoked.
func (v *Verifier) standing(ctx context.Context, t *Token, token string) error {
	if err := v.statuses.check(ctx, t.status); err != nil && !v.tolerable(ctx, err) {
		return err
	}
	if v.introspection == nil {
		return nil
	}
	if err := v.introspection.check(ctx, token, t.ExpiresAt); err != nil && !v.tolerable(ctx, err) {
		return err
	}
	return nil
}

// tolerable says whether err is an outage that the program wants to live with. That
// whoever sent the token did not wait for the answer is none.
func (v *Verifier) tolerable(ctx context.Context, err error) bool {
	return v.outage == FailOpen && errors.Is(err, ErrUnavailable) && !errors.Is(err, errCredentials) && ctx.Err() == nil
}

// genuine reads a token that the issuer signed, and names the key.
func (v *Verifier) genuine(ctx context.Context, token string) (*Token, string, error) {
	c, err := parse(token)
	if err != nil {
		return nil, "", err
	}
	t, err := readClaims(c.payload).token()
	if err != nil {
		return nil, "", err
	}
	k, err := v.cache.key(ctx, c.kid)
	if err != nil {
		return nil, "", err
	}
	if err := k.verify(c); err != nil {
		return nil, "", err
	}
	return t, c.kid, nil
}

func (v *Verifier) validate() error {
	if v.audience == "" || strings.ContainsFunc(v.audience, unquotable) {
		return errors.New("the audience must be printable ASCII without quotes, backslashes and blanks")
	}
	if v.source.client == nil || v.log == nil {
		return errors.New("an option is nil")
	}
	if v.statuses.longest < shortestTTL || v.outage != FailClosed && v.outage != FailOpen {
		return errors.New("status lists are fetched once a second at most, and an outage is FailClosed or FailOpen")
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
	if v.introspection != nil {
		err = v.introspection.validate(u)
	}
	if v.reports != nil {
		err = cmp.Or(err, v.reports.validate(u))
	}
	return err
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
