package database_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func postgres(t *testing.T) *database.DB {
	t.Helper()
	db, err := database.Open(databasetest.PostgresURL(t))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// Conflicts and foreign keys are told apart from each other and from faults.
func TestErrorsAreToldApart(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `CREATE TABLE parents (id TEXT NOT NULL PRIMARY KEY, email TEXT UNIQUE, age BIGINT CHECK (age > 0))`)
		exec(t, db, `CREATE TABLE children (id TEXT NOT NULL PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents (id))`)
		exec(t, db, `INSERT INTO parents (id, email) VALUES ('a', 'a@example.com')`)
		exec(t, db, `INSERT INTO children (id, parent) VALUES ('c', 'a')`)
		for _, tt := range []struct {
			statement            string
			conflict, foreignKey bool
		}{
			{`INSERT INTO parents (id) VALUES ('a')`, true, false},
			{`INSERT INTO parents (id, email) VALUES ('b', 'a@example.com')`, true, false},
			{`INSERT INTO children (id, parent) VALUES ('d', 'nobody')`, false, true},
			{`DELETE FROM parents WHERE id = 'a'`, false, true},
			{`UPDATE children SET parent = 'nobody'`, false, true},
			{`INSERT INTO parents (id, age) VALUES ('b', -1)`, false, false},
			{`INSERT INTO parents (id) VALUES (NULL)`, false, false},
			{`INSERT INTO nowhere (id) VALUES ('a')`, false, false},
			{`this is not SQL`, false, false},
		} {
			_, err := db.Exec(t.Context(), tt.statement)
			err = fmt.Errorf("wrapped: %w", err)
			if database.IsConflict(err) != tt.conflict || database.IsForeignKey(err) != tt.foreignKey || database.IsFull(err) || database.IsUnavailable(err) {
				t.Errorf("%s: %v: conflict %t, foreign key %t, full %t", tt.statement, err, database.IsConflict(err), database.IsForeignKey(err), database.IsFull(err))
			}
		}
		if got := number(t, db, `SELECT count(*) FROM parents`); got != 1 {
			t.Errorf("%d parents are left; want 1", got)
		}
	})
	_, absent := os.Open(filepath.Join(t.TempDir(), "absent")) // its error number has the methods of a network's error
	for _, err := range []error{nil, absent, errors.New("UNIQUE constraint failed"), errors.New("23505"), errors.New("connection refused")} {
		if database.IsConflict(err) || database.IsForeignKey(err) || database.IsFull(err) || database.IsUnavailable(err) {
			t.Errorf("%v is taken for a database's error", err)
		}
	}
}

// On a full disk nothing is half done, reading goes on, and all is well once there is room.
func TestFullDisk(t *testing.T) {
	db := databasetest.SQLite(t)
	exec(t, db, `CREATE TABLE t (text TEXT NOT NULL)`)
	exec(t, db, `PRAGMA max_page_count = 1`) // no less than what is used already
	big := strings.Repeat("x", 1<<20)
	for range 3 {
		err := db.Transact(t.Context(), func(ctx context.Context) error {
			for _, text := range []string{"small", big} {
				if _, err := db.Exec(ctx, `INSERT INTO t (text) VALUES ($1)`, text); err != nil {
					return fmt.Errorf("insert: %w", err)
				}
			}
			return nil
		})
		if !database.IsFull(err) || database.IsConflict(err) {
			t.Fatalf("Transact on a full disk = %v; want IsFull", err)
		}
		if got := number(t, db, `SELECT count(*) FROM t`); got != 0 {
			t.Errorf("%d rows of a transaction that failed", got)
		}
	}
	exec(t, db, `PRAGMA max_page_count = 1000000`)
	exec(t, db, `INSERT INTO t (text) VALUES ($1)`, big)
	var verdict string
	must(t, db.QueryRow(t.Context(), `PRAGMA integrity_check`).Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("integrity_check: %s", verdict)
	}
}
