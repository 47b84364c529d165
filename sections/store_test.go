package sections_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// A kind is one of the three things that the store keeps, seen by what they have in common.
type kind struct {
	name   string
	create func(ctx context.Context, id, name string, at time.Time) error
	update func(ctx context.Context, id, name string) error
	remove func(ctx context.Context, id string) error
	read   func(ctx context.Context, id string) (name string, at time.Time, err error)
	list   func(ctx context.Context, page sections.Page) (ids []string, at []time.Time, err error)
}

func kinds(s *sections.Store) []kind {
	return []kind{{
		name: "Section",
		create: func(ctx context.Context, id, name string, at time.Time) error {
			return s.CreateSection(ctx, &sections.Section{ID: id, Name: name, CreatedAt: at})
		},
		update: func(ctx context.Context, id, name string) error {
			return s.UpdateSection(ctx, &sections.Section{ID: id, Name: name})
		},
		remove: s.DeleteSection,
		read: func(ctx context.Context, id string) (string, time.Time, error) {
			x, err := s.Section(ctx, id)
			if err != nil {
				return "", time.Time{}, err
			}
			return x.Name, x.CreatedAt, nil
		},
		list: func(ctx context.Context, page sections.Page) (ids []string, at []time.Time, err error) {
			list, err := s.Sections(ctx, page)
			for _, x := range list {
				ids, at = append(ids, x.ID), append(at, x.CreatedAt)
			}
			return ids, at, err
		},
	}, {
		name: "keyspace",
		create: func(ctx context.Context, id, name string, at time.Time) error {
			return s.CreateKeyspace(ctx, &sections.Keyspace{ID: id, Name: name, Actions: []string{"write", "read"}, CreatedAt: at})
		},
		update: func(ctx context.Context, id, name string) error {
			return s.UpdateKeyspace(ctx, &sections.Keyspace{ID: id, Name: name, Actions: []string{"read"}})
		},
		remove: s.DeleteKeyspace,
		read: func(ctx context.Context, id string) (string, time.Time, error) {
			k, err := s.Keyspace(ctx, id)
			if err != nil {
				return "", time.Time{}, err
			}
			return k.Name, k.CreatedAt, nil
		},
		list: func(ctx context.Context, page sections.Page) (ids []string, at []time.Time, err error) {
			list, err := s.Keyspaces(ctx, page)
			for _, k := range list {
				ids, at = append(ids, k.ID), append(at, k.CreatedAt)
			}
			return ids, at, err
		},
	}, {
		name: "capability",
		create: func(ctx context.Context, id, name string, at time.Time) error {
			return s.CreateCapability(ctx, &sections.Capability{ID: id, Name: name, Actions: []string{"send"}, Enabled: true, CreatedAt: at})
		},
		update: func(ctx context.Context, id, name string) error {
			return s.UpdateCapability(ctx, &sections.Capability{ID: id, Name: name, Actions: []string{"send"}})
		},
		remove: s.DeleteCapability,
		read: func(ctx context.Context, id string) (string, time.Time, error) {
			c, err := s.Capability(ctx, id)
			if err != nil {
				return "", time.Time{}, err
			}
			return c.Name, c.CreatedAt, nil
		},
		list: func(ctx context.Context, page sections.Page) (ids []string, at []time.Time, err error) {
			list, err := s.Capabilities(ctx, page)
			for _, c := range list {
				ids, at = append(ids, c.ID), append(at, c.CreatedAt)
			}
			return ids, at, err
		},
	}}
}

// eachKind runs test for each kind of thing on each engine.
func eachKind(t *testing.T, test func(t *testing.T, db *database.DB, k kind)) {
	for i := range kinds(nil) {
		t.Run(kinds(nil)[i].name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				test(t, db, kinds(sections.NewStore(db))[i])
			})
		})
	}
}

// version is the number of changes that the catalog has seen.
func version(t *testing.T, db *database.DB) int64 {
	t.Helper()
	c, err := sections.NewStore(db).Catalog(t.Context())
	if err != nil {
		t.Fatalf("Catalog: %v", err)
	}
	return c.Version()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v; want %v", what, got, want)
	}
}

func TestLife(t *testing.T) {
	eachKind(t, func(t *testing.T, db *database.DB, k kind) {
		ctx, before := t.Context(), version(t, db)
		must(t, k.create(ctx, "one", "  One ", noon))
		if name, at, err := k.read(ctx, "one"); err != nil || name != "One" || !at.Equal(noon) {
			t.Errorf("created, it is %q of %s, %v; want One of %s", name, at, err, noon)
		}
		must(t, k.update(ctx, "one", "Uno"))
		if name, at, err := k.read(ctx, "one"); err != nil || name != "Uno" || !at.Equal(noon) {
			t.Errorf("updated, it is %q of %s, %v; want Uno of %s", name, at, err, noon)
		}
		must(t, k.remove(ctx, "one"))
		_, _, err := k.read(ctx, "one")
		wantError(t, "read what is deleted", err, sections.ErrNotFound)
		if got := version(t, db); got != before+3 {
			t.Errorf("the catalog's version grew by %d in three changes", got-before)
		}
		wantError(t, "update what is deleted", k.update(ctx, "one", "Ein"), sections.ErrNotFound)
		wantError(t, "delete what is deleted", k.remove(ctx, "one"), sections.ErrNotFound)
		wantError(t, "use a deleted id again", k.create(ctx, "one", "One", noon), sections.ErrTaken)
		if got := version(t, db); got != before+3 {
			t.Errorf("the catalog's version grew by %d in changes that failed", got-before-3)
		}
	})
}

func TestInvalidIsNotSaved(t *testing.T) {
	eachKind(t, func(t *testing.T, db *database.DB, k kind) {
		before := version(t, db)
		for _, id := range []string{"", "section", "wardkey", "*", "No"} {
			if err := k.create(t.Context(), id, "x", noon); !isInvalid(err) {
				t.Errorf("create %q: %v; want Invalid", id, err)
			}
		}
		must(t, k.create(t.Context(), "one", "One", noon))
		if err := k.update(t.Context(), "one", " "); !isInvalid(err) {
			t.Errorf("update to no name: %v; want Invalid", err)
		}
		ids, _, err := k.list(t.Context(), sections.Page{Limit: 10})
		if err != nil || !slices.Equal(ids, []string{"one"}) || version(t, db) != before+1 {
			t.Errorf("the list is %q, %v, after %d changes; want one of each", ids, err, version(t, db)-before)
		}
	})
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[sections.Invalid](err)
	return ok
}

// Keyspaces and capabilities share one space of ids; Sections have their own.
func TestSpacesOfIDs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		all := kinds(sections.NewStore(db))
		section, keyspace, capability := all[0], all[1], all[2]
		must(t, keyspace.create(t.Context(), "email", "E-mail", noon))
		wantError(t, "a capability with a keyspace's id", capability.create(t.Context(), "email", "x", noon), sections.ErrTaken)
		must(t, section.create(t.Context(), "email", "E-mail", noon))
		must(t, keyspace.remove(t.Context(), "email"))
		wantError(t, "a capability with a deleted keyspace's id", capability.create(t.Context(), "email", "x", noon), sections.ErrTaken)
	})
}

// Pages follow each other without a gap or an overlap, oldest first, also where many things were
// made in one second.
func TestPages(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *database.DB, k kind) {
		ctx := t.Context()
		var want []string
		for second := range 3 {
			for i := range 5 {
				id := fmt.Sprintf("x%d%d", second, i)
				want = append(want, id)
				must(t, k.create(ctx, id, "x", noon.Add(time.Duration(second)*time.Second)))
			}
		}
		for limit := 1; limit <= len(want)+1; limit++ {
			var got []string
			for page := (sections.Page{Limit: limit}); ; {
				ids, at, err := k.list(ctx, page)
				must(t, err)
				if len(ids) == 0 || len(got) > len(want) {
					break
				}
				got = append(got, ids...)
				page.AfterID, page.After = ids[len(ids)-1], at[len(at)-1]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d at a time, the list is %q; want %q", limit, got, want)
			}
		}
	})
}

// Of many servers that take one id at once, one gets it, and the others are told so.
func TestOneTakesTheID(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *database.DB, k kind) {
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = k.create(t.Context(), "one", "One", noon) })
		}
		wg.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else if !errors.Is(err, sections.ErrTaken) {
				t.Errorf("create: %v; want ErrTaken", err)
			}
		}
		if made != 1 {
			t.Errorf("%d of %d made it", made, len(errs))
		}
	})
}

func TestKeyspaceAndCapabilityAreKeptWhole(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store, ctx := sections.NewStore(db), t.Context()
		k := sections.Keyspace{ID: "email", Name: "E-mail", Actions: []string{"write", "lock", "read"}, CreatedAt: noon}
		must(t, store.CreateKeyspace(ctx, &k))
		c := sections.Capability{ID: "mail", Name: "Transactional e-mail", Actions: []string{"send"}, CreatedAt: noon}
		must(t, store.CreateCapability(ctx, &c))
		if got, err := store.Keyspace(ctx, "email"); err != nil || !reflect.DeepEqual(*got, k) || !slices.IsSorted(k.Actions) {
			t.Errorf("Keyspace = %+v, %v; want %+v", got, err, k)
		}
		c.Enabled, c.Actions = true, []string{"send", "preview"}
		must(t, store.UpdateCapability(ctx, &c))
		if got, err := store.Capability(ctx, "mail"); err != nil || !reflect.DeepEqual(*got, c) {
			t.Errorf("Capability = %+v, %v; want %+v", got, err, c)
		}
		catalog, err := store.Catalog(ctx)
		must(t, err)
		held := sections.Held{Permissions: []sections.Permission{{Target: "*", Action: "lock"}, {Target: "mail", Action: "send"}}}
		if got, err := sections.Grant(catalog, held, "email:lock mail:send", false); err != nil || got.String() != "email:lock mail:send" {
			t.Errorf("with the catalog as read, Grant = %q, %v", got, err)
		}
	})
}

// A change is part of the transaction around it: if that fails, the id is not used up either.
func TestChangesAreUndoneTogether(t *testing.T) {
	eachKind(t, func(t *testing.T, db *database.DB, k kind) {
		ctx, before, changedMind := t.Context(), version(t, db), errors.New("changed my mind")
		err := db.Transact(ctx, func(ctx context.Context) error {
			return errors.Join(k.create(ctx, "one", "One", noon), k.update(ctx, "one", "Uno"), changedMind)
		})
		wantError(t, "a transaction that fails", err, changedMind)
		if got := version(t, db); got != before {
			t.Errorf("the catalog's version grew by %d in changes that were undone", got-before)
		}
		must(t, k.create(ctx, "one", "One", noon))
	})
}
