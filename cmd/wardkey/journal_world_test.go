package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// eachStore runs test on an empty database of each engine, by its URL, on both at the same time.
func eachStore(t *testing.T, test func(t *testing.T, url string)) {
	for engine, url := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLiteURL, "postgres": databasetest.PostgresURL} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, url(t))
		})
	}
}

// A store is what a server has open before it answers.
type store struct {
	*parts
	said *bytes.Buffer // its log
}

// openTestStore opens the database as a server does when it starts, all but the journal.
func openTestStore(t *testing.T, url, dir string) *store {
	t.Helper()
	db, err := database.Open(url)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	master, err := tokens.ParseMasterKey(testMasterKey)
	must(t, err)
	c := &config{dataDir: dir, database: url, listen: "127.0.0.1:0", signingAlg: "ES256", rsaBits: 2048, lifetime: time.Minute, statusTTL: 10 * time.Second}
	must(t, c.complete(c.listen))
	said := &bytes.Buffer{}
	s := &store{parts: &parts{config: c, db: db, master: master, log: slog.New(slog.NewTextHandler(said, nil))}, said: said}
	must(t, s.openKeys(t.Context()))
	return s
}

// start compares the journal with the database, as a start does.
func (s *store) start(t *testing.T) {
	t.Helper()
	s.journal = s.newJournal()
	must(t, s.journal.start(t.Context()))
}

// A population is what can be revoked.
type population struct {
	clients, secrets, tokens []made // to be deleted; the first of two secrets; whose tokens are revoked
	secretIDs                []string
	keys                     []string
	admins                   []string
	indexes                  []int64 // in the status lists, of those whose tokens are revoked
	admin                    made    // may do everything
}

// size says how many there are of each.
type size struct{ clients, secrets, tokens, keys, admins int }

func (s size) sum() int { return s.clients + s.secrets + s.tokens + s.keys + s.admins }

// populate makes what is to be revoked, and an owner who stays.
func (s *store) populate(t *testing.T, n size) *population {
	t.Helper()
	p := &population{}
	ctx := t.Context()
	password, err := s.people.NewPassword(ctx, "eva@example.com", "correct horse battery")
	must(t, err)
	must(t, s.db.Transact(ctx, func(ctx context.Context) error {
		must(t, sections.NewStore(s.db).CreateSection(ctx, &sections.Section{ID: "nordic", Name: "Nordic", CreatedAt: time.Now()}))
		must(t, sections.NewStore(s.db).CreateKeyspace(ctx, &sections.Keyspace{ID: "email", Name: "E-mail", Actions: sections.DefaultActions, CreatedAt: time.Now()}))
		for range n.clients {
			p.clients = append(p.clients, s.client(ctx, t, "Shop"))
		}
		for range n.secrets {
			c := s.client(ctx, t, "CRM")
			p.secrets = append(p.secrets, c)
			stored, err := clients.NewStore(s.db).Client(ctx, c.ID)
			must(t, err)
			p.secretIDs = append(p.secretIDs, stored.Credentials[0].ID)
		}
		for range n.tokens {
			c := s.client(ctx, t, "BI")
			p.tokens = append(p.tokens, c)
			stored, err := clients.NewStore(s.db).Client(ctx, c.ID)
			must(t, err)
			p.indexes = append(p.indexes, stored.StatusIndex)
		}
		must(t, s.people.Create(ctx, &people.Person{Email: "eva@example.com", Role: people.Owner}, password, time.Now()))
		for i := range n.admins {
			x := &people.Person{Email: fmt.Sprintf("admin%d@example.com", i), Role: people.Owner}
			must(t, s.people.Create(ctx, x, password, time.Now()))
			p.admins = append(p.admins, x.ID)
		}
		p.admin = s.client(ctx, t, "Admin", sections.Permission{Target: sections.Wardkey, Action: "write"})
		return nil
	}))
	for range n.keys {
		k, err := s.keys.Rotate(ctx, tokens.ES256, true)
		must(t, err)
		p.keys = append(p.keys, k.ID)
	}
	return p
}

func (s *store) client(ctx context.Context, t *testing.T, name string, held ...sections.Permission) made {
	c := &clients.Client{Name: name, CreatedBy: bootstrapActor, Held: sections.Held{Permissions: held}}
	if held == nil {
		c.Held = sections.Held{Sections: []string{"nordic"}, Permissions: []sections.Permission{{Target: "email", Action: "read"}}}
	}
	secret, err := clients.NewStore(s.db).Create(ctx, c, time.Now())
	must(t, err)
	return made{ID: c.ID, Secret: secret.Reveal()}
}

// revoke revokes everything, as the admin API does: each act with its event.
func (s *store) revoke(t *testing.T, p *population) {
	t.Helper()
	ctx := audit.With(t.Context(), audit.Origin{Actor: audit.Actor{Kind: audit.Client, ID: p.admin.ID}})
	store := clients.NewStore(s.db)
	act := func(action string, target audit.Target, clientID string, do func(ctx context.Context) error) {
		t.Helper()
		must(t, s.db.Transact(ctx, func(ctx context.Context) error {
			if err := do(ctx); err != nil {
				return err
			}
			return s.audit.Record(ctx, audit.Act{Action: action, Target: target, ClientID: clientID, At: time.Now()})
		}))
	}
	for _, c := range p.clients {
		act(deleteClient, audit.Target{Kind: "client", ID: c.ID, Name: "Shop"}, c.ID, func(ctx context.Context) error {
			return store.Delete(ctx, c.ID, "client "+p.admin.ID, time.Now())
		})
	}
	for i, c := range p.secrets {
		act(revokeSecret, audit.Target{Kind: "secret", ID: p.secretIDs[i], Name: "abcd"}, c.ID, func(ctx context.Context) error {
			return store.RevokeSecret(ctx, c.ID, p.secretIDs[i], "client "+p.admin.ID, time.Now())
		})
	}
	for _, c := range p.tokens {
		act(revokeTokens, audit.Target{Kind: "client", ID: c.ID, Name: "BI"}, c.ID, func(ctx context.Context) error {
			return store.RevokeTokens(ctx, c.ID, time.Now())
		})
	}
	for _, id := range p.admins {
		must(t, s.people.Remove(ctx, id, time.Now()))
	}
	for _, kid := range p.keys {
		must(t, s.keys.Remove(ctx, kid))
	}
}

// alive says what of a population is, in a database.
func alive(t *testing.T, s *store, p *population) (found []string) {
	t.Helper()
	store, ctx := clients.NewStore(s.db), t.Context()
	for _, c := range slices.Concat(p.clients, p.secrets) {
		row, err := store.Client(ctx, c.ID)
		if err != nil {
			continue
		}
		if verdict, _ := row.Authenticate(c.Secret, time.Now()); verdict == clients.Authenticated {
			found = append(found, "the secret of "+c.ID)
		}
	}
	for _, c := range p.clients {
		if _, err := store.Deleted(ctx, c.ID); err != nil {
			found = append(found, "no tombstone of "+c.ID)
		}
	}
	for i, c := range p.tokens {
		row, err := store.Client(ctx, c.ID)
		must(t, err)
		revoked := number(t, s.db, `SELECT revoked_at FROM status_entries WHERE position = $1`, p.indexes[i])
		if row.StatusIndex == p.indexes[i] || revoked == 0 {
			found = append(found, "tokens of "+c.ID)
		}
	}
	must(t, s.keys.Refresh(ctx))
	set, _ := s.keys.JWKS()
	for _, kid := range p.keys {
		if bytes.Contains(set, []byte(kid)) {
			found = append(found, "key "+kid)
		}
	}
	for _, id := range p.admins {
		if _, err := s.people.Person(ctx, id); err == nil {
			found = append(found, "admin "+id)
		}
	}
	return found
}

func number(t *testing.T, db *database.DB, query string, args ...any) (n int64) {
	t.Helper()
	must(t, db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// A backup is every row of every table.
type backup []savedTable

type savedTable struct {
	name    string
	columns []string
	rows    [][]any
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// save makes a backup, tables that others refer to first.
func save(t *testing.T, db *database.DB) (b backup) {
	t.Helper()
	files, err := filepath.Glob("../../migrations/*.sql")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, name := range createTable.FindAllStringSubmatch(string(text), -1) {
			b = append(b, saveTable(t, db, name[1]))
		}
	}
	return b
}

func saveTable(t *testing.T, db *database.DB, name string) savedTable {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT * FROM `+name)
	must(t, err)
	defer rows.Close()
	saved := savedTable{name: name}
	saved.columns, err = rows.Columns()
	must(t, err)
	for rows.Next() {
		values, places := make([]any, len(saved.columns)), make([]any, len(saved.columns))
		for i := range values {
			places[i] = &values[i]
		}
		must(t, rows.Scan(places...))
		saved.rows = append(saved.rows, values)
	}
	must(t, rows.Err())
	return saved
}

// restore puts a backup in place of everything.
func (b backup) restore(t *testing.T, db *database.DB) {
	t.Helper()
	must(t, db.Transact(t.Context(), func(ctx context.Context) error {
		for _, table := range slices.Backward(b) {
			_, err := db.Exec(ctx, `DELETE FROM `+table.name)
			must(t, err)
		}
		for _, table := range b {
			places := make([]string, len(table.columns))
			for i := range places {
				places[i] = "$" + strconv.Itoa(i+1)
			}
			for _, row := range table.rows {
				_, err := db.Exec(ctx, `INSERT INTO `+table.name+` (`+strings.Join(table.columns, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)`, row...)
				must(t, err)
			}
		}
		return nil
	}))
}

// lines are those of a journal.
func lines(t *testing.T, dir string) []entry {
	t.Helper()
	known, torn, err := readJournal(filepath.Join(dir, journalName))
	must(t, err)
	if torn > 0 {
		t.Errorf("the last line of the journal is torn")
	}
	return known
}

// events are those that the lines of a journal are of, in order.
func events(known []entry) (ids []string) {
	for _, e := range known {
		ids = append(ids, e.Event)
	}
	slices.Sort(ids)
	return ids
}

// runNode runs a server that ends when stop is called.
func runNode(t *testing.T, args ...string) (n *node, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	banner, stdout := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), testEnvironment, stdout, t.Output())
		stdout.CloseWithError(fmt.Errorf("serve ended with %d", code))
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	n, err := readNode(banner)
	must(t, err)
	return n, stop
}
