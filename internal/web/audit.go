package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// An auditPage is a page of the audit log.
type auditPage struct {
	Items   []adminclient.AuditEvent
	Next    string // the cursor of the next page, "" at the end
	Later   bool   // it is not the first page
	Query   url.Values
	Wrong   map[string]string
	Checked *adminclient.AuditVerification
	Client  string // the name of the key that it is about
	Actions []string
}

// acts are what the filter offers; it takes others too.
var acts = []string{
	"client", "client.create", "client.update", "client.delete", "client.revoke_tokens", "secret", "secret.create", "secret.revoke",
	"section", "keyspace", "capability", "signing_key", "admin", "session", "session.sign_in", "session.sign_in_failed", "alert", "webhook",
}

func (h *Handler) auditLog(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	page := auditPage{Query: values, Later: values.Get("cursor") != "", Actions: acts}
	filter, wrong := eventFilter(values)
	if wrong != nil {
		page.Wrong = wrong
		return h.render(w, r, http.StatusUnprocessableEntity, "audit", "Audit", "", page)
	}
	api, ctx := h.api(r), r.Context()
	found, err := read[adminclient.AuditEventList](api.ListAuditEvents(ctx, &adminclient.ListAuditEventsParams{
		Actor: filter.Actor, Action: filter.Action, Client: filter.Client, Since: filter.Since, Until: filter.Until, Cursor: given(values, "cursor"),
	}))
	if err != nil {
		return err
	}
	page.Items = found.Items
	if found.Next != nil {
		page.Next = *found.Next
	}
	if values.Get("check") != "" {
		checked, err := read[adminclient.AuditVerification](api.VerifyAuditEvents(ctx))
		if err != nil {
			return err
		}
		page.Checked = &checked
	}
	return h.render(w, r, http.StatusOK, "audit", "Audit", "", page)
}

// eventFilter is what events are asked for with: whole days, in UTC.
func eventFilter(values url.Values) (*adminclient.ExportAuditEventsParams, map[string]string) {
	filter := &adminclient.ExportAuditEventsParams{Actor: given(values, "actor"), Action: given(values, "action"), Client: given(values, "client")}
	var wrong map[string]string
	day := func(name string, days int) *time.Time {
		text := values.Get(name)
		if text == "" {
			return nil
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			wrong = map[string]string{name: "must be a day, as " + time.Now().UTC().Format(time.DateOnly)}
		}
		return new(t.AddDate(0, 0, days))
	}
	filter.Since = day("since", 0)
	filter.Until = day("until", 1) // with that day
	return filter, wrong
}

// exportAudit sends the events as they come, however many there are.
func (h *Handler) exportAudit(w http.ResponseWriter, r *http.Request) error {
	filter, wrong := eventFilter(r.URL.Query())
	if wrong != nil {
		return &oops{http.StatusBadRequest, "That is no day", "Go back and choose the days again."}
	}
	export, err := adminclient.NewExportAuditEventsRequest(apiURL, filter)
	if err != nil {
		return err
	}
	return h.save(w, r, export, "wardkey-audit-"+time.Now().UTC().Format(time.DateOnly)+".jsonl")
}

// save has the browser save what the API answers.
func (h *Handler) save(w http.ResponseWriter, r, asked *http.Request, name string) error {
	inProcess{h.API, r}.forward(asked)
	file := &download{ResponseWriter: w, name: name}
	h.API.ServeHTTP(file, asked.WithContext(r.Context()))
	switch file.refused {
	case 0:
		return nil
	case http.StatusServiceUnavailable:
		return &oops{file.refused, "Nothing was exported", "The store did not answer in time. Choose less to export, or try again."}
	default:
		return &oops{file.refused, "Nothing was exported", "The server's log says why under the request id."}
	}
}

// A download has the browser save an answer, unless it is an error.
type download struct {
	http.ResponseWriter
	name    string
	begun   bool
	refused int // the status of an error
}

// Unwrap is for [http.ResponseController].
func (d *download) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *download) WriteHeader(status int) {
	switch {
	case d.begun || d.refused != 0:
		return
	case status >= http.StatusBadRequest:
		d.refused = status
		return
	}
	d.begun = true
	d.Header().Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	d.ResponseWriter.WriteHeader(status)
}

func (d *download) Write(text []byte) (int, error) {
	d.WriteHeader(http.StatusOK)
	if d.refused != 0 {
		return 0, errors.New("the answer is an error")
	}
	return d.ResponseWriter.Write(text)
}
