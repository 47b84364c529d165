package clients

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// crowd makes clients that hold different things, and returns them by name.
func crowd(t *testing.T, store *Store) map[string]*Client {
	t.Helper()
	all := map[string]*Client{}
	for name, h := range map[string]sections.Held{
		"nordic":  held("nordic", "email:read", "email:write"),
		"baltic":  held("baltic", "email:read"),
		"both":    held("baltic nordic", "email:write", "mail:send"),
		"every":   held("*", "*:read", "*:write"),
		"sender":  held("", "mail:send"),
		"sender2": held("nordic", "mail:send"),
	} {
		all[name] = &Client{Name: name, Held: h}
		create(t, store, all[name])
	}
	return all
}

// names sorts the names of the clients with the given ids.
func names(all map[string]*Client, ids []string) string {
	var list []string
	for _, c := range all {
		if slices.Contains(ids, c.ID) {
			list = append(list, c.Name)
		}
	}
	if len(list) != len(ids) {
		list = append(list, "and strangers or some twice")
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// A Section that is taken is gone from every client; those that are left with none are deleted
// with all that this means, and those that hold every Section go on.
func TestTakeSection(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		all := crowd(t, store)
		later := noon.Add(time.Hour)
		narrowed, deleted, err := store.TakeSection(t.Context(), "nordic", "me", later)
		must(t, err)
		if got := names(all, narrowed.IDs()); got != "both" {
			t.Errorf("narrowed: %s; want both", got)
		}
		if got := names(all, deleted.IDs()); got != "nordic sender2" {
			t.Errorf("deleted: %s; want nordic sender2", got)
		}
		for name, want := range map[string]string{"baltic": "baltic", "both": "baltic", "every": "*", "sender": ""} {
			if got := strings.Join(read(t, store, all[name].ID).Held.Sections, " "); got != want {
				t.Errorf("%s holds %q; want %q", name, got, want)
			}
		}
		for _, id := range deleted.IDs() {
			if n := count(t, db, `SELECT count(*) FROM deleted_clients d JOIN status_entries s ON s.client_id = d.id
				WHERE d.id = $1 AND d.deleted_by = 'me' AND d.deleted_at = $2 AND s.revoked_at = $2`, id, later.Unix()); n != 1 {
				t.Errorf("client %s is deleted without a trace or a status bit", id)
			}
		}
		must(t, sections.NewStore(db).DeleteSection(t.Context(), "nordic")) // nobody refers to it

		narrowed, deleted, err = store.TakeSection(t.Context(), "nordic", "me", later)
		if err != nil || len(narrowed)+len(deleted) > 0 {
			t.Errorf("TakeSection again = %+v, %+v, %v", narrowed, deleted, err)
		}
	})
}

func TestTakePermissions(t *testing.T) {
	for _, tt := range []struct {
		target, keep, narrowed string
		left                   map[string]string
	}{
		{"email", "", "baltic both nordic", map[string]string{"nordic": "", "both": "mail:send", "every": "*:read *:write"}},
		{"email", "read", "both nordic", map[string]string{"nordic": "email:read", "baltic": "email:read", "both": "mail:send"}},
		{"email", "read write", "", map[string]string{"nordic": "email:read email:write"}},
		{"mail", "", "both sender sender2", map[string]string{"sender": "", "both": "email:write"}},
		{"phone", "", "", nil},
	} {
		t.Run(tt.target+" but "+tt.keep, func(t *testing.T) {
			each(t, func(t *testing.T, _ *database.DB, store *Store) {
				all := crowd(t, store)
				ids, err := store.TakePermissions(t.Context(), tt.target, strings.Fields(tt.keep))
				must(t, err)
				if got := names(all, ids.IDs()); got != tt.narrowed {
					t.Errorf("narrowed: %q; want %q", got, tt.narrowed)
				}
				for name, want := range tt.left {
					var left []string
					for _, p := range read(t, store, all[name].ID).Held.Permissions {
						left = append(left, p.String())
					}
					if got := strings.Join(left, " "); got != want {
						t.Errorf("%s holds %q; want %q", name, got, want)
					}
				}
			})
		})
	}
}

// What is taken is part of the transaction around it.
func TestTakeIsUndone(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		all, changedMind := crowd(t, store), errors.New("changed my mind")
		err := db.Transact(t.Context(), func(ctx context.Context) error {
			_, _, err := store.TakeSection(ctx, "nordic", "me", noon)
			must(t, err)
			_, err = store.TakePermissions(ctx, "email", nil)
			must(t, err)
			return changedMind
		})
		if !errors.Is(err, changedMind) {
			t.Errorf("Transact = %v", err)
		}
		for _, c := range all {
			if got := read(t, store, c.ID); !equal(got, c) {
				t.Errorf("client %+v is now %+v", c, got)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM deleted_clients`); n != 0 {
			t.Errorf("%d clients are told to be deleted", n)
		}
	})
}
