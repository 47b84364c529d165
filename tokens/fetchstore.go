package tokens

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Fetches of the JWKS in the store: one row for each party.

// write writes what parties had. What another server has written of a later time stays. The rows
// are in order, so that two servers do not wait for each other in a circle.
func (f *Fetches) write(ctx context.Context, taken map[party]had) error {
	parties := slices.SortedFunc(maps.Keys(taken), func(a, b party) int {
		return cmp.Or(strings.Compare(a.address, b.address), strings.Compare(a.userAgent, b.userAgent))
	})
	var args []any
	for _, p := range parties {
		args = append(args, p.address, p.userAgent, networkOf(p.address), taken[p].at, database.List(taken[p].kids))
	}
	_, err := f.db.Exec(ctx, `INSERT INTO jwks_fetches (address, user_agent, network, last_fetched_at, kids) VALUES `+database.Rows(len(parties), 5)+`
		ON CONFLICT (address, user_agent) DO UPDATE SET last_fetched_at = excluded.last_fetched_at, kids = excluded.kids
		WHERE jwks_fetches.last_fetched_at <= excluded.last_fetched_at`, args...)
	return err
}

// trim takes away the oldest of too many rows.
func (f *Fetches) trim(ctx context.Context) error {
	_, err := f.db.Exec(ctx, `DELETE FROM jwks_fetches WHERE (address, user_agent) IN (
		SELECT address, user_agent FROM (SELECT address, user_agent,
			row_number() OVER (ORDER BY last_fetched_at DESC, address, user_agent) AS place,
			row_number() OVER (PARTITION BY network ORDER BY last_fetched_at DESC, address, user_agent) AS place_in_network
			FROM jwks_fetches) AS ranked
		WHERE place > $1 OR place_in_network > $2)`, maxFetches, maxOfNetwork)
	if err != nil {
		return fmt.Errorf("take away the oldest fetches of the JWKS: %w", err)
	}
	return nil
}

// Purge forgets the parties that had not fetched for 30 days by now.
func (f *Fetches) Purge(ctx context.Context, now time.Time) error {
	if _, err := f.db.Exec(ctx, `DELETE FROM jwks_fetches WHERE last_fetched_at < $1`, database.At(now.Add(-fetchesKept))); err != nil {
		return fmt.Errorf("forget old fetches of the JWKS: %w", err)
	}
	return nil
}

// A FetchPosition is where a page of fetches ended.
type FetchPosition struct {
	At                 time.Time
	Address, UserAgent string
}

// Position is where a page ends of which the fetch is the last.
func (f Fetch) Position() FetchPosition { return FetchPosition{f.At, f.Address, f.UserAgent} }

// List returns at most limit fetches, newest first, behind a position; the zero one begins with the
// newest. It writes first what is not yet in the store, so it is not for a transaction that may run
// more than once.
func (f *Fetches) List(ctx context.Context, after FetchPosition, limit int) ([]Fetch, error) {
	if err := f.flushInTime(ctx); err != nil {
		return nil, err
	}
	where, args := `TRUE`, []any{limit}
	if after != (FetchPosition{}) {
		where = `(last_fetched_at, address, user_agent) < ($2, $3, $4)`
		args = append(args, database.At(after.At), after.Address, after.UserAgent)
	}
	rows, err := f.db.Query(ctx, `SELECT address, user_agent, last_fetched_at, kids FROM jwks_fetches WHERE `+where+`
		ORDER BY last_fetched_at DESC, address DESC, user_agent DESC LIMIT $1`, args...)
	if err != nil {
		return nil, fmt.Errorf("read who fetched the JWKS: %w", err)
	}
	defer rows.Close()
	found := []Fetch{}
	for rows.Next() {
		var fetch Fetch
		var at database.Time
		if err := rows.Scan(&fetch.Address, &fetch.UserAgent, &at, (*database.List)(&fetch.KIDs)); err != nil {
			return nil, fmt.Errorf("read who fetched the JWKS: %w", err)
		}
		fetch.At = at.Time
		found = append(found, fetch)
	}
	return found, rows.Err()
}

// A Reach is who fetched the JWKS within the last day, and which keys they have.
type Reach struct {
	Parties int
	have    map[string]int
}

// Have says how many of the parties have a key.
func (r Reach) Have(kid string) int { return r.have[kid] }

// reachSpan is how long a party is expected to come again.
const reachSpan = 24 * time.Hour

// Reach returns who fetched the JWKS within the day before now. Like List it writes first.
func (f *Fetches) Reach(ctx context.Context, now time.Time) (Reach, error) {
	reach := Reach{have: map[string]int{}}
	if err := f.flushInTime(ctx); err != nil {
		return reach, err
	}
	rows, err := f.db.Query(ctx, `SELECT kids, count(*) FROM jwks_fetches WHERE last_fetched_at > $1 GROUP BY kids`, database.At(now.Add(-reachSpan)))
	if err != nil {
		return reach, fmt.Errorf("count who fetched the JWKS: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var kids database.List
		var parties int
		if err := rows.Scan(&kids, &parties); err != nil {
			return reach, fmt.Errorf("count who fetched the JWKS: %w", err)
		}
		reach.Parties += parties
		for _, kid := range kids {
			reach.have[kid] += parties
		}
	}
	return reach, rows.Err()
}
