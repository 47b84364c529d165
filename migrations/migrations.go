// Package migrations holds the schema, one SQL text for SQLite and PostgreSQL, and applies it.
//
// Begin with [Apply], which a server calls when it starts. Any number of servers may call it at
// once on one database. Files are never edited once released; a release runs against the schema
// before and after its own migration.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// Dialect is the SQL engine that a schema is applied to.
type Dialect = goose.Dialect

// The engines.
const (
	SQLite   = goose.DialectSQLite3
	Postgres = goose.DialectPostgres
)

// Apply brings db to the newest schema. It does nothing if db is there already.
func Apply(ctx context.Context, db *sql.DB, dialect Dialect) error {
	options := []goose.ProviderOption{}
	if dialect == Postgres {
		// A lease row, not an advisory lock: it also holds behind a pooler that shares sessions.
		// An embedded database has one server only (internal/database sees to it).
		locker, err := lock.NewPostgresTableLocker(
			lock.WithTableLockTimeout(200*time.Millisecond, 300),
			lock.WithTableUnlockTimeout(200*time.Millisecond, 10))
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		options = append(options, goose.WithLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
