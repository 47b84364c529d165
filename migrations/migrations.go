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
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	versions "github.com/pressly/goose/v3/database"
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

// A Step is one file of the schema.
type Step struct {
	Version int64
	Name    string
	Applied bool
}

// A Schema is how far a database is.
type Schema struct {
	Version int64  // that it has, 0 for none; it may be newer than this program
	Steps   []Step // that this program knows
}

// Latest is the version that this program brings a database to.
func (s Schema) Latest() int64 { return s.Steps[len(s.Steps)-1].Version }

// Pending are the steps that a database lacks.
func (s Schema) Pending() []Step {
	return slices.DeleteFunc(slices.Clone(s.Steps), func(step Step) bool { return step.Applied })
}

// Status says how far db is, and changes nothing.
func Status(ctx context.Context, db *sql.DB, dialect Dialect) (schema Schema, err error) {
	provider, err := goose.NewProvider(dialect, db, files)
	if err != nil {
		return schema, fmt.Errorf("migrations: %w", err)
	}
	for _, source := range provider.ListSources() {
		schema.Steps = append(schema.Steps, Step{Version: source.Version, Name: source.Path})
	}
	store, err := versions.NewStore(dialect, goose.DefaultTablename)
	if err != nil {
		return schema, fmt.Errorf("migrations: %w", err)
	}
	if begun, err := begun(ctx, db, store); err != nil || !begun {
		return schema, err
	}
	if schema.Version, err = store.GetLatestVersion(ctx, db); err != nil {
		return schema, fmt.Errorf("read the version of the schema: %w", err)
	}
	for i := range schema.Steps {
		applied, err := store.GetMigration(ctx, db, schema.Steps[i].Version)
		if err != nil && !errors.Is(err, versions.ErrVersionNotFound) {
			return schema, fmt.Errorf("read the version of the schema: %w", err)
		}
		schema.Steps[i].Applied = err == nil && applied.IsApplied
	}
	return schema, nil
}

// begun says whether db has a schema at all. The provider would make its table to find out.
func begun(ctx context.Context, db *sql.DB, store versions.Store) (bool, error) {
	if table, ok := store.(versions.StoreExtender); ok {
		if exists, err := table.TableExists(ctx, db); !errors.Is(err, errors.ErrUnsupported) {
			return exists, err
		}
	}
	// SQLite cannot be asked otherwise. Where there is a table, it has this row.
	_, err := store.GetMigration(ctx, db, 0)
	return err == nil, db.PingContext(ctx)
}

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
