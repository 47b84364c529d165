package clients

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// The first use of a client on a day is in the store at once; later ones are written later.
func TestFirstUseOfADay(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, other := billing(), billing()
		create(t, store, c)
		create(t, store, other)
		u := newUsage(db)
		for _, step := range []struct {
			name   string
			client *Client
			at     int
			want   int // of the client that uses
		}{
			{"the first", c, 1, 1},
			{"the next", c, 2, 1},
			{"the first of another client", other, 3, 3},
			{"the last of the day", c, 12*3600 - 1, 1},
			{"the first of the next day", c, 12 * 3600, 12 * 3600},
			{"one that began before midnight", c, 12*3600 - 1, 12 * 3600},
			{"the second of the next day", c, 12*3600 + 1, 12 * 3600},
		} {
			must(t, u.Use(t.Context(), step.client.ID, step.client.Credentials[0].ID, "192.0.2.1", at(step.at)))
			must(t, newUsage(db).CarryOver(t.Context(), time.Now().Add(time.Hour))) // as after kill -9
			inList := database.Time{}
			must(t, db.QueryRow(t.Context(), `SELECT last_used_at FROM client_uses WHERE client_id = $1`, step.client.ID).Scan(&inList))
			if client, secret := lastUsed(t, store, step.client.ID); client != step.want || secret != step.want || !inList.Equal(at(step.want)) {
				t.Errorf("%s: the client was used at %d, its secret at %d, in the list at %v; want %d", step.name, client, secret, inList, step.want)
			}
		}
		must(t, u.Flush(t.Context()))
		if client, _ := lastUsed(t, store, c.ID); client != 12*3600+1 {
			t.Errorf("in the end, the client was used at %d", client)
		}
		activity, err := store.Activity(t.Context(), c.ID, at(12*3600))
		must(t, err)
		if got := activity[c.Credentials[0].ID].Uses; got != 6 {
			t.Errorf("%d uses were counted, want 6", got)
		}
	})
}

// A clock that was ahead for a while makes no token wait for a second write, and lets no client go
// without the first.
func TestFirstUseAfterClockWasAhead(t *testing.T) {
	db := databasetest.SQLite(t)
	u := newUsage(db)
	for _, step := range []struct {
		client  string
		at      int
		written bool
	}{
		{"before", 1, true},
		{"before", 24 * 3600, true}, // a day ahead
		{"while", 24 * 3600, true},
		{"before", 2, false},
		{"while", 3, true},
		{"after", 4, true},
		{"before", 5, false},
		{"while", 6, false},
		{"after", 7, false},
		{"before", 24*3600 + 1, false},
		{"after", 24*3600 + 2, true},
		{"before", 48 * 3600, true},
	} {
		before := count(t, db, `SELECT count(*) FROM first_uses`)
		must(t, u.Use(t.Context(), step.client, "secret", "192.0.2.1", at(step.at)))
		if written := count(t, db, `SELECT count(*) FROM first_uses`) > before; written != step.written {
			t.Errorf("the use of %s at %d is written at once: %v, want %v", step.client, step.at, written, step.written)
		}
	}
}

// A machine without a clock of its own begins in 1970, and gives tokens.
func TestFirstUseIn1970(t *testing.T) {
	u := newUsage(databasetest.SQLite(t))
	for range 2 {
		must(t, u.Use(t.Context(), "client", "secret", "192.0.2.1", time.Unix(5, 0)))
	}
}

// A first use that cannot be written is an error, and no use; the next is the first again.
func TestFirstUseNotWritten(t *testing.T) {
	db := databasetest.SQLite(t)
	c, store := billing(), furnish(t, db)
	create(t, store, c)
	u := newUsage(db)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := u.Use(gone, c.ID, c.Credentials[0].ID, "192.0.2.1", at(1)); err == nil {
		t.Error("Use does not wait for the store")
	}
	_, err := db.Exec(t.Context(), `ALTER TABLE first_uses RENAME TO first_uses_away`)
	must(t, err)
	if err := u.Use(t.Context(), c.ID, c.Credentials[0].ID, "192.0.2.1", at(2)); err == nil {
		t.Error("Use succeeds without a table")
	}
	_, err = db.Exec(t.Context(), `ALTER TABLE first_uses_away RENAME TO first_uses`)
	must(t, err)
	must(t, u.Use(t.Context(), c.ID, c.Credentials[0].ID, "192.0.2.1", at(3)))
	must(t, u.CarryOver(t.Context(), time.Now().Add(time.Hour)))
	if client, _ := lastUsed(t, store, c.ID); client != 3 {
		t.Errorf("the client was used at %d, want 3", client)
	}
}

// First uses of a server that was killed are where they belong when the next one runs; one that
// lives keeps them until it has written them there.
func TestFirstUsesAreCarriedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		killed := newUsage(db)
		must(t, killed.Use(t.Context(), "client", "secret", "192.0.2.1", time.Now()))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := killed.Flush(gone); err == nil {
			t.Error("Flush succeeds without a store")
		}
		must(t, killed.CarryOver(t.Context(), time.Now())) // not so soon
		if n := count(t, db, `SELECT count(*) FROM first_uses`); n != 1 {
			t.Fatalf("%d batches are left, want 1", n)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- newUsage(db).Run(ctx) }()
		synctest.Wait()
		for table, want := range map[string]int{"first_uses": 0, "client_uses": 1, "secret_uses": 1} {
			if n := count(t, db, `SELECT count(*) FROM `+table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		stop()
		must(t, <-ended)
		must(t, killed.Flush(t.Context())) // it was stopped only, and wakes
		if n := count(t, db, `SELECT count(*) FROM client_uses`); n != 1 {
			t.Errorf("%d clients were used, want 1", n)
		}
	})
}

// A token does not wait for a store that hangs longer than a second, however many wait with it.
func TestFirstUseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		u := newUsage(db)
		release, holding := make(chan struct{}), make(chan struct{})
		go func() {
			_ = db.Transact(t.Context(), func(context.Context) error { // nobody else can write
				close(holding)
				<-release
				return nil
			})
		}()
		<-holding
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if err := u.Use(t.Context(), fmt.Sprint("client", i), "secret", "192.0.2.1", time.Now()); err == nil {
					t.Error("Use succeeds while nobody can write")
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("Use took %v, want a second", took)
		}
		close(release)
		synctest.Wait()
		must(t, u.Use(t.Context(), "client0", "secret", "192.0.2.1", time.Now()))
	})
}

// Hundreds of clients that come at once are in the store when each has its answer.
func TestFirstUsesTogether(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, _ *Store) {
		u := newUsage(db)
		u.wait = time.Minute // a test machine may be slow
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				id := fmt.Sprint("client", i)
				if err := u.Use(t.Context(), id, "secret", "192.0.2.1", noon); err != nil {
					t.Errorf("Use = %v", err)
				}
				var n int
				if err := db.QueryRow(t.Context(), `SELECT count(*) FROM first_uses WHERE uses LIKE $1`, `%"`+id+`"%`).Scan(&n); err != nil || n != 1 {
					t.Errorf("%d batches with %s after its use, %v; want 1", n, id, err)
				}
			})
		}
		wg.Wait()
		if batches := count(t, db, `SELECT count(*) FROM first_uses`); batches > 100 {
			t.Errorf("they were written in %d batches", batches)
		}
		must(t, u.Flush(t.Context()))
		if batches, uses := count(t, db, `SELECT count(*) FROM first_uses`), count(t, db, `SELECT count(*) FROM client_uses`); batches != 0 || uses != 500 {
			t.Errorf("in the end there are %d batches and %d uses, want 0 and 500", batches, uses)
		}
	})
}

// What is remembered of a day is bounded: 100,000 clients need less than 10 MB, and any number no
// more than that.
func TestTodayIsBounded(t *testing.T) {
	heap := func() int64 {
		for range 3 { // what other tests have left goes in steps
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	d := newToday()
	for i := range 1_000_000 {
		d.learn(fmt.Sprint("client", i), noon)
	}
	size := heap() - before
	t.Logf("%d bytes", size)
	if size > 10<<20 {
		t.Errorf("what is remembered takes %d bytes", size)
	}
	for _, i := range []int{999_999, 999_999 - maxYoung} {
		if !d.knows(fmt.Sprint("client", i), noon) {
			t.Errorf("client %d was forgotten", i)
		}
	}
	if d.knows("client0", noon) || d.knows("client999999", noon.Add(24*time.Hour)) {
		t.Error("what was long ago, or on another day, is known still")
	}
}
