package web

import (
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A settingsPage is what is one's own, and what is so of the server.
type settingsPage struct {
	Sessions  []adminclient.Session
	Audiences []string
	// As in the examples for a new key, whose id nobody knows here.
	ID, TokenEndpoint string
}

func (h *Handler) settings(w http.ResponseWriter, r *http.Request) error {
	own := me(r.Context()).ID
	sessions, err := all[adminclient.Session](func(limit *int, cursor *string) (*http.Response, error) {
		return h.api(r).ListSessions(r.Context(), &adminclient.ListSessionsParams{Admin: &own, Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return err
	}
	slices.SortFunc(sessions, func(a, b adminclient.Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return h.render(w, r, http.StatusOK, "settings", "Settings", "", settingsPage{sessions, h.Audiences, "YOUR_CLIENT_ID", h.Issuer + "/oauth/token"})
}

// endSession ends a session, which may be this one.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request) error {
	err := done(h.api(r).RevokeSession(r.Context(), mux.Vars(r)["id"]))
	if p := asProblem(err); err != nil && (p == nil || p.Status != http.StatusNotFound) { // it may have ended meanwhile
		return err
	}
	return seeOther(w, r, "/settings")
}
