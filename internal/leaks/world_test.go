package leaks

import (
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

// A world is a store with one client that has two live secrets.
type world struct {
	*Reports
	t             *testing.T
	client        *clients.Client
	first, second string
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(t, newWorld(t, db)) })
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, Reports: &Reports{DB: db, Clients: clients.NewStore(db), Audit: audit.NewLog(db, []byte("key"))}}
	w.client, w.first = w.create("CRM")
	_, second, err := w.Clients.AddSecret(t.Context(), w.client.ID, time.Time{}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.second = second.Reveal()
	return w
}

// create makes a client and returns it with its secret.
func (w *world) create(name string) (*clients.Client, string) {
	w.t.Helper()
	c := &clients.Client{Name: name, Held: sections.Held{Permissions: []sections.Permission{{Target: sections.Wardkey, Action: "read"}}}}
	secret, err := w.Clients.Create(w.t.Context(), c, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return c, secret.Reveal()
}

// opens says whether a secret opens its client.
func (w *world) opens(secret string) bool {
	w.t.Helper()
	c, err := w.Clients.Client(w.t.Context(), w.client.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	verdict, _ := c.Authenticate(secret, time.Now())
	return verdict == clients.Authenticated
}

func (w *world) count(query string) (n int) {
	w.t.Helper()
	if err := w.DB.QueryRow(w.t.Context(), query).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func findings(foundAt string, texts ...string) (all []Finding) {
	for _, text := range texts {
		all = append(all, Finding{clients.SecretOf(text), foundAt})
	}
	return all
}
