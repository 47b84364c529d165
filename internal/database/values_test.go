package database_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func TestTimes(t *testing.T) {
	stockholm := time.FixedZone("CET", 3600)
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for _, tt := range []struct{ in, want time.Time }{
			{time.Time{}, time.Time{}},
			{time.Date(2026, 3, 4, 13, 0, 0, 999_999_999, stockholm), time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)},
			{time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)},
			{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		} {
			var got database.Time
			must(t, db.QueryRow(t.Context(), `SELECT CAST($1 AS BIGINT)`, database.At(tt.in)).Scan(&got))
			if got.Time != tt.want {
				t.Errorf("%s comes back as %s; want %s", tt.in, got, tt.want)
			}
		}
	})
	var x database.Time
	for _, bad := range []any{nil, "0", 1.5, []byte("1")} {
		if err := x.Scan(bad); err == nil {
			t.Errorf("Scan(%v) = nil", bad)
		}
	}
}

func TestLists(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for _, in := range [][]string{nil, {}, {""}, {"a"}, {"b", "a", "b"}, {`"`, `\`, ",", "å 北", "\n"}} {
			var got []string
			must(t, db.QueryRow(t.Context(), `SELECT CAST($1 AS TEXT)`, database.List(in)).Scan((*database.List)(&got)))
			if !slices.Equal(got, in) {
				t.Errorf("%q comes back as %q", in, got)
			}
		}
	})
	var l database.List
	for _, bad := range []any{nil, 1, "", "{}", "a b", []byte(`["a"`)} {
		if err := l.Scan(bad); err == nil {
			t.Errorf("Scan(%v) = nil", bad)
		}
	}
}

// Prepared statements are shared: many requests may ask for the same one at once.
func TestQueryPrepared(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				var got int
				rows, err := db.QueryPrepared(t.Context(), `SELECT CAST($1 AS BIGINT)`, i)
				if err != nil {
					t.Errorf("QueryPrepared: %v", err)
					return
				}
				for rows.Next() {
					if err := rows.Scan(&got); err != nil {
						t.Errorf("Scan: %v", err)
					}
				}
				if err := rows.Close(); err != nil || got != i {
					t.Errorf("QueryPrepared = %d, %v; want %d", got, err, i)
				}
			})
		}
		wg.Wait()
		if rows, err := db.QueryPrepared(t.Context(), `this is not SQL`); err == nil {
			rows.Close()
			t.Error("QueryPrepared of no SQL = nil")
		}
	})
}
