package database

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// The codes of PostgreSQL (Appendix A of its manual) that mean something to us.
const (
	pgSerializationFailure = "40001"
	pgDeadlockDetected     = "40P01"
	pgUniqueViolation      = "23505"
	pgForeignKeyViolation  = "23503"
	pgDiskFull             = "53100"
)

// IsConflict says whether err means that a unique value is taken.
func IsConflict(err error) bool {
	return isOneOf(err, []string{pgUniqueViolation},
		sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// IsForeignKey says whether err means that a row refers to one that is not there, or is itself
// referred to.
func IsForeignKey(err error) bool {
	return isOneOf(err, []string{pgForeignKeyViolation}, sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY)
}

// IsFull says whether err means that the disk of the database is full.
func IsFull(err error) bool {
	return isOneOf(err, []string{pgDiskFull}, sqlitelib.SQLITE_FULL)
}

// isSerialization says whether err means that another transaction got in the way, and trying
// again may help.
func isSerialization(err error) bool {
	return isOneOf(err, []string{pgSerializationFailure, pgDeadlockDetected},
		sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_BUSY_SNAPSHOT, sqlitelib.SQLITE_LOCKED)
}

func isOneOf(err error, postgres []string, lite ...int) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, code := range postgres {
			if e.Code == code {
				return true
			}
		}
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		for _, code := range lite {
			if e.Code() == code {
				return true
			}
		}
	}
	return false
}
