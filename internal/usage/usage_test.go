package usage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

const api, files = "https://api.example", "https://files.example"

// fill counts a little of everything.
func fill(c *Counter) {
	for _, r := range []Request{
		{"crm", Granted, api, "192.0.2.1", noon},
		{"crm", Granted, api, "192.0.2.99", noon.Add(59 * time.Minute)},
		{"crm", Granted, api + " " + files, "192.0.2.1", noon},
		{"crm", Granted, api, "2001:db8:7:8::1", noon.Add(time.Hour)},
		{"crm", Granted, api, "::ffff:198.51.100.7", noon.Add(13 * time.Hour)}, // the day after
		{"crm", "wrong_secret", "", "192.0.2.1", noon},
		{"crm", "scope_not_held", files, "192.0.2.1", noon},
		{"shop", Granted, files, "192.0.2.1", noon},
		{"", "unknown_client", "", "203.0.113.5", noon},
		{"", "malformed", "", "@", noon}, // from no address
	} {
		c.Record(r)
	}
}

// What was counted is read by the hour and by the day, grouped by whatever is asked for.
func TestRead(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newCounter(db)
		fill(c)
		for _, tt := range []struct {
			client string
			step   Step
			by     []Dimension
			want   string
		}{
			{"crm", Hour, nil, `
2026-03-04 12:00||||3|2
2026-03-04 13:00||||1|0
2026-03-05 01:00||||1|0`},
			{"crm", Day, nil, `
2026-03-04 00:00||||4|2
2026-03-05 00:00||||1|0`},
			{"crm", Day, []Dimension{ByOutcome}, `
2026-03-04 00:00|granted|||4|0
2026-03-04 00:00|scope_not_held|||0|1
2026-03-04 00:00|wrong_secret|||0|1
2026-03-05 00:00|granted|||1|0`},
			{"crm", Day, []Dimension{ByAudience}, `
2026-03-04 00:00||||0|1
2026-03-04 00:00||https://api.example||3|0
2026-03-04 00:00||https://api.example https://files.example||1|0
2026-03-04 00:00||https://files.example||0|1
2026-03-05 00:00||https://api.example||1|0`},
			{"crm", Day, []Dimension{ByBlock}, `
2026-03-04 00:00|||192.0.2.0/24|3|2
2026-03-04 00:00|||2001:db8:7::/48|1|0
2026-03-05 00:00|||198.51.100.0/24|1|0`},
			{"crm", Hour, []Dimension{ByBlock, ByOutcome}, `
2026-03-04 12:00|granted||192.0.2.0/24|3|0
2026-03-04 12:00|scope_not_held||192.0.2.0/24|0|1
2026-03-04 12:00|wrong_secret||192.0.2.0/24|0|1
2026-03-04 13:00|granted||2001:db8:7::/48|1|0
2026-03-05 01:00|granted||198.51.100.0/24|1|0`},
			{Account, Day, []Dimension{ByOutcome}, `
2026-03-04 00:00|granted|||5|0
2026-03-04 00:00|malformed|||0|1
2026-03-04 00:00|scope_not_held|||0|1
2026-03-04 00:00|unknown_client|||0|1
2026-03-04 00:00|wrong_secret|||0|1
2026-03-05 00:00|granted|||1|0`},
			{Account, Day, []Dimension{ByBlock}, `
2026-03-04 00:00||||0|1
2026-03-04 00:00|||192.0.2.0/24|4|2
2026-03-04 00:00|||2001:db8:7::/48|1|0
2026-03-04 00:00|||203.0.113.0/24|0|1
2026-03-05 00:00|||198.51.100.0/24|1|0`},
			{"nobody", Day, nil, ""},
		} {
			got := lines(read(t, c, tt.client, tt.step, tt.by...))
			if want := tt.want[min(1, len(tt.want)):]; got != want+"\n"[:min(1, len(want))] {
				t.Errorf("%s by %v each %d s:\n%swant\n%s", tt.client, tt.by, tt.step, got, want)
			}
		}
	})
}

// A range is from its first period to before its last, and has no more rows than are wanted.
func TestReadRange(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newCounter(db)
		for i := range 100 {
			c.Record(Request{"crm", Granted, api, "192.0.2.1", noon.Add(time.Duration(i) * time.Hour)})
		}
		must(t, c.Flush(t.Context()))
		purge(t, c, noon.Add(50*time.Hour)) // half of it is added up
		for _, tt := range []struct {
			step        Step
			from, until time.Duration
			limit, want int // rows
			sum         int64
		}{
			{Hour, 0, 100 * time.Hour, 1000, 100, 100},
			{Hour, 10 * time.Hour, 12 * time.Hour, 1000, 2, 2},
			{Hour, 0, 100 * time.Hour, 7, 7, 7},
			{Day, 0, 100 * time.Hour, 1000, 4, 84},
			{Day, 24 * time.Hour, 72 * time.Hour, 1000, 2, 48},
			{Day, 48 * time.Hour, 72 * time.Hour, 1000, 1, 24},
			{Day, -240 * time.Hour, 0, 1000, 0, 0},
		} {
			rows, err := c.Read(t.Context(), Query{
				ClientID: "crm", Step: tt.step, From: tt.step.Period(noon.Add(tt.from)), Until: tt.step.Period(noon.Add(tt.until)), Limit: tt.limit,
			})
			must(t, err)
			var sum int64
			for _, r := range rows {
				sum += r.Granted
			}
			if len(rows) != tt.want || sum != tt.sum {
				t.Errorf("%+v: %d rows with %d requests, want %d with %d", tt, len(rows), sum, tt.want, tt.sum)
			}
		}
	})
}

// Several servers count at once, the store's answers get lost, and the sums are exact.
func TestExact(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		const servers, each = 2, 4000
		want := map[string]int64{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		counters := make([]*Counter, servers)
		for s := range servers {
			random := rand.New(rand.NewPCG(uint64(s), 1))
			c := losing(db, func() bool { return random.IntN(3) == 0 })
			counters[s] = c
			ctx, stop := context.WithCancel(t.Context())
			var flushing sync.WaitGroup
			flushing.Go(func() {
				for ctx.Err() == nil {
					_ = c.Flush(ctx) // often lost
				}
			})
			wg.Go(func() {
				defer flushing.Wait()
				defer stop()
				var own sync.WaitGroup
				for range 2 {
					own.Go(func() {
						for i := range each {
							client, outcome := fmt.Sprint("client", i%7), Granted
							if i%5 == 0 {
								outcome = "wrong_secret"
							}
							c.Record(Request{client, outcome, api, fmt.Sprintf("192.0.%d.1", i%9), noon.Add(time.Duration(i%3) * time.Hour)})
							mu.Lock()
							want[client]++
							mu.Unlock()
						}
					})
				}
				own.Wait()
			})
		}
		wg.Wait()
		for _, c := range counters {
			for c.Flush(t.Context()) != nil { // until no answer is lost
			}
		}
		reader := newCounter(db)
		for client, n := range want {
			var got int64
			for _, r := range read(t, reader, client, Hour, ByBlock, ByOutcome) {
				got += r.Granted + r.Refused
			}
			if got != n {
				t.Errorf("%d requests of %s are in the store, want %d", got, client, n)
			}
		}
		wantAll := fmt.Sprintf("%d granted, %d refused", servers*2*each*4/5, servers*2*each/5)
		for _, by := range [][]Dimension{nil, {ByBlock}} {
			if got := total(t, reader, Account, Hour, by...); got != wantAll {
				t.Errorf("the account by %v has %s, want %s", by, got, wantAll)
			}
		}
	})
}

// A batch whose answer was lost is written again as it was: what is counted meanwhile waits.
func TestLostAnswer(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		lost := true
		c := losing(db, func() bool { return lost })
		record := func() { c.Record(Request{"crm", Granted, api, "192.0.2.1", noon}) }
		record()
		for range 3 {
			if err := c.Flush(t.Context()); err == nil {
				t.Fatal("Flush succeeds though the answer was lost")
			}
			record()
		}
		if got := c.Lag(noon.Add(time.Minute)); got != time.Minute {
			t.Errorf("the oldest waits for %v, want a minute", got)
		}
		if got, want := total(t, newCounter(db), "crm", Hour), "1 granted, 0 refused"; got != want {
			t.Errorf("before an answer comes, %s; want %s", got, want)
		}
		lost = false
		must(t, c.Flush(t.Context()))
		if got, want := total(t, newCounter(db), "crm", Hour), "4 granted, 0 refused"; got != want {
			t.Errorf("when answers come again, %s; want %s", got, want)
		}
		if got := c.Lag(noon.Add(time.Minute)); got != 0 {
			t.Errorf("nothing waits, but for %v", got)
		}
	})
}

// A store that does nothing keeps no request from being counted in the end.
func TestStoreAway(t *testing.T) {
	db := databasetest.SQLite(t)
	c := newCounter(db)
	away := true
	c.transact = func(ctx context.Context, fn func(context.Context) error) error {
		if away {
			return errLost
		}
		return db.Transact(ctx, fn)
	}
	for range 10 {
		c.Record(Request{"crm", Granted, api, "192.0.2.1", noon})
		if err := c.Flush(t.Context()); err == nil {
			t.Fatal("Flush succeeds without a store")
		}
	}
	away = false
	if got, want := total(t, c, "crm", Hour), "10 granted, 0 refused"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Run writes once a second, and in the end what is left.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		c, reader := newCounter(db), newCounter(db)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
		for i, want := range []string{"1 granted, 0 refused", "2 granted, 0 refused"} {
			c.Record(Request{"crm", Granted, api, "192.0.2.1", time.Now()})
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait()
			if got := total(t, reader, "crm", Hour); got != want {
				t.Errorf("after %d seconds, %s; want %s", i+1, got, want)
			}
		}
		c.Record(Request{"crm", Granted, api, "192.0.2.1", time.Now()})
		stop()
		wg.Wait()
		if got, want := total(t, reader, "crm", Hour), "3 granted, 0 refused"; got != want {
			t.Errorf("in the end, %s; want %s", got, want)
		}
	})
}

// A server that ends while the store is away for a moment waits for it.
func TestRunEndsWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		c := newCounter(db)
		back := time.Now().Add(3 * time.Second)
		c.transact = func(ctx context.Context, fn func(context.Context) error) error {
			if time.Now().Before(back) {
				return errLost
			}
			return db.Transact(ctx, fn)
		}
		c.Record(Request{"crm", Granted, api, "192.0.2.1", time.Now()})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
		if got, want := total(t, newCounter(db), "crm", Hour), "1 granted, 0 refused"; got != want {
			t.Errorf("in the end, %s; want %s", got, want)
		}
	})
}
