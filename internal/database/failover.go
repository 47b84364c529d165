package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// A host that does not answer is given up after this, where the URL says no connect_timeout.
	connectTimeout = 5 * time.Second

	// A connection that was not used for so long, or is under suspicion, is asked whether it lives,
	// and has so long to say so: half of what a token request waits at most.
	rested   = time.Second
	pingTime = 500 * time.Millisecond

	// The database ends a transaction that does nothing for so long, and lets go of what it locked.
	// A server that was stopped in the middle of one holds nobody up, and does nothing with it on
	// waking: this is sooner than a lease changes hands.
	idleInTransaction = "5s"
)

// A failover connects to the host of a PostgreSQL that takes writes, and drops the connections to
// one that went away. It implements [driver.Connector].
type failover struct {
	hosts []driver.Connector // one for each host of the URL

	// When, since began, a connection failed; and when one was found dead or its host no primary
	// any more. Those from before are then asked whether they live, or are dropped.
	began           time.Time
	suspected, lost atomic.Int64
}

// newFailover reads a postgres:// URL, which may name several hosts.
func newFailover(url string) (*failover, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	f := &failover{began: time.Now()}
	config.DialFunc = f.dial
	config.OnPgError = f.serverError
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// A standby lags behind: it would let in a client that was revoked.
	if config.ValidateConnect == nil && !strings.Contains(url, "target_session_attrs") {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	for _, host := range byHost(config) {
		f.hosts = append(f.hosts, stdlib.GetConnector(*host,
			stdlib.OptionAfterConnect(f.connected), stdlib.OptionResetSession(f.check),
			stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return false }))) // check does
	}
	return f, nil
}

// byHost makes one configuration for each host. A host may have two ways to it, with TLS and without.
func byHost(config *pgx.ConnConfig) []*pgx.ConnConfig {
	var hosts []*pgx.ConnConfig
	ways := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	for _, way := range ways {
		if n := len(hosts); n > 0 && hosts[n-1].Host == way.Host && hosts[n-1].Port == way.Port {
			hosts[n-1].Fallbacks = append(hosts[n-1].Fallbacks, way)
			continue
		}
		host := config.Copy()
		host.Host, host.Port, host.TLSConfig, host.Fallbacks = way.Host, way.Port, way.TLSConfig, nil
		hosts = append(hosts, host)
	}
	return hosts
}

// Driver implements [driver.Connector].
func (f *failover) Driver() driver.Driver { return f.hosts[0].Driver() }

// Connect asks all hosts at once and takes the first that accepts writes, so that one which does
// not answer at all keeps nobody from the others.
func (f *failover) Connect(ctx context.Context) (driver.Conn, error) {
	if len(f.hosts) == 1 {
		return f.hosts[0].Connect(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		conn driver.Conn
		err  error
	}
	answers := make(chan answer, len(f.hosts))
	for _, host := range f.hosts {
		go func() {
			conn, err := host.Connect(ctx)
			answers <- answer{conn, err}
		}()
	}
	var failed []error
	for waiting := len(f.hosts) - 1; waiting >= 0; waiting-- {
		first := <-answers
		if first.err != nil {
			failed = append(failed, first.err)
			continue
		}
		go func() { // a second that accepts writes is not needed
			for range waiting {
				if late := <-answers; late.err == nil {
					_ = late.conn.Close()
				}
			}
		}()
		return first.conn, nil
	}
	return nil, errors.Join(failed...)
}

// A pulse is when a connection was last known to live, and when it was last used.
type pulse struct{ known, used time.Duration }

// pulseKey is where a connection keeps its pulse.
const pulseKey = "wardkey pulse"

func (f *failover) now() time.Duration { return time.Since(f.began) }

// connected readies a connection that was just made.
func (f *failover) connected(ctx context.Context, conn *pgx.Conn) error {
	now := f.now()
	conn.PgConn().CustomData()[pulseKey] = &pulse{known: now, used: now}
	if _, err := conn.Exec(ctx, `SET idle_in_transaction_session_timeout = '`+idleInTransaction+`'`); err != nil {
		return fmt.Errorf("set up a connection: %w", err)
	}
	return nil
}

// check says whether a connection that waited may be used once more.
func (f *failover) check(ctx context.Context, conn *pgx.Conn) error {
	p, ok := conn.PgConn().CustomData()[pulseKey].(*pulse)
	if !ok || p.known <= time.Duration(f.lost.Load()) {
		drop(ctx, conn)
		return driver.ErrBadConn
	}
	now := f.now()
	idle := now - p.used
	p.used = now
	if idle < rested && p.known > time.Duration(f.suspected.Load()) {
		return nil
	}
	// Whoever asked may hang up; that says nothing about the host.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTime)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		f.lost.Store(int64(now)) // the others of that time have the same host
		return driver.ErrBadConn
	}
	p.known = now
	return nil
}

// drop closes a connection that is dead. Left to database/sql, whoever found it so would wait 5 s for
// its other end to give up the statements that were prepared there.
func drop(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTime)
	defer cancel()
	_ = conn.Close(ctx) // nobody is there to be told
}

// serverError hears of each error that the database reports, and says whether the connection is
// still of use. The error of a server that stops, or that takes writes no more, is the last on all
// its connections; not so that of one which is only being connected to, as a standby that starts:
// the others are to another host.
func (f *failover) serverError(conn *pgconn.PgConn, err *pgconn.PgError) bool {
	switch err.Code {
	case pgReadOnly, pgAdminShutdown, pgCrashShutdown:
		if _, ok := conn.CustomData()[pulseKey]; ok {
			f.lost.Store(int64(f.now()))
		}
		return false
	}
	return !strings.EqualFold(err.SeverityUnlocalized, "FATAL")
}

// dial connects a socket that notices when its host is gone, even if that says nothing.
func (f *failover) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Control:         limitUnacknowledged,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watchedConn{conn, f}, nil
}

// A watchedConn raises suspicion when nothing can be read from it: an answer that did not come in
// time looks the same on a slow database as on one that is gone.
type watchedConn struct {
	net.Conn
	failover *failover
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.failover.suspected.Store(int64(c.failover.now()))
	}
	return n, err
}
