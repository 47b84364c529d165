package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

// furnish fills an empty database with the things that rules names, and returns its clients.
func furnish(t *testing.T, db *database.DB) *Store {
	t.Helper()
	things := sections.NewStore(db)
	for _, id := range []string{"baltic", "nordic"} {
		must(t, things.CreateSection(t.Context(), &sections.Section{ID: id, Name: id, CreatedAt: noon}))
	}
	must(t, things.CreateKeyspace(t.Context(), &sections.Keyspace{ID: "email", Name: "E-mail", Actions: sections.DefaultActions, CreatedAt: noon}))
	must(t, things.CreateCapability(t.Context(), &sections.Capability{ID: "mail", Name: "Mail", Actions: []string{"send"}, Enabled: true, CreatedAt: noon}))
	return NewStore(db)
}

// each runs test on each engine, in a furnished database.
func each(t *testing.T, test func(t *testing.T, db *database.DB, store *Store)) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(t, db, furnish(t, db)) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create saves c and returns its secret.
func create(t *testing.T, store *Store, c *Client) string {
	t.Helper()
	secret, err := store.Create(t.Context(), c, noon)
	must(t, err)
	return secret.Reveal()
}

func read(t *testing.T, store *Store, id string) *Client {
	t.Helper()
	c, err := store.Client(t.Context(), id)
	must(t, err)
	return c
}

func count(t *testing.T, db *database.DB, query string, args ...any) (n int) {
	t.Helper()
	must(t, db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// full is a client with every member set.
func full() *Client {
	return &Client{
		Name: "CRM – 北", Description: "Two\nlines, a comma, and ' quotes \"", Held: held("baltic nordic", "*:read", "email:write", "mail:send", "wardkey:introspect"),
		Audiences: []string{"https://api.example.com", "https://crm.example.com"}, TokenLifetime: 90 * time.Second, SigningAlg: "EdDSA",
		Disabled: true, ExpiresAt: noon.Add(24 * time.Hour), CreatedBy: "admin@example.com",
	}
}

// A client comes back as it was saved, and so does what was changed of it.
func TestCreateAndUpdate(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		for name, c := range map[string]*Client{"least": billing(), "full": full(), "every Section": {Name: "All", Held: held("*", "*:read")}, "no Section": {Name: "Mail", Held: held("", "mail:send")}} {
			secret, err := store.Create(t.Context(), c, noon.In(time.FixedZone("CET", 3600)).Add(123456789))
			must(t, err)
			got := read(t, store, c.ID)
			if !equal(got, c) {
				t.Errorf("%s: Client = %+v; want %+v", name, got, c)
			}
			if verdict, id := got.Authenticate(secret.Reveal(), noon); verdict != Authenticated && verdict != IsDisabled || id != c.Credentials[0].ID {
				t.Errorf("%s: Authenticate = %q, %q", name, verdict, id)
			}
			for change, other := range map[string]*Client{"to least": billing(), "to full": full()} {
				other.ID, other.StatusIndex, other.CreatedAt, other.CreatedBy = c.ID, c.StatusIndex, c.CreatedAt, c.CreatedBy
				other.Credentials = c.Credentials
				must(t, store.Update(t.Context(), other))
				if got := read(t, store, c.ID); !equal(got, other) {
					t.Errorf("%s, changed %s: Client = %+v; want %+v", name, change, got, other)
				}
			}
		}
	})
}

// equal compares clients, with nothing and an empty list the same.
func equal(a, b *Client) bool {
	x, y := *a, *b
	for _, c := range []*Client{&x, &y} {
		c.Audiences = append([]string{}, c.Audiences...)
		c.Held.Sections = append([]string{}, c.Held.Sections...)
		c.Held.Permissions = append([]sections.Permission{}, c.Held.Permissions...)
	}
	return reflect.DeepEqual(x, y)
}

func TestUnknownClient(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		ghost := billing()
		ghost.ID = nobodyID
		_, err := store.Client(t.Context(), ghost.ID)
		_, _, addErr := store.AddSecret(t.Context(), ghost.ID, time.Time{}, nil, noon)
		for call, err := range map[string]error{
			"Client": err, "AddSecret": addErr, "Update": store.Update(t.Context(), ghost), "Delete": store.Delete(t.Context(), ghost.ID, "me", noon),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of an unknown client = %v; want ErrNotFound", call, err)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM deleted_clients`) + count(t, db, `SELECT count(*) FROM client_sections`); n != 0 {
			t.Errorf("an unknown client left %d rows", n)
		}
	})
}

// Of a deleted client nothing is left but who deleted it, and its bit in the status lists.
func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		gone, stays := full(), full()
		create(t, store, gone)
		create(t, store, stays)
		_, _, err := store.AddSecret(t.Context(), gone.ID, time.Time{}, nil, noon)
		must(t, err)
		later := noon.Add(time.Hour)
		must(t, store.Delete(t.Context(), gone.ID, "admin@example.com", later))

		if _, err := store.Client(t.Context(), gone.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("Client = %v; want ErrNotFound", err)
		}
		if err := store.Delete(t.Context(), gone.ID, "me", later); !errors.Is(err, ErrNotFound) {
			t.Errorf("Delete again = %v; want ErrNotFound", err)
		}
		for _, table := range []string{"client_sections", "client_permissions", "client_secrets"} {
			if n := count(t, db, `SELECT count(*) FROM `+table+` WHERE client_id = $1`, gone.ID); n != 0 {
				t.Errorf("%s has %d rows of it", table, n)
			}
			if n := count(t, db, `SELECT count(*) FROM `+table+` WHERE client_id = $1`, stays.ID); n == 0 {
				t.Errorf("%s lost the rows of another client", table)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM deleted_clients WHERE id = $1 AND name = $2 AND deleted_by = 'admin@example.com' AND deleted_at = $3`,
			gone.ID, gone.Name, later.Unix()); n != 1 {
			t.Errorf("it is told of in %d rows; want 1", n)
		}
		for c, revoked := range map[*Client]int64{gone: later.Unix(), stays: 0} {
			var client string
			var at int64
			must(t, db.QueryRow(t.Context(), `SELECT client_id, revoked_at FROM status_entries WHERE position = $1`, c.StatusIndex).Scan(&client, &at))
			if client != c.ID || at != revoked {
				t.Errorf("its status entry is of %s, revoked at %d; want %s, %d", client, at, c.ID, revoked)
			}
		}
	})
}

// A client is saved whole or not at all.
func TestNoHalfClient(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		before := billing()
		create(t, store, before)
		bad := billing()
		bad.Held = held("baltic atlantis", "email:read")
		if _, err := store.Create(t.Context(), bad, noon); !database.IsForeignKey(err) {
			t.Errorf("Create with a Section that is not there = %v; want a foreign key's error", err)
		}
		bad.ID = before.ID
		if err := store.Update(t.Context(), bad); !database.IsForeignKey(err) {
			t.Errorf("Update with a Section that is not there = %v; want a foreign key's error", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := store.Create(gone, billing(), noon); !errors.Is(err, context.Canceled) {
			t.Errorf("Create for a caller who left = %v", err)
		}
		for table, want := range map[string]int{"clients": 1, "client_sections": 1, "client_permissions": 1, "client_secrets": 1, "status_entries": 1} {
			if n := count(t, db, `SELECT count(*) FROM `+table); n != want {
				t.Errorf("%s has %d rows; want %d", table, n, want)
			}
		}
		if got := read(t, store, before.ID); !equal(got, before) {
			t.Errorf("the client is now %+v; want %+v", got, before)
		}
		if err := sections.NewStore(db).DeleteSection(t.Context(), "nordic"); !database.IsForeignKey(err) {
			t.Errorf("DeleteSection of one that a client holds = %v; want a foreign key's error", err)
		}
	})
}

// On a full disk a client is not half made, those that are there can be read, and once there is
// room all is well.
func TestFullDisk(t *testing.T) {
	db := databasetest.SQLite(t)
	store := furnish(t, db)
	pragma := func(pages int) {
		_, err := db.Exec(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
		must(t, err)
	}
	pragma(1)
	made := 0
	for ; ; made++ {
		c := full()
		c.Description = strings.Repeat("x", 1000)
		_, err := store.Create(t.Context(), c, noon)
		if database.IsFull(err) {
			break
		}
		must(t, err)
	}
	for _, table := range []string{"clients", "client_secrets", "status_entries"} {
		if n := count(t, db, `SELECT count(*) FROM `+table); n != made {
			t.Errorf("%s has %d rows; want %d", table, n, made)
		}
	}
	pragma(1 << 20)
	create(t, store, full())
}

// The places in the status lists are each one client's, and do not tell how many there are.
func TestStatusPlaces(t *testing.T) {
	db := databasetest.SQLite(t)
	store := furnish(t, db)
	seen := map[int64]bool{}
	low := 0
	for range 80 {
		c := billing()
		create(t, store, c)
		if seen[c.StatusIndex] || c.StatusIndex < 0 || c.StatusIndex >= firstPlaces {
			t.Fatalf("the place %d is given twice, or is none", c.StatusIndex)
		}
		seen[c.StatusIndex] = true
		if c.StatusIndex < firstPlaces/2 {
			low++
		}
	}
	if low < 10 || low > 70 {
		t.Errorf("%d of 80 places are in the lower half", low)
	}
	_, err := db.Exec(t.Context(), `INSERT INTO status_entries (position, client_id)
		WITH RECURSIVE places (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM places WHERE n + 1 < 131072)
		SELECT n, 'x' FROM places WHERE true ON CONFLICT DO NOTHING`)
	must(t, err)
	c := billing()
	create(t, store, c)
	if c.StatusIndex < firstPlaces {
		t.Errorf("with the first list full, the place is %d", c.StatusIndex)
	}
}

// The store holds no secret: not in its rows, nor anywhere in its files.
func TestStoreHoldsNoSecret(t *testing.T) {
	url := databasetest.SQLiteURL(t)
	db, err := database.Open(url)
	must(t, err)
	must(t, db.Migrate(t.Context()))
	store := furnish(t, db)
	c := billing()
	secrets := []string{create(t, store, c)}
	_, second, err := store.AddSecret(t.Context(), c.ID, time.Time{}, nil, noon)
	must(t, err)
	secrets = append(secrets, second.Reveal())
	look := func(when string) {
		files, err := filepath.Glob(strings.TrimPrefix(url, "sqlite:") + "*")
		must(t, err)
		found := false
		for _, name := range files {
			text, err := os.ReadFile(name)
			must(t, err)
			found = found || strings.Contains(string(text), c.ID)
			for _, secret := range secrets {
				if strings.Contains(string(text), secret[4:24]) {
					t.Errorf("%s, %s holds a secret", when, filepath.Base(name))
				}
			}
		}
		if !found {
			t.Errorf("%s, %q do not hold the client: is this the database?", when, files)
		}
	}
	look("open")
	must(t, db.Close())
	look("closed")
}
