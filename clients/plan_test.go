package clients

import (
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// TestPlansAreKept holds that plans and limits are read as they were written, by admins and on the
// token path.
func TestPlansAreKept(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := &Client{Name: "CRM", CreatedBy: "test", Held: sections.Held{Sections: []string{"nordic"}}}
		create(t, store, c)
		lookup := NewLookup(db, 10*time.Second)
		own := Limits{PerMinute: 100, Burst: 7, PerDay: 1_000_000_000}
		for _, tt := range []struct {
			plan         Plan
			limits, want Limits
		}{
			{NoPlan, Limits{}, Limits{}},
			{Free, Limits{}, Limits{PerMinute: 60, Burst: 15, PerDay: 10_000}},
			{Pro, Limits{}, Limits{PerMinute: 1000, Burst: 250, PerDay: 1_000_000}},
			{Enterprise, own, own},
			{Enterprise, Limits{PerDay: 5}, Limits{PerDay: 5}},
			{NoPlan, Limits{}, Limits{}},
		} {
			c.Plan, c.Limits = tt.plan, tt.limits
			must(t, store.Update(t.Context(), c))
			if got := read(t, store, c.ID); got.Plan != tt.plan || got.Limits != tt.want {
				t.Errorf("Client: plan %q, %+v; want %q, %+v", got.Plan, got.Limits, tt.plan, tt.want)
			}
			got, _, err := lookup.Client(t.Context(), c.ID)
			must(t, err)
			if got.Plan != tt.plan || got.Limits != tt.want {
				t.Errorf("on the token path: plan %q, %+v; want %q, %+v", got.Plan, got.Limits, tt.plan, tt.want)
			}
		}
	})
}

func TestWithBurst(t *testing.T) {
	for limits, want := range map[Limits]int64{
		{PerDay: 10}:                 0,
		{PerMinute: 1}:               1,
		{PerMinute: 6}:               6,
		{PerMinute: 12}:              10,
		{PerMinute: 60}:              15,
		{PerMinute: 1000}:            250,
		{PerMinute: 1000, Burst: 17}: 17,
	} {
		got := limits.WithBurst()
		if got.Burst != want {
			t.Errorf("%+v has a burst of %d, want %d", limits, got.Burst, want)
		}
		var wrong sections.Invalid
		if got.Check(&wrong, ""); wrong.Err() != nil {
			t.Errorf("%+v: %v", got, wrong.Err())
		}
	}
}
