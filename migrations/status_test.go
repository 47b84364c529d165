package migrations_test

import (
	"database/sql"
	"testing"

	"github.com/wardkey/wardkey/migrations"
)

// Whoever asks how far a database is does not change it.
func TestStatus(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB, dialect migrations.Dialect) {
		none, err := migrations.Status(t.Context(), db, dialect)
		if err != nil || none.Version != 0 || len(none.Pending()) != len(none.Steps) || none.Steps[0].Name != "0001_core.sql" {
			t.Errorf("Status of an empty database = %+v, %v", none, err)
		}
		var tables int
		query := `SELECT count(*) FROM sqlite_master`
		if dialect == migrations.Postgres {
			query = `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()`
		}
		must(t, db.QueryRowContext(t.Context(), query).Scan(&tables))
		if tables != 0 {
			t.Errorf("asking made %d tables", tables)
		}
		must(t, migrations.Apply(t.Context(), db, dialect))
		newest, err := migrations.Status(t.Context(), db, dialect)
		if err != nil || newest.Version != newest.Latest() || len(newest.Pending()) != 0 {
			t.Errorf("Status of the newest schema = %+v, %v", newest, err)
		}
		_, err = db.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id > 1`)
		must(t, err)
		older, err := migrations.Status(t.Context(), db, dialect)
		if err != nil || older.Version != 1 || len(older.Pending()) != len(older.Steps)-1 {
			t.Errorf("Status of an older schema = %+v, %v", older, err)
		}
	})
}
