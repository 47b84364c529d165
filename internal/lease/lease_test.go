package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func must(t interface {
	Helper()
	Fatal(...any)
}, err error,
) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// withDiary gives a database a table of who did something with which fence.
func withDiary(t testing.TB, db *database.DB) {
	t.Helper()
	_, err := db.Exec(t.Context(), `CREATE TABLE diary (line BIGINT NOT NULL PRIMARY KEY, who TEXT NOT NULL, fence BIGINT NOT NULL)`)
	must(t, err)
}

func newLease(db *database.DB) *Lease {
	return &Lease{DB: db, Name: "diary", Log: slog.New(slog.DiscardHandler)}
}

// write writes a line in the diary, by right of the lease.
func (h *Held) write(ctx context.Context) error {
	return h.Transact(ctx, func(ctx context.Context) error {
		_, err := h.lease.DB.Exec(ctx, `INSERT INTO diary (line, who, fence) SELECT 1 + count(*), $1, $2 FROM diary`, h.holder, h.fence)
		return err
	})
}

// checkDiary holds that each fence is of one holder, and that no line has a lower one than a line
// before. It returns how many lines and holders there are.
func checkDiary(t testing.TB, db *database.DB) (lines, holders int) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT who, fence FROM diary ORDER BY line`)
	must(t, err)
	defer rows.Close()
	of, last := map[int64]string{}, int64(0)
	for rows.Next() {
		var who string
		var fence int64
		must(t, rows.Scan(&who, &fence))
		if fence < last || of[fence] != "" && of[fence] != who {
			t.Errorf("line %d is by %s with fence %d; the line before has %d, and that fence is of %s", lines+1, who, fence, last, of[fence])
		}
		of[fence], last, lines = who, fence, lines+1
	}
	must(t, rows.Err())
	return lines, len(of)
}

// A holder that is gone or stopped is replaced within 15 s, and can do nothing when it wakes.
func TestStoppedHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		withDiary(t, db)
		stopped, err := newLease(db).look(t.Context(), &watch{}, "stopped") // and never beats
		must(t, err)
		must(t, stopped.write(t.Context()))
		began := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		taken := make(chan time.Duration, 1)
		wg.Go(func() {
			err := newLease(db).Run(ctx, func(ctx context.Context, held *Held) error {
				must(t, held.write(ctx))
				taken <- time.Since(began)
				<-ctx.Done()
				return nil
			})
			must(t, err)
		})
		if took := <-taken; took < 10*time.Second || took > 15*time.Second {
			t.Errorf("it was taken over after %s; want 10 to 15 s", took)
		}
		time.Sleep(time.Minute)
		if err := stopped.write(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("on waking it may write: %v; want ErrLost", err)
		}
		if lines, holders := checkDiary(t, db); lines != 2 || holders != 2 {
			t.Errorf("%d lines by %d holders; want 2 by 2", lines, holders)
		}
	})
}

// As long as the holder lives nobody else gets the lease; when it ends in order, another does at
// the next look.
func TestGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		holders := make(chan int)
		var stops [3]func()
		var wg sync.WaitGroup
		for i := range stops {
			ctx, stop := context.WithCancel(t.Context())
			stops[i] = stop
			wg.Go(func() {
				must(t, newLease(db).Run(ctx, func(ctx context.Context, _ *Held) error {
					holders <- i
					<-ctx.Done()
					return nil
				}))
			})
		}
		first := <-holders
		select {
		case i := <-holders:
			t.Errorf("server %d holds what server %d holds", i, first)
		case <-time.After(10 * time.Minute):
		}
		began := time.Now()
		stops[first]()
		second := <-holders
		if took := time.Since(began); took > time.Second || second == first {
			t.Errorf("server %d took over from server %d after %s; want another, within a second", second, first, took)
		}
		for _, stop := range stops {
			stop()
		}
		select {
		case <-holders: // the third had its moment before its own stop
		case <-time.After(time.Minute):
		}
		wg.Wait()
	})
}

// A holder that cannot reach the store stops before another may begin.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		l := newLease(db)
		ctx, stop := context.WithCancel(t.Context())
		turns, ends := make(chan time.Time, 10), make(chan time.Time, 10)
		var wg sync.WaitGroup
		wg.Go(func() {
			must(t, l.Run(ctx, func(ctx context.Context, _ *Held) error {
				turns <- time.Now()
				<-ctx.Done()
				ends <- time.Now()
				return nil
			}))
		})
		<-turns
		time.Sleep(time.Minute)
		rename := func(from, to string) {
			_, err := db.Exec(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to)
			must(t, err)
		}
		away := time.Now()
		rename("leases", "elsewhere")
		if took := (<-ends).Sub(away); took > 12*time.Second || l.Holding() {
			t.Errorf("it stopped after %s, holding: %t; want at most 12 s", took, l.Holding())
		}
		time.Sleep(time.Minute)
		rename("elsewhere", "leases")
		back := time.Now()
		if took := (<-turns).Sub(back); took > 15*time.Second {
			t.Errorf("it went on %s after the store came back", took)
		}
		stop()
		wg.Wait()
	})
}

// An embedded database has one server, which waits for nobody and writes nothing while it holds.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		_, err := newLease(db).look(t.Context(), &watch{}, "killed")
		must(t, err)
		began := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		l := newLease(db)
		l.Alone = true
		must(t, l.Run(ctx, func(_ context.Context, _ *Held) error {
			if took := time.Since(began); took > 0 {
				t.Errorf("it waited %s", took)
			}
			before, err := l.read(t.Context())
			must(t, err)
			time.Sleep(time.Hour)
			after, err := l.read(t.Context())
			must(t, err)
			if before != after || !l.Holding() {
				t.Errorf("the row was %+v and is %+v, holding: %t", before, after, l.Holding())
			}
			stop()
			return nil
		}))
	})
}

// The error of the work ends Run.
func TestWorkFails(t *testing.T) {
	broken := errors.New("broken")
	err := newLease(databasetest.SQLite(t)).Run(t.Context(), func(context.Context, *Held) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("Run = %v; want the error of the work", err)
	}
}

// Whatever servers do, and however long they are stopped: what succeeds under the lease is in the
// order of its fences, each of one server, and a fence that was passed never succeeds again.
func TestNeverTwoHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		db := databasetest.SQLite(t)
		withDiary(t, db)
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) { // without t.Deadline, which has no place in a bubble
			rounds++
			type server struct {
				lease *Lease
				watch watch
				held  []*Held // all that it ever thought it held
			}
			servers := make([]*server, 3)
			for i := range servers {
				servers[i] = &server{lease: &Lease{DB: db, Name: fmt.Sprint("work ", rounds), Log: slog.New(slog.DiscardHandler)}}
			}
			newest := int64(0)
			one := func(t *rapid.T) (*server, string) {
				i := rapid.IntRange(0, len(servers)-1).Draw(t, "server")
				return servers[i], fmt.Sprint("server ", i)
			}
			any := func(t *rapid.T) *Held {
				s, _ := one(t)
				if len(s.held) == 0 {
					t.Skip("it never held the lease")
				}
				return rapid.SampledFrom(s.held).Draw(t, "held")
			}
			ctx := context.Background()
			t.Repeat(map[string]func(*rapid.T){
				"look": func(t *rapid.T) {
					s, name := one(t)
					held, err := s.lease.look(ctx, &s.watch, fmt.Sprint(name, " turn ", len(s.held)))
					must(t, err)
					if held != nil {
						if held.fence != newest+1 {
							t.Fatalf("%s got fence %d after %d", name, held.fence, newest)
						}
						newest, s.held = held.fence, append(s.held, held)
					}
				},
				"beat": func(t *rapid.T) {
					held := any(t)
					held.sureAt = time.Now() // as of a server that was stopped just before the statement
					beats, err := held.beat(ctx)
					must(t, err)
					if beats == 1 && held.fence != newest {
						t.Fatalf("fence %d beats when %d is out", held.fence, newest)
					}
				},
				"write": func(t *rapid.T) {
					held := any(t)
					wrote := false
					err := held.Transact(ctx, func(context.Context) error { wrote = true; return nil })
					if wrote != (err == nil) || err != nil && !errors.Is(err, ErrLost) || err == nil && held.fence != newest {
						t.Fatalf("fence %d may write when %d is out: %t, %v", held.fence, newest, wrote, err)
					}
				},
				"give back": func(t *rapid.T) { any(t).giveBack(ctx) },
				"time": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
				},
			})
		})
	})
}

// The same with real servers that come and go, on both engines. The one that is stopped in the
// middle of its transaction is in package main, where it is a process.
func TestManyServers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		withDiary(t, db)
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					ctx, end := context.WithTimeout(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
					l := newLease(db)
					l.pace = &pace{beat: 30 * time.Millisecond, look: 5 * time.Millisecond, patience: 150 * time.Millisecond}
					err := l.Run(ctx, func(ctx context.Context, held *Held) error {
						for ctx.Err() == nil {
							_ = held.write(ctx) // lost, or out of time
							time.Sleep(time.Millisecond)
						}
						return nil
					})
					end()
					must(t, err)
				}
			})
		}
		wg.Wait()
		lines, holders := checkDiary(t, db)
		t.Logf("%d lines by %d holders", lines, holders)
		if lines < 20 || holders < 4 {
			t.Error("that is too little to say anything")
		}
	})
}
