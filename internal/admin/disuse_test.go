package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// disuse is the server's rule as its job applies it, day by day from now on.
func (w *world) disuse(days int) {
	w.t.Helper()
	rule := &clients.Disuse{DB: w.DB, Rule: w.Disuse, Acted: admin.DisuseActs(w.Audit)}
	for day := range days {
		for hour := range 24 {
			at := time.Now().Add(time.Duration(24*day+hour) * time.Hour)
			if _, err := rule.Advance(context.Background(), at, w.DB.Transact); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// A client that nobody uses is suspended, which the list, the client and the audit log say, and
// resumed by whoever wants it.
func TestDisuse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		w.do("PATCH", "/clients/"+w.root.ID, `{"keep_unused":true}`).is(200)
		idle := w.register(`{"name":"Idle","sections":["nordic"],"permissions":{"email":["read"]}}`)
		kept := w.register(`{"name":"Kept","sections":["nordic"],"permissions":{"email":["read"]},"keep_unused":true}`)
		if !kept.KeepUnused || idle.KeepUnused || !w.read(kept.ID).KeepUnused {
			t.Error("keep_unused is not as it was sent")
		}
		past := time.Now().AddDate(0, 0, -200).Unix()
		if _, err := w.DB.Exec(t.Context(), `UPDATE clients SET created_at = $1`, past); err != nil {
			t.Fatal(err)
		}
		w.disuse(1)
		var list adminclient.UnusedClientList
		w.do("GET", "/unused-clients", "").is(200).into(&list)
		if len(list.Items) != 1 || list.Items[0].ClientID != idle.ID || *list.Items[0].Next != "suspension" || list.Items[0].NoticedAt == nil {
			t.Fatalf("unused: %+v; want the idle one, which is to be suspended", list.Items)
		}
		if left := time.Until(*list.Items[0].NextAt); left < 14*24*time.Hour || left > 16*24*time.Hour {
			t.Errorf("it is suspended in %v; want about 15 days", left)
		}
		w.disuse(17)
		suspended := w.read(idle.ID)
		if suspended.SuspendedAt == nil {
			t.Fatal("after 17 days it is not suspended")
		}
		var found adminclient.ClientList
		w.do("GET", "/clients?state=suspended", "").is(200).into(&found)
		if len(found.Items) != 1 || found.Items[0].ID != idle.ID {
			t.Errorf("%d clients are suspended", len(found.Items))
		}
		w.do("PATCH", "/clients/"+idle.ID, `{"suspended_at":null}`).isProblem(400, "malformed", "/suspended_at")
		var resumed adminclient.Client
		w.do("POST", "/clients/"+idle.ID+"/resume", "", "Idempotency-Key", "one").is(200).into(&resumed)
		if resumed.SuspendedAt != nil {
			t.Error("resumed, it is suspended")
		}
		w.do("POST", "/clients/"+idle.ID+"/resume", "", "Idempotency-Key", "one").isProblem(409, "already-done")
		w.do("POST", "/clients/none/resume", "").isProblem(404, "not-found")
		list = adminclient.UnusedClientList{}
		if w.do("GET", "/unused-clients", "").is(200).into(&list); len(list.Items) != 0 {
			t.Errorf("resumed, it is listed: %+v", list.Items)
		}
		var events adminclient.AuditEventList
		w.do("GET", "/audit-events?client="+idle.ID+"&action=client", "").is(200).into(&events)
		var actions []string
		for _, e := range events.Items {
			actions = append(actions, string(e.Actor.Kind)+" "+e.Action)
		}
		if got := strings.Join(actions, ", "); got != "client client.resume, server client.suspend, client client.create" {
			t.Errorf("the audit log has %s", got)
		}
	})
}

// A list that ends in the middle goes on where it ended.
func TestListUnusedClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 5 {
			w.client("idle", "read")
		}
		past := time.Now().AddDate(0, 0, -200).Unix()
		if _, err := w.DB.Exec(t.Context(), `UPDATE clients SET created_at = $1`, past); err != nil {
			t.Fatal(err)
		}
		w.disuse(1)
		seen := map[string]bool{}
		for path := "/unused-clients?limit=2"; path != ""; {
			var list adminclient.UnusedClientList
			w.do("GET", path, "").is(200).into(&list)
			for _, item := range list.Items {
				seen[item.ClientID] = true
			}
			if path = ""; list.Next != nil {
				path = "/unused-clients?limit=2&cursor=" + *list.Next
			}
		}
		if len(seen) != 6 {
			t.Errorf("%d clients are listed, want 6", len(seen))
		}
	})
}
