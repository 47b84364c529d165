package admin_test

import (
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/limits"
)

const metered = `{"name":"Metered","sections":["nordic"],"permissions":{"email":["read"]},"plan":"enterprise","limits":{"per_minute":1000}}`

// TestPlans holds what a client's plan and limits are, as they are written one after another.
func TestPlans(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		w.Plan = clients.Free
		made := w.register(`{"name":"Billing","sections":["nordic"],"permissions":{"email":["read"]}}`)
		for _, tt := range []struct {
			patch, plan, limits string
		}{
			{`{}`, `"free"`, `{"per_minute":60,"burst":15,"per_day":10000}`},
			{`{"plan":"pro"}`, `"pro"`, `{"per_minute":1000,"burst":250,"per_day":1000000}`},
			{`{"plan":"enterprise","limits":{"per_day":5}}`, `"enterprise"`, `{"per_minute":null,"burst":null,"per_day":5}`},
			{`{"limits":{"per_minute":2,"per_day":null}}`, `"enterprise"`, `{"per_minute":2,"burst":2,"per_day":null}`},
			{`{"limits":{"per_minute":3000}}`, `"enterprise"`, ``}, // its burst is too small for that
			{`{"limits":{"per_minute":3000,"burst":null}}`, `"enterprise"`, `{"per_minute":3000,"burst":750,"per_day":null}`},
			{`{"name":"Invoices"}`, `"enterprise"`, `{"per_minute":3000,"burst":750,"per_day":null}`},
			{`{"plan":null}`, `"free"`, `{"per_minute":60,"burst":15,"per_day":10000}`},
			{`{"plan":"enterprise","limits":{"per_minute":6}}`, `"enterprise"`, `{"per_minute":6,"burst":6,"per_day":null}`},
			{`{"plan":"none"}`, `"none"`, `{"per_minute":null,"burst":null,"per_day":null}`},
			{`{"plan":null}`, `"free"`, `{"per_minute":60,"burst":15,"per_day":10000}`},
		} {
			answer := w.do("PATCH", "/clients/"+made.ID, tt.patch)
			if tt.limits == "" {
				answer.isProblem(422, "invalid", "/limits/burst")
				continue
			}
			answer.is(200)
			if plan := answer.member("plan"); plan != tt.plan {
				t.Errorf("after %s the plan is %s, want %s", tt.patch, plan, tt.plan)
			}
			wantJSON(t, answer.member("limits"), tt.limits)
			wantJSON(t, w.do("GET", "/clients/"+made.ID, "").is(200).member("limits"), tt.limits)
		}
	})
}

func TestRulesOfPlans(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for _, tt := range []struct {
			members string
			fields  []string
		}{
			{`"plan":"gold"`, []string{"/plan"}},
			{`"plan":""`, []string{"/plan"}},
			{`"plan":"free","limits":{"per_minute":100}`, []string{"/limits"}},
			{`"limits":{"per_minute":100}`, []string{"/limits"}},
			{`"plan":"enterprise"`, []string{"/limits"}},
			{`"plan":"enterprise","limits":{}`, []string{"/limits"}},
			{`"plan":"enterprise","limits":{"burst":5}`, []string{"/limits"}},
			{`"plan":"enterprise","limits":{"per_day":9,"burst":5}`, []string{"/limits/burst"}},
			{`"plan":"enterprise","limits":{"per_minute":0}`, []string{"/limits/per_minute"}},
			{`"plan":"enterprise","limits":{"per_minute":1000001}`, []string{"/limits/per_minute"}},
			{`"plan":"enterprise","limits":{"per_minute":60,"per_day":59}`, []string{"/limits/per_day"}},
			{`"plan":"enterprise","limits":{"per_day":-1}`, []string{"/limits/per_day"}},
			{`"plan":"enterprise","limits":{"per_minute":600,"burst":9}`, []string{"/limits/burst"}},
			{`"plan":"enterprise","limits":{"per_minute":600,"burst":601}`, []string{"/limits/burst"}},
		} {
			body := `{"name":"Billing","sections":["nordic"],"permissions":{"email":["read"]},` + tt.members + `}`
			w.do("POST", "/clients", body).isProblem(422, "invalid", tt.fields...)
		}
		w.do("POST", "/clients", `{"name":"Billing","sections":["nordic"],"permissions":{"email":["read"]},"limits":{"per_hour":1}}`).
			isProblem(400, "malformed", "/limits/per_hour")
	})
}

// TestClientLimits holds what an admin sees of a client that asks for many tokens.
func TestClientLimits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		w.Limits.Account = clients.Limits{PerDay: 100_000}
		made := w.register(metered)
		stored, err := w.Clients.Client(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := w.Limits.Take(t.Context(), made.ID, stored.Limits); err != nil {
				t.Fatal(err)
			}
			w.Habits.Given(limits.Token{ClientID: made.ID, UserAgent: "curl/8.5", At: time.Now(), Lifetime: time.Hour})
		}
		w.Habits.Over(made.ID)
		if err := w.Habits.Flush(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}

		var shown adminclient.ClientLimits
		w.do("GET", "/clients/"+made.ID+"/limits", "").is(200).into(&shown)
		if shown.Plan != "enterprise" || *shown.Limits.PerMinute != 1000 || shown.Mode != "enforce" || len(shown.Standings) != 2 {
			t.Errorf("the limits are %+v", shown)
		}
		if left := shown.Standings[0].Left; shown.Standings[0].Name != "minute" || left > 997 && left != 1000 || left < 980 {
			t.Errorf("after 3 of 1000, %d are left", left)
		}
		if shown.EarlyToday != 2 || shown.OverToday != 1 || shown.UserAgent != "curl/8.5" || shown.Advice.Library != "a shell" {
			t.Errorf("the habits are %+v", shown)
		}
		w.do("GET", "/clients/nobody/limits", "").isProblem(404, "not-found")

		var worst adminclient.WastefulClientList
		w.do("GET", "/wasteful-clients", "").is(200).into(&worst)
		if len(worst.Items) != 1 || worst.Items[0].ClientID != made.ID || worst.Items[0].ClientName == nil || worst.Items[0].EarlyToday != 2 {
			t.Errorf("the wasteful clients are %+v", worst)
		}
		w.do("DELETE", "/clients/"+made.ID, "").is(204)
		w.do("GET", "/wasteful-clients", "").is(200).into(&worst)
		if len(worst.Items) != 1 || worst.Items[0].ClientName != nil {
			t.Errorf("the wasteful clients are %+v after it was deleted", worst)
		}

		var plans adminclient.PlanList
		w.do("GET", "/plans", "").is(200).into(&plans)
		if len(plans.Items) != 4 || plans.Default != "none" || len(plans.Account) != 1 || plans.Account[0].Left > 99_997 {
			t.Errorf("the plans are %+v", plans)
		}
	})
}
