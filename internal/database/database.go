// Package database opens SQLite or PostgreSQL and is the only one that knows which it is.
//
// Begin with [Open]. Statements run through [DB.Query], [DB.QueryRow] and [DB.Exec]; what must
// happen together runs inside [DB.Transact], whose transaction travels in the context, so that
// stores take part in it without knowing. Both engines bind $1 by number and share one SQL text
// (docs/decisions/0001).
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // driver "sqlite"

	"github.com/wardkey/wardkey/migrations"
)

// ErrInUse means that another process has the SQLite file open.
var ErrInUse = errors.New("another wardkey process is using this database file; stop it first")

// ErrBadURL means that a URL names no database.
var ErrBadURL = errors.New(`a database is "sqlite:PATH" or "postgres://USER:PASSWORD@HOST/NAME"`)

// A DB is an open database. It is safe for concurrent use.
type DB struct {
	read    *sql.DB // the pool; on SQLite without the right to write
	write   *sql.DB // the same pool on PostgreSQL; one connection on SQLite
	dialect migrations.Dialect
	lock    *flock.Flock // holds the SQLite file for this process

	prepared sync.Map      // of *sql.Stmt by its text: what QueryPrepared has seen
	turn     chan struct{} // held by the one transaction of those that are tried again and again
}

// Open opens the database that url names: "sqlite:PATH" or "postgres://…". It does not connect
// to PostgreSQL yet; [DB.Migrate] does. A PostgreSQL may have several hosts, postgres://a,b/name, of
// which the one is used that takes writes (docs/guides/nodes.md). SQLite files are created when absent, and ErrInUse is
// returned when another process has the file.
func Open(url string) (*DB, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	switch {
	case ok && path != "":
		return openSQLite(path)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return openPostgres(url)
	}
	return nil, ErrBadURL
}

// Transactions take SQLite's write lock when they begin, because a read lock cannot be upgraded
// while another writer is waiting.
const sqlitePragmas = "?_txlock=immediate" +
	"&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
	"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"

// SQLiteReaders is how many statements read a SQLite database at once. Each keeps 2 MB of pages.
const SQLiteReaders = 4

func openSQLite(path string) (*DB, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // one file, one lock, by whatever name it is called
	}
	lock := flock.New(path + ".lock")
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if !held {
		return nil, fmt.Errorf("open %s: %w", path, ErrInUse)
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + sqlitePragmas
	write, err := sql.Open("sqlite", dsn)
	if err == nil {
		err = write.PingContext(context.Background()) // creates the file, and WAL mode with it, before readers come
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), lock.Unlock())
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close(), lock.Unlock())
	}
	read.SetMaxOpenConns(SQLiteReaders)
	read.SetMaxIdleConns(SQLiteReaders)
	return &DB{read: read, write: write, dialect: migrations.SQLite, lock: lock, turn: make(chan struct{}, 1)}, nil
}

func openPostgres(url string) (*DB, error) {
	hosts, err := newFailover(url)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	pool := sql.OpenDB(hosts)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return &DB{read: pool, write: pool, dialect: migrations.Postgres, turn: make(chan struct{}, 1)}, nil
}

// Migrate brings the schema up to date. It is safe from many servers at once.
func (db *DB) Migrate(ctx context.Context) error {
	return migrations.Apply(ctx, db.write, db.dialect)
}

// Ping asks the database whether it answers.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Embedded says whether the database is a file of this process alone.
func (db *DB) Embedded() bool { return db.dialect == migrations.SQLite }

// Close closes every connection and, for SQLite, lets other processes have the file.
func (db *DB) Close() error {
	err := db.read.Close()
	if db.write != db.read {
		err = errors.Join(err, db.write.Close())
	}
	if db.lock != nil {
		err = errors.Join(err, db.lock.Unlock())
	}
	return err
}

type txKey struct{}

// querier is what a transaction and a pool have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (db *DB) querier(ctx context.Context, pool *sql.DB) querier {
	if tx, ok := ctx.Value(txKey{}).(*sql.Tx); ok {
		return tx
	}
	return pool
}

// Query runs a statement that returns rows, in the transaction of ctx if there is one.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.querier(ctx, db.read).QueryContext(ctx, query, args...)
}

// QueryRow runs a statement that returns at most one row, in the transaction of ctx if there is one.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return db.querier(ctx, db.read).QueryRowContext(ctx, query, args...)
}

// WriteRow runs a statement that changes at most one row and returns it, in the transaction of ctx if
// there is one.
func (db *DB) WriteRow(ctx context.Context, query string, args ...any) *sql.Row {
	return db.querier(ctx, db.write).QueryRowContext(ctx, query, args...)
}

// QueryPrepared is Query outside of any transaction, for the few statements that run so often
// that parsing them each time would show. It keeps each statement for the life of the DB.
func (db *DB) QueryPrepared(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, ok := db.prepared.Load(query)
	if !ok {
		fresh, err := db.read.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		if statement, ok = db.prepared.LoadOrStore(query, fresh); ok {
			_ = fresh.Close() //nolint:sqlclosecheck // another request was quicker; the statement is kept otherwise
		}
	}
	return statement.(*sql.Stmt).QueryContext(ctx, args...)
}

// Exec runs a statement that changes rows and says how many, in the transaction of ctx if there is one.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := db.querier(ctx, db.write).ExecContext(ctx, query, args...)
	if err != nil {
		return 0, unavailable(err)
	}
	return result.RowsAffected()
}

// attempts is how often a transaction is tried that others' transactions got in the way of.
const attempts = 20

// patient is after how many of them it waits for the others of this process that are as unlucky.
const patient = 3

// Transact runs fn in one serializable transaction: all of it happens, or nothing does. Inside
// another Transact it is part of that one. fn may run more than once, when a transaction of
// another server got in the way, so it must not change anything but the database.
func (db *DB) Transact(ctx context.Context, fn func(ctx context.Context) error) error {
	if ctx.Value(txKey{}) != nil {
		return fn(ctx)
	}
	for attempt := 1; ; attempt++ {
		err := db.transactOnce(ctx, fn)
		if err == nil || !isSerialization(err) || attempt == attempts {
			return unavailable(err)
		}
		if attempt == patient {
			select {
			case db.turn <- struct{}{}:
				defer func() { <-db.turn }()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		pause := time.Duration(rand.Int64N(int64(5*time.Millisecond) << min(attempt, 6)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// atEnd is how long a server that ends tries to write what it still has.
const atEnd = 8 * time.Second

// AtEnd writes what a server that ends still has, though ctx has ended: a store that is away for a
// moment may still be back in time. It returns the last error, if there was no other end.
func AtEnd(ctx context.Context, flush func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), atEnd)
	defer cancel()
	for {
		err := flush(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (db *DB) transactOnce(ctx context.Context, fn func(ctx context.Context) error) error {
	// SQLite knows no other level, and its driver refuses to be asked for one.
	options := &sql.TxOptions{}
	if db.dialect == migrations.Postgres {
		options.Isolation = sql.LevelSerializable
	}
	tx, err := db.write.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := fn(context.WithValue(ctx, txKey{}, tx)); err != nil {
		return err
	}
	err = tx.Commit()
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		err = ctx.Err() // it was rolled back because of that
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
