package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A leaked secret is revoked, the client's other is not, and neither stands anywhere.
func TestReportLeakedSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"CRM","sections":["nordic"],"permissions":{"email":["read"]}}`)
		var other adminclient.SecretCreated
		w.do("POST", "/clients/"+c.ID+"/secrets", `{}`).is(201).into(&other)
		report := func(dryRun bool, texts ...string) (outcomes []string, all adminclient.LeakOutcomes) {
			body, err := json.Marshal(map[string]any{"secrets": texts, "found_at": "https://git.example/a?" + c.ClientSecret, "dry_run": dryRun})
			if err != nil {
				t.Fatal(err)
			}
			got := w.do("POST", "/security/leaked-secrets", string(body)).is(200)
			if strings.Contains(string(got.body), c.ClientSecret) {
				t.Error("the answer repeats the secret")
			}
			got.into(&all)
			for _, item := range all.Items {
				outcomes = append(outcomes, string(item.Outcome))
			}
			return outcomes, all
		}
		texts := []string{c.ClientSecret, clients.NewSecret().Reveal(), c.ClientSecret[1:]}
		for _, tt := range []struct {
			dryRun bool
			want   string
			live   int
		}{{true, "revoked not_ours malformed", 2}, {false, "revoked not_ours malformed", 1}, {false, "ended not_ours malformed", 1}} {
			got, all := report(tt.dryRun, texts...)
			if live := len(w.read(c.ID).Secrets); strings.Join(got, " ") != tt.want || live != tt.live || all.DryRun != tt.dryRun {
				t.Errorf("dry run %t: %q, %d live secrets; want %q, %d", tt.dryRun, got, live, tt.want, tt.live)
			}
			if first := all.Items[0]; *first.ClientID != c.ID || *first.ClientName != "CRM" || *first.Hint != c.Secrets[0].Hint || all.Items[1].ClientID != nil {
				t.Errorf("outcome %+v does not say whose it is", first)
			}
		}
		if left := w.read(c.ID).Secrets; left[0].ID != other.ID {
			t.Errorf("%s is left, want %s", left[0].ID, other.ID)
		}
		var events adminclient.AuditEventList
		got := w.do("GET", "/audit-events?client="+c.ID+"&action=secret.delete", "").is(200).into(&events)
		if len(events.Items) != 1 || strings.Contains(string(got.body)+w.log.String(), "wks_") {
			t.Errorf("%d events; a secret in them or in the log: %t", len(events.Items), strings.Contains(string(got.body)+w.log.String(), "wks_"))
		}
	})
}

func TestBadLeakReports(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		reader := w.client("reader", "read")
		many, err := json.Marshal(map[string]any{"secrets": make([]string, 501)})
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ body, kind, field string }{
			{`{}`, "invalid", "/secrets"},
			{`{"secrets":[]}`, "invalid", "/secrets"},
			{string(many), "invalid", "/secrets"},
			{`{"secrets":"a"}`, "malformed", "/secrets"},
			{`{"secrets":[1]}`, "malformed", "/secrets/0"},
			{`{"secrets":["a"],"more":1}`, "malformed", "/more"},
			{`{"secrets":["a"],"found_at":"` + strings.Repeat("a", 1001) + `"}`, "invalid", "/found_at"},
		} {
			status := map[string]int{"invalid": 422, "malformed": 400}[tt.kind]
			w.do("POST", "/security/leaked-secrets", tt.body).isProblem(status, tt.kind, tt.field)
		}
		w.do("POST", "/security/leaked-secrets", `{"secrets":["a"]}`, "Idempotency-Key", "one").is(200)
		w.do("POST", "/security/leaked-secrets", `{"secrets":["a"]}`, "Idempotency-Key", "one").isProblem(409, "already-done")
		w.do("POST", "/security/leaked-secrets", `{"secrets":["a"]}`, "Authorization", "Bearer "+w.token(reader, "wardkey:read")).isProblem(403, "insufficient-scope")
	})
}
