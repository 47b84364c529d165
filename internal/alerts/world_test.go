package alerts

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

// A world is a store with what admins have made in it.
type world struct {
	*Store
	t *testing.T
}

func each(t *testing.T, test func(w *world)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(newWorld(t, db)) })
}

func newWorld(t *testing.T, db *database.DB) *world {
	return &world{&Store{DB: db, Key: []byte(strings.Repeat("k", 32)), Pages: "https://auth.example/admin"}, t}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	_, err := w.DB.Exec(w.t.Context(), query, args...)
	must(w.t, err)
}

// client registers a client that has been there since a time.
func (w *world) client(name string, since time.Time) *clients.Client {
	w.t.Helper()
	c := &clients.Client{Name: name, CreatedBy: "the test", Held: sections.Held{Permissions: []sections.Permission{{Target: "wardkey", Action: "read"}}}}
	_, err := clients.NewStore(w.DB).Create(w.t.Context(), c, since)
	must(w.t, err)
	return c
}

// admin adds somebody who signs in.
func (w *world) admin(id, role string) {
	w.t.Helper()
	w.exec(`INSERT INTO admins (id, email, password_hash, role, created_at) VALUES ($1, $2, '', $3, 1)`, id, id+"@example.com", role)
}

// raise raises an alert of a kind about a client, which may be nil.
func (w *world) raise(kind Kind, once string, c *clients.Client) {
	w.t.Helper()
	a := Alert{Kind: kind, Once: once, Text: "Something is so.", At: time.Now()}
	if c != nil {
		a.ClientID = c.ID
	}
	must(w.t, w.Raise(w.t.Context(), a))
}

// told are the alerts as "kind name", the oldest first.
func (w *world) told() (all []string) {
	w.t.Helper()
	found, err := w.List(w.t.Context(), Filter{}, Position{}, 1000)
	must(w.t, err)
	for _, a := range found {
		all = append([]string{strings.TrimSpace(string(a.Kind) + " " + a.ClientName)}, all...)
	}
	return all
}

// deliveries are what waits or was sent, as "to state attempts".
func (w *world) deliveries() (all []string) {
	w.t.Helper()
	found, err := w.Deliveries(w.t.Context(), "", Position{}, 1000)
	must(w.t, err)
	for _, d := range found {
		all = append([]string{fmt.Sprintf("%s%s %s %d", d.WebhookID, d.AdminID, d.State, d.Attempts)}, all...)
	}
	return all
}

// hook adds a webhook.
func (w *world) hook(address string, kinds ...Kind) (Webhook, Secret) {
	w.t.Helper()
	hook := Webhook{URL: address, Kinds: kinds, CreatedBy: "the test"}
	secret, err := w.CreateWebhook(w.t.Context(), &hook, time.Now())
	must(w.t, err)
	return hook, secret
}

// dispatcher is one that sends to this machine too.
func (w *world) dispatcher() *Dispatcher {
	w.Private = prefixes("127.0.0.0/8")
	return &Dispatcher{Store: w.Store, Log: slog.New(slog.DiscardHandler), Transact: w.DB.Transact}
}

// flush sends what is due, once.
func (w *world) flush(d *Dispatcher) {
	w.t.Helper()
	receivers, err := d.due(w.t.Context(), time.Now())
	must(w.t, err)
	for _, r := range receivers {
		d.turn(w.t.Context(), r)
	}
}

// later makes everything due that waits.
func (w *world) later() { w.exec(`UPDATE alert_deliveries SET next_at = 1 WHERE state = 'waiting'`) }
