//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/databasetest/pgpair"
)

// repeat is how often a test repeats what takes long: few times, or as often as a variable says for
// who has the time (make soak).
func repeat(variable string, few int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return few
}

// patienceFor is what something may take: what is promised where it is measured, by who sets the
// variable, and far more in a test, which may run on a machine that has other work.
func patienceFor(variable string, promised time.Duration) time.Duration {
	if os.Getenv(variable) != "" {
		return promised
	}
	return promised + 20*time.Second
}

// A served is a server inside this process that can be stopped in order, as SIGTERM does.
type served struct {
	*node
	stop func() // returns when it has ended
}

// faults are the lines of a log that should never be: of the thousands of requests that are told to
// come again none is kept.
type faults struct{ t *testing.T }

func (f faults) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`"status":500`)) {
		f.t.Logf("%s", line)
	}
	return len(line), nil
}

func startServed(t *testing.T, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	banner, stdout := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir()}, args...), testEnvironment, stdout, faults{t})
		stdout.CloseWithError(fmt.Errorf("serve ended with %d", code))
	}()
	s := &served{stop: sync.OnceFunc(func() { cancel(); <-ended })}
	t.Cleanup(s.stop)
	var err error
	s.node, err = readNode(banner)
	must(t, err)
	return s
}

// A balancer sends each request to one of the servers that are ready, and tries nothing twice: a
// connection that the server closed under its hands is a request that failed.
type balancer struct {
	mu       sync.Mutex
	backends []*backend
	turn     int
}

// A backend is a server as a balancer knows it.
type backend struct {
	address string
	ready   atomic.Bool
	idle    chan *link
}

// A link is a connection to a backend.
type link struct {
	net.Conn
	answers *bufio.Reader
}

func (b *balancer) add(n *node) *backend {
	fresh := &backend{address: strings.TrimPrefix(n.url, "http://"), idle: make(chan *link, 64)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends = append(b.backends, fresh)
	return fresh
}

// watch asks each server whether it is ready, until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		b.mu.Lock()
		backends := append([]*backend(nil), b.backends...)
		b.mu.Unlock()
		for _, to := range backends {
			answer, err := client.Get("http://" + to.address + "/readyz")
			to.ready.Store(err == nil && answer.StatusCode == http.StatusOK)
			if err == nil {
				_ = answer.Body.Close()
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// pick takes the next server that is ready.
func (b *balancer) pick() (*backend, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.backends {
		b.turn++
		if to := b.backends[b.turn%len(b.backends)]; to.ready.Load() {
			return to, nil
		}
	}
	return nil, errors.New("no server is ready")
}

// send sends one request and returns the status of its answer.
func (b *balancer) send(request string) (int, error) {
	to, err := b.pick()
	if err != nil {
		return 0, err
	}
	var l *link
	select {
	case l = <-to.idle:
	default:
		conn, err := net.Dial("tcp", to.address)
		if err != nil {
			return 0, err
		}
		l = &link{conn, bufio.NewReader(conn)}
	}
	if _, err := io.WriteString(l, request); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(l.answers, nil)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.Close {
		return answer.StatusCode, errors.Join(err, l.Close())
	}
	to.idle <- l
	return answer.StatusCode, nil
}

func tokenRequest(id, secret string) string {
	const body = "grant_type=client_credentials"
	return fmt.Sprintf("POST /oauth/token HTTP/1.1\r\nHost: wardkey.test\r\nAuthorization: Basic %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		base64.StdEncoding.EncodeToString([]byte(id+":"+secret)), len(body), body)
}

// Two servers behind a balancer are replaced one after the other, again and again under load. No
// request is lost.
func TestRollingRestarts(t *testing.T) {
	t.Parallel()
	file := bootstrapFile(t)
	args := []string{
		"--database", databasetest.PostgresURL(t), "--issuer", "http://localhost:1", "--demo", "--bootstrap-file", file,
		"--shutdown-delay", "3s", // which a balancer on a busy machine needs to notice
	}
	nodes := []*served{startServed(t, args...), startServed(t, args...)}
	must(t, nodes[0].signIn(t.Context(), file))
	client, err := nodes[0].create(t.Context())
	must(t, err)
	request := tokenRequest(client.ID, client.Secret)

	var b balancer
	for _, n := range nodes {
		b.add(n.node).ready.Store(true)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { b.watch(ctx) })
	var granted, failed atomic.Int64
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				status, err := b.send(request)
				if err == nil && status == http.StatusOK {
					granted.Add(1)
				} else if failed.Add(1) < 10 {
					t.Errorf("a request is answered %d, %v", status, err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	restarts := repeat("WARDKEY_TEST_RESTARTS", 3)
	for i := range restarts {
		nodes[i%2].stop()
		nodes[i%2] = startServed(t, args...)
		fresh := b.add(nodes[i%2].node)
		for began := time.Now(); !fresh.ready.Load(); time.Sleep(time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatal("a server that was started again is not ready")
			}
		}
	}
	t.Logf("%d restarts, %d requests granted, %d failed", restarts, granted.Load(), failed.Load())
	if granted.Load() < 100 {
		t.Error("that is too little to say anything")
	}
}

// leaseRow is who holds the lease of the periodic work.
func leaseRow(t *testing.T, db *database.DB) (holder string, fence, beat int64) {
	t.Helper()
	err := db.QueryRow(t.Context(), `SELECT holder, fence, beat FROM leases WHERE name = $1`, periodicWork).Scan(&holder, &fence, &beat)
	if err != nil {
		return "", 0, 0 // there is none yet
	}
	return holder, fence, beat
}

// waitForHolder waits until the lease has this fence and a holder.
func waitForHolder(t *testing.T, db *database.DB, want int64, patience time.Duration) (holder string, took time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Millisecond) {
		if holder, fence, _ := leaseRow(t, db); fence == want && holder != "" {
			return holder, time.Since(began)
		}
	}
	t.Fatalf("nobody has the lease with fence %d within %s", want, patience)
	return "", 0
}

// The server that does the periodic work is stopped, or killed. Another goes on with it soon, and the
// first does nothing of it when it wakes.
func TestHolderOfTheLease(t *testing.T) {
	for name, stop := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := databasetest.PostgresURL(t)
			db, err := database.Open(url)
			must(t, err)
			t.Cleanup(func() { must(t, db.Close()) })
			args := []string{"--database", url, "--issuer", "http://localhost:1", "--data-dir"}
			first, _ := startProcess(t, append(args, t.TempDir())...)
			before, _ := waitForHolder(t, db, 1, time.Minute)
			startProcess(t, append(args, t.TempDir())...)

			must(t, first.Signal(stop))
			after, took := waitForHolder(t, db, 2, time.Minute)
			t.Logf("taken over after %s", took)
			if want := patienceFor("WARDKEY_TEST_STOPPED_SECONDS", 15*time.Second); took > want || after == before {
				t.Errorf("%s took over from %s after %s; want another, within %s", after, before, took, want)
			}
			if stop != syscall.SIGSTOP {
				return
			}
			time.Sleep(time.Duration(repeat("WARDKEY_TEST_STOPPED_SECONDS", 0)) * time.Second)
			_, _, beat := leaseRow(t, db)
			must(t, first.Signal(syscall.SIGCONT))
			time.Sleep(5 * time.Second) // it beats, or would
			if holder, fence, now := leaseRow(t, db); holder != after || fence != 2 || now > beat+3 {
				t.Errorf("when the first woke, the lease of %s with fence 2 became that of %s with fence %d; it beat %d times", after, holder, fence, now-beat)
			}
		})
	}
}

// The primary is killed under load and its synchronous standby promoted. What the admin API had
// acknowledged is there; requests were told to come again, and never that a client is unknown;
// soon after the promotion tokens are given again.
func TestFailover(t *testing.T) {
	t.Parallel()
	for i := range repeat("WARDKEY_TEST_FAILOVERS", 1) {
		t.Run(strconv.Itoa(i), failover) // each with its own databases, which end with it
	}
}

func failover(t *testing.T) {
	pair := pgpair.Start(t, true)
	file := bootstrapFile(t)
	args := []string{"--database", pair.URL(), "--issuer", "http://localhost:1", "--demo", "--bootstrap-file", file}
	a, b := startServed(t, args...), startServed(t, args...)
	defer a.stop()
	defer b.stop()
	must(t, a.signIn(t.Context(), file))
	b.admin = a.admin
	client, err := a.create(t.Context())
	must(t, err)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var lastGrant [2]atomic.Int64
	var refused atomic.Int64
	for i, n := range []*node{a.node, b.node} {
		wg.Go(func() {
			for ctx.Err() == nil {
				got, err := n.ask(ctx, client.ID, client.Secret, "")
				switch {
				case ctx.Err() != nil:
				case err != nil || got.status != http.StatusOK && got.status != http.StatusServiceUnavailable:
					t.Errorf("a request is answered %d, %v", got.status, err)
				case got.status == http.StatusOK:
					lastGrant[i].Store(time.Now().UnixNano())
				default:
					refused.Add(1)
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	var acknowledged []made
	enough := make(chan struct{}, 1<<20) // one for each
	wg.Go(func() {
		for ctx.Err() == nil {
			if c, err := b.create(ctx); err == nil {
				acknowledged = append(acknowledged, c)
				enough <- struct{}{}
			} else if ctx.Err() == nil && !strings.Contains(err.Error(), "503") {
				t.Errorf("the admin API: %v", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	for range 10 {
		<-enough
	}
	pair.Primary.Kill()
	time.Sleep(700 * time.Millisecond)
	called := time.Now()
	pair.Standby.Promote(t)
	promoted := time.Now()
	for i := range lastGrant {
		for lastGrant[i].Load() < promoted.UnixNano() && time.Since(promoted) < time.Minute {
			time.Sleep(5 * time.Millisecond)
		}
	}
	took := time.Since(promoted)
	time.Sleep(300 * time.Millisecond)
	stop()
	wg.Wait()
	t.Logf("the promotion took %s, and tokens are given again %s after it; %d requests were told to come again; %d clients were acknowledged",
		promoted.Sub(called), took, refused.Load(), len(acknowledged))
	if want := patienceFor("WARDKEY_TEST_FAILOVERS", 2*time.Second); took > want || refused.Load() == 0 {
		t.Errorf("want at most %s, and some requests refused", want)
	}
	for _, c := range acknowledged {
		if got, err := a.ask(t.Context(), c.ID, c.Secret, ""); err != nil || got.status != http.StatusOK {
			t.Errorf("client %s was acknowledged before the failover, and is answered %d, %v", c.ID, got.status, err)
		}
	}
}

// A standby that lags is said in the log of a server that starts, and by wardkey doctor.
func TestAsynchronousStandby(t *testing.T) {
	t.Parallel()
	db, err := database.Open(pgpair.Start(t, false).URL())
	must(t, err)
	defer db.Close()
	const said = "its standby is asynchronous, so that a failover loses the last acknowledged changes, revocations among them"
	x := &examination{db: db}
	x.failover(t.Context())
	x.finds(t, "failover", warning, "^"+said)
	var log strings.Builder
	p := &parts{db: db, log: slog.New(slog.NewTextHandler(&log, nil))}
	p.warnOfFailover(t.Context())
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), said) {
		t.Errorf("the log of a server that starts: %s", &log)
	}
}

// Where no failover is known of, none is warned of.
func TestNoStandby(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		x := &examination{db: db}
		x.failover(t.Context())
		if !db.Embedded() {
			x.finds(t, "failover", passed, "^none that is known")
		}
		var log strings.Builder
		p := &parts{db: db, log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		p.warnOfFailover(t.Context())
		if x.faults() > 0 || len(x.findings) > 1 || log.Len() > 0 {
			t.Errorf("it found %+v and said %s", x.findings, &log)
		}
	})
}
