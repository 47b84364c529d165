package limits

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// nodes returns so many servers on one database.
func nodes(db *database.DB, n int) []*Limiter {
	all := make([]*Limiter, n)
	for i := range all {
		all[i] = &Limiter{DB: db, Log: slog.New(slog.DiscardHandler), Mode: Enforce, Timeout: 10 * time.Second}
	}
	return all
}

// run runs servers until the end of the test, or until stop is called.
func run(t *testing.T, nodes []*Limiter) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, l := range nodes {
		running.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func take(t *testing.T, l *Limiter, id string, limits clients.Limits) Verdict {
	t.Helper()
	v, err := l.Take(t.Context(), id, limits)
	if err != nil {
		t.Fatalf("Take(%s): %v", id, err)
	}
	return v
}

// accepted is how many of n requests are let through, one after another.
func accepted(t *testing.T, l *Limiter, id string, limits clients.Limits, n int) (ok int) {
	t.Helper()
	for range n {
		if !take(t, l, id, limits).Refused() {
			ok++
		}
	}
	return ok
}

func ofMinute(n int64) clients.Limits { return clients.Limits{PerMinute: n, Burst: n} }

// TestMinute holds what one client gets in the minutes and days of the clock, on a server alone.
func TestMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		plan := clients.Limits{PerMinute: 60, Burst: 15, PerDay: 100}
		for _, step := range []struct {
			what      string
			sleep     time.Duration
			ask, want int
			over      string
			wait      int64 // seconds
		}{
			{"at once", 0, 40, 15, "burst", 1},
			{"a second later one more", time.Second, 5, 1, "burst", 1},
			{"the bucket is full again", 15 * time.Second, 20, 15, "burst", 1},
			{"more", 15 * time.Second, 20, 15, "burst", 1},
			{"until the minute's are gone", 15 * time.Second, 20, 14, "minute", 14},
			{"the next minute", 14 * time.Second, 20, 15, "burst", 1},
			{"it goes on", 15 * time.Second, 20, 15, "burst", 1},
			{"until the day's are gone", 15 * time.Second, 20, 10, "day", 86400 - 90},
			{"the next minute does not help", time.Minute, 20, 0, "day", 86400 - 150},
			{"the next day does", 24*time.Hour - 150*time.Second, 20, 15, "burst", 1},
		} {
			time.Sleep(step.sleep)
			if got := accepted(t, l, "billing", plan, step.ask); got != step.want {
				t.Errorf("%s: %d of %d are let through, want %d", step.what, got, step.ask, step.want)
			}
			over := take(t, l, "billing", plan).Over()
			if over == nil || over.Name != step.over || over.Reset != step.wait || over.Left != 0 {
				t.Errorf("%s: over %+v, want %s for %d s", step.what, over, step.over, step.wait)
			}
		}
	})
}

// TestNodes holds that servers together let through what the limit allows, and no less than 5 %
// below it, whatever their clocks say.
func TestNodes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for _, tt := range []struct{ nodes, limit int }{{1, 1000}, {2, 1000}, {4, 1000}, {4, 60}} {
			t.Run(fmt.Sprintf("%d nodes, %d a minute", tt.nodes, tt.limit), func(t *testing.T) {
				if tt.nodes > 1 && db.Embedded() {
					t.Skip("a SQLite file is of one server")
				}
				all := nodes(db, tt.nodes)
				for i, l := range all {
					l.now = func() time.Time { return time.Now().Add(time.Duration(i) * 30 * time.Second) }
				}
				run(t, all)
				awayFromTheEdge(t, all[0])
				began := all[0].clock.micros(all[0]) / minute
				got := load(t, all, t.Name(), ofMinute(int64(tt.limit)))
				minutes := int(all[0].clock.micros(all[0])/minute-began) + 1 // more than one on a busy machine
				t.Logf("%d were let through", got)
				if least, most := tt.limit-max(tt.limit/20, 10), minutes*tt.limit; got > most || got < least {
					t.Errorf("%d were let through in %d minutes of the clock, want %d to %d", got, minutes, least, most)
				}
			})
		}
	})
}

// awayFromTheEdge waits until the minute of the database has some seconds left.
func awayFromTheEdge(t *testing.T, l *Limiter) {
	t.Helper()
	if err := l.clock.read(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if left := minute - l.clock.micros(l)%minute; left < 8*second {
		time.Sleep(time.Duration(left) * time.Microsecond)
	}
}

// load sends requests from 16 clients at once to servers at random, until no server lets one
// through for a second and a half, and counts those that were.
func load(t *testing.T, nodes []*Limiter, id string, limits clients.Limits) int {
	var got, last atomic.Int64
	last.Store(time.Now().UnixMicro())
	var loading sync.WaitGroup
	for range 16 {
		loading.Go(func() {
			for time.Now().UnixMicro()-last.Load() < 3*second/2 {
				v, err := nodes[rand.IntN(len(nodes))].Take(t.Context(), id, limits)
				switch {
				case err != nil:
					t.Errorf("Take: %v", err)
					return
				case v.Refused():
					time.Sleep(time.Millisecond)
				default:
					got.Add(1)
					last.Store(time.Now().UnixMicro())
				}
			}
		})
	}
	loading.Wait()
	return int(got.Load())
}

// TestSpans holds what is let through in any 60 seconds, whatever the minutes of the clock, and in
// any minute of the clock.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		limits := clients.Limits{PerMinute: 30, Burst: 8}
		var at []time.Time
		for range 400 {
			time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Second))))
			if rand.IntN(20) == 0 {
				time.Sleep(time.Minute)
			}
			for range rand.IntN(8) {
				if !take(t, l, "billing", limits).Refused() {
					at = append(at, time.Now())
				}
			}
		}
		byMinute := map[int64]int64{}
		for i := range at {
			if byMinute[at[i].Unix()/60]++; byMinute[at[i].Unix()/60] > limits.PerMinute {
				t.Fatalf("more than %d in the minute of %s", limits.PerMinute, at[i])
			}
			if j := i - int(limits.PerMinute+limits.Burst); j >= 0 && at[i].Sub(at[j]) < time.Minute {
				t.Fatalf("more than %d in the 60 seconds before %s", limits.PerMinute+limits.Burst, at[i])
			}
		}
		if len(at) < 100 {
			t.Errorf("only %d were let through", len(at))
		}
	})
}

// TestGivenBack holds that what a server took and did not use can be used by others when it ends,
// when it does not need it, and when the limits change.
func TestGivenBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		limits := clients.Limits{PerDay: 1000}
		all := nodes(db, 2)
		stop := run(t, all[:1])
		accepted(t, all[0], "billing", limits, 100)
		stop()
		if got := accepted(t, all[1], "billing", limits, 1000); got != 900 {
			t.Errorf("after 100 of 1000 another server lets %d through, want 900", got)
		}
		if got := accepted(t, all[1], "billing", clients.Limits{PerDay: 1010}, 20); got != 10 {
			t.Errorf("after the limit was raised by 10, %d are let through, want 10", got)
		}
	})
}

// TestBucketGivenBack holds that what is given back is given back to the bucket, too.
func TestBucketGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(databasetest.SQLite(t), 2)
		limits := clients.Limits{PerMinute: 1000, Burst: 500}
		stop := run(t, all[:1])
		accepted(t, all[0], "billing", limits, 100)
		if all[0].share("billing").left == 0 {
			t.Fatal("nothing is left of the share, so this shows nothing")
		}
		stop()
		if got := accepted(t, all[1], "billing", limits, 1000); got != 400 {
			t.Errorf("after 100 of 500 at once another server lets %d through, want 400", got)
		}
	})
}

// TestEdge holds that what was taken of one day is not used on the next.
func TestEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		limits := clients.Limits{PerDay: 1000}
		accepted(t, l, "billing", limits, 100)
		if l.share("billing").left == 0 {
			t.Fatal("nothing is left of the share, so this shows nothing")
		}
		time.Sleep(24 * time.Hour)
		if got := accepted(t, l, "billing", limits, 1100); got != 1000 {
			t.Errorf("on the next day %d are let through, want 1000", got)
		}
	})
}

// TestAccount holds that all clients together are limited, those without limits of their own too,
// and that what the account refuses is not counted against the client.
func TestAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		l.Account = ofMinute(30)
		if got := accepted(t, l, "anybody", clients.Limits{}, 20); got != 20 {
			t.Errorf("%d of 20 are let through, want all", got)
		}
		plan := ofMinute(40)
		if got := accepted(t, l, "billing", plan, 20); got != 10 {
			t.Errorf("%d are let through, want 10", got)
		}
		if over := take(t, l, "billing", plan).Over(); over == nil || over.Name != "account-minute" {
			t.Errorf("over %+v, want account-minute", over)
		}
		l.Account = clients.Limits{}
		if got := accepted(t, l, "billing", plan, 40); got != 30 {
			t.Errorf("without the account's limit, %d are let through, want 30", got)
		}
	})
}

// TestAccountOnTrial holds that what is let through on trial counts, for the client and the account.
func TestAccountOnTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		l.Mode, l.Account = Report, ofMinute(30)
		accepted(t, l, "billing", ofMinute(20), 25)
		accepted(t, l, "crm", ofMinute(20), 10)
		if over := take(t, l, "crm", ofMinute(20)).Over(); over == nil || over.Name != "account-minute" {
			t.Errorf("over %+v, want account-minute", over)
		}
		for _, want := range []struct {
			id    string
			taken int64
		}{{"billing", 20}, {"crm", 11}} {
			standings, err := l.Taken(t.Context(), want.id, ofMinute(20))
			if err != nil || standings[0].Left > 20-want.taken {
				t.Errorf("%s: %+v, %v; want at least %d taken", want.id, standings, err, want.taken)
			}
		}
	})
}

// TestModes holds that on trial nothing is refused but all is told, and that without limits
// nothing is counted.
func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			mode          Mode
			over, refused bool
			standings     int
		}{{Enforce, true, true, 2}, {Report, true, false, 2}, {Off, false, false, 0}} {
			l := nodes(databasetest.SQLite(t), 1)[0]
			l.Mode = tt.mode
			accepted(t, l, "billing", ofMinute(3), 3)
			v := take(t, l, "billing", ofMinute(3))
			if (v.Over() != nil) != tt.over || v.Refused() != tt.refused || len(v.Standings) != tt.standings {
				t.Errorf("%s: over %+v, refused %v, %d standings", tt.mode, v.Over(), v.Refused(), len(v.Standings))
			}
		}
	})
}

// TestStoreAway holds that a store which is away is no limit, and on trial no matter.
func TestStoreAway(t *testing.T) {
	db, err := database.Open(databasetest.SQLiteURL(t)) // without a schema
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for mode, want := range map[Mode]bool{Enforce: true, Report: false} {
		l := nodes(db, 1)[0]
		l.Mode = mode
		if v, err := l.Take(t.Context(), "billing", ofMinute(3)); (err != nil) != want || v.Refused() {
			t.Errorf("%s: Take = %+v, %v", mode, v, err)
		}
	}
}

func BenchmarkUnlimited(b *testing.B) {
	l := &Limiter{Mode: Enforce}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Take(b.Context(), "billing", clients.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLimited(b *testing.B) {
	l := nodes(databasetest.SQLite(b), 1)[0]
	limits := clients.Limits{PerMinute: 1_000_000, Burst: 1_000_000, PerDay: 1_000_000_000}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Take(b.Context(), "billing", limits); err != nil {
			b.Fatal(err)
		}
	}
}

// A clock that is set back keeps no client out for longer than it takes to ask the store again.
func TestClosedWhileClockWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		if got := accepted(t, l, "billing", ofMinute(5), 10); got != 5 {
			t.Fatalf("%d of 10 are let through, want 5", got)
		}
		s := l.share("billing")
		s.mu.Lock()
		s.closedUntil = l.clock.micros(l) + 60*minute
		s.mu.Unlock()
		time.Sleep(time.Minute)
		if take(t, l, "billing", ofMinute(5)).Refused() {
			t.Error("a minute later the client is refused")
		}
	})
}
