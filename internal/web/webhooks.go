package web

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/alerts"
)

// A webhookList is all webhooks, what was sent last, and the form for one more.
type webhookList struct {
	Items      []adminclient.Webhook
	Deliveries []adminclient.AlertDelivery
	Only       string       // the id of the webhook whose deliveries these are, "" for all
	Kinds      []kindChoice // of the form
	Form       url.Values
	Once       string // the Idempotency-Key of the form
	Wrong      map[string]string
}

// A kindChoice is a kind of alerts to choose.
type kindChoice struct {
	Kind, Title string
	Chosen      bool
}

func kindChoices(chosen []string) (all []kindChoice) {
	for _, k := range alerts.Kinds {
		all = append(all, kindChoice{string(k), k.Title(), slices.Contains(chosen, string(k))})
	}
	return all
}

func (h *Handler) webhooks(w http.ResponseWriter, r *http.Request) error {
	return h.showWebhooks(w, r, http.StatusOK, webhookList{Form: url.Values{}, Only: r.URL.Query().Get("webhook")})
}

func (h *Handler) showWebhooks(w http.ResponseWriter, r *http.Request, status int, list webhookList) error {
	var err error
	list.Once, list.Kinds = rand.Text(), kindChoices(list.Form["kind"])
	list.Items, err = all[adminclient.Webhook](func(limit *int, cursor *string) (*http.Response, error) {
		return h.api(r).ListWebhooks(r.Context(), &adminclient.ListWebhooksParams{Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return err
	}
	params := &adminclient.ListAlertDeliveriesParams{}
	if list.Only != "" {
		params.Webhook = &list.Only
	}
	sent, err := read[adminclient.AlertDeliveryList](h.api(r).ListAlertDeliveries(r.Context(), params))
	if err != nil {
		return err
	}
	list.Deliveries = sent.Items
	return h.renderAs(w, r, status, "webhooks", "alerts", "Webhooks", list)
}

// onWebhooks is what doing something to a webhook comes to.
func (h *Handler) onWebhooks(w http.ResponseWriter, r *http.Request, err error) error {
	if p := asProblem(err); err != nil && (p == nil || !p.is("already-done") && !p.is("not-found")) {
		return err
	}
	return seeOther(w, r, "/webhooks")
}

func (h *Handler) addWebhook(w http.ResponseWriter, r *http.Request) error {
	body := adminclient.WebhookCreate{URL: r.PostForm.Get("url"), Kinds: r.PostForm["kind"]}
	made, err := read[adminclient.WebhookCreated](h.api(r).CreateWebhook(r.Context(), &adminclient.CreateWebhookParams{IdempotencyKey: given(r.PostForm, "once")}, body))
	if p := asProblem(err); p != nil && p.is("invalid") {
		return h.showWebhooks(w, r, p.Status, webhookList{Form: r.PostForm, Wrong: p.fields()})
	}
	if err != nil {
		return h.onWebhooks(w, r, err)
	}
	return h.renderAs(w, r, http.StatusCreated, "webhook-secret", "alerts", "Store the secret now", made)
}

func (h *Handler) testWebhook(w http.ResponseWriter, r *http.Request) error {
	id := mux.Vars(r)["id"]
	if err := done(h.api(r).TestWebhook(r.Context(), id, nil)); err != nil {
		return h.onWebhooks(w, r, err)
	}
	return seeOther(w, r, "/webhooks?webhook="+url.QueryEscape(id)+"#sent")
}

func (h *Handler) switchWebhook(w http.ResponseWriter, r *http.Request) error {
	patch := adminclient.Patch{"enabled": r.PostForm.Get("on") != ""}
	return h.onWebhooks(w, r, done(h.api(r).UpdateWebhook(r.Context(), mux.Vars(r)["id"], nil, patch)))
}

func (h *Handler) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPost {
		return h.onWebhooks(w, r, done(h.api(r).DeleteWebhook(r.Context(), mux.Vars(r)["id"], nil)))
	}
	hook, err := read[adminclient.Webhook](h.api(r).ReadWebhook(r.Context(), mux.Vars(r)["id"], nil))
	if err != nil {
		return err
	}
	return h.renderAs(w, r, http.StatusOK, "webhook-delete", "alerts", "Delete a webhook", hook)
}

// webhookState says in words whether a webhook is told of alerts.
func webhookState(w adminclient.Webhook) state {
	switch {
	case !w.Enabled:
		return state{"Off", "off"}
	case w.FailingSince != nil:
		return state{"Takes nothing", "bad"}
	}
	return state{"On", "good"}
}

// deliveryState says in words what became of a delivery.
func deliveryState(d adminclient.AlertDelivery) state {
	switch {
	case d.State == "delivered":
		return state{"Arrived", "good"}
	case d.State == "failed":
		return state{"Given up", "bad"}
	case d.Attempts > 0:
		return state{"Waits for another try", "warn"}
	}
	return state{"On its way", "off"}
}
