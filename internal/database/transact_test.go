package database_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func TestTransactAllOrNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY)`)
		changedMind := errors.New("changed my mind")
		insert := func(ctx context.Context, n int) error {
			_, err := db.Exec(ctx, `INSERT INTO t (n) VALUES ($1)`, n)
			return err
		}
		count := func() int64 { return number(t, db, `SELECT count(*) FROM t`) }

		must(t, db.Transact(t.Context(), func(ctx context.Context) error {
			err := errors.Join(insert(ctx, 1), insert(ctx, 2))
			if got := count(); got != 0 {
				t.Errorf("%d rows are seen from outside before the end", got)
			}
			var inside int
			if err := db.QueryRow(ctx, `SELECT count(*) FROM t`).Scan(&inside); err != nil || inside != 2 {
				t.Errorf("%d rows are seen from inside, %v; want 2", inside, err)
			}
			return err
		}))
		if got := count(); got != 2 {
			t.Errorf("%d rows after the end; want 2", got)
		}
		for name, fn := range map[string]func(ctx context.Context) error{
			"an error": func(ctx context.Context) error { return errors.Join(insert(ctx, 3), changedMind) },
			"an inner error": func(ctx context.Context) error {
				return errors.Join(insert(ctx, 3), db.Transact(ctx, func(ctx context.Context) error { return errors.Join(insert(ctx, 4), changedMind) }))
			},
			"an outer error": func(ctx context.Context) error {
				return errors.Join(db.Transact(ctx, func(ctx context.Context) error { return insert(ctx, 4) }), changedMind)
			},
		} {
			if err := db.Transact(t.Context(), fn); !errors.Is(err, changedMind) {
				t.Errorf("%s: Transact = %v", name, err)
			}
			if got := count(); got != 2 {
				t.Errorf("%s: %d rows; want 2", name, got)
			}
		}
		func() {
			defer func() { _ = recover() }()
			_ = db.Transact(t.Context(), func(ctx context.Context) error {
				must(t, insert(ctx, 3))
				panic("a bug")
			})
		}()
		if got := count(); got != 2 {
			t.Errorf("after a panic: %d rows; want 2", got)
		}
		must(t, db.Transact(t.Context(), func(ctx context.Context) error { return insert(ctx, 3) })) // nothing is left locked
	})
}

// Transactions that read and then write never lose an update, however many there are at once:
// those that get in each other's way are tried again.
func TestTransactIsSerializable(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		countAtOnce(t, 10, `UPDATE counter SET n = $1`, db)
	})
}

// Long transactions of two servers that want the same row all get it: those that were unlucky do not
// get in each other's way as well.
func TestTransactTakesTurns(t *testing.T) {
	url := databasetest.PostgresURL(t)
	var servers [2]*database.DB
	for i := range servers {
		var err error
		servers[i], err = database.Open(url)
		must(t, err)
		defer servers[i].Close()
	}
	countAtOnce(t, 8, `UPDATE counter SET n = $1 FROM (SELECT pg_sleep(0.01)) AS long`, servers[:]...)
}

// countAtOnce has twelve workers of each server add one to a row, each so many times, by a read and the
// update.
func countAtOnce(t *testing.T, each int, update string, servers ...*database.DB) {
	t.Helper()
	exec(t, servers[0], `CREATE TABLE counter (n BIGINT NOT NULL)`)
	exec(t, servers[0], `INSERT INTO counter (n) VALUES (0)`)
	const workers = 12
	var wg sync.WaitGroup
	for _, db := range servers {
		addOne := func(ctx context.Context) error {
			var n int
			if err := db.QueryRow(ctx, `SELECT n FROM counter`).Scan(&n); err != nil {
				return err
			}
			_, err := db.Exec(ctx, update, n+1)
			return err
		}
		for range workers {
			wg.Go(func() {
				for range each {
					if err := db.Transact(t.Context(), addOne); err != nil {
						t.Errorf("Transact: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	if got, want := number(t, servers[0], `SELECT n FROM counter`), int64(len(servers)*workers*each); got != want {
		t.Errorf("%d additions make %d", want, got)
	}
}

// Of the transactions of a server that were unlucky three times one is tried at a time. Whoever waits for
// that can leave.
func TestUnluckyTransactionsWait(t *testing.T) {
	db := postgres(t)
	conflict := func(ctx context.Context) error {
		_, err := db.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$`)
		return err
	}
	begun, over := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		ran := 0
		_ = db.Transact(t.Context(), func(ctx context.Context) error { // which may have been open for too long
			if ran++; ran <= 3 {
				return conflict(ctx)
			}
			if ran == 4 {
				close(begun)
				<-over
			}
			return nil
		})
	})
	<-begun
	ctx, leave := context.WithCancel(t.Context())
	ran := 0
	err := db.Transact(ctx, func(ctx context.Context) error {
		if ran++; ran == 3 {
			time.AfterFunc(200*time.Millisecond, leave) // longer than the pauses between tries
		}
		return conflict(ctx)
	})
	if ran != 3 || !errors.Is(err, context.Canceled) {
		t.Errorf("while another has its turn, one is tried %d times, %v; want 3 times until it leaves", ran, err)
	}
	close(over)
	first.Wait()
}

// PostgreSQL's own word that a transaction got in the way is enough to try again, a few times.
func TestTransactTriesAgain(t *testing.T) {
	db := postgres(t)
	for _, tt := range []struct {
		code          string
		failures, ran int
		ok            bool
	}{
		{"40001", 3, 4, true}, // serialization failure
		{"40P01", 1, 2, true}, // deadlock
		{"40001", 1000, 20, false},
		{"53100", 1000, 1, false}, // disk full
		{"23505", 1000, 1, false}, // conflict
		{"57014", 1000, 1, false}, // cancelled
	} {
		ran := 0
		err := db.Transact(t.Context(), func(ctx context.Context) error {
			if ran++; ran > tt.failures {
				return nil
			}
			_, err := db.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '`+tt.code+`'; END $$`)
			return err
		})
		if ran != tt.ran || (err == nil) != tt.ok {
			t.Errorf("%s, %d times: tried %d times, %v; want %d", tt.code, tt.failures, ran, err, tt.ran)
		}
		if database.IsFull(err) != (tt.code == "53100") || database.IsConflict(err) != (tt.code == "23505") {
			t.Errorf("%s: IsFull %t, IsConflict %t", tt.code, database.IsFull(err), database.IsConflict(err))
		}
		if database.IsUnavailable(err) != (err != nil && tt.code != "23505") {
			t.Errorf("%s: IsUnavailable %t", tt.code, database.IsUnavailable(err))
		}
	}
}

// Another process that writes to the SQLite file, for example a backup, is waited for.
func TestTransactWaitsForTheFile(t *testing.T) {
	url := databasetest.SQLiteURL(t)
	db, err := database.Open(url)
	must(t, err)
	defer db.Close()
	exec(t, db, `CREATE TABLE t (n BIGINT)`)
	exec(t, db, `PRAGMA busy_timeout = 0`) // so that each try fails at once
	other, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite:")+"?_txlock=immediate")
	must(t, err)
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	must(t, err)
	time.AfterFunc(10*time.Millisecond, func() { _ = tx.Rollback() })
	must(t, db.Transact(t.Context(), func(ctx context.Context) error {
		_, err := db.Exec(ctx, `INSERT INTO t (n) VALUES (1)`)
		return err
	}))
	if got := number(t, db, `SELECT count(*) FROM t`); got != 1 {
		t.Errorf("%d rows; want 1", got)
	}
}

// Whoever leaves leaves nothing half done and holds nobody up.
func TestTransactStopsWithItsContext(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `CREATE TABLE t (n BIGINT)`)
		insert := func(ctx context.Context) error {
			_, err := db.Exec(ctx, `INSERT INTO t (n) VALUES (1)`)
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Transact(ctx, func(ctx context.Context) error {
			must(t, insert(ctx))
			cancel()
			return nil // as if nobody had noticed
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("left before the end: %v; want context.Canceled", err)
		}
		if err := db.Transact(ctx, insert); !errors.Is(err, context.Canceled) {
			t.Errorf("left before the beginning: %v; want context.Canceled", err)
		}
		if got := number(t, db, `SELECT count(*) FROM t`); got != 0 {
			t.Errorf("%d rows are left; want none", got)
		}
		must(t, db.Transact(t.Context(), insert))
	})
}

// On SQLite one writes at a time, and nobody waits to read meanwhile.
func TestReadersDoNotWait(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `UPDATE catalog SET version = 5`)
		must(t, db.Transact(t.Context(), func(ctx context.Context) error {
			_, err := db.Exec(ctx, `UPDATE catalog SET version = 6`)
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() {
					if got := number(t, db, `SELECT version FROM catalog`); got != 5 {
						t.Errorf("read %d while 6 is being written", got)
					}
				})
			}
			wg.Wait()
			return err
		}))
	})
}
