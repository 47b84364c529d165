package verify

import (
	"context"
	"time"
)

// A Token is what a valid access token says. It does not hold the token itself,
// so it may be logged.
type Token struct {
	Issuer    string    // iss
	Subject   string    // sub: the client, as nobody else has tokens
	ClientID  string    // client_id
	Audience  []string  // aud
	IssuedAt  time.Time // iat
	ExpiresAt time.Time // exp
	ID        string    // jti: use this, never the token's text, to know a token again
	Scope     string    // scope, as it stands in the token; empty if absent

	notBefore time.Time
	bound     bool
	status    place // in a status list; the zero value if it has none
	reports   *reports
}

// Allows says whether the token lets its client do action through keyspace inside
// section: it needs both the section (or section:*) and the permission (or *:action).
func (t *Token) Allows(section, keyspace, action string) bool {
	return t.Holds(Section(section)) && t.Holds(Keyspace(keyspace, action))
}

// Holds says whether the token's scope covers s.
func (t *Token) Holds(s Scope) bool {
	if !s.coveredBy(t.Scope) {
		return false
	}
	t.reports.held(t, s)
	return true
}

type contextKey struct{}

// NewContext returns a context that carries t, as [Verifier.Require] gives it to
// a handler. Tests of handlers use it.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext returns the token of the request that a handler behind
// [Verifier.Require] is answering.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*Token)
	return t, ok
}
