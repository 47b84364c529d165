package clients

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// lastUsed is when the client and its first secret were last used, in seconds after noon; -1 for
// never.
func lastUsed(t *testing.T, store *Store, id string) (client, secret int) {
	t.Helper()
	seconds := func(at time.Time) int {
		if at.IsZero() {
			return -1
		}
		return int(at.Sub(noon) / time.Second)
	}
	c := read(t, store, id)
	return seconds(c.LastUsedAt), seconds(c.Credentials[0].LastUsedAt)
}

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// The latest use is the one that is kept, in whatever order uses are recorded and written.
func TestUsageKeepsTheLatest(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		u := NewUsage(db, slog.New(slog.DiscardHandler))
		another := NewUsage(db, slog.New(slog.DiscardHandler))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		record := func(seconds ...int) {
			for _, s := range seconds {
				u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(s))
			}
		}
		for _, step := range []struct {
			name string
			do   func()
			want int
		}{
			{"never used", func() {}, -1},
			{"used", func() { record(1) }, 1},
			{"used often", func() { record(2, 3, 4) }, 4},
			{"an earlier one last", func() { record(7, 5, 6) }, 7},
			{"one before what is written", func() { record(3) }, 7},
			{"nothing new", func() {}, 7},
			{"another server was used later", func() {
				record(8)
				another.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(9))
				must(t, another.Flush(t.Context()))
			}, 9},
			{"the store was away", func() {
				record(10)
				if err := u.Flush(gone); err == nil {
					t.Error("Flush with a context that ended = nil")
				}
			}, 10},
			{"used again while it was away", func() {
				record(11)
				_ = u.Flush(gone)
				record(12)
				_ = u.Flush(gone)
				record(11)
			}, 12},
		} {
			step.do()
			must(t, u.Flush(t.Context()))
			if client, secret := lastUsed(t, store, c.ID); client != step.want || secret != step.want {
				t.Errorf("%s: the client was last used at %d, its secret at %d; want %d", step.name, client, secret, step.want)
			}
		}
	})
}

// Each secret has its own last use, and the client the latest of them.
func TestUsageOfTwoSecrets(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, deleted := billing(), billing()
		create(t, store, c)
		create(t, store, deleted)
		second, _, err := store.AddSecret(t.Context(), c.ID, time.Time{}, nil, noon.Add(time.Second))
		must(t, err)
		u := NewUsage(db, slog.New(slog.DiscardHandler))
		u.Record(c.ID, second.ID, "192.0.2.1", at(5))
		u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(3))
		u.Record(deleted.ID, deleted.Credentials[0].ID, "192.0.2.1", at(4))
		must(t, store.Delete(t.Context(), deleted.ID, "me", noon)) // nothing to write to any more
		must(t, u.Flush(t.Context()))
		got := read(t, store, c.ID)
		if !got.LastUsedAt.Equal(at(5)) || !got.Credentials[0].LastUsedAt.Equal(at(3)) || !got.Credentials[1].LastUsedAt.Equal(at(5)) {
			t.Errorf("last used: client %s, secrets %s and %s", got.LastUsedAt, got.Credentials[0].LastUsedAt, got.Credentials[1].LastUsedAt)
		}
	})
}

// Run writes once a second, and what is left when it ends.
func TestUsageRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		store := furnish(t, db)
		c := billing()
		create(t, store, c)
		u := NewUsage(db, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- u.Run(ctx) }()

		wait := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if client, _ := lastUsed(t, store, c.ID); client != want {
				t.Errorf("last used at %d; want %d", client, want)
			}
		}
		u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(1))
		wait(999*time.Millisecond, -1)
		wait(2*time.Millisecond, 1)
		u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(2))
		wait(time.Second, 2)
		u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(3))
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if client, _ := lastUsed(t, store, c.ID); client != 3 {
			t.Errorf("last used at %d when Run ended; want 3", client)
		}
	})
}

// A server that ends while the store is away for a moment waits for it.
func TestUsageEndsWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		store := furnish(t, db)
		c := billing()
		create(t, store, c)
		rename := func(from, to string) {
			_, err := db.Exec(context.Background(), `ALTER TABLE `+from+` RENAME TO `+to)
			must(t, err)
		}
		rename("secret_uses", "away")
		time.AfterFunc(3*time.Second, func() { rename("away", "secret_uses") })
		u := NewUsage(db, slog.New(slog.DiscardHandler))
		u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		must(t, u.Run(ctx))
		if _, secret := lastUsed(t, store, c.ID); secret != 1 {
			t.Errorf("last used at %d when Run ended; want 1", secret)
		}
	})
}

// Nothing is lost between those who record and the one who writes.
func TestUsageAtOnce(t *testing.T) {
	db := databasetest.SQLite(t)
	store := furnish(t, db)
	c := billing()
	create(t, store, c)
	u := NewUsage(db, slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for s := range 200 {
				u.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", at(s*8+i))
				if s%50 == 0 {
					if err := u.Flush(t.Context()); err != nil {
						t.Errorf("Flush: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	must(t, u.Flush(t.Context()))
	if client, secret := lastUsed(t, store, c.ID); client != 199*8+7 || secret != client {
		t.Errorf("last used at %d and %d; want %d", client, secret, 199*8+7)
	}
}
