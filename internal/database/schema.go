package database

import (
	"context"

	"github.com/wardkey/wardkey/migrations"
)

// A Schema is how far a database is, in steps.
type (
	Schema = migrations.Schema
	Step   = migrations.Step
)

// Schema says how far the schema is, and changes nothing. [DB.Migrate] brings it up to date.
func (db *DB) Schema(ctx context.Context) (Schema, error) {
	return migrations.Status(ctx, db.read, db.dialect)
}
