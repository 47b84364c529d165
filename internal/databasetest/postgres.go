package databasetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
)

// PostgresURL names an empty schema of the test PostgreSQL. It skips the test where there is none
// and none is demanded.
func PostgresURL(t testing.TB) string {
	t.Helper()
	needPostgres(t)
	schema := newName()
	if err := administer("CREATE SCHEMA " + schema); err != nil {
		t.Fatalf("create a schema in the test PostgreSQL: %v", err)
	}
	u := server()
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// server is what WARDKEY_TEST_POSTGRES names.
func server() *url.URL {
	u, err := url.Parse(os.Getenv("WARDKEY_TEST_POSTGRES"))
	if err != nil {
		panic("WARDKEY_TEST_POSTGRES: " + err.Error())
	}
	return u
}

func databaseURL(name string) string {
	u := server()
	u.Path = "/" + name
	return u.String()
}

// needPostgres skips the test where there is no PostgreSQL, or fails it where there must be one.
func needPostgres(t testing.TB) {
	t.Helper()
	if os.Getenv("WARDKEY_TEST_POSTGRES") != "" {
		return
	}
	if os.Getenv("WARDKEY_TEST_ENGINES") == "both" {
		t.Fatal("WARDKEY_TEST_ENGINES=both, but WARDKEY_TEST_POSTGRES names no PostgreSQL server; run the tests with make test")
	}
	t.Skip("no PostgreSQL: set WARDKEY_TEST_POSTGRES=postgres://…, or run make test")
}

// copyOfPostgres names a database with the current schema. It is dropped when the test ends, since
// each takes 8 MB.
func copyOfPostgres(t testing.TB) string {
	t.Helper()
	needPostgres(t)
	original, err := migratedDatabase()
	if err != nil {
		t.Fatalf("make a PostgreSQL database with the schema: %v", err)
	}
	name := newName()
	if err := administer("CREATE DATABASE " + name + " TEMPLATE " + original); err != nil {
		t.Fatalf("copy the PostgreSQL database: %v", err)
	}
	t.Cleanup(func() {
		if err := administer("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the PostgreSQL database: %v", err)
		}
	})
	return databaseURL(name)
}

// migratedDatabase names the database to copy, and how.
var migratedDatabase = sync.OnceValues(func() (string, error) {
	name := newName()
	if err := administer("CREATE DATABASE " + name); err != nil {
		return "", err
	}
	if err := migrate(databaseURL(name)); err != nil {
		return "", err
	}
	var version int
	err := administration().QueryRow(`SELECT current_setting('server_version_num')::int`).Scan(&version)
	if version >= 15_00_00 {
		name += " STRATEGY FILE_COPY" // what it was before there was a choice: a third of the work
	}
	return name, err
})

// administration is the test PostgreSQL, outside of any test. It stays open until the program ends.
var administration = sync.OnceValue(func() *sql.DB {
	db, err := sql.Open("pgx", server().String())
	if err != nil {
		panic(err) // it connects later
	}
	return db
})

func administer(statement string) error {
	_, err := administration().ExecContext(context.Background(), statement) // also after a test has ended
	return err
}

func newName() string { return "test_" + strings.ToLower(rand.Text()) }
