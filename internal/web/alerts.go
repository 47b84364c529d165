package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/people"
)

// An openAlerts counts the alerts that nobody has acknowledged.
type openAlerts func(ctx context.Context) (int, error)

// label is how many alerts are open, as the menu says it; "" for none, or if that is not known.
func (count openAlerts) label(ctx context.Context, me people.Person) string {
	if count == nil || me.ID == "" {
		return ""
	}
	switch n, err := count(ctx); {
	case err != nil || n == 0:
		return ""
	case n >= alerts.ManyOpen:
		return fmt.Sprintf("%d or more", n)
	default:
		return fmt.Sprint(n)
	}
}

// An alertPage is a page of the alerts of one state.
type alertPage struct {
	Items  []adminclient.Alert
	State  string // "all" for any
	States []string
	Client string // the id of the key that they are about, "" for any
	Next   string // the cursor of the next page, "" at the end
	Later  bool   // it is not the first page
	Mutes  []adminclient.AlertMute
	Wrong  string
}

// alertStates are what the page offers.
var alertStates = []string{"open", "acknowledged", "muted", "all"}

func (h *Handler) alerts(w http.ResponseWriter, r *http.Request) error {
	return h.showAlerts(w, r, http.StatusOK, "")
}

func (h *Handler) showAlerts(w http.ResponseWriter, r *http.Request, status int, wrong string) error {
	values := r.URL.Query()
	page := alertPage{State: "open", States: alertStates, Client: values.Get("client"), Later: values.Get("cursor") != "", Wrong: wrong}
	if slices.Contains(alertStates, values.Get("state")) {
		page.State = values.Get("state")
	}
	params := &adminclient.ListAlertsParams{Client: given(values, "client"), Cursor: given(values, "cursor")}
	if page.State != "all" {
		params.State = new(adminclient.ListAlertsParamsState(page.State))
	}
	found, err := read[adminclient.AlertList](h.api(r).ListAlerts(r.Context(), params))
	if err != nil {
		return err
	}
	page.Items = found.Items
	if found.Next != nil {
		page.Next = *found.Next
	}
	page.Mutes, err = all[adminclient.AlertMute](func(limit *int, cursor *string) (*http.Response, error) {
		return h.api(r).ListAlertMutes(r.Context(), &adminclient.ListAlertMutesParams{Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return err
	}
	return h.renderAs(w, r, status, "alerts", "alerts", "Alerts", page)
}

// onAlerts is what doing something to alerts comes to: the list, with what went wrong if that can be
// told there.
func (h *Handler) onAlerts(w http.ResponseWriter, r *http.Request, err error) error {
	p := asProblem(err)
	switch {
	case err == nil, p != nil && (p.is("already-done") || p.is("not-found")):
		return seeOther(w, r, "/alerts")
	case p != nil && p.is("invalid"):
		return h.showAlerts(w, r, p.Status, p.Error())
	}
	return err
}

func (h *Handler) acknowledgeAlert(w http.ResponseWriter, r *http.Request) error {
	return h.onAlerts(w, r, done(h.api(r).AcknowledgeAlert(r.Context(), mux.Vars(r)["id"], nil)))
}

func (h *Handler) acknowledgeAlerts(w http.ResponseWriter, r *http.Request) error {
	body := adminclient.AlertAcknowledge{ClientID: given(r.PostForm, "client")}
	return h.onAlerts(w, r, done(h.api(r).AcknowledgeAlerts(r.Context(), nil, body)))
}

func (h *Handler) muteAlerts(w http.ResponseWriter, r *http.Request) error {
	body := adminclient.AlertMuteCreate{Kind: given(r.PostForm, "kind"), ClientID: given(r.PostForm, "client")}
	if r.PostForm.Get("mail") != "" {
		body.Mail = new(true)
	}
	return h.onAlerts(w, r, done(h.api(r).CreateAlertMute(r.Context(), nil, body)))
}

func (h *Handler) unmuteAlerts(w http.ResponseWriter, r *http.Request) error {
	return h.onAlerts(w, r, done(h.api(r).DeleteAlertMute(r.Context(), mux.Vars(r)["id"])))
}

// kindTitle is what people call a kind of alerts.
func kindTitle(kind any) string {
	name := fmt.Sprint(kind)
	if p, ok := kind.(*string); ok {
		if p == nil {
			return "every kind"
		}
		name = *p
	}
	if title := alerts.Kind(name).Title(); title != "" {
		return title
	}
	return name
}
