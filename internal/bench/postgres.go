package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	_ "github.com/wardkey/wardkey/internal/database" // driver "pgx"
)

// A postgres is the PostgreSQL server that wardkeys are measured with. It runs on this machine,
// and nobody else uses it meanwhile.
type postgres struct {
	admin      *sql.DB
	url        *url.URL
	postmaster int // pid
	databases  []string
}

func connectPostgres(ctx context.Context, server string) (*postgres, error) {
	if server == "" {
		return nil, errors.New("WARDKEY_TEST_POSTGRES names no PostgreSQL server; run make bench, or leave PostgreSQL out with -only sqlite,sqlite-many,start")
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("WARDKEY_TEST_POSTGRES: %w", err)
	}
	p := &postgres{url: u}
	if p.admin, err = sql.Open("pgx", server); err != nil {
		return nil, err
	}
	var backend int
	if err := p.admin.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return nil, fmt.Errorf("connect to WARDKEY_TEST_POSTGRES: %w", err)
	}
	s, err := readStat(backend)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL is not on this machine, so its CPU time cannot be read: %w", err)
	}
	p.postmaster = s.parent
	return p, nil
}

// create makes an empty database and returns its URL.
func (p *postgres) create(ctx context.Context) (string, error) {
	name := "bench_" + strings.ToLower(rand.Text())
	if _, err := p.admin.ExecContext(ctx, `CREATE DATABASE `+name); err != nil {
		return "", err
	}
	p.databases = append(p.databases, name)
	u := *p.url
	u.Path = "/" + name
	return u.String(), nil
}

// close drops the databases.
func (p *postgres) close() {
	for _, name := range p.databases {
		_, _ = p.admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`) // the server is thrown away, or the next run does not mind
	}
	_ = p.admin.Close()
}

// A tally is what a database has done since it was made.
type tally struct {
	queries int64 // transactions, and every statement outside of one is one
	rows    int64 // written
}

// tally waits until everybody has left the database of the URL, since sessions add to its
// statistics at their leisure, but no later than when they end.
func (p *postgres) tally(ctx context.Context, database string) (tally, error) {
	u, err := url.Parse(database)
	if err != nil {
		return tally{}, err
	}
	name := strings.TrimPrefix(u.Path, "/")
	for range 100 {
		var sessions int
		if err := p.admin.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1`, name).Scan(&sessions); err != nil {
			return tally{}, err
		}
		if sessions == 0 {
			var t tally
			err := p.admin.QueryRowContext(ctx, `SELECT xact_commit + xact_rollback, tup_inserted + tup_updated + tup_deleted
				FROM pg_stat_database WHERE datname = $1`, name).Scan(&t.queries, &t.rows)
			return t, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return tally{}, fmt.Errorf("somebody is still connected to database %s", name)
}
