package oauth

import "net/http"

// revoke answers POST /oauth/revoke (RFC 7009): a client revokes a token of its own. Whatever is
// no token of the caller, or no more, is answered alike (RFC 7009 §2.2), so that nobody learns of
// tokens by trying to revoke them.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) {
	a, token, err := h.aboutToken(w, r)
	if err != nil {
		h.refuse(w, r, a, err)
		return
	}
	if claims, err := h.Issuer.Parse(token); err == nil && claims.ClientID == a.client.ID {
		if err := h.RevokedTokens.Revoke(r.Context(), claims); err != nil { // RFC 7009 §2.2.1: not revoked must not look like revoked
			h.refuse(w, r, a, &Error{Code: TemporarilyUnavailable, Description: "the token is not revoked: the store does not answer; try again soon", Cause: err})
			return
		}
	}
	w.Header()["Cache-Control"], w.Header()["Pragma"] = noStore, noCache
	w.WriteHeader(http.StatusOK)
}
