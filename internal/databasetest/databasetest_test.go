package databasetest

import (
	"testing"

	"github.com/wardkey/wardkey/internal/database"
)

// Each test has the current schema, and nothing of what other tests write.
func TestEach(t *testing.T) {
	for range 2 {
		Each(t, func(t *testing.T, db *database.DB) {
			schema, err := db.Schema(t.Context())
			if err != nil || len(schema.Steps) == 0 || len(schema.Pending()) != 0 {
				t.Errorf("Schema = %+v, %v; want all of it", schema, err)
			}
			if _, err := db.Exec(t.Context(), `CREATE TABLE mine (id TEXT NOT NULL PRIMARY KEY)`); err != nil {
				t.Errorf("make what only this test has: %v", err)
			}
		})
	}
}

// A test that must have PostgreSQL and no schema gets an empty one, and another one each time.
func TestPostgresURL(t *testing.T) {
	for range 2 {
		db := open(t, PostgresURL(t))
		if schema, err := db.Schema(t.Context()); err != nil || schema.Version != 0 {
			t.Errorf("Schema = %+v, %v; want none", schema, err)
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Errorf("migrate: %v", err)
		}
	}
}
