package main

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

// A diary is what the admin API acknowledged, in all lives of a server.
type diary struct {
	mu      sync.Mutex
	secrets map[string][]string // of the clients that live, by id
	deleted map[string]string   // the first secrets of those that do not
	recent  []string            // ids that the last life acknowledged
}

func (d *diary) note(write func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	write()
}

// Servers are killed in the middle of writes and started again. Whatever the admin API had
// acknowledged is there; whatever it had not is there whole, or not at all.
func TestKill(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { kill(t, rounds(50), databasetest.SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { kill(t, rounds(10), databasetest.PostgresURL(t)) })
}

func kill(t *testing.T, rounds int, url string) {
	file, dir := bootstrapFile(t), t.TempDir()
	d := &diary{secrets: map[string][]string{}, deleted: map[string]string{}}
	for range rounds {
		process, n := startProcess(t, "--database", url, "--data-dir", dir, "--demo", "--bootstrap-file", file)
		must(t, n.signIn(t.Context(), file))
		d.checkTokens(t, n)
		d.recent = nil
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { d.keep(t, n) })
		}
		d.wait(t, rand.IntN(20))
		time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Millisecond)))) // anywhere in a write
		must(t, process.Kill())
		wg.Wait()
		_, err := process.Wait()
		must(t, err)
	}
	db, err := database.Open(url)
	must(t, err)
	defer db.Close()
	d.checkRows(t, db)
	t.Logf("in %d lives, %d clients were made and %d of them deleted", rounds, len(d.secrets)+len(d.deleted), len(d.deleted))
	if len(d.secrets) < rounds || len(d.deleted) < rounds/10 {
		t.Error("that is too little to say anything")
	}
}

// A first start that is killed at any moment leaves either nothing, and the next start is the
// first, or credentials that open the admin API: they are never valid and lost.
func TestKillFirstStart(t *testing.T) {
	for range 8 {
		file, dir := bootstrapFile(t), t.TempDir()
		args := []string{"--data-dir", dir, "--bootstrap-file", file}
		cmd := serveProcess(args...)
		must(t, cmd.Start())
		time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Millisecond)))) // anywhere in its start
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it says that it was killed
		process, n := startProcess(t, args...)
		if err := n.signIn(t.Context(), file); err != nil {
			t.Errorf("after a first start that was killed: %v", err)
		}
		must(t, process.Kill())
		_, err := process.Wait()
		must(t, err)
	}
}

// wait waits until this life has acknowledged so many clients.
func (d *diary) wait(t *testing.T, many int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		enough := false
		d.note(func() { enough = len(d.recent) >= many })
		if enough {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the server acknowledges nothing")
		}
	}
}

func serveProcess(args ...string) *exec.Cmd {
	cmd := exec.Command("wardkey", append([]string{"serve", "--listen", "127.0.0.1:0", "--log-level", "error"}, args...)...)
	cmd.Env = append(os.Environ(), "WARDKEY_MASTER_KEY="+testMasterKey)
	return cmd
}

// startProcess runs a server in a process of its own.
func startProcess(t *testing.T, args ...string) (*os.Process, *node) {
	t.Helper()
	return startLogged(t, t.Output(), args...)
}

// startLogged is startProcess for whoever reads the log.
func startLogged(t *testing.T, log io.Writer, args ...string) (*os.Process, *node) {
	t.Helper()
	cmd := serveProcess(args...)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test ended before
	n, err := readNode(stdout)
	must(t, err)
	return cmd.Process, n
}

// keep makes clients, gives every third a second secret and deletes every third, until the server
// is gone. It notes what was acknowledged.
func (d *diary) keep(t *testing.T, n *node) {
	gone := func(err error) bool {
		if errors.Is(err, errStatus) {
			t.Errorf("while the server lived: %v", err)
		}
		return err != nil
	}
	for i := 0; ; i++ {
		c, err := n.create(t.Context())
		if gone(err) {
			return
		}
		d.note(func() { d.secrets[c.ID], d.recent = []string{c.Secret}, append(d.recent, c.ID) })
		switch i % 3 {
		case 1:
			var second made
			text, err := n.call(t.Context(), http.MethodPost, "clients/"+c.ID+"/secrets", `{}`, http.StatusCreated)
			if gone(err) {
				return
			}
			if err := json.Unmarshal(text, &second); err != nil || second.Secret == "" {
				t.Errorf("a second secret: %s, %v", text, err)
			}
			d.note(func() { d.secrets[c.ID] = append(d.secrets[c.ID], second.Secret) })
		case 2:
			d.note(func() { delete(d.secrets, c.ID) }) // from here on, who knows
			_, err := n.call(t.Context(), http.MethodDelete, "clients/"+c.ID, "", http.StatusNoContent)
			if gone(err) {
				return
			}
			d.note(func() { d.deleted[c.ID] = c.Secret })
		}
	}
}

// checkTokens asks the server for tokens of the clients that its last life acknowledged.
func (d *diary) checkTokens(t *testing.T, n *node) {
	t.Helper()
	for _, id := range d.recent {
		for _, secret := range d.secrets[id] {
			if got, err := n.ask(t.Context(), id, secret, ""); err != nil || got.scope != "section:baltic section:nordic email:read" {
				t.Errorf("a client that was made: %d with the scope %q, %v", got.status, got.scope, err)
			}
		}
		if secret, ok := d.deleted[id]; ok {
			if got, err := n.ask(t.Context(), id, secret, ""); err != nil || got.status != http.StatusUnauthorized {
				t.Errorf("a client that was deleted: %d, %v", got.status, err)
			}
		}
	}
}

func everyClient(t *testing.T, db *database.DB) (all []*clients.Client) {
	t.Helper()
	q := clients.Query{Limit: 500}
	for {
		page, err := clients.NewStore(db).Search(t.Context(), q)
		must(t, err)
		all = append(all, page.Clients...)
		if q.After = page.Next; page.Next == (clients.Position{}) {
			return all
		}
	}
}

// checkRows looks at every client in the store.
func (d *diary) checkRows(t *testing.T, db *database.DB) {
	t.Helper()
	want := sections.Held{Sections: []string{"baltic", "nordic"}, Permissions: []sections.Permission{{Target: "email", Action: "read"}}}
	found := map[string]bool{}
	for _, c := range everyClient(t, db) {
		found[c.ID] = true
		if c.CreatedBy == bootstrapActor {
			continue
		}
		var owner string
		var revoked int64
		must(t, db.QueryRow(t.Context(), `SELECT client_id, revoked_at FROM status_entries WHERE position = $1`, c.StatusIndex).Scan(&owner, &revoked))
		if !reflect.DeepEqual(c.Held, want) || len(c.Credentials) < 1 || len(c.Credentials) > 2 || owner != c.ID || revoked != 0 || c.Name != "CRM" {
			t.Errorf("client %s is half written: %+v, its status bit is of %s, revoked %d", c.ID, c, owner, revoked)
		}
		for _, secret := range d.secrets[c.ID] {
			if verdict, _ := c.Authenticate(secret, time.Now()); verdict != clients.Authenticated {
				t.Errorf("a secret of client %s is lost: %s", c.ID, verdict)
			}
		}
	}
	for id := range d.secrets {
		if !found[id] {
			t.Errorf("client %s was acknowledged and is lost", id)
		}
	}
	for id := range d.deleted {
		var traces int
		must(t, db.QueryRow(t.Context(), `SELECT count(*) FROM deleted_clients d JOIN status_entries s ON s.client_id = d.id
			WHERE d.id = $1 AND s.revoked_at > 0`, id).Scan(&traces))
		if found[id] || traces != 1 {
			t.Errorf("client %s was deleted, is there: %t, with %d traces of its end", id, found[id], traces)
		}
	}
}
