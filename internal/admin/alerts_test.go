package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/alerts"
)

// raise raises an alert about a client, whose id may be "".
func (w *world) raise(kind alerts.Kind, once, clientID string) {
	w.t.Helper()
	must(w.t, w.Alerts.Raise(w.t.Context(), alerts.Alert{Kind: kind, Once: once, ClientID: clientID, Text: "Something is so.", At: time.Now()}))
}

// actions are what the audit log has of a kind, newest first.
func (w *world) actions(kind string) (all []string) {
	w.t.Helper()
	var list adminclient.AuditEventList
	w.do("GET", "/audit-events?action="+kind, "").is(200).into(&list)
	for _, e := range list.Items {
		all = append(all, e.Action)
	}
	return all
}

func TestAlerts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		for i, kind := range []alerts.Kind{alerts.ErrorRate, alerts.NearLimit, alerts.ErrorRate} {
			w.raise(kind, string(rune('a'+i)), c.ID)
		}
		w.raise(alerts.SigningKeyRotated, "k", "")
		for path, want := range map[string]int{
			"/alerts?x":                            4,
			"/alerts?state=open":                   4,
			"/alerts?state=acknowledged":           0,
			"/alerts?kind=error_rate":              2,
			"/alerts?kind=nothing":                 0,
			"/alerts?client=" + c.ID:               3,
			"/alerts?client=" + c.ID + "&kind=x":   0,
			"/alerts?kind=signing_key_rotated&x=y": 1,
		} {
			for _, limit := range []int{1, 3, 200} {
				if got, _ := w.walkQuery(path, "id", limit); len(got) != want {
					t.Errorf("%s in pages of %d has %d items, want %d", path, limit, len(got), want)
				}
			}
		}
		for _, query := range []string{"state=shut", "limit=0", "cursor=x"} {
			w.do("GET", "/alerts?"+query, "").isProblem(400, "malformed")
		}

		var list adminclient.AlertList
		w.do("GET", "/alerts?kind=near_limit", "").is(200).into(&list)
		a := list.Items[0]
		if *a.ClientName != c.Name || a.Title != "Near its limit" || a.State != "open" || a.AcknowledgedBy != nil {
			t.Errorf("the list is %+v", list)
		}
		w.do("GET", "/alerts/"+a.ID, "").is(200).into(&a)
		w.do("POST", "/alerts/"+a.ID+"/acknowledge", "", "Idempotency-Key", "one").is(200).into(&a)
		if a.State != "acknowledged" || a.AcknowledgedAt == nil || *a.AcknowledgedBy != "client "+w.root.ID {
			t.Errorf("acknowledged, it is %+v", a)
		}
		w.do("POST", "/alerts/"+a.ID+"/acknowledge", "", "Idempotency-Key", "one").isProblem(409, "already-done")
		w.do("POST", "/alerts/"+a.ID+"/acknowledge", "").is(200)
		w.do("GET", "/alerts/nothing", "").isProblem(404, "not-found")
		w.do("POST", "/alerts/nothing/acknowledge", "").isProblem(404, "not-found")

		w.do("POST", "/alerts/acknowledge", `{"all":true}`).isProblem(400, "malformed", "/all")
		wantJSON(t, string(w.do("POST", "/alerts/acknowledge", `{"kind":"error_rate"}`).is(200).body), `{"acknowledged":2}`)
		wantJSON(t, string(w.do("POST", "/alerts/acknowledge", "").is(200).body), `{"acknowledged":1}`)
		wantJSON(t, string(w.do("POST", "/alerts/acknowledge", "").is(200).body), `{"acknowledged":0}`)
		wantSame(t, "the audit log", w.actions("alert"), []string{"alert.acknowledge", "alert.acknowledge_all", "alert.acknowledge_all"})
	})
}

func TestAlertMutes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		for _, tt := range []struct{ body, field string }{
			{`{}`, ""},
			{`{"kind":"nothing"}`, "/kind"},
			{`{"client_id":"nothing"}`, "/client_id"},
			{`{"mail":true}`, "/mail"}, // a client gets no mails
		} {
			w.do("POST", "/alert-mutes", tt.body).isProblem(422, "invalid", tt.field)
		}
		var one, same adminclient.AlertMute
		answer := w.do("POST", "/alert-mutes", `{"kind":"error_rate","client_id":"`+c.ID+`"}`).is(201)
		answer.into(&one)
		if got, want := answer.header.Get("Location"), "/admin/v1/alert-mutes/"+one.ID; got != want || one.Mail || *one.Kind != "error_rate" {
			t.Errorf("Location = %q, want %q; %+v", got, want, one)
		}
		if w.do("POST", "/alert-mutes", `{"kind":"error_rate","client_id":"`+c.ID+`"}`).is(201).into(&same); same.ID != one.ID {
			t.Errorf("a second one like it has the id %q, want %q", same.ID, one.ID)
		}
		w.do("POST", "/alert-mutes", `{"kind":"new_network"}`).is(201)
		if got, _ := w.walk("/alert-mutes", "id", 1); len(got) != 2 {
			t.Errorf("%d are muted, want 2", len(got))
		}
		w.raise(alerts.ErrorRate, "a", c.ID)
		w.raise(alerts.NearLimit, "a", c.ID)
		var list adminclient.AlertList
		if w.do("GET", "/alerts?state=muted", "").is(200).into(&list); len(list.Items) != 1 || list.Items[0].State != "muted" {
			t.Errorf("muted are %+v", list)
		}
		w.do("DELETE", "/alert-mutes/"+one.ID+"?dry_run=true", "").isProblem(400, "malformed")
		w.do("DELETE", "/alert-mutes/"+one.ID, "").is(204)
		w.do("DELETE", "/alert-mutes/"+one.ID, "").isProblem(404, "not-found")
		wantSame(t, "the audit log", w.actions("alert_mute"), []string{"alert_mute.create", "alert_mute.create", "alert_mute.delete"})
	})
}

func TestWebhooks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, tt := range []struct{ body, field string }{
			{`{"url":""}`, "/url"},
			{`{"url":"ftp://example.com"}`, "/url"},
			{`{"url":"http://example.com"}`, "/url"},
			{`{"url":"https://user:password@example.com"}`, "/url"},
			{`{"url":"https://example.com/#x"}`, "/url"},
			{`{"url":"https://127.0.0.1/"}`, "/url"},
			{`{"url":"https://[::ffff:10.0.0.1]/"}`, "/url"},
			{`{"url":"https://example.com/` + strings.Repeat("x", 2000) + `"}`, "/url"},
			{`{"url":"https://example.com/hook","kinds":["nothing"]}`, "/kinds"},
			{`{"url":"https://example.com/hook","kinds":["error_rate","error_rate"]}`, "/kinds"},
		} {
			w.do("POST", "/webhooks", tt.body).isProblem(422, "invalid", tt.field)
		}
		var made adminclient.WebhookCreated
		answer := w.do("POST", "/webhooks", `{"url":"https://example.com/hook","kinds":["error_rate"]}`).is(201)
		answer.into(&made)
		if !strings.HasPrefix(made.Secret, "whsec_") || !made.Enabled || answer.header.Get("Location") != "/admin/v1/webhooks/"+made.ID {
			t.Errorf("the new one is %+v at %q", made, answer.header.Get("Location"))
		}
		path := "/webhooks/" + made.ID
		for _, text := range []string{
			string(w.do("GET", path, "").is(200).body), string(w.do("GET", "/webhooks", "").is(200).body),
			string(w.do("GET", "/audit-events", "").is(200).body), w.log.String(), w.stored("webhooks", "secret"),
		} {
			if strings.Contains(text, made.Secret) || strings.Contains(text, strings.TrimPrefix(made.Secret, "whsec_")) {
				t.Errorf("the secret is shown again: %s", text)
			}
		}
		w.do("GET", path, "", "If-None-Match", answer.header.Get("ETag")).is(304)

		var hook adminclient.Webhook
		w.do("PATCH", path, `{"enabled":false,"kinds":null}`, "If-Match", answer.header.Get("ETag")).is(200).into(&hook)
		if hook.Enabled || len(hook.Kinds) != 0 || hook.URL != made.URL {
			t.Errorf("changed, it is %+v", hook)
		}
		w.do("PATCH", path, `{"enabled":null}`).is(200).into(&hook)
		if !hook.Enabled {
			t.Errorf("without enabled, it is %+v", hook)
		}
		w.do("PATCH", path, `{"url":"http://127.0.0.1"}`).isProblem(422, "invalid", "/url")
		w.do("PATCH", path, `{"url":null}`).isProblem(422, "invalid", "/url")
		w.do("PATCH", path, `{"enabled":false}`, "If-Match", answer.header.Get("ETag")).isProblem(412, "precondition-failed")

		w.do("POST", path+"/test", "", "Idempotency-Key", "one").is(204)
		w.do("POST", path+"/test", "", "Idempotency-Key", "one").isProblem(409, "already-done")
		w.do("POST", "/webhooks/nothing/test", "").isProblem(404, "not-found")
		w.raise(alerts.ErrorRate, "a", "")
		for query, want := range map[string]int{"?x": 2, "?webhook=" + made.ID: 2, "?webhook=other": 0} {
			for _, limit := range []int{1, 200} {
				if got, _ := w.walkQuery("/alert-deliveries"+query, "id", limit); len(got) != want {
					t.Errorf("%s in pages of %d has %d, want %d", query, limit, len(got), want)
				}
			}
		}
		var preview adminclient.Preview
		w.do("DELETE", path+"?dry_run=true", "").is(200).into(&preview)
		if preview.ID != made.ID || preview.Kind != "webhook" {
			t.Errorf("the preview is %+v", preview)
		}
		w.do("DELETE", path, "").is(204)
		w.do("DELETE", path, "").isProblem(404, "not-found")
		wantJSON(t, string(w.do("GET", "/alert-deliveries", "").is(200).body), `{"items":[]}`)
		wantSame(t, "the audit log", w.actions("webhook"), []string{"webhook.create", "webhook.update", "webhook.update", "webhook.test", "webhook.delete"})
	})
}

// stored is a column as the store has it.
func (w *world) stored(table, column string) (text string) {
	w.t.Helper()
	must(w.t, w.DB.QueryRow(w.t.Context(), `SELECT `+column+` FROM `+table+` LIMIT 1`).Scan(&text))
	return text
}
