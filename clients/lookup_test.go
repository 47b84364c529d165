package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

func TestLookup(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		l := NewLookup(db, 10*time.Second)
		c := full()
		create(t, store, c)
		got, catalog, err := l.Client(t.Context(), c.ID)
		if err != nil || !equal(got, known(c)) {
			t.Errorf("Client = %+v, %v; want %+v", got, err, c)
		}
		if scope, err := sections.Grant(catalog, got.Held, "email:read section:nordic", false); err != nil {
			t.Errorf("with its catalog, Grant = %q, %v", scope, err)
		}
		must(t, store.Delete(t.Context(), c.ID, "me", noon))
		if got, _, err := l.Client(t.Context(), c.ID); err != nil || got != Nobody {
			t.Errorf("deleted: Client = %+v, %v; want Nobody", got, err)
		}
	})
}

// Whatever is no client's id is Nobody, whether it could be one or not even is text.
func TestLookupOfNobody(t *testing.T) {
	garbage := []string{
		"", " ", "x", uuid.NewString(), nobodyID, "\x00", strings.Repeat("\x00", 36), strings.Repeat("\xff", 36), strings.Repeat("g", 36),
		strings.Repeat("-", 36), "' OR 1=1 --", strings.Repeat("a", 1<<20), "{" + uuid.NewString() + "}", "urn:uuid:" + uuid.NewString(),
		"$1", "é" + strings.Repeat("0", 34),
	}
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		l := NewLookup(db, 10*time.Second)
		for _, id := range append(garbage, strings.ToUpper(c.ID), c.ID+" ", " "+c.ID, c.ID[:35], strings.ReplaceAll(c.ID, "-", ""), "{"+c.ID[1:35]+"}") {
			if id == c.ID {
				continue // an id without letters
			}
			if got, _, err := l.Client(t.Context(), id); err != nil || got != Nobody {
				t.Errorf("Client(%.50q) = %+v, %v; want Nobody", id, got, err)
			}
		}
	})
	// It costs a read all the same: where nothing can be read, nobody is told that there is no
	// such client.
	db := databasetest.SQLite(t)
	l := NewLookup(db, time.Second)
	_, err := db.Exec(t.Context(), `ALTER TABLE clients RENAME TO elsewhere`)
	must(t, err)
	for _, id := range garbage {
		if got, _, err := l.Client(t.Context(), id); err == nil {
			t.Errorf("without a table, Client(%.50q) = %+v; want an error", id, got)
		}
	}
}

// The catalog is read again when it changed, and only then.
func TestLookupReadsTheCatalogOnceAVersion(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		l, things := NewLookup(db, 10*time.Second), sections.NewStore(db)
		reads := 0
		l.catalog = func(ctx context.Context) (*sections.Catalog, error) {
			reads++
			return things.Catalog(ctx)
		}
		for i, id := range []string{"phone", "crm-id", "fax"} {
			for range 5 {
				_, catalog, err := l.Client(t.Context(), c.ID)
				must(t, err)
				if _, err := sections.Grant(catalog, held("*", "*:read"), id+":read", false); err == nil {
					t.Errorf("%s can be granted before it exists", id)
				}
				_, _, err = l.Client(t.Context(), uuid.NewString())
				must(t, err)
			}
			must(t, things.CreateKeyspace(t.Context(), &sections.Keyspace{ID: id, Name: id, Actions: sections.DefaultActions, CreatedAt: noon}))
			_, catalog, err := l.Client(t.Context(), c.ID)
			must(t, err)
			if _, err := sections.Grant(catalog, held("*", "*:read"), id+":read", false); err != nil {
				t.Errorf("%s cannot be granted although it exists: %v", id, err)
			}
			if reads != i+2 {
				t.Errorf("after %d changes the catalog was read %d times", i+1, reads)
			}
		}
		l.catalog = func(context.Context) (*sections.Catalog, error) { return nil, errors.New("the store is away") }
		must(t, things.DeleteKeyspace(t.Context(), "fax"))
		if got, _, err := l.Client(t.Context(), c.ID); err == nil {
			t.Errorf("without the current catalog, Client = %+v; want an error", got)
		}
	})
}

// Queries of every size find each client, and no other.
func TestLookupSizes(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		var ids []string
		for range 5 {
			c := billing()
			create(t, store, c)
			ids = append(ids, c.ID)
		}
		l := NewLookup(db, 10*time.Second)
		for _, size := range []int{1, 2, 3, 4, 5, 31, 32, 33, 1023, 1024} {
			asked := slices.Clone(ids[:min(size, len(ids))])
			for len(asked) < size {
				asked = append(asked, uuid.NewString())
			}
			found, version, err := l.read(t.Context(), asked)
			must(t, err)
			if len(found) != min(size, len(ids)) || version < 2 {
				t.Errorf("of %d ids %d are found, at version %d", size, len(found), version)
			}
			for id, c := range found {
				if c.ID != id {
					t.Errorf("under the id %s is %s", id, c.ID)
				}
			}
		}
	})
}

// Many at once get each their own, while it is being changed.
func TestLookupAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		var all []*Client
		for i := range 10 {
			c := &Client{Name: fmt.Sprint(i), Held: held("nordic", "email:read")}
			create(t, store, c)
			all = append(all, c)
		}
		l := NewLookup(db, 10*time.Second)
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				for n := range 50 {
					want := all[(i+n)%len(all)]
					if got, _, err := l.Client(t.Context(), want.ID); err != nil || got.ID != want.ID || len(got.Credentials) != 1 {
						t.Errorf("Client(%s) = %+v, %v", want.ID, got, err)
					}
					if got, _, err := l.Client(t.Context(), uuid.NewString()); err != nil || got != Nobody {
						t.Errorf("Client of no id = %+v, %v", got, err)
					}
				}
			})
		}
		things := sections.NewStore(db)
		for i := range 20 {
			must(t, things.CreateSection(t.Context(), &sections.Section{ID: fmt.Sprintf("s%d", i), Name: "x", CreatedAt: noon}))
		}
		wg.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.waiting) != 0 {
			t.Errorf("%d batches are never answered", len(l.waiting))
		}
	})
}
