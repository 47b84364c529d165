package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/web"
	"github.com/wardkey/wardkey/tokens"
	"github.com/wardkey/wardkey/verify"
)

// An ownJWKS answers whatever is fetched with the JWKS of this process.
type ownJWKS struct{ keys *tokens.Keys }

// RoundTrip implements [http.RoundTripper].
func (j ownJWKS) RoundTrip(r *http.Request) (*http.Response, error) {
	set, _ := j.keys.JWKS()
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/jwk-set+json"}}, Body: io.NopCloser(bytes.NewReader(set)),
	}, nil
}

// checkToken judges a token as a service would, with the package verify, and as this server can
// besides, which knows its client. The token goes nowhere.
func (p *parts) checkToken(ctx context.Context, raw string) (web.TokenChecks, error) {
	issuer := p.config.issuer
	e := explanation{header: segment(raw, 0), claims: segment(raw, 1), issuer: issuer, now: time.Now()}
	found := web.TokenChecks{Header: e.header, Claims: e.claims}
	if err := p.keys.Refresh(ctx); err != nil {
		return found, err
	}
	e.audience = p.ownAudience(e.audiences())
	v, err := verify.New(issuer, oneWord(e.anyAudience()), verify.WithHTTPClient(&http.Client{Transport: ownJWKS{p.keys}}),
		verify.WithJWKSURL(issuer+"/.well-known/jwks.json"), verify.WithoutStatusLists(), verify.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return found, err
	}
	defer v.Close()
	_, e.judged = v.Verify(ctx, raw)
	if e.judged != nil && !errors.Is(e.judged, verify.ErrInvalidToken) {
		return found, e.judged
	}
	found.Signed = !errors.Is(e.judged, verify.ErrMalformed) && !errors.Is(e.judged, verify.ErrSignature)
	all := e.checks()
	if found.Signed {
		more, err := p.checkClient(ctx, raw)
		if err != nil {
			return found, err
		}
		all = append(all, more...)
	}
	found.Good = e.judged == nil
	results := map[string]web.CheckResult{passed: web.Passed, failed: web.Failed, skipped: web.Skipped}
	for _, c := range all {
		found.Checks = append(found.Checks, web.TokenCheck{Name: c.Name, Result: results[c.Result], Detail: c.Detail})
		found.Good = found.Good && c.Result != failed
	}
	return found, nil
}

// ownAudience is the one of a token's audiences that this server makes tokens for, or all that it
// makes tokens for if there is none.
func (p *parts) ownAudience(said []string) string {
	own := append(slices.Clone(p.config.audiences), p.config.adminAudience())
	for _, audience := range said {
		if slices.Contains(own, audience) {
			return audience
		}
	}
	return strings.Join(own, " or ")
}

// oneWord is text, or a word where it cannot stand for an audience.
func oneWord(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "none"
	}
	return text
}

// checkClient checks what only this server knows of a token that is signed: whether its client
// stands, and whether its tokens were revoked.
func (p *parts) checkClient(ctx context.Context, raw string) ([]check, error) {
	claims := claimsOf(raw)
	id := claims.ClientID
	client, _, err := p.lookup.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	if client == clients.Nobody {
		return append([]check{{"client", failed, "no client has the id " + id + ", or no more"}}, skip("there is no client", "revocation")...), nil
	}
	stands := check{"client", passed, id + " is active"}
	if !client.Usable(time.Now()) {
		stands = check{"client", failed, id + " is disabled, or has expired"}
	}
	itself, err := p.revokedTokens().Revoked(ctx, &claims)
	if err != nil {
		return nil, err
	}
	revoked := check{"revocation", passed, "neither it nor the client's tokens were revoked since"}
	if itself {
		revoked = check{"revocation", failed, "its client revoked it"}
	}
	issuer := tokens.Issuer{URL: p.config.issuer}
	if claims.Status != issuer.Status(client.StatusIndex) { // revoking gives the client another place
		revoked = check{"revocation", failed, "the client's tokens were revoked after it was made"}
	}
	return []check{stands, revoked}, nil
}

// claimsOf are the claims of a token that we signed.
func claimsOf(raw string) (claims tokens.Claims) {
	middle, _, _ := strings.Cut(raw[strings.Index(raw, ".")+1:], ".")
	text, err := base64.RawURLEncoding.DecodeString(middle)
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		return tokens.Claims{} // which is nobody's
	}
	return claims
}
