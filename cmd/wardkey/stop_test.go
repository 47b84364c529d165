//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// A lingering is a server in a process of its own that was told to stop, and serves on for a minute.
type lingering struct {
	*node
	*exec.Cmd
	log bytes.Buffer // to be read when it has ended
}

// startLingering starts a server, has it do something, and tells it to stop.
func startLingering(t *testing.T, url string, do func(*node, made)) (*lingering, made) {
	t.Helper()
	file := bootstrapFile(t)
	l := &lingering{Cmd: serveProcess("--database", url, "--data-dir", t.TempDir(), "--demo", "--bootstrap-file", file, "--shutdown-delay", "1m", "--log-level", "info")}
	l.Stderr = &l.log
	stdout, err := l.StdoutPipe()
	must(t, err)
	must(t, l.Start())
	t.Cleanup(func() { _ = l.Process.Kill() }) // if the test ended before
	l.node, err = readNode(stdout)
	must(t, err)
	must(t, l.signIn(t.Context(), file))
	client, err := l.create(t.Context())
	must(t, err)
	do(l.node, client)
	must(t, l.Process.Signal(syscall.SIGTERM))
	for deadline := time.Now().Add(30 * time.Second); !l.isStopping(t); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not stop")
		}
	}
	return l, client
}

// isStopping says whether it is not ready, for that reason.
func (l *lingering) isStopping(t *testing.T) bool {
	t.Helper()
	answer, err := l.http.Get(l.url + "/readyz")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), "is stopping")
}

// ends waits for its end, which comes long before the minute is over.
func (l *lingering) ends(t *testing.T) {
	t.Helper()
	began := time.Now()
	_ = l.Wait() // the exit code says it
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("it ended after %s, as if it had been told once", took)
	}
}

// A server that is told twice to stop ends at once, and has written what it counted until then.
func TestToldTwiceToStop(t *testing.T) {
	for _, again := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(again.String(), func(t *testing.T) {
			t.Parallel()
			url := databasetest.SQLiteURL(t)
			l, client := startLingering(t, url, func(*node, made) {})
			for range 3 {
				if got, err := l.ask(t.Context(), client.ID, client.Secret, ""); err != nil || got.status != http.StatusOK {
					t.Errorf("while it serves on, a token request is answered %d, %v", got.status, err)
				}
			}
			must(t, l.Process.Signal(again))
			l.ends(t)
			var counted int
			must(t, reopen(t, url).QueryRow(t.Context(), `SELECT COALESCE(sum(requests), 0) FROM usage_hours WHERE client_id = $1`, client.ID).Scan(&counted))
			if l.ProcessState.ExitCode() != exitDone || counted != 3 || !strings.Contains(l.log.String(), "told to stop again") || strings.Contains(l.log.String(), `"level":"ERROR"`) {
				t.Errorf("it ended with %s and counted %d requests; want 3, and no error in the log:\n%s", l.ProcessState, counted, &l.log)
			}
		})
	}
}

// That does not wait for a store which does not answer.
func TestToldTwiceToStopWithoutStore(t *testing.T) {
	t.Parallel()
	r := &relay{}
	l, _ := startLingering(t, r.start(t), func(*node, made) { r.stall() })
	must(t, l.Process.Signal(syscall.SIGTERM))
	l.ends(t)
	byItself := strings.Contains(l.log.String(), "wardkey: ") // it says then, and later, what it could not write
	if l.ProcessState.ExitCode() != exitFailed || byItself || !strings.Contains(l.log.String(), "before everything was written") {
		t.Errorf("it ended with %s:\n%s", l.ProcessState, &l.log)
	}
}

// A server that is to end at once does not finish what it still answers.
func TestShutdownAtOnce(t *testing.T) {
	listener, err := newListener(t.Context(), "127.0.0.1:0")
	must(t, err)
	log, begun := slog.New(slog.DiscardHandler), make(chan struct{})
	s := newServer(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done() // until it is cut
	}), log)
	var both sync.WaitGroup
	both.Go(func() { _ = s.serve() })
	both.Go(func() {
		if answer, err := http.Get("http://" + listener.Addr().String()); err == nil {
			t.Errorf("it is answered %s", answer.Status)
			_ = answer.Body.Close()
		}
	})
	<-begun
	atOnce, end := context.WithCancel(t.Context())
	end()
	began := time.Now()
	if err := (&parts{log: log}).shutdown(atOnce, []*server{s}); err != nil || time.Since(began) >= drainTimeout {
		t.Errorf("shutdown = %v after %s", err, time.Since(began))
	}
	both.Wait()
}

// A server that was never ready serves on for nobody; one that was does until it is told again.
func TestLinger(t *testing.T) {
	db := databasetest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			open       bool
			told, want time.Duration
		}{{false, time.Hour, 0}, {true, time.Hour, time.Minute}, {true, time.Second, time.Second}} {
			p := &parts{config: &config{shutdownDelay: time.Minute}, db: db, log: slog.New(slog.DiscardHandler)}
			p.open.Store(tt.open)
			atOnce, end := context.WithTimeout(t.Context(), tt.told)
			began := time.Now()
			p.linger(atOnce)
			if took := time.Since(began); took != tt.want || !p.drain.begun.Load() {
				t.Errorf("open %t, and told again after %s: it serves on for %s; want %s", tt.open, tt.told, took, tt.want)
			}
			end()
		}
	})
}

// A server that has no files to read again does not mind SIGHUP, and says so.
func TestHangupWithoutFiles(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"plain": nil, "ACME": {"--acme-domain", "auth.example.com"}} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cmd := serveProcess(append(args, "--data-dir", t.TempDir(), "--log-level", "info")...)
			cmd.Stderr = &log
			stdout, err := cmd.StdoutPipe()
			must(t, err)
			must(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test ended before
			_, err = readNode(stdout)
			must(t, err)
			must(t, cmd.Process.Signal(syscall.SIGHUP))
			must(t, cmd.Process.Signal(syscall.SIGTERM))
			if err := cmd.Wait(); err != nil || !strings.Contains(log.String(), "nothing to read again") {
				t.Errorf("it ended with %v:\n%s", err, &log)
			}
		})
	}
}

// A command that is interrupted twice ends at once, even if it reads from what says nothing.
func TestCommandInterruptedTwice(t *testing.T) {
	t.Parallel()
	silent := filepath.Join(t.TempDir(), "silent")
	must(t, syscall.Mkfifo(silent, 0o600))
	cmd := exec.Command("wardkey", "audit", "verify", silent)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })  // if it does not end
	f, err := os.OpenFile(silent, os.O_WRONLY, 0) // once it reads
	must(t, err)
	defer f.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.After(30 * time.Second); ; {
		_ = cmd.Process.Signal(os.Interrupt) // two that come together may be one
		select {
		case <-ended:
			return
		case <-deadline:
			t.Fatal("it does not end")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A server that stops gives its leases back, so that another goes on with the work at once.
func TestLeasesAreGivenBack(t *testing.T) {
	t.Parallel()
	url := databasetest.PostgresURL(t)
	s := startServed(t, "--database", url, "--issuer", "http://localhost:1")
	db := reopen(t, url)
	held := func() (n int) {
		must(t, db.QueryRow(t.Context(), `SELECT count(*) FROM leases WHERE holder <> ''`).Scan(&n))
		return n
	}
	for deadline := time.Now().Add(30 * time.Second); held() < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it holds %d leases; want that of the periodic work and that of the alerts", held())
		}
	}
	s.stop()
	if n := held(); n != 0 {
		t.Errorf("it ended and left %d leases as its own", n)
	}
}

// A server that stops leads clients away from their connections and fails none of their requests:
// HTTP/1.1 by "Connection: close", HTTP/2 by GOAWAY.
func TestDrainEndsConnections(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var d drain
		var connections atomic.Int64
		server := httptest.NewUnstartedServer(d.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto)
		})))
		server.EnableHTTP2 = protocol == "HTTP/2.0"
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.StartTLS()
		transport := server.Client().Transport.(*http.Transport)
		transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"}
		ask := func() {
			t.Helper()
			answer, err := server.Client().Get(server.URL)
			must(t, err)
			defer answer.Body.Close()
			if text, err := io.ReadAll(answer.Body); err != nil || string(text) != protocol {
				t.Errorf("answered with %s, %v; want %s", text, err, protocol)
			}
		}
		for range 3 {
			ask()
		}
		if n := connections.Load(); n != 1 {
			t.Errorf("%s: before, %d connections; want 1", protocol, n)
		}
		d.begun.Store(true)
		for range 100 { // the GOAWAY may come after the answer
			ask()
		}
		if n := connections.Load(); n < 2 {
			t.Errorf("%s: the client stays on its one connection", protocol)
		}
		server.Close()
	}
}
