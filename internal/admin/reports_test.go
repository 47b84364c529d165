package admin_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/verify"
)

const api = "https://api.example"

// resourceServer registers one with audiences, and returns a token of it.
func (w *world) resourceServer(name string, audiences ...string) (token string) {
	w.t.Helper()
	c := &clients.Client{
		Name: name, CreatedBy: "the test", Audiences: audiences,
		Held: sections.Held{Permissions: []sections.Permission{{Target: "wardkey", Action: "introspect"}}},
	}
	_, err := w.Clients.Create(w.t.Context(), c, time.Now())
	must(w.t, err)
	return w.token(c, "wardkey:introspect")
}

// reported is a report about the last minute, with rows in JSON.
func reported(id string, rows ...string) string {
	now := time.Now().UTC()
	return fmt.Sprintf(`{"id":"report-%010s","audience":%q,"from":%q,"until":%q,"rows":[%s]}`, id, api,
		now.Add(-time.Minute).Format(time.RFC3339Nano), now.Format(time.RFC3339Nano), strings.Join(rows, ","))
}

func (w *world) report(token, body string) *answer {
	w.t.Helper()
	return w.do("POST", "/usage/reports", body, "Authorization", "Bearer "+token)
}

// What two resource servers report is to be read of each client, once.
func TestReports(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		one, other := w.resourceServer("one", api), w.resourceServer("other", api, issuer)
		row := func(endpoint, outcome string, requests int, more string) string {
			return fmt.Sprintf(`{"client_id":%q,"endpoint":%q,"outcome":%q,"requests":%d%s}`, c.ID, endpoint, outcome, requests, more)
		}
		body := reported("1", row("GET /profiles/{id}", "allowed", 90, `,"scopes":["email:read","section:nordic"]`),
			row("GET /profiles/{id}", "expired", 10, ""),
			row("POST /profiles", "insufficient_scope", 5, `,"scopes":["email:write"],"sampled":1`),
			`{"client_id":"nobody","endpoint":"GET /","outcome":"allowed","requests":7}`)
		for again := range 3 {
			want := fmt.Sprintf(`{"counted":105,"duplicate":%v,"ignored":7}`, again > 0)
			if got := strings.TrimSpace(string(w.report(one, body).is(200).body)); got != want {
				t.Errorf("a report, sent %d times before, is answered with %s; want %s", again, got, want)
			}
		}
		w.report(other, body).is(200)
		var got adminclient.ClientEndpoints
		for _, since := range []string{"", "?since=" + url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)), "?since=" + day(-89)} {
			w.do("GET", "/clients/"+c.ID+"/endpoints"+since, "").is(200).into(&got)
			text := ""
			for _, e := range got.Items {
				text += fmt.Sprintf("%s at %s: %d of %d refused %v, lacked %v, estimated %v; ", e.Endpoint, e.Audience, e.Refused, e.Requests, e.Outcomes, e.Lacked, e.Estimated)
			}
			want := "GET /profiles/{id} at https://api.example: 20 of 200 refused map[allowed:180 expired:20], lacked [], estimated false; " +
				"POST /profiles at https://api.example: 10 of 10 refused map[insufficient_scope:10], lacked [email:write], estimated true; "
			if text != want || got.Requests != 210 || got.Refused != 30 {
				t.Errorf("%s: %s%d of %d; want %s30 of 210", since, text, got.Refused, got.Requests, want)
			}
		}
		w.do("GET", "/clients/nothing/endpoints", "").isProblem(404, "not-found")
		w.do("GET", "/clients/"+c.ID+"/endpoints?since="+day(-91), "").isProblem(400, "malformed")
		w.do("GET", "/clients/"+c.ID+"/endpoints?since="+day(2), "").isProblem(400, "malformed")
	})
}

// Only resource servers report, and only about what is theirs.
func TestReportsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		server := w.resourceServer("server", api)
		w.report(server, strings.Replace(reported("1"), api, issuer, 1)).isProblem(403, "insufficient-scope")
		w.report(w.resourceServer("without"), reported("1")).isProblem(403, "insufficient-scope")
		w.report(w.token(w.client("reader", "read"), "wardkey:read"), reported("1")).isProblem(403, "insufficient-scope")
		w.report("x", reported("1")).isProblem(401, "unauthenticated")
		w.do("GET", "/clients", "", "Authorization", "Bearer "+server).isProblem(403, "insufficient-scope")
		w.do("POST", "/sections", `{"id":"x","name":"X"}`, "Authorization", "Bearer "+server).isProblem(403, "insufficient-scope")
		row := `{"client_id":"","endpoint":"GET /","outcome":"malformed","requests":1}`
		w.report(server, reported("1", strings.Replace(row, "malformed", "splendid", 1))).isProblem(422, "invalid", "/rows/0/outcome")
		w.report(server, reported("1", strings.Replace(row, ":1}", ":-1}", 1))).isProblem(422, "invalid", "/rows/0/requests", "/rows/0/sampled")
		w.report(server, reported("1", strings.Replace(row, ":1}", ":1e99}", 1))).isProblem(400, "malformed", "/rows/0/requests")
		w.report(server, reported("1", strings.Replace(row, "requests", "requested", 1))).isProblem(400, "malformed", "/rows/0/requested")
		w.report(server, reported("1", slices.Repeat([]string{row}, 201)...)).isProblem(422, "invalid", "/rows")
		w.report(server, reported("1", slices.Repeat([]string{row}, 2000)...)).isProblem(413, "too-large")
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		ann.do("POST", "/usage/reports", reported("1", row)).isProblem(403, "insufficient-scope") // whoever she is
		w.report(server, reported("1", row)).is(200)
	})
}

// A resource server that sends report after report is told to wait, and others are not.
func TestReportsTooMany(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		flood := w.client("flood", "introspect")
		for range 200 { // an hour ahead, so that it does not matter how long this takes
			_, _ = w.Reports.Add(t.Context(), flood, reports.Report{}, time.Now().Add(time.Hour))
		}
		a := w.report(w.token(flood, "wardkey:introspect"), reported("1")).isProblem(429, "too-many")
		if wait := a.header.Get("Retry-After"); wait != "1" {
			t.Errorf("Retry-After: %s, want 1", wait)
		}
		w.report(w.resourceServer("other", api), reported("1")).is(200)
	})
}

// The outcomes that are taken are those that package verify has.
func TestOutcomesOfReports(t *testing.T) {
	want := append(slices.DeleteFunc(verify.Results(), func(r string) bool { return r == "accepted" }), reports.Allowed, reports.Held)
	wantSame(t, "outcomes", reports.Outcomes, want)
}

// What a client does not use is known if reports are about all the time, and is taken from it by
// the patch that says so, unless it was changed meanwhile.
func TestScopeUse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		server := w.resourceServer("server", api)
		c := w.register(`{"name":"CRM","sections":["nordic","baltic"],"permissions":{"email":["read","write"],"crm-id":["read"]},"audiences":["https://api.example"]}`)
		created := time.Now().AddDate(0, 0, -100)
		_, err := w.DB.Exec(t.Context(), `UPDATE clients SET created_at = $1 WHERE id = $2`, created.Unix(), c.ID)
		must(t, err)
		_, err = w.DB.Exec(t.Context(), `INSERT INTO client_uses (client_id, last_used_at) VALUES ($1, $2) ON CONFLICT (client_id) DO UPDATE SET last_used_at = excluded.last_used_at`, c.ID, time.Now().Unix())
		must(t, err)
		_, err = w.DB.Exec(t.Context(), `INSERT INTO secret_uses (client_id, secret_id, last_used_at) VALUES ($1, $2, $3)`, c.ID, "old", time.Now().Unix())
		must(t, err)
		w.report(server, reported("1", fmt.Sprintf(`{"client_id":%q,"endpoint":"GET /","scopes":["email:read","section:nordic"],"outcome":"allowed","requests":1}`, c.ID))).is(200)
		use := func(query string) (u adminclient.ScopeUse, states string) {
			t.Helper()
			w.do("GET", "/clients/"+c.ID+"/scope-use"+query, "").is(200).into(&u)
			for _, v := range u.Values {
				states += v.Value + " " + string(v.State) + ", "
			}
			return u, states
		}
		const used = "section:nordic used, "
		u, states := use("")
		if want := "section:baltic unknown, section:nordic used, crm-id:read unknown, email:read used, email:write unknown, "; states != want || len(u.Taken) != 0 || u.Narrowed != nil {
			t.Errorf("without reports: %s taken %v by %v; want %s", states, u.Taken, u.Narrowed, want)
		}
		for hour := time.Now().AddDate(0, 0, -95).Unix() / 3600; hour <= time.Now().Unix()/3600; hour++ {
			_, err := w.DB.Exec(t.Context(), `INSERT INTO report_coverage (audience, hour, minutes, partial) VALUES ($1, $2, $3, FALSE) ON CONFLICT DO NOTHING`, api, hour, int64(1)<<60-1)
			must(t, err)
		}
		u, states = use("?days=90")
		want := "section:baltic unused, section:nordic used, crm-id:read unused, email:read used, email:write unused, "
		if states != want || strings.Join(u.Taken, " ") != "section:baltic crm-id:read email:write" || u.Days != 90 || u.Coverage[0].Since == nil {
			t.Errorf("with reports: %s taken %v; want %s", states, u.Taken, want)
		}
		if _, states := use("?days=96"); !strings.Contains(states, "section:baltic unknown") {
			t.Errorf("of more than is covered: %s", states)
		}

		// Another admin is quicker; then what is held since then is not called unused.
		patch := encode(t, u.Narrowed)
		w.do("PATCH", "/clients/"+c.ID, `{"permissions":{"crm-id":["read","write"]}}`).is(200)
		w.do("PATCH", "/clients/"+c.ID, patch, "If-Match", u.Etag).isProblem(412, "precondition-failed")
		if _, states = use(""); !strings.Contains(states, "crm-id:read unused, crm-id:write recent, ") {
			t.Errorf("after a change: %s", states)
		}
		u, _ = use("")
		w.do("PATCH", "/clients/"+c.ID, encode(t, u.Narrowed), "If-Match", u.Etag).is(200)
		is := w.read(c.ID)
		if got := fmt.Sprint(is.Sections, is.Permissions); got != "[nordic] map[crm-id:[write] email:[read]]" {
			t.Errorf("what is left is %s", got)
		}
		if u, states := use(""); len(u.Taken) != 0 || !strings.HasPrefix(states, used) {
			t.Errorf("then: %s taken %v", states, u.Taken)
		}
		w.do("GET", "/clients/"+c.ID+"/scope-use?days=0", "").isProblem(400, "malformed")
		w.do("GET", "/clients/"+c.ID+"/scope-use?days=366", "").isProblem(400, "malformed")
		w.do("GET", "/clients/nothing/scope-use", "").isProblem(404, "not-found")
	})
}
