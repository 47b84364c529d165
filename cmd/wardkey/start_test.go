package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A relay passes on what a server and its PostgreSQL say to each other. When the server has said some
// words, one after the other, all connections are cut, and some new ones too.
type relay struct {
	net.Listener
	words  []string // that are still to be said; none: nothing is cut
	heard  bool     // PostgreSQL hears the last word, and its answer is lost
	refuse int      // so many new connections, once it has cut

	mu      sync.Mutex
	ends    []net.Conn
	out     bool // everything was said
	stalled bool // nothing is passed on any more
}

// start passes on until the test ends, and returns the URL of the PostgreSQL behind it.
func (r *relay) start(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(databasetest.PostgresURL(t))
	must(t, err)
	r.Listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	target := u.Host
	u.Host = r.Addr().String()
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			near, err := r.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil || !r.admit(near, far) {
				_ = near.Close()
				continue
			}
			passing.Go(func() { r.pass(near, far, r.listen) })
			passing.Go(func() { r.pass(far, near, r.answer) })
		}
	})
	t.Cleanup(func() { _ = r.Close(); r.cut(); passing.Wait() })
	return u.String()
}

// admit says whether a new connection is let in.
func (r *relay) admit(ends ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out && r.refuse > 0 {
		r.refuse--
		_ = ends[1].Close()
		return false
	}
	r.ends = append(r.ends, ends...)
	return true
}

// listen hears what the server says, and says whether PostgreSQL shall hear it.
func (r *relay) listen(said []byte) bool {
	r.mu.Lock()
	for len(r.words) > 0 && bytes.Contains(said, []byte(r.words[0])) {
		r.words = r.words[1:]
		r.out = len(r.words) == 0
	}
	now := r.out && !r.heard && r.refuse > 0
	passes := !now && !r.stalled
	r.mu.Unlock()
	if now {
		r.cut()
	}
	return passes
}

// answer says whether the server shall hear what PostgreSQL answers.
func (r *relay) answer([]byte) bool {
	r.mu.Lock()
	lost := r.out && r.heard
	r.heard = r.heard && !lost
	passes := !lost && !r.stalled
	r.mu.Unlock()
	if lost {
		r.cut()
	}
	return passes
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, end := range r.ends {
		_ = end.Close()
	}
	r.ends = nil
}

// stall lets nothing pass any more, and tells nobody.
func (r *relay) stall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled = true
}

func (r *relay) pass(from, to net.Conn, passes func([]byte) bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err == nil && passes(buffer[:n]) {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

// A PostgreSQL that goes away in the middle of a start is waited for, wherever that happens, and the
// first credentials that the server leaves are those in the store.
func TestStoreGoesAwayDuringStart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		words []string
		heard bool
	}{
		{"the schema is made", []string{"CREATE TABLE clients"}, false},
		{"the keys are read", []string{"FROM keyring"}, false},
		{"the journal is compared", []string{"FROM audit_head"}, false},
		{"admins are looked for", []string{"FROM admins"}, false},
		{"the first admin is made", []string{"INSERT INTO admins"}, false},
		{"the first credentials are committed, or not", []string{"INSERT INTO admins", "commit"}, false},
		{"the first credentials are committed, and the answer is lost", []string{"INSERT INTO admins", "commit"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &relay{words: tt.words, heard: tt.heard, refuse: 3}
			file := bootstrapFile(t)
			ctx, stop := context.WithCancel(t.Context())
			banner, stdout := io.Pipe()
			var printed, log bytes.Buffer
			ended := make(chan int)
			args := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--database", r.start(t), "--bootstrap-file", file, "--log-level", "info"}
			go func() {
				code := run(ctx, args, testEnvironment, io.MultiWriter(&printed, stdout), &log)
				_ = stdout.Close()
				ended <- code
			}()
			n, err := readNode(banner)
			if err == nil {
				err = n.signIn(t.Context(), file)
			}
			stop()
			code := <-ended
			if err != nil || code != exitDone {
				t.Errorf("it ended with %d, %v", code, err)
			}
			if !strings.Contains(printed.String(), "First start: the first credentials are in") {
				t.Errorf("nobody is told where the first credentials are:\n%s", &printed)
			}
			if r.refuse > 0 {
				t.Errorf("%d connections were not refused; something else was tested", r.refuse)
			}
			if waited := strings.Count(log.String(), "trying on"); waited != 1 || !strings.Contains(log.String(), "the database is there") {
				t.Errorf("that the database is away is said %d times; want once, and that it is back:\n%s", waited, &log)
			}
		})
	}
}

// What a server cannot get by waiting ends its start: a journal that something else changed, or files
// that cannot be opened, although the database is well.
func TestStartThatWaitingDoesNotHelp(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(dir string) error
		want string // in the log
	}{
		{"nonsense in the journal", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, journalName), []byte("nonsense\n"), 0o600)
		}, "line 1 cannot be read"},
		{"no file as the journal", func(dir string) error { return os.Mkdir(filepath.Join(dir, journalName), 0o700) }, "is a directory"},
		{"no folder for the first credentials", func(string) error { return nil }, "absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, tt.make(dir))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it would wait for ever
			defer cancel()
			var log bytes.Buffer
			args := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--database", databasetest.PostgresURL(t), "--bootstrap-file", filepath.Join(dir, "absent", "first.json")}
			if code := run(ctx, args, testEnvironment, io.Discard, &log); code != exitFailed || !strings.Contains(log.String(), tt.want) {
				t.Errorf("it ended with %d:\n%s\nwant %d and %q", code, &log, exitFailed, tt.want)
			}
		})
	}
}

// A try to make the first credentials that was not answered may have been in vain or not. The file has
// them only if they are in the store.
func TestFirstCredentialsAfterAll(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		p, _, _ := modelServer(t, db)
		var stored string
		must(t, db.QueryRow(t.Context(), `SELECT id FROM clients`).Scan(&stored))
		p.config.bootstrapFile = bootstrapFile(t)
		for _, tt := range []struct {
			name         string
			tried, file  string // the ids of their clients
			known, wants string
		}{
			{"they are in the store", stored, "later", stored, stored},
			{"they are not", "lost", "lost", "", ""},
			{"the file is another server's", "lost", "other", "", "other"},
			{"there is no file", "lost", "", "", ""},
		} {
			must(t, p.writeBootstrap(&firstCredentials{ClientID: tt.file}))
			if tt.file == "" {
				must(t, os.Remove(p.config.bootstrapFile))
			}
			p.uncertain = []*firstCredentials{{ClientID: "nobody"}, {ClientID: tt.tried}}
			first, err := p.bootstrap(t.Context())
			must(t, err)
			if known := first != nil; known != (tt.known != "") || known && first.ClientID != tt.known {
				t.Errorf("%s: bootstrap = %+v; want %q", tt.name, first, tt.known)
			}
			var written firstCredentials
			if text, err := os.ReadFile(p.config.bootstrapFile); err == nil {
				must(t, json.Unmarshal(text, &written))
			}
			if written.ClientID != tt.wants {
				t.Errorf("%s: the file has %q; want %q", tt.name, written.ClientID, tt.wants)
			}
		}
	})
}
