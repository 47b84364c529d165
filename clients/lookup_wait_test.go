package clients

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

// A slowLookup is a lookup whose batches, once they have read, wait until the test lets them
// answer. Its catalogs never are current, so that each batch asks for one, and is seen here.
type slowLookup struct {
	*Lookup
	asked chan struct{} // a batch has read its clients
	goOn  chan error    // and may answer now, with this error
}

func newSlowLookup(db *database.DB) slowLookup {
	l := slowLookup{NewLookup(db, 30*time.Second), make(chan struct{}), make(chan error)}
	l.catalog = func(ctx context.Context) (*sections.Catalog, error) {
		select {
		case l.asked <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case err := <-l.goOn:
			return sections.NewCatalog(nil, nil, nil), err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l
}

// began waits until a batch has read its clients.
func (l slowLookup) began(t *testing.T) {
	t.Helper()
	select {
	case <-l.asked:
	case <-time.After(time.Minute):
		t.Fatal("no query began")
	}
}

// An answer is what a request got.
type answer struct {
	client *Client
	err    error
}

// ask looks up a client in a goroutine of its own.
func ask(ctx context.Context, l *Lookup, id string) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		c, _, err := l.Client(ctx, id)
		got <- answer{c, err}
	}()
	return got
}

func (a answer) holds() string {
	if a.err != nil {
		return a.err.Error()
	}
	return strings.Join(a.client.Held.Sections, " ")
}

// Requests that wait at the same time share one query, and none joins a query under way.
func TestLookupShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		store := furnish(t, db)
		var ids []string
		for range 20 {
			c := billing()
			create(t, store, c)
			ids = append(ids, c.ID)
		}
		l := newSlowLookup(db)
		first := ask(t.Context(), l.Lookup, ids[0])
		l.began(t)
		var waiting []<-chan answer
		for i := range 200 {
			waiting = append(waiting, ask(t.Context(), l.Lookup, ids[i%len(ids)]))
		}
		synctest.Wait()
		for i, got := range append(waiting, first) {
			if len(got) > 0 {
				t.Errorf("request %d is answered before a query is", i)
			}
		}
		l.goOn <- nil
		<-first
		l.began(t) // one query for all the others
		l.goOn <- nil
		for i, got := range waiting {
			if got := <-got; got.err != nil || got.client.ID != ids[i%len(ids)] {
				t.Errorf("request %d for %s is answered %+v, %v", i, ids[i%len(ids)], got.client, got.err)
			}
		}
		synctest.Wait()
		select {
		case <-l.asked:
			t.Error("there is a third query")
		default:
		}
	})
}

// While a query is slow, a second one runs beside it, and no third.
func TestLookupSendsASecondQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		store := furnish(t, db)
		c := billing()
		create(t, store, c)
		l := newSlowLookup(db)
		var answers []<-chan answer
		wave := func() int { // asks, and says how many queries that starts
			answers = append(answers, ask(t.Context(), l.Lookup, c.ID))
			synctest.Wait()
			select {
			case <-l.asked:
				return 1
			default:
				return 0
			}
		}
		for i, want := range []int{1, 0, 1, 0, 0} { // one is slow from the third wave on
			if got := wave(); got != want {
				t.Errorf("request %d starts %d queries; want %d", i, got, want)
			}
			time.Sleep(slow/2 + time.Millisecond)
		}
		for range 3 { // the two, and one for those that waited
			l.goOn <- nil
			synctest.Wait()
			select {
			case <-l.asked:
			default:
			}
		}
		for i, got := range answers {
			if got := <-got; got.holds() != "nordic" {
				t.Errorf("request %d is answered %q", i, got.holds())
			}
		}
	})
}

// A request that comes while a query runs gets another query, and so sees what was committed
// before it came; the one before it may be answered with what was there when it came.
func TestLookupNeverJoinsAQueryUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		store := furnish(t, db)
		c := &Client{Name: "CRM", Held: held("baltic nordic", "email:read")}
		create(t, store, c)
		l := newSlowLookup(db)
		early := ask(t.Context(), l.Lookup, c.ID)
		l.began(t)
		c.Held = held("baltic", "email:read")
		must(t, store.Update(t.Context(), c))
		late := ask(t.Context(), l.Lookup, c.ID)
		synctest.Wait() // until it waits for a query
		l.goOn <- nil
		if got := (<-early).holds(); got != "baltic nordic" {
			t.Errorf("who came before the change holds %q", got)
		}
		l.began(t)
		must(t, store.Delete(t.Context(), c.ID, "me", noon))
		last := ask(t.Context(), l.Lookup, c.ID)
		synctest.Wait()
		l.goOn <- nil
		if got := (<-late).holds(); got != "baltic" {
			t.Errorf("who came after the change holds %q", got)
		}
		if got := <-last; got.client != Nobody {
			t.Errorf("who came after the end is %+v, %v", got.client, got.err)
		}
	})
}

// hang takes every connection that reads, so that queries wait until release is called.
func hang(t *testing.T, db *database.DB) (release func()) {
	t.Helper()
	var taken []*sql.Rows
	free := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		return db.Ping(ctx) == nil
	}
	for free() {
		rows, err := db.Query(t.Context(), `SELECT 1`)
		must(t, err)
		taken = append(taken, rows)
	}
	return func() {
		for _, rows := range taken {
			must(t, rows.Close())
		}
	}
}

// When the database hangs, every request ends after the time limit, however many wait before it,
// and hears that the store did not answer, never that there is no such client.
func TestLookupTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		store := furnish(t, db)
		c := billing()
		create(t, store, c)
		l := NewLookup(db, time.Second)
		release := hang(t, db)
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			for i := range 3 * maxBatch {
				wg.Go(func() {
					began, id := time.Now(), c.ID
					if i > 0 {
						id = uuid.NewString()
					}
					if got, _, err := l.Client(t.Context(), id); !errors.Is(err, context.DeadlineExceeded) || got != nil {
						t.Errorf("Client = %v, %v; want context.DeadlineExceeded", got, err)
					}
					if took := time.Since(began); took > time.Second {
						t.Errorf("a request waited %s", took)
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
		}
		wg.Wait()
		if took := time.Since(start); took > 1300*time.Millisecond {
			t.Errorf("all took %s", took)
		}
		release()
		if got, _, err := l.Client(t.Context(), c.ID); err != nil || got.ID != c.ID {
			t.Errorf("once the database is back, Client = %v, %v", got, err)
		}
	})
}

// A request that leaves does not take others with it.
func TestLookupWithoutTheCaller(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		l := newSlowLookup(db)
		ctx, cancel := context.WithCancel(t.Context())
		leaves, stays := ask(ctx, l.Lookup, c.ID), ask(t.Context(), l.Lookup, c.ID)
		l.began(t)
		cancel()
		if got := <-leaves; !errors.Is(got.err, context.Canceled) {
			t.Errorf("who left got %+v, %v", got.client, got.err)
		}
		for {
			select {
			case l.goOn <- nil:
			case <-l.asked: // who stayed was in the next batch
			case got := <-stays:
				if got.holds() != "nordic" {
					t.Errorf("who stayed got %q", got.holds())
				}
				return
			}
		}
	})
}
