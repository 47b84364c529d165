package migrations_test

import (
	"context"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/migrations"
)

// each runs test on an empty database of each engine.
func each(t *testing.T, test func(t *testing.T, db *sql.DB, dialect migrations.Dialect)) {
	for name, engine := range map[string]struct {
		url     func(testing.TB) string
		driver  string
		dialect migrations.Dialect
	}{
		"sqlite":   {databasetest.SQLiteURL, "sqlite", migrations.SQLite},
		"postgres": {databasetest.PostgresURL, "pgx", migrations.Postgres},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open(engine.driver, strings.TrimPrefix(engine.url(t), "sqlite:"))
			must(t, err)
			t.Cleanup(func() { must(t, db.Close()) })
			test(t, db, engine.dialect)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// schema lists the columns of our tables.
func schema(t *testing.T, db *sql.DB, dialect migrations.Dialect) (columns []string) {
	t.Helper()
	query := `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
	if dialect == migrations.Postgres {
		query = `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()`
	}
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var column string
		must(t, rows.Scan(&column))
		if !strings.HasPrefix(column, "goose_") && !strings.HasPrefix(column, "sqlite_") {
			columns = append(columns, column)
		}
	}
	must(t, rows.Err())
	slices.Sort(columns)
	return columns
}

// The schema is the same on both engines, goes away without a trace, and comes back the same.
func TestUpAndDown(t *testing.T) {
	schemas := map[migrations.Dialect][]string{}
	each(t, func(t *testing.T, db *sql.DB, dialect migrations.Dialect) {
		must(t, migrations.Apply(t.Context(), db, dialect))
		up := schema(t, db, dialect)
		if !slices.Contains(up, "clients.status_index") || !slices.Contains(up, "signing_keys.kid") {
			t.Errorf("the schema is %q", up)
		}
		schemas[dialect] = up
		provider, err := goose.NewProvider(dialect, db, os.DirFS("."))
		must(t, err)
		_, err = provider.DownTo(t.Context(), 0)
		must(t, err)
		if down := schema(t, db, dialect); len(down) > 0 {
			t.Errorf("down, %q is left", down)
		}
		must(t, migrations.Apply(t.Context(), db, dialect))
		if again := schema(t, db, dialect); !slices.Equal(again, up) {
			t.Errorf("up again, the schema is %q; want %q", again, up)
		}
	})
	if len(schemas) == 2 && !slices.Equal(schemas[migrations.SQLite], schemas[migrations.Postgres]) {
		t.Errorf("the schema is %q on SQLite and %q on PostgreSQL", schemas[migrations.SQLite], schemas[migrations.Postgres])
	}
}

// A release also starts on the schema of its successor: an update can be undone.
func TestNewerSchema(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB, dialect migrations.Dialect) {
		must(t, migrations.Apply(t.Context(), db, dialect))
		_, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
		must(t, err)
		if err := migrations.Apply(t.Context(), db, dialect); err != nil {
			t.Errorf("Apply on a newer schema = %v", err)
		}
	})
}

// Who leaves leaves nothing half done.
func TestApplyStops(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB, dialect migrations.Dialect) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := migrations.Apply(ctx, db, dialect); err == nil {
			t.Error("Apply for a caller who left = nil")
		}
		if left := schema(t, db, dialect); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
		must(t, migrations.Apply(t.Context(), db, dialect))
	})
}
