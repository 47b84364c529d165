package usage

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// purge purges until nothing is left to do.
func purge(t *testing.T, c *Counter, now time.Time) {
	t.Helper()
	for range 100 {
		must(t, c.Purge(t.Context(), now))
	}
}

// In whatever order requests are counted and hours added up, and whenever the clock is wrong, each
// day has the requests that were made on it, once.
func TestRollUp(t *testing.T) {
	test := func(t *testing.T, db *database.DB) {
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			begin := noon.Add(time.Duration(n) * 200 * time.Hour) // later than what was added up so far
			counters := []*Counter{newCounter(db), newCounter(db)}
			want := map[string]int64{}
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				c := counters[rapid.IntRange(0, 1).Draw(rt, "server")]
				hour := time.Duration(rapid.IntRange(0, 80).Draw(rt, "hour")) * time.Hour
				if rapid.IntRange(0, 2).Draw(rt, "purge") == 0 {
					must(t, c.Purge(t.Context(), begin.Add(hour)))
					continue
				}
				block := rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1"}).Draw(rt, "block")
				c.Record(Request{"crm", Granted, api, block, begin.Add(hour)})
				want[Day.Start(Day.Period(begin.Add(hour))).Format("2006-01-02")]++
				must(t, c.Flush(t.Context()))
			}
			for _, by := range [][]Dimension{nil, {ByBlock, ByAudience, ByOutcome}} {
				got := map[string]int64{}
				for _, r := range read(t, counters[0], "crm", Day, by...) {
					if !r.At.Before(begin.Truncate(24 * time.Hour)) { // the others are of earlier rounds
						got[r.At.Format("2006-01-02")] += r.Granted
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					rt.Errorf("the days by %v have %v, want %v", by, got, want)
				}
			}
		})
	}
	each(t, test)
}

// Hours are kept for 90 days and days for two years; an hour that comes late is in its day still.
func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newCounter(db)
		days := func(n int) time.Time { return noon.Add(time.Duration(n) * 24 * time.Hour) }
		for _, ago := range []int{800, 729, 100, 91, 89, 1, 0} {
			c.Record(Request{"crm", Granted, api, "192.0.2.1", days(-ago)})
			c.Record(Request{"crm", "wrong_secret", "", "192.0.2.1", days(-ago).Add(time.Minute)})
		}
		must(t, c.Flush(t.Context()))
		before := lines(read(t, c, "crm", Day, ByOutcome, ByAudience, ByBlock))
		for i := range 3 {
			purge(t, c, noon)
			after := lines(read(t, c, "crm", Day, ByOutcome, ByAudience, ByBlock))
			oldest := lines(read(t, newCounter(db), "crm", Day, ByOutcome, ByAudience, ByBlock)[:2])
			if want := before[len(oldest):]; after != want {
				t.Errorf("after purge %d, the days are\n%swant\n%s", i+1, after, want)
			}
		}
		if got := len(read(t, c, "crm", Hour)); got != 3 {
			t.Errorf("%d hours are left, want 3", got)
		}
		c.Record(Request{"crm", Granted, api, "192.0.2.1", days(-100)})
		for range 2 {
			purge(t, c, noon)
			must(t, c.Flush(t.Context()))
		}
		purge(t, c, noon)
		if got, want := total(t, c, "crm", Day), "7 granted, 6 refused"; got != want {
			t.Errorf("with one that came late, %s; want %s", got, want)
		}
		if got := len(read(t, c, "crm", Hour)); got != 3 {
			t.Errorf("%d hours are left, want 3", got)
		}
	})
}

// What a purge forgets of the servers does not let a batch count twice.
func TestPurgeForgetsServers(t *testing.T) {
	db := databasetest.SQLite(t)
	c := newCounter(db)
	for i := range 3 {
		c.Record(Request{"crm", Granted, api, "192.0.2.1", noon})
		must(t, c.Flush(t.Context()))
		must(t, c.Purge(t.Context(), time.Now().Add(time.Duration(i)*nodesKept)))
	}
	var nodes int
	must(t, db.QueryRow(t.Context(), `SELECT count(*) FROM usage_nodes`).Scan(&nodes))
	if got, want := total(t, c, "crm", Day), "3 granted, 0 refused"; got != want || nodes != 0 {
		t.Errorf("%s and %d servers, want %s and none", got, nodes, want)
	}
}
