package clients

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// A find is how a request finds its client.
type find func(ctx context.Context, id string) (*Client, error)

// The stages of a client's life in the race.
const (
	whole    = iota // holds baltic and nordic
	narrowed        // holds baltic
	deleted
)

// A round is the life of one client, with all requesters after it.
type round struct {
	id    string
	stage atomic.Int64    // what the store has acknowledged
	asked [3]atomic.Int64 // requests that began in each stage and were answered
}

// race has 32 requesters look up clients that are narrowed and deleted under their hands, and
// returns how many of them were shown what had been taken away before they asked. It ends early
// when enough is known.
func race(t *testing.T, store *Store, look find, rounds, enough int) (violations int64) {
	const requesters = 32
	var current atomic.Pointer[round]
	var wrong atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	begin := func() *round {
		c := &Client{Name: "CRM", Held: held("baltic nordic", "email:read")}
		create(t, store, c)
		r := &round{id: c.ID}
		current.Store(r)
		return r
	}
	r := begin()
	for range requesters {
		wg.Go(func() {
			for ctx.Err() == nil {
				r := current.Load()
				stage := r.stage.Load() // before the request begins
				c, err := look(ctx, r.id)
				if err != nil && ctx.Err() == nil {
					t.Errorf("look up: %v", err)
				}
				if err == nil && (stage == deleted && c != Nobody || stage == narrowed && slices.Contains(c.Held.Sections, "nordic")) {
					wrong.Add(1)
				}
				r.asked[stage].Add(1)
				time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))) // else all ask at the same moments
			}
		})
	}
	for range rounds {
		settle(t, r, requesters)
		c := read(t, store, r.id)
		c.Held = held("baltic", "email:read")
		must(t, store.Update(t.Context(), c))
		r.stage.Store(narrowed)
		settle(t, r, requesters)
		must(t, store.Delete(t.Context(), r.id, "race", noon))
		r.stage.Store(deleted)
		settle(t, r, requesters)
		if wrong.Load() >= int64(enough) {
			break
		}
		r = begin()
	}
	return wrong.Load()
}

// settle waits until so many requests were answered that began in the stage that r is in.
func settle(t *testing.T, r *round, requests int64) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for r.asked[r.stage.Load()].Load() < requests {
		if time.Now().After(deadline) {
			t.Fatal("the requests are not answered")
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// slowQueries returns a lookup whose queries take a millisecond more after they have read: time
// enough for a change to be acknowledged while its old state is on the way to whoever waits.
func slowQueries(db *database.DB) *Lookup {
	l := NewLookup(db, 10*time.Second)
	l.catalog = func(context.Context) (*sections.Catalog, error) {
		time.Sleep(time.Millisecond)
		return sections.NewCatalog(nil, nil, nil), nil // never current, so that each query comes here
	}
	return l
}

const forEver = 1 << 30

// No request that begins after a change was acknowledged sees what was before it.
func TestRace(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		l := slowQueries(db)
		look := func(ctx context.Context, id string) (*Client, error) {
			c, _, err := l.Client(ctx, id)
			return c, err
		}
		if got := race(t, store, look, 40, forEver); got != 0 {
			t.Errorf("%d requests saw what had been taken away before they began", got)
		}
	})
}

// The same race sees what is wrong with a lookup that joins a query under way, as singleflight
// does: without this test the one above would prove nothing.
func TestRaceSeesJoiningInFlight(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		l := slowQueries(db)
		var flights singleflight.Group
		look := func(_ context.Context, id string) (*Client, error) {
			c, err, _ := flights.Do(id, func() (any, error) {
				c, _, err := l.Client(t.Context(), id)
				return c, err
			})
			if err != nil {
				return nil, err
			}
			return c.(*Client), nil
		}
		if got := race(t, store, look, 500, 1); got == 0 {
			t.Error("no request was shown what had been taken away: this race sees nothing")
		}
	})
}
