// Package databasetest gives each test an empty database with the current schema, of each engine.
//
// Begin with [Each]. PostgreSQL is the one that WARDKEY_TEST_POSTGRES names, where each test gets
// a schema of its own. Unset, the PostgreSQL half is skipped, unless WARDKEY_TEST_ENGINES=both
// says that it must run (make test does).
package databasetest

import (
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
)

// Each runs test twice: on SQLite and on PostgreSQL.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, open(t, SQLiteURL(t))) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, PostgresURL(t))) })
}

// SQLite returns an empty SQLite database with the current schema.
func SQLite(t testing.TB) *database.DB {
	t.Helper()
	return open(t, SQLiteURL(t))
}

// SQLiteURL names a SQLite file that does not exist yet.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "wardkey.db")
}

// PostgresURL names an empty schema of the test PostgreSQL. It skips the test where there is none
// and none is demanded.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("WARDKEY_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("WARDKEY_TEST_ENGINES") == "both" {
			t.Fatal("WARDKEY_TEST_ENGINES=both, but WARDKEY_TEST_POSTGRES names no PostgreSQL server; run the tests with make test")
		}
		t.Skip("no PostgreSQL: set WARDKEY_TEST_POSTGRES=postgres://…, or run make test")
	}
	schema := "test_" + strings.ToLower(rand.Text())
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatalf("open the test PostgreSQL: %v", err)
	}
	defer admin.Close() //nolint:errcheck // it made a schema, and that was checked
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatalf("create a schema in the test PostgreSQL: %v", err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("WARDKEY_TEST_POSTGRES: %v", err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
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
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return db
}
