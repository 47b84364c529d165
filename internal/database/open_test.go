package database_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// number reads one whole number.
func number(t *testing.T, db *database.DB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := db.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func exec(t *testing.T, db *database.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestOpenRefusesOtherURLs(t *testing.T) {
	for _, url := range []string{
		"", "wardkey.db", "sqlite:", "sqlite3:wardkey.db", "file:wardkey.db", "mysql://localhost/wardkey",
		"postgres:localhost", "POSTGRES://localhost/wardkey", " postgres://localhost/wardkey",
	} {
		if db, err := database.Open(url); !errors.Is(err, database.ErrBadURL) {
			t.Errorf("Open(%q) = %v, %v; want ErrBadURL", url, db, err)
		}
	}
}

// A second open of a SQLite file is refused, and does the first no harm.
func TestSQLiteFileIsInUse(t *testing.T) {
	url := databasetest.SQLiteURL(t)
	first, err := database.Open(url)
	must(t, err)
	must(t, first.Migrate(t.Context()))
	for range 3 {
		if second, err := database.Open(url); !errors.Is(err, database.ErrInUse) {
			t.Fatalf("Open of a file in use = %v, %v; want ErrInUse", second, err)
		}
		exec(t, first, `UPDATE catalog SET version = version + 1`)
	}
	must(t, first.Close())
	second, err := database.Open(url)
	must(t, err)
	if got := number(t, second, `SELECT version FROM catalog`); got != 4 {
		t.Errorf("the next server reads %d; want 4", got)
	}
	must(t, second.Close())
}

// Of servers that open one new file at once, one gets it.
func TestSQLiteFileIsOpenedOnce(t *testing.T) {
	url := databasetest.SQLiteURL(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var opened []*database.DB
	for range 16 {
		wg.Go(func() {
			db, err := database.Open(url)
			if err != nil && !errors.Is(err, database.ErrInUse) {
				t.Errorf("Open = %v; want ErrInUse", err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, db)
			}
		})
	}
	wg.Wait()
	if len(opened) != 1 {
		t.Errorf("%d servers have the file open", len(opened))
	}
	for _, db := range opened {
		must(t, db.Close())
	}
}

// A file that cannot be opened is not left locked.
func TestSQLiteFileThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wardkey.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("this is no database, but a letter ", 100)), 0o600))
	for range 2 {
		if db, err := database.Open("sqlite:" + path); err == nil || errors.Is(err, database.ErrInUse) {
			t.Fatalf("Open of a letter = %v, %v; want an error, and the file not locked", db, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "this is no database") {
		t.Errorf("the letter was changed: %.40q, %v", text, err)
	}
	if db, err := database.Open("sqlite:" + filepath.Join(t.TempDir(), "no", "such", "folder", "wardkey.db")); err == nil {
		t.Errorf("Open in a folder that is not there = %v", db)
	}
}

// Paths may hold what means something in a URL.
func TestSQLitePaths(t *testing.T) {
	for _, name := range []string{"a b.db", "a?b=c.db", "a#b.db", "a%20b.db", "a&_pragma=foreign_keys(0).db", "å.db", "a+b.db", ":memory:"} {
		dir := t.TempDir()
		db, err := database.Open("sqlite:" + filepath.Join(dir, name))
		must(t, err)
		exec(t, db, `CREATE TABLE t (n BIGINT)`)
		must(t, db.Close())
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("a database named %q is somewhere else: %v", name, err)
		}
	}
}

// Each connection is a server's: nothing acknowledged is lost in a power cut (synchronous 2 is
// FULL), readers do not wait for writers, and foreign keys hold.
func TestSQLiteIsOpenedAsAServers(t *testing.T) {
	db := databasetest.SQLite(t)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000"} {
		var read, write string
		must(t, db.QueryRow(t.Context(), "PRAGMA "+pragma).Scan(&read))
		must(t, db.Transact(t.Context(), func(ctx context.Context) error {
			return db.QueryRow(ctx, "PRAGMA "+pragma).Scan(&write)
		}))
		if read != want || write != want {
			t.Errorf("%s is %s for readers and %s for the writer; want %s", pragma, read, write, want)
		}
	}
	if rows, err := db.Query(t.Context(), `UPDATE catalog SET version = 100 RETURNING version`); err == nil {
		for rows.Next() {
		}
		if rows.Err() == nil {
			t.Error("a reader could write")
		}
		must(t, rows.Close())
	}
}

// Ten servers start at once on an empty database, and again on one that is up to date.
func TestMigrateAtOnce(t *testing.T) {
	url := databasetest.PostgresURL(t)
	for round := range 2 {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				db, err := database.Open(url)
				if err == nil {
					err = errors.Join(db.Migrate(t.Context()), db.Close())
				}
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
	}
	db, err := database.Open(url)
	must(t, err)
	if catalogs, rings := number(t, db, `SELECT count(*) FROM catalog`), number(t, db, `SELECT count(*) FROM keyring`); catalogs != 1 || rings != 1 {
		t.Errorf("there are %d catalogs and %d keyrings; want one of each", catalogs, rings)
	}
	must(t, db.Close())
}

func TestMigrateTwice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `UPDATE catalog SET version = 7`)
		must(t, db.Migrate(t.Context()))
		if got := number(t, db, `SELECT version FROM catalog`); got != 7 {
			t.Errorf("migrated again, the version is %d; want 7", got)
		}
	})
}

func TestMigrateStopsWithItsContext(t *testing.T) {
	db, err := database.Open("postgres://127.0.0.1:1/nobody?sslmode=disable&connect_timeout=1")
	must(t, err)
	if err := db.Migrate(t.Context()); err == nil {
		t.Error("Migrate of a database that is away: nil")
	}
	must(t, db.Close())
}
