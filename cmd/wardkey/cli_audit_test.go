package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// TestBrokenExport holds that nobody takes a part of an export for the whole.
func TestBrokenExport(t *testing.T) {
	p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/audit-events/export": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jsonl")
		fmt.Fprintln(w, `{"seq":1}`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}})
	code, stdout, stderr := p.wardkey(t, "audit", "export")
	if code != exitFailed || !strings.Contains(stderr, "the export broke off and is not whole") || !strings.HasPrefix(stdout, `{"seq":1}`) {
		t.Errorf("audit export = %d, %q, %q", code, stdout, stderr)
	}
}

func TestNoExport(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/html", ""} {
		p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/audit-events/export": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			fmt.Fprint(w, "{}")
		}})
		if code, stdout, stderr := p.wardkey(t, "audit", "export"); code != exitFailed || stdout != "" {
			t.Errorf("audit export of %q = %d, %q, %q", contentType, code, stdout, stderr)
		}
	}
}

// TestEvent holds that an old event is found, and that nothing is read once it cannot come.
func TestEvent(t *testing.T) {
	const many = 450
	requests := 0
	p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/audit-events": func(w http.ResponseWriter, r *http.Request) {
		requests++
		newest := many
		if cursor := r.FormValue("cursor"); cursor != "" {
			newest, _ = strconv.Atoi(cursor)
		}
		var items []string
		for seq := newest; seq > max(0, newest-maxPage); seq-- {
			items = append(items, fmt.Sprintf(`{"seq":%d,"id":"E%d"}`, seq, seq))
		}
		next := ""
		if newest > maxPage {
			next = fmt.Sprintf(`,"next":"%d"`, newest-maxPage)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"items":[%s]%s}`, strings.Join(items, ","), next)
	}})
	api, err := p.admin()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		word     string
		seq      int64
		requests int
	}{{"450", 450, 1}, {"251", 251, 1}, {"250", 250, 2}, {"1", 1, 3}, {"E1", 1, 3}, {"451", 0, 1}, {"E451", 0, 3}, {"0", 0, 3}, {"-1", 0, 3}} {
		requests = 0
		e, err := api.event(t.Context(), tt.word)
		if (err == nil) != (tt.seq > 0) || e.Seq != tt.seq || requests != tt.requests {
			t.Errorf("event(%q) = %d, %v in %d requests; want %+v", tt.word, e.Seq, err, requests, tt)
		}
	}
}

func TestWordsOfEvents(t *testing.T) {
	for _, tt := range []struct {
		actor  adminclient.AuditActor
		target adminclient.AuditTarget
		client string
		want   string
	}{
		{adminclient.AuditActor{Kind: "admin", ID: "1", Name: new("a@example.com")}, adminclient.AuditTarget{Kind: "client", ID: "C", Name: new("CRM")}, "C", "admin a@example.com / client C (CRM)"},
		{adminclient.AuditActor{Kind: "client", ID: "1", Name: new("Terraform")}, adminclient.AuditTarget{Kind: "secret", ID: "S", Name: new("abcd")}, "C", "client 1 / secret S (abcd) of client C"},
		{adminclient.AuditActor{Kind: "command_line", ID: "root"}, adminclient.AuditTarget{Kind: "section", ID: "nordic", Name: new("nordic")}, "", "command line root / section nordic"},
		{adminclient.AuditActor{Kind: "server"}, adminclient.AuditTarget{Kind: "signing_key", ID: "K"}, "", "server / signing key K"},
		{adminclient.AuditActor{Kind: "nobody"}, adminclient.AuditTarget{Kind: "session"}, "", "nobody / session"},
	} {
		e := adminclient.AuditEvent{Actor: tt.actor, Target: tt.target, ClientID: unlessEmpty(tt.client)}
		if got := actorWords(e.Actor) + " / " + targetWords(e); got != tt.want {
			t.Errorf("%+v is %q, want %q", e, got, tt.want)
		}
	}
}

// TestByCause holds that refusals with one explanation are told once, with all that they have.
func TestByCause(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 22, 10, minute, 0, 0, time.UTC) }
	refusal := func(cause, address string, count int64, first, last int) adminclient.Refusal {
		return adminclient.Refusal{ClientID: new("C"), Cause: cause, Explanation: "because of " + cause, Address: address, Count: count, FirstAt: at(first), LastAt: at(last)}
	}
	groups := byCause([]adminclient.Refusal{
		refusal("scope_not_held", "192.0.2.1", 1, 40, 40),
		refusal("wrong_secret", "192.0.2.1", 2, 30, 50),
		refusal("wrong_secret", "192.0.2.2", 5, 10, 20),
		refusal("wrong_secret", "", 2, 5, 6),
		refusal("wrong_secret", "192.0.2.1", 1, 1, 1),
	})
	var got []string
	for _, g := range groups {
		got = append(got, fmt.Sprintf("%s %d %s-%s: %s", g.refusals[0].Cause, g.count, g.first().Format("04"), g.last().Format("04"), g.addresses()))
	}
	want := []string{
		"wrong_secret 10 01-50: 192.0.2.2 (5 times), 192.0.2.1 (3 times), other addresses (2 times)",
		"scope_not_held 1 40-40: 192.0.2.1 (1 time)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestManyAddresses(t *testing.T) {
	var g causeGroup
	for i := range maxNamed + 3 {
		g.refusals = append(g.refusals, adminclient.Refusal{Address: fmt.Sprintf("192.0.2.%d", i), Count: 1})
	}
	if got := g.addresses(); !strings.HasSuffix(got, "192.0.2.9 (1 time), and 3 more") {
		t.Errorf("addresses = %q", got)
	}
}

// TestFilterParams holds what is asked of the server, and that a bulk deletion asks the same twice.
func TestFilterParams(t *testing.T) {
	var queries []url.Values
	p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/clients": func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.Query())
		if r.FormValue("confirm") != "" {
			problemHandler(http.StatusConflict, "changed-since", `"detail":"others"`)(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"dry_run":true,"clients_deleted":[{"id":"C","name":"CRM","last_used_at":null}],"confirm":"just these"}`)
	}})
	code, _, stderr := p.wardkey(t, "client", "delete", "--unused-since", "90d", "--expires-before", "2030-01-31", "--section", "nordic",
		"--permission", "email:read", "--state", "active", "--search", "a b", "--yes")
	if code != exitFailed || !strings.Contains(stderr, "no longer finds just what was shown, so nothing was deleted") || len(queries) != 2 {
		t.Fatalf("client delete = %d, %q after %d requests", code, stderr, len(queries))
	}
	first, second := queries[0], queries[1]
	if first.Get("dry_run") != "true" || second.Has("dry_run") || second.Get("confirm") != "just these" {
		t.Errorf("asked %v, then %v", first, second)
	}
	first.Del("dry_run")
	second.Del("confirm")
	if first.Encode() != second.Encode() {
		t.Errorf("the filter was %v, then %v", first, second)
	}
	unused, err := time.Parse(time.RFC3339, first.Get("unused_since"))
	if late := time.Since(unused) - 90*day; err != nil || late < 0 || late > time.Minute {
		t.Errorf("unused_since=%s, %v; want 90 days ago", first.Get("unused_since"), err)
	}
	first.Del("unused_since")
	if got, want := first.Encode(), "expires_before=2030-01-31T00%3A00%3A00Z&permission=email%3Aread&q=a+b&section=nordic&state=active"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

func TestParsePast(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 5, time.UTC)
	for _, tt := range []struct{ text, want string }{
		{"30d", "2026-10-23T10:00:00Z"},
		{"12h", "2026-11-21T22:00:00Z"},
		{"2026-01-31", "2026-01-31T00:00:00Z"},
		{"2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"},
		{"lately", ""},
		{"", ""},
	} {
		got, err := parsePast(tt.text, now)
		if tt.want == "" && err == nil || tt.want != "" && got.Format(time.RFC3339) != tt.want {
			t.Errorf("parsePast(%q) = %v, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}
