package main

import (
	"log/slog"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A server that is killed right after a client's first token of the day has written that it was
// used: nobody deletes it for disuse.
func TestKillAfterFirstUse(t *testing.T) {
	eachProcess(t, func(t *testing.T, process *os.Process, n *node, store string) {
		var used []made
		for range 3 {
			c, err := n.create(t.Context())
			must(t, err)
			used = append(used, c)
		}
		var wg sync.WaitGroup
		for _, c := range used {
			wg.Go(func() {
				if got, err := n.ask(t.Context(), c.ID, c.Secret, ""); err != nil || got.status != http.StatusOK {
					t.Errorf("a token request is answered %d, %v", got.status, err)
				}
			})
		}
		wg.Wait()
		end(t, process, os.Kill)
		db := reopen(t, store)
		// What the next server does when it starts, or another within a minute.
		must(t, clients.NewUsage(db, slog.New(slog.DiscardHandler)).CarryOver(t.Context(), time.Now().Add(time.Hour)))
		for _, c := range used {
			for _, table := range []string{"client_uses", "secret_uses"} {
				var last database.Time
				must(t, db.QueryRow(t.Context(), `SELECT COALESCE(max(last_used_at), 0) FROM `+table+` WHERE client_id = $1`, c.ID).Scan(&last))
				if last.IsZero() || time.Since(last.Time) > time.Minute {
					t.Errorf("%s has the last use of a client at %v", table, last)
				}
			}
		}
	})
}

// A server that is told to stop has written every request in the end; one that is killed lacks the
// last second, and neither has one that was not made.
func TestUsageOutlivesServer(t *testing.T) {
	lost := time.Duration(repeat("WARDKEY_TEST_LOST_MS", 4000)) * time.Millisecond // one second, and what a busy machine takes to write
	for _, tt := range []struct {
		name   string
		signal os.Signal
		lost   time.Duration // at most
	}{
		{"stopped", syscall.SIGTERM, 0},
		{"killed", os.Kill, lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachProcess(t, func(t *testing.T, process *os.Process, n *node, store string) {
				c, err := n.create(t.Context())
				must(t, err)
				var answered []time.Time
				for begun := time.Now(); time.Since(begun) < tt.lost+time.Second; {
					if got, err := n.ask(t.Context(), c.ID, c.Secret, ""); err != nil || got.status != http.StatusOK {
						t.Fatalf("a token request is answered %d, %v", got.status, err)
					}
					answered = append(answered, time.Now())
				}
				end(t, process, tt.signal)
				ended := time.Now()
				var counted int
				must(t, reopen(t, store).QueryRow(t.Context(), `SELECT COALESCE(sum(requests), 0) FROM usage_hours
					WHERE client_id = $1 AND outcome = 'granted'`, c.ID).Scan(&counted))
				must := 0
				for _, at := range answered {
					if ended.Sub(at) >= tt.lost {
						must++
					}
				}
				if counted < must || counted > len(answered) {
					t.Errorf("%d requests were counted, want %d to %d", counted, must, len(answered))
				}
			})
		})
	}
}

// eachProcess runs a test with a server in a process of its own, on each engine.
func eachProcess(t *testing.T, test func(t *testing.T, process *os.Process, n *node, store string)) {
	for engine, store := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLiteURL, "postgres": databasetest.PostgresURL} {
		t.Run(engine, func(t *testing.T) {
			url, file := store(t), bootstrapFile(t)
			process, n := startProcess(t, "--database", url, "--data-dir", t.TempDir(), "--demo", "--bootstrap-file", file)
			must(t, n.signIn(t.Context(), file))
			test(t, process, n, url)
		})
	}
}

// end ends a process and waits until it is gone.
func end(t *testing.T, process *os.Process, signal os.Signal) {
	t.Helper()
	must(t, process.Signal(signal))
	_, err := process.Wait()
	must(t, err)
}

func reopen(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(url)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}
