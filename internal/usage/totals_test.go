package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Sums are those of the rows, whether hours were added to their days or not, and the most come first.
func TestTotals(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newCounter(db)
		outcomes := []string{Granted, Granted, "wrong_secret", "scope_not_held"}
		for i := range 200 {
			c.Record(Request{
				fmt.Sprint("client ", i%7), outcomes[i%len(outcomes)], fmt.Sprint("https://api.example/", i%3),
				fmt.Sprintf("192.0.%d.1", i%5), noon.Add(-time.Duration(i) * time.Hour),
			})
		}
		for _, id := range []string{"idle", "idler", "idler"} { // which were never refused
			c.Record(Request{id, Granted, "https://api.example/0", "192.0.0.1", noon})
		}
		must(t, c.Flush(t.Context()))
		purge(t, c, noon.Add(-50*time.Hour))
		for _, step := range []Step{Hour, Day} {
			for _, by := range Dimensions {
				q := Query{ClientID: Account, Step: step, From: step.Period(noon.AddDate(0, 0, -5)), Until: step.Period(noon) + 1, By: []Dimension{by}, Limit: 1000}
				rows, err := c.Read(t.Context(), q)
				must(t, err)
				want := map[string]Total{}
				for _, r := range rows {
					of := r.Outcome + r.Audience + r.Block
					want[of] = Total{of, want[of].Granted + r.Granted, want[of].Refused + r.Refused}
				}
				for _, order := range []Order{MostRequests, MostRefused} {
					got, err := c.Totals(t.Context(), q, order)
					must(t, err)
					if len(got) != len(want) {
						t.Errorf("%d totals by %s, want %d", len(got), by, len(want))
					}
					for i, total := range got {
						if total != want[total.Of] || i > 0 && order.less(got[i-1], total) {
							t.Errorf("total %d by %s, %s first: %v of %v; want %v", i, by, order, total, got, want[total.Of])
						}
					}
				}
			}
			q := Query{ClientID: Account, Step: step, Until: 1 << 40, By: []Dimension{ByClient}, Limit: 2}
			got, err := c.Totals(t.Context(), q, MostRequests)
			must(t, err)
			if len(got) != 2 || got[0].Of != "client 0" || got[0].Granted+got[0].Refused != 29 || got[1].Of != "client 1" {
				t.Errorf("the two clients with most requests are %v", got)
			}
			q.Limit = 10
			got, err = c.Totals(t.Context(), q, MostRefused)
			must(t, err)
			if len(got) != 9 || got[7] != (Total{"idler", 2, 0}) || got[8] != (Total{"idle", 1, 0}) {
				t.Errorf("by refusals, those who were never refused are not last, the busiest first: %v", got)
			}
		}
	})
}

// less says whether a total belongs behind another.
func (o Order) less(a, b Total) bool {
	if o == MostRefused && a.Refused != b.Refused {
		return a.Refused < b.Refused
	}
	return a.Granted+a.Refused < b.Granted+b.Refused
}
