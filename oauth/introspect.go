package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// An introspection is the answer of RFC 7662 §2.2. The zero introspection says that a token is
// not active, and nothing else.
type introspection struct {
	Active    bool            `json:"active"`
	Scope     string          `json:"scope,omitempty"`
	ClientID  string          `json:"client_id,omitempty"`
	TokenType string          `json:"token_type,omitempty"`
	ExpiresAt int64           `json:"exp,omitempty"`
	IssuedAt  int64           `json:"iat,omitempty"`
	Subject   string          `json:"sub,omitempty"`
	Audience  tokens.Audience `json:"aud,omitempty"`
	Issuer    string          `json:"iss,omitempty"`
	ID        string          `json:"jti,omitempty"`
}

// introspectionType is the media type of the answer as a JWT, and without "application/" its typ
// (RFC 9701 §5).
const introspectionType = "application/token-introspection+jwt"

// introspect answers POST /oauth/introspect (RFC 7662), as JSON or, to those who ask for it, as a
// JWT (RFC 9701).
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) {
	a, token, err := h.aboutToken(w, r)
	if err != nil {
		h.refuse(w, r, a, err)
		return
	}
	claims, err := h.living(r.Context(), a, token)
	if err != nil {
		h.refuse(w, r, a, &Error{Code: TemporarilyUnavailable, Description: "the store does not answer; try again soon", Cause: err})
		return
	}
	answer := introspection{}
	if claims != nil {
		answer = introspection{
			Active: true, Scope: claims.Scope, ClientID: claims.ClientID, TokenType: "Bearer", ExpiresAt: claims.ExpiresAt,
			IssuedAt: claims.IssuedAt, Subject: claims.Subject, Audience: claims.Audience, Issuer: claims.Issuer, ID: claims.ID,
		}
	}
	// RFC 9110 §12.5.1: whoever names both may say what it would rather have.
	if q := quality(r.Header.Values("Accept"), introspectionType); q > 0 && q >= quality(r.Header.Values("Accept"), "application/json") {
		h.introspectionJWT(w, r, a, answer)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// introspectionJWT writes an answer that its receiver can prove to others (RFC 9701 §5). What it
// says stands below a claim of its own, so that nobody takes it for an access token.
func (h *Handler) introspectionJWT(w http.ResponseWriter, r *http.Request, a *attempt, answer introspection) {
	token, _, err := h.Issuer.Sign(h.Alg, introspectionType[len("application/"):], struct {
		Issuer        string        `json:"iss"`
		Audience      string        `json:"aud"`
		IssuedAt      int64         `json:"iat"`
		Introspection introspection `json:"token_introspection"`
	}{h.Issuer.URL, a.client.ID, a.now.Unix(), answer})
	if err != nil {
		h.refuse(w, r, a, &Error{Code: TemporarilyUnavailable, Description: "no signing key is ready; try again soon", Cause: err})
		return
	}
	header := w.Header()
	header["Content-Type"] = []string{introspectionType}
	header["Cache-Control"], header["Pragma"] = noStore, noCache
	_, _ = w.Write([]byte(token)) // a client that went away needs no answer
}

// aboutToken reads a request about a token and authenticates its caller, as introspection
// (RFC 7662 §2.1) and revocation (RFC 7009 §2.1) have it. What kind of token it is thought to be
// does not matter here: there is one kind.
func (h *Handler) aboutToken(w http.ResponseWriter, r *http.Request) (a *attempt, token string, err error) {
	form, err := parseBody(w, r, onceAboutToken, maxBodyAboutToken)
	a = &attempt{tokenRequest: &tokenRequest{clientID: claimedID(r, form)}, now: time.Now(), address: request.Address(r)}
	if err != nil {
		return a, "", err
	}
	if err := h.authenticate(r, form, a); err != nil {
		return a, "", err
	}
	request.Note(r.Context(), slog.String("client_id", a.client.ID))
	if token = form.Get("token"); token == "" {
		return a, "", invalidRequest("token is missing")
	}
	// A key that another server made or removed a moment ago is known before it is asked for.
	if err := h.Issuer.Keys.Refresh(r.Context()); err != nil {
		return a, "", &Error{Code: TemporarilyUnavailable, Description: "the store does not answer; try again soon", Cause: err}
	}
	return a, token, nil
}

// onceAboutToken are the parameters of a request about a token that may not repeat.
var onceAboutToken = append(slices.Clone(once), "token", "token_type_hint")

// authenticate authenticates the client of an attempt.
func (h *Handler) authenticate(r *http.Request, form url.Values, a *attempt) (err error) {
	if a.clientID, a.clientSecret, err = credentials(r, form); err != nil {
		return err
	}
	store := clientStore{h}
	ctx := context.WithValue(r.Context(), attemptKey{}, a)
	if _, err := store.GetByID(ctx, a.clientID); err != nil {
		return err
	}
	if !(account{a}).VerifyPassword(a.clientSecret) {
		return unauthenticated(a)
	}
	h.Failures.Succeeded(a.clientID, a.address, a.now)
	return nil
}

// living returns the claims of a token that is as good as on the day it was made, or nil for one
// that is not, or of which the caller may not know. An error means that the store did not answer.
func (h *Handler) living(ctx context.Context, a *attempt, token string) (*tokens.Claims, error) {
	claims, err := h.Issuer.Parse(token)
	if err != nil || !mayKnow(a.client, claims) {
		return nil, nil
	}
	client, catalog, err := h.Clients.Client(ctx, claims.ClientID)
	if err != nil {
		return nil, err
	}
	// Tokens that were revoked as a whole carry another place in the status lists.
	if !client.Usable(a.now) || claims.Status != h.Issuer.Status(client.StatusIndex) {
		return nil, nil
	}
	own := slices.Contains(claims.Audience, h.AdminAudience)
	if _, err := sections.Grant(catalog, client.Held, claims.Scope, own); err != nil {
		return nil, nil // something that the token allows was taken from its client
	}
	if revoked, err := h.RevokedTokens.Revoked(ctx, claims); err != nil || revoked {
		return nil, err
	}
	return claims, nil
}

// mayKnow says whether a caller may know of a token: its own, and with wardkey:introspect any. A
// caller that has audiences of its own is a resource server, and may know of what is for those
// (RFC 7662 §4).
func mayKnow(caller *clients.Client, claims *tokens.Claims) bool {
	if claims.ClientID == caller.ID {
		return true
	}
	if !slices.Contains(caller.Held.Permissions, mayIntrospect) {
		return false
	}
	return len(caller.Audiences) == 0 || slices.ContainsFunc(claims.Audience, func(audience string) bool {
		return slices.Contains(caller.Audiences, audience)
	})
}

var mayIntrospect = sections.Permission{Target: sections.Wardkey, Action: "introspect"}
