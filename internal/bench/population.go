package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// held is what every client holds, and scope what it therefore gets.
var held = sections.Held{
	Sections: []string{"baltic", "nordic"},
	Permissions: []sections.Permission{
		{Target: "crm-id", Action: "read"}, {Target: "email", Action: "read"}, {Target: "email", Action: "write"},
	},
}

const scope = "section:baltic section:nordic crm-id:read email:read email:write"

// A population is the clients in a store.
type population struct {
	path        string // of a SQLite file with them
	credentials []credential
	requests    []request
}

// first is the request of one client.
func (p *population) first() (request, error) { return p.requests[0], nil }

// some are the requests of one client for each connection, from all over the store.
func (p *population) some() []request {
	some := make([]request, connections)
	for i := range some {
		some[i] = p.requests[i*len(p.requests)/connections]
	}
	return some
}

type credential struct{ id, secret string }

// populate makes a SQLite file with n clients.
func populate(ctx context.Context, path string, n int) (*population, error) {
	p := &population{path: path}
	err := p.with(ctx, "sqlite:"+path, func(db *database.DB) error {
		for n > len(p.credentials) {
			if err := p.add(ctx, db, min(n-len(p.credentials), 5000)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range p.credentials {
		p.requests = append(p.requests, newRequest(c.id, c.secret))
	}
	return p, err
}

// with opens an empty store for do, and makes in it what clients hold.
func (p *population) with(ctx context.Context, url string, do func(*database.DB) error) error {
	db, err := database.Open(url)
	if err != nil {
		return err
	}
	if err = db.Migrate(ctx); err == nil {
		err = makeSections(ctx, db)
	}
	if err == nil {
		err = do(db)
	}
	return errors.Join(err, db.Close())
}

func makeSections(ctx context.Context, db *database.DB) error {
	store := sections.NewStore(db)
	for _, id := range held.Sections {
		if err := store.CreateSection(ctx, &sections.Section{ID: id, Name: id, CreatedAt: time.Now()}); err != nil {
			return err
		}
	}
	for _, id := range []string{"crm-id", "email"} {
		k := &sections.Keyspace{ID: id, Name: id, Actions: sections.DefaultActions, CreatedAt: time.Now()}
		if err := store.CreateKeyspace(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// add adds n clients in one transaction.
func (p *population) add(ctx context.Context, db *database.DB, n int) error {
	store := clients.NewStore(db)
	var made []credential
	err := db.Transact(ctx, func(ctx context.Context) error {
		made = nil
		for i := range n {
			c := &clients.Client{
				Name: fmt.Sprintf("Integration %d", len(p.credentials)+i), Description: "Made by the benchmark.",
				CreatedBy: "bench", Held: held,
			}
			secret, err := store.Create(ctx, c, time.Now())
			if err != nil {
				return err
			}
			made = append(made, credential{c.ID, secret.Reveal()})
		}
		return nil
	})
	p.credentials = append(p.credentials, made...)
	return err
}

// copyTo copies the population to an empty PostgreSQL, which is much quicker than making it there
// client by client.
func (p *population) copyTo(ctx context.Context, postgres string) error {
	from, err := database.Open("sqlite:" + p.path)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // it was only read
	return p.with(ctx, postgres, func(to *database.DB) error {
		for _, table := range []string{"status_entries", "clients", "client_sections", "client_permissions", "client_secrets"} {
			if err := copyTable(ctx, from, to, table); err != nil {
				return fmt.Errorf("copy %s: %w", table, err)
			}
		}
		_, err := to.Exec(ctx, `VACUUM ANALYZE`) // or it would do so by itself while it is measured
		return err
	})
}

func copyTable(ctx context.Context, from, to *database.DB, table string) error {
	rows, err := from.Query(ctx, `SELECT * FROM `+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	var values []any
	flush := func() error {
		if len(values) == 0 {
			return nil
		}
		_, err := to.Exec(ctx, insert(table, columns, len(values)/len(columns)), values...)
		values = values[:0]
		return err
	}
	for rows.Next() {
		row := make([]any, len(columns))
		places := make([]any, len(columns))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		for i, c := range columns {
			if c.DatabaseTypeName() == "BOOLEAN" { // which are numbers in SQLite
				row[i] = row[i] != int64(0)
			}
		}
		if values = append(values, row...); len(values)+len(columns) > 1<<14 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return errors.Join(rows.Err(), flush())
}

// insert is a statement that inserts so many rows.
func insert(table string, columns []*sql.ColumnType, rows int) string {
	var b strings.Builder
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name()
	}
	b.WriteString(`INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) VALUES `)
	for i := range rows {
		places := make([]string, len(columns))
		for j := range places {
			places[j] = "$" + strconv.Itoa(i*len(columns)+j+1)
		}
		b.WriteString("(" + strings.Join(places, ", ") + "), ")
	}
	return strings.TrimSuffix(b.String(), ", ")
}
