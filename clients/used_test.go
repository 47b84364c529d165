package clients

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func newUsage(db *database.DB) *Usage { return NewUsage(db, slog.New(slog.DiscardHandler)) }

// Uses of the last day are counted by secret and address, on all servers together.
func TestActivity(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		id := c.Credentials[0].ID
		day := 24 * 3600
		for i, seconds := range []int{-2 * day, -day, 1 - day, -day / 2, -3600, -3600, 0} {
			u := newUsage(db) // another server
			u.Record(c.ID, id, fmt.Sprintf("192.0.2.%d", i%3), at(seconds))
			u.Record(c.ID, "another", "192.0.2.9", at(seconds))
			must(t, u.Flush(t.Context()))
			must(t, u.Flush(t.Context())) // nothing is written twice
		}
		activity, err := store.Activity(t.Context(), c.ID, noon)
		must(t, err)
		if got := activity[id]; got != (Activity{Uses: 5, Addresses: 3}) || len(activity) != 2 {
			t.Errorf("Activity = %+v; want 5 uses from 3 addresses", activity)
		}
		addresses, err := store.Addresses(t.Context(), c.ID, id, noon)
		must(t, err)
		if want := []Address{{"192.0.2.0", 2, at(0)}, {"192.0.2.1", 1, at(-3600)}, {"192.0.2.2", 2, at(-3600)}}; !slices.Equal(addresses, want) {
			t.Errorf("Addresses = %+v; want %+v", addresses, want)
		}
		must(t, store.Purge(t.Context(), noon))
		if n := count(t, db, `SELECT count(*) FROM secret_activity WHERE last_used_at < $1`, at(1-2*day).Unix()); n != 2 {
			t.Errorf("of two days ago %d rows are left; want 2: their hour is not over", n)
		}
		must(t, store.Purge(t.Context(), noon.Add(25*time.Hour)))
		if n := count(t, db, `SELECT count(*) FROM secret_activity`); n != 7 {
			t.Errorf("a day later %d rows are left; want 7", n)
		}
	})
}

// However many addresses use a secret in an hour, the first hundred are told apart, and no use is
// lost.
func TestActivityOfManyAddresses(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		id := c.Credentials[0].ID
		u := newUsage(db)
		for range 2 {
			for i := range 3 * maxAddresses {
				u.Record(c.ID, id, fmt.Sprint("2001:db8::", i), at(i))
			}
			must(t, u.Flush(t.Context())) // which does not make it forget what it saw
		}
		activity, err := store.Activity(t.Context(), c.ID, noon)
		must(t, err)
		if got := activity[id]; got != (Activity{Uses: 6 * maxAddresses, Addresses: maxAddresses, More: true}) {
			t.Errorf("Activity = %+v", got)
		}
		addresses, err := store.Addresses(t.Context(), c.ID, id, noon)
		must(t, err)
		if got := addresses[0]; len(addresses) != maxAddresses+1 || got != (Address{"", 4 * maxAddresses, at(3*maxAddresses - 1)}) {
			t.Errorf("%d addresses, the first is %+v", len(addresses), got)
		}
	})
}

// While the store is away what is to be written stays within bounds, and is counted once; beyond
// them addresses are given up, and no use is, because disuse deletes.
func TestActivityIsBounded(t *testing.T) {
	u := newUsage(databasetest.SQLite(t))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range maxPending + 100 {
		u.Record("client", fmt.Sprint(i/maxAddresses), fmt.Sprint(i), at(0))
		if i%10_000 == 0 {
			_ = u.Flush(gone)
		}
	}
	u.Record("client", "0", "new", at(3600))
	u.Record("another", "2", "new", at(3600))
	if n := len(u.activity.pending); n != maxPending+3 {
		t.Errorf("%d rows are to be written; want %d and one of each secret since", n, maxPending)
	}
	_ = u.Flush(gone)
	u.Record("client", "1", "150", at(3600))
	if got := u.activity.pending[origin{use{"client", "1"}, at(0).Unix() / 3600, "150"}]; got.uses != 1 {
		t.Errorf("a use is counted %d times; want once", got.uses)
	}
	if got := lastOf(u.activity.pending)["another"]; got != at(3600).Unix() {
		t.Errorf("the last use of a client that came when there was no room is at %d", got)
	}
}

// From where a client got tokens is known of all its secrets, and of no other client.
func TestUsedFrom(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, other := billing(), billing()
		create(t, store, c)
		create(t, store, other)
		u := newUsage(db)
		for _, use := range []struct {
			client  *Client
			secret  string
			address string
			at      int
		}{
			{c, "first", "192.0.2.1", 10},
			{c, "second", "192.0.2.1", 20},
			{c, "second", "192.0.2.1", 15},
			{c, "first", "2001:db8::1", 30},
			{c, "first", "192.0.2.2", 4},
			{c, "first", "", 40},
			{other, "first", "192.0.2.3", 50},
		} {
			u.Record(use.client.ID, use.secret, use.address, at(use.at))
		}
		must(t, u.Flush(t.Context()))
		got, err := store.UsedFrom(t.Context(), c.ID, at(5))
		must(t, err)
		if len(got) != 2 || !got["192.0.2.1"].Equal(at(20)) || !got["2001:db8::1"].Equal(at(30)) {
			t.Errorf("UsedFrom = %v", got)
		}
		for _, id := range []string{"", nobodyID, "' OR 1=1 --", strings.Repeat("\x00", 36), strings.Repeat("\xff", 36)} {
			if got, err := store.UsedFrom(t.Context(), id, at(5)); err != nil || len(got) != 0 {
				t.Errorf("UsedFrom(%q) = %v, %v; want nothing", id, got, err)
			}
		}
	})
}

// A clock that was ahead for a while does not make uses fall into its hour.
func TestActivityAfterClockWasAhead(t *testing.T) {
	a := newActivity()
	start := at(0).Unix()
	for _, tt := range []struct {
		what       string
		at, inHour int64
	}{
		{"a use", 10, 0},
		{"of the next hour", 3601, 1},
		{"of a moment before", 3599, 1},
		{"while the clock is a day ahead", 25 * 3600, 25},
		{"once it is right again", 3700, 1},
		{"and goes on", 7201, 2},
	} {
		a.record(use{"client", tt.what}, "192.0.2.1", start+tt.at)
		if got := a.pending[origin{use{"client", tt.what}, start/secondsOfAnHour + tt.inHour, "192.0.2.1"}]; got != (tally{1, start + tt.at}) {
			t.Errorf("%s: %+v in hour %d", tt.what, got, tt.inHour)
		}
	}
}

// A use that is written after its client was deleted does not stay for ever.
func TestPurgeOfTheDeleted(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, stays := billing(), billing()
		create(t, store, c)
		create(t, store, stays)
		u := newUsage(db)
		u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", noon)
		u.Record(stays.ID, stays.Credentials[0].ID, "192.0.2.1", noon)
		must(t, store.Delete(t.Context(), c.ID, "me", noon))
		must(t, u.Flush(t.Context()))
		must(t, store.Purge(t.Context(), noon.Add(time.Hour)))
		for _, table := range []string{"secret_uses", "client_uses", "secret_activity"} {
			if n := count(t, db, `SELECT count(*) FROM `+table); n != 1 {
				t.Errorf("%s has %d rows; want 1", table, n)
			}
		}
	})
}

// Run writes activity every ten seconds, or sooner when there is much of it, and what is left
// when it ends.
func TestActivityRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		u := newUsage(db)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- u.Run(ctx) }()
		wait := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := count(t, db, `SELECT count(*) FROM secret_activity`); n != want {
				t.Errorf("%d rows are written; want %d", n, want)
			}
		}
		u.Record("client", "secret", "192.0.2.1", noon)
		wait(9900*time.Millisecond, 0)
		wait(200*time.Millisecond, 1)
		for i := range maxPending/2 + 1 {
			u.Record("client", uuid.NewString(), "192.0.2.1", at(i))
		}
		wait(2*time.Second, maxPending/2+2)
		u.Record("client", "secret", "192.0.2.2", at(1))
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		wait(0, maxPending/2+3)
	})
}

// When the store fails in the middle, what was written is not written again.
func TestActivityIsWrittenOnce(t *testing.T) {
	db := databasetest.SQLite(t)
	u := newUsage(db)
	exec := func(statement string) {
		_, err := db.Exec(t.Context(), statement)
		must(t, err)
	}
	for i := range useBatch {
		u.Record(fmt.Sprintf("client %03d", i), "secret", "192.0.2.1", noon)
	}
	exec(`CREATE TRIGGER full BEFORE INSERT ON secret_activity WHEN NEW.client_id = 'client 050' BEGIN SELECT RAISE(ABORT, 'full'); END`)
	if err := u.Flush(t.Context()); err == nil {
		t.Error("Flush to a full disk = nil")
	}
	exec(`DROP TRIGGER full`)
	must(t, u.Flush(t.Context()))
	if rows, uses := count(t, db, `SELECT count(*) FROM secret_activity`), count(t, db, `SELECT sum(uses) FROM secret_activity`); rows != useBatch || uses != useBatch {
		t.Errorf("%d uses in %d rows; want %d in as many", uses, rows, useBatch)
	}
}
