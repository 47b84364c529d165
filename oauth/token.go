package oauth

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/tokens"
)

// A tokenBody is the answer of RFC 6749 §5.1.
type tokenBody struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

// token answers POST /oauth/token (RFC 6749 §4.4).
func (h *Handler) token(w http.ResponseWriter, r *http.Request) {
	req, err := parseToken(w, r)
	now := time.Now() // before the client is read: a token is dated no later than what allowed it
	a := &attempt{tokenRequest: req, now: now, address: request.Address(r)}
	if err != nil {
		h.refuse(w, r, a, err)
		return
	}
	accessToken, err := h.generate(r.Context(), a)
	if a.known() {
		request.Note(r.Context(), slog.String("client_id", a.client.ID))
	}
	if err != nil {
		h.refuse(w, r, a, err)
		return
	}
	use := Use{ClientID: a.client.ID, SecretID: a.secret, Audience: a.grant.Audience, Address: a.address, At: now}
	if err := h.Used(r.Context(), use); err != nil {
		h.refuse(w, r, a, &Error{Code: TemporarilyUnavailable, Description: "the store does not answer; try again soon", Cause: err})
		return
	}
	h.given(r, a)
	tell(w.Header(), a)
	writeJSON(w, http.StatusOK, tokenBody{
		AccessToken: accessToken, TokenType: "Bearer",
		ExpiresIn: int64(a.grant.Lifetime / time.Second), Scope: a.grant.Scope,
	})
}

// lifetime is how long the client's tokens live.
func (h *Handler) lifetime(c *clients.Client) time.Duration {
	if c.TokenLifetime > 0 {
		return c.TokenLifetime
	}
	return h.Lifetime
}

// alg is what the client's tokens are signed with: its own choice, or the audience's, or the
// server's.
func (h *Handler) alg(c *clients.Client, audience []string) tokens.Alg {
	if c.SigningAlg != "" {
		return tokens.Alg(c.SigningAlg)
	}
	if alg, ok := h.AudienceAlgs[audience[0]]; ok {
		return alg
	}
	return h.Alg
}

// saysSCP says whether a token for the audience has its scope as an array too.
func (h *Handler) saysSCP(audience []string) bool {
	return slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(h.SCPAudiences, a) })
}
