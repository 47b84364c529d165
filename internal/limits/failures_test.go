package limits

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fail is how many of n wrong secrets are looked at.
func (f *Failures) fail(id, address string, n int) (looked int) {
	for range n {
		if f.Wait(context.Background(), id, address, time.Now()) == 0 {
			f.Failed(id, address, time.Now())
			looked++
		}
	}
	return looked
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(100)
		for _, step := range []struct {
			what, id, address string
			fail, want        int
		}{
			{"one id has a part of what its network may fail", "billing", "192.0.2.1", 50, 20},
			{"another id has its own", "crm", "192.0.2.1", 50, 20},
			{"the id is not held off elsewhere", "billing", "192.0.2.2", 50, 20},
			{"an IPv6 network", "billing", "2001:db8::1", 50, 20},
			{"is one wherever it comes from", "billing", "2001:db8::2", 50, 0},
			{"and not the next", "billing", "2001:db8:0:1::2", 50, 20},
			{"IPv4 in IPv6 is IPv4", "billing", "::ffff:192.0.2.1", 1, 0},
		} {
			if got := f.fail(step.id, step.address, step.fail); got != step.want {
				t.Errorf("%s: %d of %d are looked at, want %d", step.what, got, step.fail, step.want)
			}
		}
		looked := 0
		for i := range 500 {
			looked += f.fail(fmt.Sprint("guess", i), "192.0.2.1", 1)
		}
		if looked != 60 {
			t.Errorf("%d guesses of ids are looked at, want what is left of 100", looked)
		}
		time.Sleep(30 * time.Second)
		if got := f.fail("billing", "192.0.2.1", 50); got != 10 {
			t.Errorf("half a minute later %d are looked at, want 10", got)
		}
	})
}

// TestFailuresLockNobodyOut holds that a client which authenticated from somewhere is looked at there,
// whatever others do, for a day.
func TestFailuresLockNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(100)
		f.Succeeded("billing", "192.0.2.1", time.Now())
		for i := range 1000 {
			f.Failed(fmt.Sprint("guess", i), "192.0.2.1", time.Now())
			f.Failed("billing", "192.0.2.1", time.Now())
		}
		if wait := f.Wait(t.Context(), "billing", "192.0.2.1", time.Now()); wait != 0 {
			t.Errorf("the client has to wait %s where it was let in before", wait)
		}
		if wait := f.Wait(t.Context(), "crm", "192.0.2.1", time.Now()); wait == 0 {
			t.Error("another client need not wait there")
		}
		if wait := f.Wait(t.Context(), "billing", "192.0.2.2", time.Now()); wait != 0 {
			t.Errorf("the client has to wait %s elsewhere", wait)
		}
		time.Sleep(25 * time.Hour)
		for i := range 2000 {
			f.Failed(fmt.Sprint("guess", i), "192.0.2.1", time.Now())
		}
		if wait := f.Wait(t.Context(), "billing", "192.0.2.1", time.Now()); wait == 0 {
			t.Error("a day later it need not wait")
		}
	})
}

// TestFailuresAreBounded holds that strangers do not fill the memory.
func TestFailuresAreBounded(t *testing.T) {
	f := NewFailures(2)
	f.UsedFrom = func(context.Context, string, time.Time) (map[string]time.Time, error) { return nil, nil }
	now := time.Now()
	f.fail("billing", "10.0.0.0", 10)
	for i := range 5 * maxYoung {
		f.Failed(fmt.Sprint(i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
		f.Succeeded(fmt.Sprint(i), "192.0.2.1", now)
		f.Wait(t.Context(), fmt.Sprint("guess", i), "10.0.0.0", now)
	}
	for _, b := range []buckets{f.networks, f.pairs, f.welcome, f.asked} {
		if n := len(b.young) + len(b.old); n > 2*maxYoung {
			t.Errorf("%d are kept, want at most %d", n, 2*maxYoung)
		}
	}
	var none *Failures
	none.Failed("billing", "192.0.2.1", now)
	none.Succeeded("billing", "192.0.2.1", now)
	if NewFailures(0).Wait(t.Context(), "billing", "192.0.2.1", now) != 0 || none.Wait(t.Context(), "billing", "192.0.2.1", now) != 0 {
		t.Error("without a limit somebody has to wait")
	}
}

// TestFailuresAskTheStore holds that a client which was let in by an earlier process, or by another
// server, is looked at where it was, that the store is asked once a minute about anybody else, and
// that one which does not answer holds nobody off.
func TestFailuresAskTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away error
		asked := 0
		f := NewFailures(10)
		f.UsedFrom = func(_ context.Context, id string, since time.Time) (map[string]time.Time, error) {
			asked++
			if want := time.Now().Add(-24 * time.Hour); !since.Equal(want) {
				t.Errorf("asked for what was since %s, want %s", since, want)
			}
			if id != "billing" {
				return nil, away
			}
			ago := func(hours time.Duration) time.Time { return time.Now().Add(-hours * time.Hour) }
			return map[string]time.Time{
				"192.0.2.1": ago(23), "2001:db8::1": ago(9), "2001:db8::2": ago(2), "2001:db8::3": ago(5), "": ago(0),
			}, away
		}
		for _, address := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::9"} {
			for i := range 10 {
				f.Failed(fmt.Sprint("guess", i), address, time.Now())
			}
		}
		for _, step := range []struct {
			what, id, address string
			sleep             time.Duration
			away              error
			held              bool
			asked             int
		}{
			{"who was let in there", "billing", "192.0.2.1", 0, nil, false, 1},
			{"again", "billing", "192.0.2.1", 0, nil, false, 1},
			{"elsewhere", "billing", "192.0.2.2", 0, nil, true, 2},
			{"again elsewhere", "billing", "192.0.2.2", 0, nil, true, 2},
			{"from another address of the network", "billing", "2001:db8::9", 0, nil, false, 3},
			{"who was not let in", "crm", "192.0.2.1", 0, nil, true, 4},
			{"while the store is away", "shop", "192.0.2.1", 0, errors.New("away"), false, 5},
			{"once it is back", "shop", "192.0.2.1", 0, nil, true, 6},
			{"where nobody failed", "shop", "192.0.2.3", 0, nil, false, 6},
		} {
			time.Sleep(step.sleep)
			away = step.away
			if held := f.Wait(t.Context(), step.id, step.address, time.Now()) > 0; held != step.held || asked != step.asked {
				t.Errorf("%s: held off %v, the store was asked %d times; want %v and %d", step.what, held, asked, step.held, step.asked)
			}
		}
		for address, want := range map[string]time.Duration{"192.0.2.1": 23 * time.Hour, "2001:db8::9": 2 * time.Hour} {
			_, pair := f.keys("billing", address)
			if got := time.Since(f.welcome.at(pair)); got != want {
				t.Errorf("at %s the client counts as let in %s ago, want %s", address, got, want)
			}
		}
		f.UsedFrom = func(context.Context, string, time.Time) (map[string]time.Time, error) { asked++; return nil, nil }
		for _, step := range []struct {
			what  string
			after time.Duration
			asked int
		}{{"a minute later", askedEvery, 7}, {"once the clock was set back", -time.Hour, 8}} {
			now := time.Now().Add(step.after)
			for i := range 10 {
				f.Failed(fmt.Sprint("guess", i), "192.0.2.1", now)
			}
			if f.Wait(t.Context(), "crm", "192.0.2.1", now); asked != step.asked {
				t.Errorf("%s the store was asked %d times, want %d", step.what, asked, step.asked)
			}
		}
	})
}

// TestFailuresAskInTurn holds that however many are held off at once, few ask the store, and that
// nobody waits for long.
func TestFailuresAskInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFailures(10)
		var asking, most atomic.Int64
		f.UsedFrom = func(context.Context, string, time.Time) (map[string]time.Time, error) {
			now := asking.Add(1)
			for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
			}
			time.Sleep(300 * time.Millisecond)
			asking.Add(-1)
			return nil, nil
		}
		for i := range 10 {
			f.Failed(fmt.Sprint("guess", i), "192.0.2.1", time.Now())
		}
		began := time.Now()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { f.Wait(t.Context(), fmt.Sprint("client", i), "192.0.2.1", began) })
		}
		all.Wait()
		if took := time.Since(began); most.Load() != maxAsking || took != maxAsk+200*time.Millisecond {
			t.Errorf("%d asked at once, for %s; want %d, for 1.2 s", most.Load(), took, maxAsking)
		}
	})
}

func BenchmarkFailures(b *testing.B) {
	f := NewFailures(100)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		f.Wait(b.Context(), "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "192.0.2.1", now)
		f.Succeeded("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "192.0.2.1", now)
	}
}

// A failure that was noted while the clock was ahead holds nobody off once it is right again.
func TestFailuresAfterClockWasAhead(t *testing.T) {
	f, now := NewFailures(100), time.Now()
	f.Failed("billing", "192.0.2.1", now.Add(24*time.Hour))
	if wait := f.Wait(t.Context(), "billing", "192.0.2.1", now); wait > 0 {
		t.Errorf("a client must wait for %v", wait)
	}
}
