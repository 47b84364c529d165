//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/databasetest/pgproxy"
)

// A trouble is what a network does between servers and their database.
type trouble struct {
	name    string
	servers int                            // that endure it where time is short; otherwise one does, and two do
	begin   func(near, far *pgproxy.Proxy) // far is beyond near
	gone    bool                           // the database cannot be asked at all
}

var troubles = []trouble{
	{name: "100 ms each way, give or take 30", servers: 2, begin: both("latency", map[string]int{"latency": 100, "jitter": 30})},
	{name: "64 kB/s each way", servers: 1, begin: both("bandwidth", map[string]int{"rate": 64})},
	{name: "cut and refused", servers: 2, begin: func(near, _ *pgproxy.Proxy) { near.Cut() }, gone: true},
	{name: "accepted and reset", servers: 1, begin: reset, gone: true},
	{name: "all bytes vanish", servers: 2, begin: both("timeout", nil), gone: true},
	{name: "answers vanish", servers: 1, begin: down("timeout", nil), gone: true},
	{name: "answers to all writes are lost", servers: 2, begin: down(pgproxy.LostAnswers, map[string]int{"one_in": 1})},
	{name: "answers to writes are lost, one in two", begin: down(pgproxy.LostAnswers, map[string]int{"one_in": 2})},
	{name: "cut in the middle of an answer, after 20 kB", servers: 2, begin: down("limit_data", map[string]int{"bytes": 20_000})},
	{name: "closed beyond, and open on this side", servers: 1, begin: halfClose},
}

func down(kind string, attributes map[string]int) func(near, far *pgproxy.Proxy) {
	return func(near, _ *pgproxy.Proxy) {
		near.Suffer(pgproxy.Fault{Type: kind, Stream: pgproxy.Down, Attributes: attributes})
	}
}

func both(kind string, attributes map[string]int) func(near, far *pgproxy.Proxy) {
	return func(near, _ *pgproxy.Proxy) {
		for _, stream := range []string{pgproxy.Up, pgproxy.Down} {
			near.Suffer(pgproxy.Fault{Type: kind, Stream: stream, Attributes: attributes})
		}
	}
}

func reset(near, far *pgproxy.Proxy) {
	near.Cut() // only new connections can be reset
	down("reset_peer", nil)(near, far)
	near.Open()
}

// halfClose closes what is open now, and lets the servers find out for themselves.
func halfClose(near, far *pgproxy.Proxy) {
	both("slow_close", map[string]int{"delay": int(time.Hour.Milliseconds())})(near, far)
	far.Cut()
	far.Open()
}

// Through all troubles servers say nothing wrong, answer in time, and give tokens again when they
// are over. In the end all that was acknowledged is there, once, and each request is counted once.
func TestBadNetwork(t *testing.T) {
	for name, servers := range map[string]int{"one server": 1, "two servers": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			badNetwork(t, servers)
		})
	}
}

func badNetwork(t *testing.T, servers int) {
	url, file := databasetest.PostgresURL(t), bootstrapFile(t)
	far := pgproxy.Start(t, url)
	near := pgproxy.Start(t, far.URL())
	var processes []*os.Process
	var nodes []*node
	for range servers {
		process, n := startLogged(t, faults{t}, "--database", near.URL(), "--issuer", "http://localhost:1", "--demo", "--bootstrap-file", file,
			"--failures-per-minute", "0", "--metrics-listen", "127.0.0.1:0", "--data-dir", t.TempDir())
		must(t, n.signIn(t.Context(), file))
		processes, nodes = append(processes, process), append(nodes, n)
	}
	c := gather(t, nodes)
	c.start()
	defer c.disperse()
	seconds := repeat("WARDKEY_TEST_NETWORK_SECONDS", 1)
	for _, tr := range troubles {
		if seconds > 1 || tr.servers == servers {
			c.endure(tr, time.Duration(seconds)*time.Second, near, far)
		}
	}
	c.disperse()
	for _, process := range processes {
		end(t, process, syscall.SIGTERM)
	}
	db := reopen(t, url)
	c.checkUsage(db)
	c.checkClients(db)
}

// The holder of the lease is cut off from the database, and the other server is not. The other goes
// on with the work soon. The holder stops, and does not begin again when it reaches the
// database.
func TestHolderCutOff(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, tr := range troubles {
		if tr.name == "cut and refused" || tr.name == "all bytes vanish" {
			wg.Go(func() { t.Run(tr.name, func(t *testing.T) { holderCutOff(t, tr) }) }) // at the same time: it is all waiting
		}
	}
}

func holderCutOff(t *testing.T, tr trouble) {
	url := databasetest.PostgresURL(t)
	near := pgproxy.Start(t, url)
	db := reopen(t, url)
	args := []string{"--issuer", "http://localhost:1", "--log-level", "info", "--data-dir"}
	var log leaseLog // of the first
	startLogged(t, &log, append(args, t.TempDir(), "--database", near.URL())...)
	before, _ := waitForHolder(t, db, 1, time.Minute)
	startLogged(t, faults{t}, append(args, t.TempDir(), "--database", url)...)

	tr.begin(near, nil)
	after, took := waitForHolder(t, db, 2, time.Minute)
	t.Logf("%s: taken over after %s", tr.name, took)
	if want := patienceFor("WARDKEY_TEST_NETWORK_SECONDS", 15*time.Second); took > want || after == before {
		t.Errorf("%s took over from %s after %s; want another, within %s", after, before, took, want)
	}
	_, err := db.Exec(t.Context(), `DELETE FROM job_runs`) // all is due again
	must(t, err)
	near.Mend()
	waitFor(t, "periodic work done", func() bool {
		done := 0 // the last of the jobs
		must(t, db.QueryRow(t.Context(), `SELECT count(*) FROM job_runs WHERE name = 'purge reports'`).Scan(&done))
		return done > 0
	})
	waitFor(t, "end of the first", func() bool {
		return log.count("lost a lease; another server goes on with the work") > 0
	})
	if holder, fence, _ := leaseRow(t, db); holder != after || fence != 2 {
		t.Errorf("the lease of %s with fence 2 became that of %s with fence %d", after, holder, fence)
	}
	if held := log.count("this server holds a lease now"); held != 1 {
		t.Errorf("the first began %d times; want once", held)
	}
}

func waitFor(t *testing.T, what string, there func() bool) {
	t.Helper()
	for began := time.Now(); !there(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("there is no %s", what)
		}
	}
}

// A leaseLog is the log of a server, read for what it says of the lease of the periodic work.
type leaseLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *leaseLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count is how often the server said something of it.
func (l *leaseLog) count(message string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.text.Bytes()) {
		var said struct{ Msg, Lease string }
		if json.Unmarshal(line, &said) == nil && said.Msg == message && said.Lease == periodicWork {
			n++
		}
	}
	return n
}
