package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// This file alone knows go-oauth2. Its manager is the engine of the grant: find the client,
// verify its secret, generate the token. What each step means is ours
// (docs/decisions/0002).

// An engine is go-oauth2's.
type engine = *manage.Manager

// newEngine joins the handler's parts to an engine.
func newEngine(h *Handler) engine {
	m := manage.NewManager()
	m.MapClientStorage(clientStore{h})
	m.MapAccessGenerate(generator{h})
	m.MapTokenStorage(noTokens{})
	m.SetClientTokenCfg(&manage.Config{AccessTokenExp: h.Lifetime})
	return m
}

// An attempt is one token request on its way through the engine. It travels in the context, and
// gathers what the handler wants to know in the end.
type attempt struct {
	*tokenRequest
	now      time.Time       // before the client is read
	address  string          // from where
	standing limits.Verdict  // of the client with its limits
	client   *clients.Client // nil: not looked up yet
	catalog  *sections.Catalog
	verdict  clients.Verdict
	secret   string // the id of the client's secret that was right
	grant    tokens.Grant
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt { return ctx.Value(attemptKey{}).(*attempt) }

// generate takes a token request through the engine. Errors of the parts come back as they were.
func (h *Handler) generate(ctx context.Context, a *attempt) (accessToken string, err error) {
	ctx = context.WithValue(ctx, attemptKey{}, a)
	info, err := h.engine.GenerateAccessToken(ctx, oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{
		ClientID: a.clientID, ClientSecret: a.clientSecret, Scope: a.scope,
	})
	if errors.Is(err, oautherrors.ErrInvalidClient) {
		return "", unauthenticated(a)
	}
	if err != nil {
		return "", err
	}
	return info.GetAccess(), nil
}

// clientStore shows the clients to go-oauth2.
type clientStore struct{ h *Handler }

// GetByID finds the client of the attempt. An unknown one is a client that no secret opens, so
// that a stranger cannot tell which ids exist.
func (s clientStore) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	a := attemptOf(ctx)
	if wait := s.h.Failures.Wait(ctx, id, a.address, a.now); wait > 0 {
		return nil, heldOff(wait)
	}
	client, catalog, err := s.h.Clients.Client(ctx, id)
	if err != nil {
		return nil, &Error{Code: TemporarilyUnavailable, Description: "the store does not answer; try again soon", Cause: err}
	}
	a.client, a.catalog = client, catalog
	return account{a}, nil
}

// An account shows one client to go-oauth2.
type account struct{ *attempt }

func (a account) GetID() string     { return a.client.ID }
func (a account) GetSecret() string { return "" } // never used: see VerifyPassword
func (a account) GetDomain() string { return "" }
func (a account) GetUserID() string { return "" }
func (a account) IsPublic() bool    { return false }

// VerifyPassword implements [oauth2.ClientPasswordVerifier]; without it go-oauth2 would compare
// GetSecret, and let an empty one pass.
func (a account) VerifyPassword(secret string) bool {
	a.verdict, a.secret = a.client.Authenticate(secret, a.now)
	return a.verdict == clients.Authenticated
}

// generator makes the access tokens of go-oauth2.
type generator struct{ h *Handler }

// Token is called once the client is authenticated: the first moment at which its scope and its
// audience may be talked about.
func (g generator) Token(ctx context.Context, basic *oauth2.GenerateBasic, _ bool) (access, refresh string, err error) {
	a := basic.Client.(account).attempt
	if err := g.h.count(ctx, a); err != nil {
		return "", "", err
	}
	audience, own, err := g.h.audience(a.client, a.resource)
	if err != nil {
		return "", "", err
	}
	a.grant.Audience = audience // if no scope is granted, the refusal names it
	scope, err := sections.Grant(a.catalog, a.client.Held, a.scope, own)
	if refusal, ok := errors.AsType[*sections.Refusal](err); ok {
		return "", "", invalidScope(refusal, a.scope)
	}
	a.grant = tokens.Grant{
		ClientID: a.client.ID, Audience: audience, Scope: scope.String(), IssuedAt: a.now,
		Lifetime: g.h.lifetime(a.client), Alg: g.h.alg(a.client, audience), SCP: g.h.saysSCP(audience), StatusIndex: a.client.StatusIndex,
	}
	access, err = g.h.Issuer.Issue(a.grant)
	if errors.Is(err, tokens.ErrNoKey) {
		err = &Error{Code: TemporarilyUnavailable, Description: "no signing key is ready; try again soon", Cause: err}
	}
	if err != nil {
		return "", "", fmt.Errorf("issue: %w", err)
	}
	return access, "", nil
}

// noTokens satisfies go-oauth2, which records each token; ours carry their own proof
// (docs/decisions/0004).
type noTokens struct{ oauth2.TokenStore }

// Create records nothing.
func (noTokens) Create(context.Context, oauth2.TokenInfo) error { return nil }
