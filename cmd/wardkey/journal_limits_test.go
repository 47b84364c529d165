package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
)

// What was disabled or given an end by the admin API after a backup is so again; what was lifted
// again is not. The last word counts.
func TestRestoreLimits(t *testing.T) {
	hour, later := time.Now().Add(time.Hour).UTC().Truncate(time.Second), time.Now().Add(2*time.Hour).UTC().Truncate(time.Second)
	endsAt := func(t time.Time) string { return `{"expires_at":"` + t.Format(time.RFC3339) + `"}` }
	const add, cancel, patch = "POST /secrets", "POST /cancel-rotation", "PATCH "
	cases := []struct {
		name       string
		acts       []string // each a method, what is behind the client's path, and a body
		status     int      // of a token request with the first secret
		secretEnds bool
		clientEnds time.Time
	}{
		{"nothing", nil, http.StatusOK, false, time.Time{}},
		{"a secret ended at once", []string{add + ` {"overlap":0}`}, http.StatusUnauthorized, true, time.Time{}},
		{"a secret ends", []string{add + ` {"overlap":3600}`}, http.StatusOK, true, time.Time{}},
		{"a rotation is taken back", []string{add + ` {"overlap":3600}`, cancel + ` {}`}, http.StatusOK, false, time.Time{}},
		{"no overlap", []string{add + ` {}`}, http.StatusOK, false, time.Time{}},
		{"taken back, and ended", []string{add + ` {"overlap":3600}`, cancel + ` {}`, add + ` {"overlap":0}`}, http.StatusUnauthorized, true, time.Time{}},
		{"disabled", []string{patch + `{"disabled":true}`}, http.StatusUnauthorized, false, time.Time{}},
		{"disabled and enabled", []string{patch + `{"disabled":true}`, patch + `{"disabled":false}`}, http.StatusOK, false, time.Time{}},
		{"an end", []string{patch + endsAt(hour)}, http.StatusOK, false, hour},
		{"a later end", []string{patch + endsAt(hour), patch + endsAt(later)}, http.StatusOK, false, later},
		{"a sooner end", []string{patch + endsAt(later), patch + endsAt(hour)}, http.StatusOK, false, hour},
		{"an end taken away", []string{patch + endsAt(hour), patch + `{"expires_at":null}`}, http.StatusOK, false, time.Time{}},
		{"an end, and disabled", []string{patch + endsAt(hour), patch + `{"disabled":true}`}, http.StatusUnauthorized, false, hour},
		{"renamed", []string{patch + `{"name":"New"}`}, http.StatusOK, false, time.Time{}},
	}
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{clients: len(cases)})
		old := save(t, s.db)
		must(t, s.db.Close())
		args := []string{"--database", url, "--data-dir", dir}
		n, stop := runNode(t, args...)
		got, err := n.ask(t.Context(), p.admin.ID, p.admin.Secret, "")
		must(t, err)
		n.admin = got.token
		for i, tt := range cases {
			for _, act := range tt.acts {
				method, rest, _ := strings.Cut(act, " ")
				path, body, _ := strings.Cut(rest, "{")
				want := map[string]int{"POST /secrets": http.StatusCreated}[method+" "+strings.TrimSpace(path)]
				_, err := n.call(t.Context(), method, "clients/"+p.clients[i].ID+strings.TrimSpace(path), "{"+body, max(want, http.StatusOK))
				must(t, err)
			}
		}
		stop()
		s = openTestStore(t, url, dir)
		old.restore(t, s.db)
		must(t, s.db.Close())
		n, stop = runNode(t, args...)
		for i, tt := range cases {
			if got, err := n.ask(t.Context(), p.clients[i].ID, p.clients[i].Secret, ""); err != nil || got.status != tt.status {
				t.Errorf("%s: a token request is answered %d, %v; want %d", tt.name, got.status, err, tt.status)
			}
		}
		stop()
		s = openTestStore(t, url, dir)
		for i, tt := range cases {
			c, err := clients.NewStore(s.db).Client(t.Context(), p.clients[i].ID)
			must(t, err)
			if first := c.Credentials[0]; first.ExpiresAt.IsZero() == tt.secretEnds || !c.ExpiresAt.Equal(tt.clientEnds) {
				t.Errorf("%s: the secret ends %s, the client %s; want %t, %s", tt.name, first.ExpiresAt, c.ExpiresAt, tt.secretEnds, tt.clientEnds)
			}
		}
		was := len(lines(t, dir))
		s.start(t)
		if got := len(lines(t, dir)); got != was || s.said.Len() > 0 {
			t.Errorf("one more start wrote %d lines and said %s", got-was, s.said)
		}
		if n, broken, err := s.audit.Verify(t.Context()); broken != nil || err != nil {
			t.Errorf("the audit log has %d whole events, then %v, %v", n, broken, err)
		}
	})
}

// limit sets the limits of a client, as the admin API does: with an event that says what changed.
func (s *store) limit(t *testing.T, id string, disabled bool, end time.Time) {
	t.Helper()
	must(t, s.db.Transact(t.Context(), func(ctx context.Context) error {
		c, err := clients.NewStore(s.db).Client(ctx, id)
		must(t, err)
		changes := map[string]audit.Change{}
		if c.Disabled != disabled {
			changes["disabled"] = audit.Change{Before: c.Disabled, After: disabled}
		}
		if !c.ExpiresAt.Equal(end) {
			changes["expires_at"] = audit.Change{After: end}
			if end.IsZero() {
				changes["expires_at"] = audit.Change{Before: c.ExpiresAt}
			}
		}
		c.Disabled, c.ExpiresAt = disabled, end
		must(t, clients.NewStore(s.db).Update(ctx, c))
		return s.audit.Record(ctx, audit.Act{Action: updateClient, Target: audit.Target{Kind: "client", ID: id, Name: "Shop"}, ClientID: id, Changes: changes, At: time.Now()})
	}))
}

// What is set again at once is done once each, tells what it changed, and a start that ends in the
// middle is made good by the next.
func TestRestoreLimitsIsCutOff(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{clients: 2})
		end := time.Unix(2e9, 0).UTC()
		s.limit(t, p.clients[0].ID, false, end.Add(time.Hour))
		old := save(t, s.db)
		s.start(t)
		s.limit(t, p.clients[0].ID, true, end) // one event, two limits
		s.limit(t, p.clients[1].ID, true, end)
		s.revoke(t, &population{clients: p.clients[1:], admin: p.admin}) // after which its limits do not matter
		must(t, s.journal.follow(t.Context()))
		known := lines(t, dir)
		old.restore(t, s.db)
		c, err := compare(t.Context(), s.db, known)
		must(t, err)
		var found []string
		for _, e := range c.again {
			found = append(found, e.what())
		}
		if got := strings.Join(found, ", "); got != "client, disabled client, end of client" {
			t.Fatalf("the next start does %q", got)
		}
		c.again = c.again[:2]
		_, _, err = s.journal.revokeAgain(t.Context(), c)
		must(t, err)
		s.start(t)
		got, err := clients.NewStore(s.db).Client(t.Context(), p.clients[0].ID)
		if err != nil || !got.Disabled || !got.ExpiresAt.Equal(end) {
			t.Errorf("the client is %+v, %v", got, err)
		}
		told, err := texts(t.Context(), s.db, `SELECT changes FROM audit_events WHERE action = $1 AND changes LIKE '%restored%' ORDER BY seq`, updateClient)
		must(t, err)
		event := known[len(known)-3].Event
		want := fmt.Sprintf(`[{"disabled":{"before":false,"after":true},"restored":{"after":"%s"}} {"expires_at":{"before":"2033-05-18T04:33:20Z","after":"2033-05-18T03:33:20Z"},"restored":{"after":"%s"}}]`, event, event)
		if fmt.Sprint(told) != want {
			t.Errorf("the events say %s; want %s", told, want)
		}
	})
}

// Whoever lifts a limit again is not overruled by the next start, be it that the journal was not
// told, or that it was set again after a backup.
func TestLimitsAreLifted(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{clients: 1})
		id := p.clients[0].ID
		old := save(t, s.db)
		limited := func(want bool, when string) {
			t.Helper()
			c, err := clients.NewStore(s.db).Client(t.Context(), id)
			must(t, err)
			if c.Disabled != want || c.ExpiresAt.IsZero() == want {
				t.Errorf("%s: disabled is %t, it ends %s", when, c.Disabled, c.ExpiresAt)
			}
		}
		s.start(t)
		s.limit(t, id, true, time.Unix(2e9, 0))
		must(t, s.journal.follow(t.Context()))
		s.limit(t, id, false, time.Time{}) // and the server ends before the journal has it
		s.start(t)
		limited(false, "lifted, but not in the journal")

		s.limit(t, id, true, time.Unix(2e9, 0))
		must(t, s.journal.follow(t.Context()))
		old.restore(t, s.db)
		s.start(t)
		limited(true, "set again after a backup")
		s.limit(t, id, false, time.Time{})
		s.start(t)
		limited(false, "lifted after that")
	})
}

func TestEntriesOfUpdates(t *testing.T) {
	for _, tt := range []struct {
		action, changes string
		counts, lifting bool
	}{
		{deleteClient, `{"name":{"before":"CRM"}}`, true, false},
		{updateClient, `{"name":{"before":"CRM","after":"ERP"}}`, false, true},
		{updateClient, `{"sections":{"taken":["nordic"]}}`, false, true},
		{updateClient, `{"disabled":{"before":false,"after":true}}`, true, false},
		{updateClient, `{"disabled":{"before":true,"after":false}}`, true, true},
		{updateSecret, `{"expires_at":{"after":"2033-05-18T03:33:20Z"}}`, true, false},
		{updateSecret, `{"expires_at":{"before":"2033-05-18T03:33:20Z"}}`, true, true},
		{updateClient, `{"disabled":{"before":true,"after":false},"expires_at":{"after":"2033-05-18T03:33:20Z"}}`, true, false},
	} {
		e := entry{Action: tt.action}
		counts, err := e.readLimits(tt.changes)
		if counts != tt.counts || e.isLifting() != tt.lifting || err != nil {
			t.Errorf("%s %s: counts %t, lifting %t, %v; want %t, %t", tt.action, tt.changes, counts, e.isLifting(), err, tt.counts, tt.lifting)
		}
	}
}
