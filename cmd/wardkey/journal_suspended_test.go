package main

import (
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
)

// What was suspended after a backup is so again, with all of its time until it is deleted; what was
// resumed is not, and what was deleted stays so. A start more does nothing.
func TestRestoreSuspended(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{clients: 3})
		old := save(t, s.db)
		s.start(t)
		store := clients.NewStore(s.db)
		now := time.Now()
		act := func(kind clients.ActKind, id string) {
			t.Helper()
			switch kind {
			case clients.ActSuspend:
				must(t, store.Suspend(t.Context(), id, now))
			case clients.ActResume:
				must(t, store.Resume(t.Context(), id, now))
			case clients.ActDelete:
				must(t, store.Delete(t.Context(), id, "server", now))
			}
			must(t, admin.DisuseActs(s.audit)(t.Context(), clients.DisuseAct{Kind: kind, ClientID: id, Name: "Shop", SuspendedAt: now}))
		}
		for i, kinds := range [][]clients.ActKind{
			{clients.ActSuspend}, {clients.ActSuspend, clients.ActResume}, {clients.ActSuspend, clients.ActDelete},
		} {
			for _, kind := range kinds {
				act(kind, p.clients[i].ID)
			}
		}
		must(t, s.journal.follow(t.Context()))
		old.restore(t, s.db)
		c, err := compare(t.Context(), s.db, lines(t, dir))
		must(t, err)
		var found []string
		for _, e := range c.again {
			found = append(found, e.what())
		}
		if got := strings.Join(found, ", "); got != "client, suspended client" {
			t.Errorf("the next start does %q", got)
		}
		for range 2 {
			s.start(t)
			for i, want := range []bool{true, false} {
				c, err := store.Client(t.Context(), p.clients[i].ID)
				if err != nil || c.SuspendedAt.IsZero() == want {
					t.Errorf("client %d is suspended since %v, %v; want %t", i, c.SuspendedAt, err, want)
				}
			}
		}
		var step int
		if err := s.db.QueryRow(t.Context(), `SELECT step FROM disuse WHERE client_id = $1`, p.clients[0].ID).Scan(&step); err != nil || step != 4 {
			t.Errorf("it took %d steps, %v; want 4, so that it is deleted in time", step, err)
		}
	})
}
