//go:build unix

package database_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/databasetest/pgpair"
)

// A wire passes bytes between a client and a database, until it is stalled: then nothing passes
// any more, nobody is told, and new connections are taken and left alone, as by a machine that is
// gone from the network.
type wire struct {
	net.Listener
	stalled atomic.Bool
	made    atomic.Int64                 // connections
	asked   atomic.Pointer[func([]byte)] // hears what the client says before the database does; nil: nobody
	mu      sync.Mutex
	ends    []net.Conn
	cut     bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{Listener: l}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.made.Add(1)
			w.keep(near, far)
			passing.Go(func() { w.pass(near, far, w.hear) })
			passing.Go(func() { w.pass(far, near, func([]byte) {}) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.sever()
		passing.Wait()
	})
	return w
}

func (w *wire) keep(ends ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, ends...)
	if w.cut {
		for _, end := range ends {
			_ = end.Close()
		}
	}
}

// sever cuts every connection there is.
func (w *wire) sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for _, end := range w.ends {
		_ = end.Close()
	}
}

func (w *wire) hear(said []byte) {
	if asked := w.asked.Load(); asked != nil {
		(*asked)(said)
	}
}

func (w *wire) pass(from, to net.Conn, hear func([]byte)) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		hear(buffer[:n])
		if err == nil && !w.stalled.Load() {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			_ = to.Close()
			_, _ = io.Copy(io.Discard, from)
			return
		}
	}
}

// through is the URL of the test PostgreSQL by way of wires.
func through(t *testing.T, wires ...*wire) string {
	t.Helper()
	u, err := url.Parse(databasetest.PostgresURL(t))
	must(t, err)
	var hosts []string
	for _, w := range wires {
		hosts = append(hosts, w.Addr().String())
	}
	return strings.Replace(u.String(), u.Host, strings.Join(hosts, ","), 1)
}

func postgresAddress(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(databasetest.PostgresURL(t))
	must(t, err)
	return u.Host
}

// fill opens every connection of the pool.
func fill(t *testing.T, db *database.DB) {
	t.Helper()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { _ = db.QueryRow(t.Context(), `SELECT pg_sleep(0.2)`).Scan(new(string)) })
	}
	wg.Wait()
}

// A host that is gone without a word costs one statement its time. Then another host is asked,
// whatever the pool still holds of the first.
func TestHostThatFallsSilent(t *testing.T) {
	address := postgresAddress(t)
	first, second := newWire(t, address), newWire(t, address)
	second.stalled.Store(true) // so that all connections are to the first
	db, err := database.Open(through(t, first, second))
	must(t, err)
	defer db.Close()
	fill(t, db)
	first.stalled.Store(true)
	second.stalled.Store(false)
	began := time.Now()
	failed := 0
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := db.QueryRow(ctx, `SELECT 1`).Scan(new(int))
		cancel()
		if err == nil {
			break
		}
		if failed++; failed > 20 {
			t.Fatalf("it is not found: %v", err)
		}
	}
	if took := time.Since(began); took > 2*time.Second || failed > 1 {
		t.Errorf("another host was found after %s and %d failures; want at most 2 s and 1", took, failed)
	}
}

// A host that falls silent keeps no statement longer than it has time, also of those that find a
// connection which another found dead.
func TestSilentHostKeepsNobody(t *testing.T) {
	w := newWire(t, postgresAddress(t))
	db, err := database.Open(through(t, w))
	must(t, err)
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rows, err := db.QueryPrepared(ctx, `SELECT pg_sleep(0.2)`)
		if err != nil {
			return err
		}
		return rows.Close()
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := ask(); err != nil {
				t.Errorf("before: %v", err)
			}
		})
	}
	wg.Wait()
	w.stalled.Store(true)
	for range 4 {
		if began, err := time.Now(), ask(); err == nil || time.Since(began) > 4*time.Second {
			t.Errorf("a statement that has a second returned %v after %s", err, time.Since(began))
		}
	}
	w.sever()
	must(t, db.Close())
}

// A host that cuts all its connections costs nobody anything but those under way.
func TestHostThatCuts(t *testing.T) {
	w := newWire(t, postgresAddress(t))
	db, err := database.Open(through(t, w))
	must(t, err)
	defer db.Close()
	fill(t, db)
	w.sever()
	w.mu.Lock()
	w.cut = false
	w.mu.Unlock()
	failed := 0
	for range 32 {
		if err := db.QueryRow(t.Context(), `SELECT 1`).Scan(new(int)); err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d statements failed after the cut; want at most the first", failed)
	}
}

// hold uses so many connections at once, and lets go of all of them.
func hold(t *testing.T, db *database.DB, connections int) {
	t.Helper()
	for range connections {
		rows, err := db.Query(t.Context(), `SELECT 1`)
		must(t, err)
		defer rows.Close()
	}
}

// startingUp is a host whose PostgreSQL starts: it says so to everybody, and nothing else.
func startingUp(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	const fields = "SFATAL\x00VFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00"
	answer := append([]byte{'E', 0, 0, 0, byte(4 + len(fields))}, fields...)
	var answering sync.WaitGroup
	answering.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<10)) // what it asks for
			_, _ = conn.Write(answer)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); answering.Wait() })
	return l
}

// A standby that starts says so to each new connection. That costs no connection to the primary.
func TestStandbyThatStarts(t *testing.T) {
	primary := newWire(t, postgresAddress(t))
	db, err := database.Open(through(t, primary, &wire{Listener: startingUp(t)}))
	must(t, err)
	defer db.Close()
	const connections = 8
	hold(t, db, connections)
	hold(t, db, connections)
	if made := primary.made.Load(); made > connections+2 { // a busy machine may think one of them dead
		t.Errorf("%d connections were made to the primary; want %d, which live on", made, connections)
	}
}

// Who asks may hang up while it is asked whether a connection lives. That says nothing about the
// host, and costs no other connection.
func TestWhoAsksHangsUp(t *testing.T) {
	host := newWire(t, postgresAddress(t))
	db, err := database.Open(through(t, host))
	must(t, err)
	defer db.Close()
	const connections = 8
	hold(t, db, connections)
	hangUpAt := func(query, said string) bool {
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		heard := func(b []byte) {
			if strings.Contains(string(b), said) {
				hangUp()
				time.Sleep(20 * time.Millisecond) // until that is known to whoever waits for the answer
			}
		}
		host.asked.Store(&heard)
		defer host.asked.Store(nil)
		return db.QueryRow(ctx, query).Scan(new(string)) != nil
	}
	if !hangUpAt(`SELECT pg_sleep(10)`, "pg_sleep") { // after this, all are under suspicion
		t.Fatal("a statement ended well whose caller had hung up")
	}
	if !hangUpAt(`SELECT 1`, "-- ping") {
		t.Fatal("nobody was asked whether it lives")
	}
	hold(t, db, connections)
	if made := host.made.Load(); made > connections+3 { // those of who hung up are gone
		t.Errorf("%d connections were made; want at most %d", made, connections+3)
	}
}

// A server that takes no writes any more is given up: the error says that trying again may help, and
// that finds a connection which takes them.
func TestReadOnlyConnectionIsDropped(t *testing.T) {
	db := postgres(t)
	exec(t, db, `CREATE TABLE t (n BIGINT)`)
	insert := func(ctx context.Context) error {
		_, err := db.Exec(ctx, `INSERT INTO t (n) VALUES (1)`)
		return err
	}
	for name, write := range map[string]func(context.Context) error{
		"a statement":   insert,
		"a transaction": func(ctx context.Context) error { return db.Transact(ctx, insert) },
	} {
		exec(t, db, `SET default_transaction_read_only = on`) // the one connection in the pool
		if err := write(t.Context()); !errors.Is(err, driver.ErrBadConn) || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("%s on a standby: %v; want driver.ErrBadConn, and why", name, err)
		}
		if err := write(t.Context()); err != nil {
			t.Errorf("%s after that: %v", name, err)
		}
	}
	var limit string
	must(t, db.QueryRow(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&limit))
	if limit != "5s" {
		t.Errorf("a transaction may be idle for %s; want 5s", limit)
	}
}

// A primary and its standby: writes go to the primary, a failover that could lose some is known,
// and a promotion is found.
func TestPrimaryAndStandby(t *testing.T) {
	pair := pgpair.Start(t, false)
	only, err := database.Open(pair.Standby.URL())
	must(t, err)
	defer only.Close()
	if err := only.Ping(t.Context()); !database.IsUnavailable(err) || !strings.Contains(err.Error(), "read only") {
		t.Errorf("a standby alone: %v; want that it is read only, which may pass", err)
	}
	db, err := database.Open(pair.URL())
	must(t, err)
	defer db.Close()
	exec(t, db, `CREATE TABLE t (n BIGINT)`)
	risks := func(want string) {
		t.Helper()
		risk, err := db.FailoverRisk(t.Context())
		if err != nil || want == "" && risk != "" || !strings.Contains(risk, want) {
			t.Errorf("FailoverRisk = %q, %v; want %q", risk, err, want)
		}
	}
	risks("standby is asynchronous")
	pair.Primary.Kill()
	if _, err := db.Exec(t.Context(), `INSERT INTO t (n) VALUES (1)`); err == nil {
		t.Error("there is no primary, and a write succeeds")
	}
	pair.Standby.Promote(t)
	began := time.Now()
	for db.Ping(t.Context()) != nil && time.Since(began) < time.Minute {
		time.Sleep(5 * time.Millisecond)
	}
	exec(t, db, `CREATE TABLE IF NOT EXISTS t (n BIGINT)`) // the standby may have lagged behind it
	exec(t, db, `INSERT INTO t (n) VALUES (1)`)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the new primary was found %s after its promotion; want 2 s at most", took)
	}
	risks("")
}

// Whatever becomes of a transaction when the primary is killed under it, its error says that trying
// again may help, so that the caller answers 503.
func TestKilledPrimaryIsUnavailable(t *testing.T) {
	pair := pgpair.Start(t, false)
	db, err := database.Open(pair.URL())
	must(t, err)
	defer db.Close()
	exec(t, db, `CREATE TABLE t (n BIGINT)`)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := db.Transact(ctx, func(ctx context.Context) error {
					_, err := db.Exec(ctx, `INSERT INTO t (n) VALUES (1)`)
					return err
				})
				if err != nil && ctx.Err() == nil && !database.IsUnavailable(err) {
					t.Errorf("of a killed primary is said: %v", err)
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	pair.Primary.Kill()
	time.Sleep(200 * time.Millisecond)
	stop()
	wg.Wait()
}
