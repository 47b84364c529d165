package clients

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// What is left of a deleted client is found by its id, its name, and in the list, newest first.
func TestDeleted(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, store *Store) {
		var want []Tombstone
		for i := range 9 {
			c := billing()
			c.Name = fmt.Sprintf("%s %d", []string{"CRM", "Åre shop", "100%"}[i%3], i)
			create(t, store, c)
			must(t, store.Delete(t.Context(), c.ID, "me", at(i/4)))
			want = append(want, Tombstone{c.ID, c.Name, at(i / 4), "me"})
		}
		slices.SortFunc(want, func(a, b Tombstone) int { return -cmpTime(a.DeletedAt, b.DeletedAt, a.ID, b.ID) })
		if got, err := store.Deleted(t.Context(), want[3].ID); err != nil || got != want[3] {
			t.Errorf("Deleted = %+v, %v; want %+v", got, err, want[3])
		}
		if _, err := store.Deleted(t.Context(), uuid.NewString()); !errors.Is(err, ErrNotFound) {
			t.Errorf("Deleted of no client = %v; want ErrNotFound", err)
		}
		for limit := 1; limit <= 10; limit++ {
			var got []Tombstone
			for page := (sections.Page{Limit: limit}); ; {
				list, err := store.DeletedClients(t.Context(), page, "")
				must(t, err)
				if len(list) == 0 || len(got) > len(want) {
					break
				}
				got = append(got, list...)
				page.After, page.AfterID = list[len(list)-1].DeletedAt, list[len(list)-1].ID
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d at a time the list is %+v; want %+v", limit, got, want)
			}
		}
		for text, n := range map[string]int{"crm": 3, "åRE": 3, "0%": 3, "_": 0, "shop 4": 1, want[0].ID[9:]: 1, "\x00": 0} {
			if got, err := store.DeletedClients(t.Context(), sections.Page{Limit: 10}, text); err != nil || len(got) != n {
				t.Errorf("DeletedClients(%q) = %d, %v; want %d", text, len(got), err, n)
			}
		}
	})
}

// Many are deleted as each by itself would be, and whoever is not there is passed over.
func TestDeleteAll(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		stays := full()
		create(t, store, stays)
		ids := []string{uuid.NewString()}
		for range 2*chunk + 3 {
			c := billing()
			create(t, store, c)
			ids = append(ids, c.ID, c.ID)
		}
		gone, err := store.DeleteAll(t.Context(), ids, "me", noon.Add(time.Hour))
		must(t, err)
		if len(gone) != 2*chunk+3 {
			t.Errorf("%d are deleted; want %d", len(gone), 2*chunk+3)
		}
		for _, g := range gone {
			if want := (Tombstone{g.ID, "Billing", noon.Add(time.Hour), "me"}); g != want || !slices.Contains(ids, g.ID) {
				t.Fatalf("deleted %+v; want %+v", g, want)
			}
		}
		for table, want := range map[string]int{
			"clients": 1, "client_search": 1, "client_uses": 1, "client_sections": 2, "client_permissions": 4, "client_secrets": 1,
			"deleted_clients": 2*chunk + 3,
		} {
			if n := count(t, db, `SELECT count(*) FROM `+table); n != want {
				t.Errorf("%s has %d rows; want %d", table, n, want)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM status_entries WHERE revoked_at = 0`); n != 1 {
			t.Errorf("%d status entries are not revoked; want 1", n)
		}
		if gone, err := store.DeleteAll(t.Context(), nil, "me", noon); err != nil || len(gone) != 0 {
			t.Errorf("DeleteAll of nothing = %+v, %v", gone, err)
		}
	})
}
