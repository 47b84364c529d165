package databasetest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
)

// SQLite returns an empty SQLite database with the current schema.
func SQLite(t testing.TB) *database.DB {
	t.Helper()
	file, err := migratedFile()
	if err != nil {
		t.Fatalf("make a SQLite file with the schema: %v", err)
	}
	path := filepath.Join(t.TempDir(), "wardkey.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatalf("copy the SQLite file: %v", err)
	}
	return open(t, "sqlite:"+path)
}

// SQLiteURL names a SQLite file that does not exist yet.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "wardkey.db")
}

// migratedFile is what a SQLite file holds that has the current schema and is closed.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wardkey-databasetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left there harms nobody
	path := filepath.Join(dir, "wardkey.db")
	if err := migrate("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
