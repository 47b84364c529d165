package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

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
	pgReadOnly             = "25006" // of a primary that became a standby
	pgIdleInTransaction    = "25P03"
	pgAdminShutdown        = "57P01"
	pgCrashShutdown        = "57P02"
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

// The classes of PostgreSQL's codes for a lost connection, for a transaction that others got in the
// way of, for too few resources, and for a server that is going down or coming up.
var passing = []string{"08", "40", "53", "57"}

// IsUnavailable says whether err means that the database could not be asked, or not in time, so that
// trying again may help.
func IsUnavailable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok { // of several hosts, perhaps because none takes writes
		return true
	}
	if e, ok := errors.AsType[net.Error](err); ok && !ofFile(e) {
		return true
	}
	var state interface{ SQLState() string }
	return errors.As(err, &state) && slices.ContainsFunc(passing, func(class string) bool {
		return strings.HasPrefix(state.SQLState(), class)
	})
}

// ofFile says whether an error is of a file: an error number that stands alone, which has the methods
// of a [net.Error] too. One of a connection is part of a [net.OpError], which is found before it.
func ofFile(err net.Error) bool {
	_, alone := err.(syscall.Errno)
	return alone
}

// isSerialization says whether err means that another transaction got in the way, and trying
// again may help.
func isSerialization(err error) bool {
	return isOneOf(err, []string{pgSerializationFailure, pgDeadlockDetected},
		sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_BUSY_SNAPSHOT, sqlitelib.SQLITE_LOCKED)
}

// unavailable marks an error like one of a connection that is gone, [driver.ErrBadConn], because trying
// again may help and may find another host: that of a server which takes no writes any more, or which
// ended a transaction that did nothing for long; and what pgx says of a connection that closed before
// it was used.
func unavailable(err error) error {
	gone := isOneOf(err, []string{pgReadOnly, pgIdleInTransaction}) || pgconn.SafeToRetry(err)
	if gone && !errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("%w: %w", driver.ErrBadConn, err)
	}
	return err
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
