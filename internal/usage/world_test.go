package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// noon is when most tests play.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

var errLost = errors.New("the connection was cut")

// each runs a test on each engine.
func each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	databasetest.Each(t, test)
}

func newCounter(db *database.DB) *Counter { return New(db, slog.New(slog.DiscardHandler)) }

// losing is a counter to which the store's answer is lost whenever lost says so. What it was asked
// to do is done all the same.
func losing(db *database.DB, lost func() bool) *Counter {
	c := newCounter(db)
	c.transact = func(ctx context.Context, fn func(context.Context) error) error {
		err := db.Transact(ctx, fn)
		if err == nil && lost() {
			return errLost
		}
		return err
	}
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// total is how many requests there are of a client, in words: "3 granted, 1 refused".
func total(t *testing.T, c *Counter, clientID string, step Step, by ...Dimension) string {
	t.Helper()
	var granted, refused int64
	for _, r := range read(t, c, clientID, step, by...) {
		granted += r.Granted
		refused += r.Refused
	}
	return fmt.Sprintf("%d granted, %d refused", granted, refused)
}

// read is all that the store has of a client.
func read(t *testing.T, c *Counter, clientID string, step Step, by ...Dimension) []Row {
	t.Helper()
	rows, err := c.Read(t.Context(), Query{ClientID: clientID, Step: step, Until: 1 << 40, By: by, Limit: 1 << 30})
	must(t, err)
	return rows
}

// lines are rows in words, for a comparison that can be read.
func lines(rows []Row) string {
	var text strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&text, "%s|%s|%s|%s|%d|%d\n", r.At.Format("2006-01-02 15:04"), r.Outcome, r.Audience, r.Block, r.Granted, r.Refused)
	}
	return text.String()
}
