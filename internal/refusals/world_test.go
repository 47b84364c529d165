package refusals

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key  = []byte("sixteen bytes of key, and more")
)

const billing = "6f1f3f0e-54a7-4d3c-a4a5-0d7f4a1a9a01"

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func newTally(db *database.DB) *Tally { return New(db, key, slog.New(slog.DiscardHandler)) }

// each runs a test with a tally on SQLite and on PostgreSQL.
func each(t *testing.T, test func(t *testing.T, db *database.DB, tally *Tally)) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(t, db, newTally(db)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wrong is a wrong secret of a client that there is.
func wrong(address string, at time.Time) Refusal {
	return Refusal{ClientID: billing, Known: true, Cause: WrongSecret, Address: address, At: at}
}

// stranger is an id that no client has.
func stranger(id, address string, at time.Time) Refusal {
	return Refusal{ClientID: id, Cause: UnknownClient, Address: address, At: at}
}

// list returns the rows that a filter wants, read in pages of two.
func list(t *testing.T, tally *Tally, f Filter) (all []Row) {
	t.Helper()
	var after Position
	for {
		page, err := tally.List(t.Context(), f, after, 2)
		must(t, err)
		all = append(all, page...)
		if len(page) < 2 {
			return all
		}
		after = page[1].Position()
	}
}

// counts are rows as a test writes them: "cause/detail/address count", newest first.
func counts(rows []Row) string {
	var lines []string
	for _, r := range rows {
		lines = append(lines, strings.Join([]string{string(r.Cause), r.Detail, r.Address}, "/")+" "+strings.Repeat("x", int(r.Count)))
	}
	return strings.Join(lines, ", ")
}
