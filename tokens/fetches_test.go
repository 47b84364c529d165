package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func newFetches(k *Keys) *Fetches { return NewFetches(k.DB, k, slog.New(slog.DiscardHandler)) }

// fetch has somebody fetch what the server shows.
func (f *Fetches) fetch(userAgent, address string, at time.Time) {
	_, etag := f.keys.JWKS()
	f.Record(userAgent, address, etag, at)
}

// listed are the fetches in the store: who, where, and how many keys they had.
func listed(t *testing.T, f *Fetches) (list []string) {
	t.Helper()
	all, err := f.List(t.Context(), FetchPosition{}, 1000)
	must(t, err)
	for _, fetch := range all {
		list = append(list, fmt.Sprintf("%s %s %d", fetch.UserAgent, fetch.Address, len(fetch.KIDs)))
	}
	return list
}

// Two servers on one database give one picture of who has which keys.
func TestFetchesOfTwoServers(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		here, there := newFetches(a), newFetches(b)
		now := time.Now().Truncate(time.Second)
		here.fetch("shop", "192.0.2.1", now.Add(-3*time.Minute))
		there.fetch("crm", "192.0.2.1", now.Add(-2*time.Minute))
		there.fetch("old", "192.0.2.1", now.Add(-25*time.Hour))
		must(t, here.Flush(t.Context()))
		must(t, there.Flush(t.Context()))

		first := a.All()[0].ID
		next, err := a.Rotate(t.Context(), ES256, false)
		must(t, err)
		here.fetch("shop", "192.0.2.1", now)
		there.fetch("shop", "192.0.2.1", now.Add(-time.Minute)) // of the old keys, and written last
		must(t, here.Flush(t.Context()))
		want := []string{"shop 192.0.2.1 2", "crm 192.0.2.1 1", "old 192.0.2.1 1"}
		if got := listed(t, there); !slices.Equal(got, want) {
			t.Errorf("the fetches are %q; want %q", got, want)
		}
		reach, err := here.Reach(t.Context(), now)
		must(t, err)
		if reach.Parties != 2 || reach.Have(first) != 2 || reach.Have(next.ID) != 1 || reach.Have("another") != 0 {
			t.Errorf("Reach = %+v; want 2 parties of the last day, of which 1 has the new key", reach)
		}
		all, err := here.List(t.Context(), FetchPosition{}, 2)
		must(t, err)
		if !all[0].At.Equal(now) || !slices.Equal(all[0].KIDs, []string{first, next.ID}) && !slices.Equal(all[0].KIDs, []string{next.ID, first}) {
			t.Errorf("the newest fetch is %+v; want one at %s of both keys", all[0], now)
		}
		rest, err := here.List(t.Context(), all[1].Position(), 2)
		must(t, err)
		if len(rest) != 1 || rest[0].UserAgent != "old" {
			t.Errorf("behind the second is %+v; want the third", rest)
		}
	})
}

// An entity tag that is not that of the keys proves nothing.
func TestFetchOfOtherKeys(t *testing.T) {
	pair(t, func(t *testing.T, a, _ *Keys) {
		f := newFetches(a)
		_, before := a.JWKS()
		_, err := a.Rotate(t.Context(), ES256, false)
		must(t, err)
		for _, etag := range []string{before, "", "*", `"x"`} {
			f.Record("shop", "192.0.2.1", etag, time.Now())
		}
		if got := listed(t, f); len(got) != 0 {
			t.Errorf("the fetches are %q; want none", got)
		}
	})
}

// Whatever strangers call themselves, memory and table are bounded, and one network leaves room for
// the others.
func TestFloodOfUserAgents(t *testing.T) {
	pair(t, func(t *testing.T, a, _ *Keys) {
		f := newFetches(a)
		now := time.Now()
		f.fetch("shop", "198.51.100.1", now.Add(-time.Hour))
		must(t, f.Flush(t.Context()))
		for round := range 3 {
			for i := range 5000 {
				f.fetch(fmt.Sprintf("flood %d %d", round, i), fmt.Sprintf("2001:db8::%x", i), now.Add(time.Duration(round)*time.Second))
			}
			if n := len(f.pending); n > maxOfNetwork {
				t.Errorf("%d fetches of one network wait to be written; want %d at most", n, maxOfNetwork)
			}
			must(t, f.Flush(t.Context()))
		}
		got := listed(t, f)
		if len(got) != maxOfNetwork+1 || !strings.HasPrefix(got[0], "flood 2 ") || !slices.Contains(got, "shop 198.51.100.1 1") {
			t.Errorf("after a flood from one network there are %d fetches, the first %q; want its %d newest and the other", len(got), got[0], maxOfNetwork)
		}
		for i := range 2 * maxFetches {
			f.fetch("flood", fmt.Sprintf("203.0.%d.%d", i/200, i%200), now.Add(time.Minute))
		}
		if n := len(f.pending); n != maxFetches || len(f.crowds) != maxFetches {
			t.Errorf("%d fetches wait to be written; want %d at most", n, maxFetches)
		}
		must(t, f.Flush(t.Context()))
		if got := listed(t, f); len(got) != maxFetches || strings.Contains(strings.Join(got, ","), "shop") {
			t.Errorf("after a flood from everywhere there are %d fetches; want the %d newest", len(got), maxFetches)
		}
		if len(f.pending) != 0 || len(f.crowds) != 0 {
			t.Errorf("after all is written, %d fetches and %d networks are in memory", len(f.pending), len(f.crowds))
		}
	})
}

func TestCleanUserAgent(t *testing.T) {
	long := strings.Repeat("ä", 300)
	for _, tt := range []struct{ sent, kept string }{
		{"", ""},
		{"curl/8.5.0", "curl/8.5.0"},
		{"jose/v6 (Node.js) – ünïcode", "jose/v6 (Node.js) – ünïcode"},
		{"a\x00b\x1b[31mc\x7f\r\n\td\u0085e", "ab[31mcde"},
		{"abc\u202edef\u200b", "abcdef"},
		{"bad \xff\xfe bytes", "bad \ufffd\ufffd bytes"},
		{strings.Repeat("x", 5000), strings.Repeat("x", 200)},
		{long, long[:2*200]},
		{strings.Repeat("x", 799) + "ä", strings.Repeat("x", 200)},
	} {
		if got := cleanUserAgent(tt.sent); got != tt.kept {
			t.Errorf("cleanUserAgent(%q) = %q; want %q", tt.sent, got, tt.kept)
		}
	}
}

// Fetches are forgotten after 30 days.
func TestPurgeFetches(t *testing.T) {
	pair(t, func(t *testing.T, a, _ *Keys) {
		f := newFetches(a)
		now := time.Now()
		f.fetch("gone", "192.0.2.1", now.Add(-fetchesKept-time.Minute))
		f.fetch("kept", "192.0.2.1", now.Add(-fetchesKept+time.Minute))
		must(t, f.Flush(t.Context()))
		must(t, f.Purge(t.Context(), now))
		if got := listed(t, f); !slices.Equal(got, []string{"kept 192.0.2.1 1"}) {
			t.Errorf("the fetches are %q; want the younger one", got)
		}
	})
}

// Fetches are written within ten seconds and when the server ends. While the store is away they
// wait, within their bounds, and a later one is never replaced by an earlier one.
func TestFetchesAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(databasetest.SQLite(t), NewMasterKey())
		must(t, k.Start(t.Context(), ES256))
		f := newFetches(k)
		rows := func() (n int) {
			must(t, k.DB.QueryRow(t.Context(), `SELECT count(*) FROM jwks_fetches`).Scan(&n))
			return n
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Run(ctx) }()
		f.fetch("first", "192.0.2.1", time.Now())
		time.Sleep(fetchesEvery + time.Second)
		if n := rows(); n != 1 {
			t.Errorf("after ten seconds there are %d rows; want 1", n)
		}

		rename(t, k.DB, "jwks_fetches", "elsewhere")
		late := time.Now()
		f.fetch("second", "192.0.2.1", late)
		time.Sleep(time.Minute)
		f.fetch("second", "192.0.2.1", late.Add(-time.Hour))
		f.mu.Lock()
		at := f.pending[party{"192.0.2.1", "second"}].at
		f.mu.Unlock()
		if at != late.Unix() {
			t.Errorf("after the store was away, the fetch at %d waits; want that at %d", at, late.Unix())
		}
		rename(t, k.DB, "elsewhere", "jwks_fetches")
		time.Sleep(fetchesEvery)
		if n := rows(); n != 2 {
			t.Errorf("after the store came back there are %d rows; want 2", n)
		}

		f.fetch("third", "192.0.2.1", time.Now())
		stop()
		must(t, <-ended)
		if n := rows(); n != 3 {
			t.Errorf("after the end there are %d rows; want 3", n)
		}
	})
}

func rename(t *testing.T, db *database.DB, from, to string) {
	t.Helper()
	_, err := db.Exec(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to)
	must(t, err)
}

// Fetches are recorded and written by many at once.
func TestFetchesAtOnce(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		servers := []*Fetches{newFetches(a), newFetches(b)}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				f := servers[i%2]
				for j := range 10 {
					f.fetch(fmt.Sprint("agent ", j), "192.0.2.1", time.Now())
					if err := f.Flush(t.Context()); err != nil {
						t.Errorf("Flush: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if got := listed(t, servers[0]); len(got) != 10 {
			t.Errorf("there are %d fetches; want 10", len(got))
		}
	})
}

// A fetch of a party that is known already takes no memory but that of its network's name.
func BenchmarkRecordFetch(b *testing.B) {
	k := newKeys(databasetest.SQLite(b), NewMasterKey())
	if err := k.Start(b.Context(), ES256); err != nil {
		b.Fatal(err)
	}
	f := newFetches(k)
	_, etag := k.JWKS()
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f.Record("Go-http-client/1.1", "192.0.2.1", etag, now)
		}
	})
}
