// Package databasetest gives each test an empty database with the current schema, of each engine.
//
// Begin with [Each]. PostgreSQL is the one that WARDKEY_TEST_POSTGRES names, where each test gets
// a database or a schema of its own. Unset, the PostgreSQL half is skipped, unless
// WARDKEY_TEST_ENGINES=both says that it must run (make test does).
//
// A test program migrates one database of each engine and copies it for each test, since migrating
// takes longer than most tests do.
package databasetest

import (
	"context"
	"errors"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
)

// Each runs test twice: on SQLite and on PostgreSQL.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, copyOfPostgres(t))) })
}

func open(t testing.TB, url string) *database.DB {
	t.Helper()
	db, err := database.Open(url)
	if err != nil {
		t.Fatalf("database.Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}

// migrate brings an empty database to the current schema.
func migrate(url string) error {
	db, err := database.Open(url)
	if err != nil {
		return err
	}
	// It outlives the test that needs it first.
	return errors.Join(db.Migrate(context.Background()), db.Close())
}
