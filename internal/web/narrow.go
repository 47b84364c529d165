package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A seen is what resource servers report of a key.
type seen struct {
	Endpoints adminclient.ClientEndpoints
	Use       adminclient.ScopeUse
}

// maxEndpointRows is how many endpoints a page shows.
const maxEndpointRows = 50

// seen reads what resource servers report of a key.
func (h *Handler) seen(r *http.Request, id string) (s seen, err error) {
	api, ctx := h.api(r), r.Context()
	if s.Endpoints, err = read[adminclient.ClientEndpoints](api.ListClientEndpoints(ctx, id, nil)); err != nil {
		return s, err
	}
	s.Use, err = read[adminclient.ScopeUse](api.ReadScopeUse(ctx, id, nil))
	return s, err
}

// Rows are the endpoints that the page shows.
func (s seen) Rows() []adminclient.ClientEndpoint {
	return s.Endpoints.Items[:min(len(s.Endpoints.Items), maxEndpointRows)]
}

// More is how many it does not show.
func (s seen) More() int { return len(s.Endpoints.Items) - len(s.Rows()) }

// Gaps are the audiences for which it is not known what the key used in all the time.
func (s seen) Gaps() (gaps []adminclient.AudienceCoverage) {
	for _, c := range s.Use.Coverage {
		if c.Since == nil || c.Since.After(s.Use.Since) {
			gaps = append(gaps, c)
		}
	}
	return gaps
}

// Silent says whether nobody reports anything.
func (s seen) Silent() bool {
	for _, c := range s.Use.Coverage {
		if c.Since != nil {
			return false
		}
	}
	return len(s.Endpoints.Items) == 0
}

// Taken are the values that narrowing takes, in one text.
func (s seen) Taken() string { return strings.Join(s.Use.Taken, " ") }

// share is a part of a whole in per cent: "0 %" is none, and "100 %" all.
func share(part, whole int64) string {
	percent := float64(part) * 100 / float64(max(whole, 1))
	switch {
	case part == 0 || part == whole:
		return fmt.Sprintf("%.0f %%", percent)
	case percent < 0.1:
		return "under 0.1 %"
	case percent > 99.9:
		return "over 99.9 %"
	}
	return fmt.Sprintf("%.1f %%", percent)
}

// stateWords is what is known of the use of a scope value, in words.
func stateWords(v adminclient.ScopeValueUse) string {
	day := func() string {
		if v.LastUsedOn == nil {
			return "not seen"
		}
		t, err := time.Parse(time.DateOnly, *v.LastUsedOn)
		if err != nil {
			return *v.LastUsedOn
		}
		return "last seen on " + t.Format("2 January 2006")
	}
	switch v.State {
	case "unused":
		return "not used, " + day()
	case "recent":
		return "held for less than that, " + day()
	case "unknown":
		return "no data, " + day()
	}
	return "used, " + day()
}

// narrowKey takes from a key what it does not use, if that is still what the page showed.
func (h *Handler) narrowKey(w http.ResponseWriter, r *http.Request) error {
	id := mux.Vars(r)["id"]
	s, err := h.seen(r, id)
	if err != nil {
		return err
	}
	if s.Taken() == "" || s.Taken() != r.PostForm.Get("taken") {
		return h.showKey(w, r, http.StatusConflict, "What this key uses has changed meanwhile. Nothing was taken from it; look again.")
	}
	err = done(h.api(r).UpdateClient(r.Context(), id, &adminclient.UpdateClientParams{IfMatch: given(r.PostForm, "tag")}, adminclient.Patch(s.Use.Narrowed)))
	if p := asProblem(err); p != nil && p.is("precondition-failed") {
		return h.showKey(w, r, http.StatusConflict, "Somebody changed this key meanwhile. Nothing was taken from it; look again.")
	}
	return h.onKey(w, r, err)
}
