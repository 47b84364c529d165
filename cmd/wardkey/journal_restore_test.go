package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/sections"
)

// An old backup is restored after 1,000 revocations by the admin API: none is alive.
func TestRestoreOldBackup(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		p, old := makeBackup(t, url, dir, size{clients: 400, secrets: 300, tokens: 200, keys: 80, admins: 20})
		// Everything that was revoked is tried, from one address.
		args := []string{"--database", url, "--data-dir", dir, "--failures-per-minute", "0"}
		n, stop := runNode(t, args...)
		revokeByAPI(t, n, p, dir)
		if got := revocationsIn(lines(t, dir)); got != 1000 {
			t.Errorf("the journal has %d revocations; want 1000", got)
		}
		stop()

		s := openTestStore(t, url, dir)
		old.restore(t, s.db)
		if got := len(alive(t, s, p)); got < 1000 {
			t.Fatalf("the backup has %d things alive: it shows nothing", got)
		}
		must(t, s.db.Close())

		n, stop = runNode(t, args...)
		refuseAll(t, n, p)
		stop()
		s = openTestStore(t, url, dir)
		if got := alive(t, s, p); len(got) > 0 {
			t.Errorf("%d things are alive: %.300s", len(got), strings.Join(got, ", "))
		}
		if n, broken, err := s.audit.Verify(t.Context()); broken != nil || err != nil {
			t.Errorf("the audit log has %d whole events, then %v, %v", n, broken, err)
		}
	})
}

// makeBackup makes what is to be revoked, and a backup of it.
func makeBackup(t *testing.T, url, dir string, n size) (*population, backup) {
	t.Helper()
	s := openTestStore(t, url, dir)
	p := s.populate(t, n)
	old := save(t, s.db)
	must(t, s.db.Close())
	return p, old
}

// revokeByAPI revokes everything, and looks after some acts whether the journal knew each when it
// was acknowledged.
func revokeByAPI(t *testing.T, n *node, p *population, dir string) {
	t.Helper()
	ctx := t.Context()
	got, err := n.ask(ctx, p.admin.ID, p.admin.Secret, "")
	must(t, err)
	n.admin = got.token
	acknowledged := 0
	call := func(method, path string) {
		t.Helper()
		_, err := n.call(ctx, method, path, "", http.StatusNoContent)
		must(t, err)
		if acknowledged++; acknowledged%50 == 1 {
			if known := lines(t, dir); revocationsIn(known) != acknowledged {
				t.Errorf("%d acts are acknowledged, the journal has %d", acknowledged, revocationsIn(known))
			}
		}
	}
	for _, c := range p.clients {
		call(http.MethodDelete, "clients/"+c.ID)
	}
	for i, c := range p.secrets {
		call(http.MethodDelete, "clients/"+c.ID+"/secrets/"+p.secretIDs[i])
	}
	for _, c := range p.tokens {
		call(http.MethodPost, "clients/"+c.ID+"/revoke-tokens")
	}
	for _, id := range p.admins {
		call(http.MethodDelete, "admins/"+id)
	}
	for _, kid := range slices.Backward(p.keys) {
		call(http.MethodDelete, "signing-keys/"+kid)
		if kid == p.keys[len(p.keys)-1] { // it signed the token
			got, err := n.ask(ctx, p.admin.ID, p.admin.Secret, "")
			must(t, err)
			n.admin = got.token
		}
	}
}

// refuseAll asks a server for tokens with everything that was revoked.
func refuseAll(t *testing.T, n *node, p *population) {
	t.Helper()
	for _, c := range slices.Concat(p.clients, p.secrets) {
		got, err := n.ask(t.Context(), c.ID, c.Secret, "")
		if err != nil || got.status != http.StatusUnauthorized {
			t.Errorf("a secret that was revoked is answered %d, %v", got.status, err)
		}
	}
	for _, c := range p.tokens {
		if got, err := n.ask(t.Context(), c.ID, c.Secret, ""); err != nil || got.status != http.StatusOK {
			t.Errorf("a client whose tokens were revoked is answered %d, %v", got.status, err)
		}
	}
}

// small is one of each.
var small = size{clients: 3, secrets: 3, tokens: 3, keys: 3, admins: 3}

// A restored backup is brought back to where it was, and what was done says what for. A second
// start has nothing to do.
func TestRestore(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, small)
		old := save(t, s.db)
		s.start(t)
		s.revoke(t, p)
		must(t, s.journal.follow(t.Context()))
		before := lines(t, dir)
		was, err := clients.NewStore(s.db).Deleted(t.Context(), p.clients[0].ID)
		must(t, err)
		old.restore(t, s.db)
		end, err := logEnd(t.Context(), s.db)
		must(t, err)

		s.start(t)
		if got := alive(t, s, p); len(got) > 0 {
			t.Errorf("alive: %q", got)
		}
		if said := s.said.String(); !strings.Contains(said, "a backup was restored, or the log was cut") || !strings.Contains(said, "client.delete=3 secret.delete=3 client.revoke_tokens=3 signing_key.delete=3 admin.remove=3") {
			t.Errorf("it said %s", said)
		}
		is, err := clients.NewStore(s.db).Deleted(t.Context(), was.ID)
		apart := is.DeletedAt.Sub(was.DeletedAt) // the event may have fallen into the next second
		is.DeletedAt = was.DeletedAt
		if is != was || err != nil || apart < 0 || apart > time.Second {
			t.Errorf("the tombstone is %v, %v apart, %v; want %v", is, apart, err, was)
		}
		redone, err := loggedRevocations(t.Context(), s.db, end.seq, 1<<40)
		must(t, err)
		if len(redone) != small.sum() || redone[0].By != "server" {
			t.Errorf("%d events tell of it, by %s; want %d", len(redone), redone[0].By, small.sum())
		}
		i := slices.IndexFunc(before, func(e entry) bool { return e.TargetID == p.keys[0] })
		j := slices.IndexFunc(redone, func(e entry) bool { return e.TargetID == p.keys[0] })
		var changes string
		must(t, s.db.QueryRow(t.Context(), `SELECT changes FROM audit_events WHERE seq = $1`, redone[j].Seq).Scan(&changes))
		if want := `{"restored":{"after":"` + before[i].Event + `"}}`; changes != want {
			t.Errorf("an event says %s; want %s", changes, want)
		}
		after := lines(t, dir)
		if mark := after[len(after)-1]; !mark.isMark() || mark.Seq != end.seq+int64(small.sum())+activations(t, s, end.seq) {
			t.Errorf("the journal ends with %+v; want a mark of where the log ends", mark)
		}

		s.said.Reset()
		s.start(t)
		if again := lines(t, dir); len(again) != len(after) || strings.Contains(s.said.String(), "WARN") {
			t.Errorf("a second start wrote %d lines and said %q", len(again)-len(after), s.said)
		}
	})
}

// activations counts the events that are no revocations: keys that took over.
func activations(t *testing.T, s *store, after int64) int64 {
	return number(t, s.db, `SELECT count(*) FROM audit_events WHERE seq > $1 AND action NOT IN `+revoking, after)
}

// A start that ends in the middle of revoking again is made good by the next, which does nothing
// twice.
func TestRestoreIsCutOff(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, small)
		old := save(t, s.db)
		s.start(t)
		s.revoke(t, p)
		must(t, s.journal.follow(t.Context()))
		old.restore(t, s.db)
		known := lines(t, dir)
		for done := range small.sum() {
			c, err := compare(t.Context(), s.db, known)
			must(t, err)
			if c.continues || len(c.again) != small.sum()-done {
				t.Fatalf("after %d: %d are to be revoked again, %t", done, len(c.again), c.continues)
			}
			c.again = c.again[:1]
			_, _, err = s.journal.revokeAgain(t.Context(), c) // and no word of it in the journal
			must(t, err)
		}
		s.start(t)
		if got := alive(t, s, p); len(got) > 0 {
			t.Errorf("alive: %q", got)
		}
		c, err := compare(t.Context(), s.db, lines(t, dir))
		must(t, err)
		if !c.continues || len(c.again) > 0 {
			t.Errorf("after all: %v", c)
		}
	})
}

// Whoever restores a part, or under a running server, brings nothing back either.
func TestRestoreOtherwise(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, small)
		old := save(t, s.db)
		s.start(t)
		s.revoke(t, p)
		must(t, s.journal.follow(t.Context()))

		old.restore(t, s.db)
		must(t, s.journal.follow(t.Context())) // as it does each second
		if got := alive(t, s, p); len(got) > 0 {
			t.Errorf("restored under a running server, alive: %q", got)
		}

		part := slices.DeleteFunc(save(t, s.db), func(table savedTable) bool { return !strings.HasPrefix(table.name, "audit_") })
		old.restore(t, s.db)
		part.restore(t, s.db) // the log is the newest, the clients are not
		s.said.Reset()
		s.start(t)
		missed := slices.DeleteFunc(alive(t, s, p), func(what string) bool { return strings.HasPrefix(what, "tokens") })
		if len(missed) > 0 || !strings.Contains(s.said.String(), "a part of the database was restored") {
			t.Errorf("after a part was restored, alive: %q; it said %s", missed, s.said)
		}
	})
}

// The last owner stays, and the log says so at each start.
func TestRestoreSparesTheLastOwner(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{admins: 1})
		eva, err := s.people.ByEmail(t.Context(), "eva@example.com")
		must(t, err)
		must(t, s.people.SetRole(t.Context(), p.admins[0], people.Viewer, time.Now()))
		old := save(t, s.db)
		s.start(t)
		must(t, s.people.SetRole(t.Context(), p.admins[0], people.Owner, time.Now()))
		must(t, s.people.Remove(t.Context(), eva.ID, time.Now()))
		must(t, s.journal.follow(t.Context()))
		old.restore(t, s.db)
		for range 2 {
			s.said.Reset()
			s.start(t)
			if _, err := s.people.Person(t.Context(), eva.ID); err != nil || strings.Count(s.said.String(), "level=ERROR") != 1 {
				t.Errorf("the last owner: %v; it said %s", err, s.said)
			}
		}
		must(t, s.people.SetRole(t.Context(), p.admins[0], people.Owner, time.Now()))
		s.start(t)
		if _, err := s.people.Person(t.Context(), eva.ID); !errors.Is(err, people.ErrNotFound) {
			t.Errorf("with another owner there: %v", err)
		}
	})
}

// A client that was renamed after the backup has its last name on the tombstone.
func TestRestoreKeepsTheLastName(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{})
		c := s.client(t.Context(), t, "Old name", sections.Permission{Target: sections.Wardkey, Action: "read"})
		p.clients = []made{c}
		old := save(t, s.db)
		s.start(t)
		s.revoke(t, p) // under the name Shop
		must(t, s.journal.follow(t.Context()))
		old.restore(t, s.db)
		s.start(t)
		tomb, err := clients.NewStore(s.db).Deleted(t.Context(), c.ID)
		if err != nil || tomb.Name != "Shop" || tomb.DeletedBy != "client "+p.admin.ID {
			t.Errorf("the tombstone is %+v, %v", tomb, err)
		}
	})
}

// Sessions that a backup brings back end, because some of them had been ended.
func TestRestoreEndsSessions(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, size{clients: 1, admins: 1})
		_, err := s.db.Exec(t.Context(), `INSERT INTO sessions (token, id, admin_id, created_at, seen_at, ip, user_agent, data, expires_at)
			SELECT 'hash', 'one', id, 1, 1, '', '', '', 9999999999 FROM admins WHERE id = $1`, p.admins[0])
		must(t, err)
		old := save(t, s.db)
		s.start(t)
		s.revoke(t, &population{clients: p.clients, admin: p.admin})
		must(t, s.journal.follow(t.Context()))
		if n := number(t, s.db, `SELECT count(*) FROM sessions`); n != 1 {
			t.Fatalf("%d sessions before", n)
		}
		old.restore(t, s.db)
		s.start(t)
		ended := number(t, s.db, `SELECT count(*) FROM audit_events WHERE action = 'session.revoke'`)
		if n := number(t, s.db, `SELECT count(*) FROM sessions`); n != 0 || ended != 1 {
			t.Errorf("%d sessions live on, %d events say that they ended", n, ended)
		}
	})
}

// A crash between the commit and the journal, at any line and in the middle of one.
func TestJournalAfterCrash(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, small)
		s.start(t)
		s.revoke(t, p)
		must(t, s.journal.follow(t.Context()))
		path := filepath.Join(dir, journalName)
		whole, err := os.ReadFile(path)
		must(t, err)
		want := events(lines(t, dir))
		for cut := 0; cut < len(whole); cut += 97 {
			must(t, os.WriteFile(path, whole[:cut], 0o600))
			s.said.Reset()
			s.start(t)
			if got := events(lines(t, dir)); !slices.Equal(got, want) {
				t.Fatalf("cut after %d bytes, the journal has %d events; want %d", cut, len(got), len(want))
			}
			torn := cut > 0 && whole[cut-1] != '\n'
			if strings.Contains(s.said.String(), "was torn") != torn {
				t.Errorf("cut after %d bytes, it said %q", cut, s.said)
			}
		}
	})
}

// A journal is made anew from the audit log, and from the tombstones that are older than it.
func TestJournalIsMadeAnew(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, small)
		first := s.client(t.Context(), t, "From before", sections.Permission{Target: sections.Wardkey, Action: "read"})
		must(t, clients.NewStore(s.db).Delete(t.Context(), first.ID, "bootstrap", time.Unix(1e9, 0)))
		s.revoke(t, p)
		for range 2 {
			s.start(t)
			known := lines(t, dir)
			want := entry{At: time.Unix(1e9, 0).UTC(), Action: deleteClient, TargetKind: "client", TargetID: first.ID, TargetName: "From before", ClientID: first.ID, By: "bootstrap"}
			if len(known) != small.sum()+1 || known[0] != want {
				t.Errorf("%d lines, the first is %+v; want %d, %+v", len(known), known[0], small.sum()+1, want)
			}
			info, err := os.Stat(filepath.Join(dir, journalName))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the journal has the mode %v, %v", info.Mode(), err)
			}
		}
		must(t, os.Remove(filepath.Join(dir, journalName))) // under a running server
		must(t, s.audit.Record(t.Context(), audit.Act{Action: deleteClient, Target: audit.Target{Kind: "client", ID: "x"}, ClientID: "x", At: time.Now()}))
		must(t, s.journal.follow(t.Context()))
		if got := len(lines(t, dir)); got != small.sum()+2 {
			t.Errorf("%d lines; want %d", got, small.sum()+2)
		}
	})
}

// Any other damage is for a person to look at.
func TestJournalThatCannotBeRead(t *testing.T) {
	s := openTestStore(t, "sqlite:"+filepath.Join(t.TempDir(), "wardkey.db"), t.TempDir())
	path := s.config.journalPath()
	for _, line := range []string{"rubbish", `{"action":"client.delete"}`, `[]`, `{"seq":"one"}`, ``} {
		must(t, os.WriteFile(path, []byte(`{"seq":0,"action":"client.delete","target_id":"a"}`+"\n"+line+"\n"), 0o600))
		if err := s.newJournal().start(t.Context()); !errors.Is(err, errJournalLine) || !strings.Contains(err.Error(), path+", line 2") {
			t.Errorf("%q: %v; want errJournalLine of line 2", line, err)
		}
	}
}

// While the journal cannot be written, acts go on; afterwards nothing is missing, and each is said
// once.
func TestJournalCannotBeWritten(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		p := s.populate(t, small)
		s.start(t)
		path := s.config.journalPath()
		must(t, os.Remove(path))
		must(t, os.Mkdir(path, 0o700)) // like a disk that is full
		s.revoke(t, p)
		for range 3 {
			s.journal.committed(t.Context())
		}
		if strings.Count(s.said.String(), "level=ERROR") != 1 || !s.journal.failing.Load() {
			t.Errorf("it said %s", s.said)
		}
		must(t, os.Remove(path))
		left, cancel := context.WithCancel(t.Context())
		cancel()
		s.journal.committed(left) // whoever asked for the act does not wait for its answer
		if got := len(lines(t, dir)); got != small.sum() || s.journal.failing.Load() {
			t.Errorf("%d lines; want %d", got, small.sum())
		}
	})
}

// Each server's journal has what every server did, be it a file of its own or one that they share.
func TestJournalOfManyServers(t *testing.T) {
	url := databasetest.PostgresURL(t)
	own, shared := t.TempDir(), t.TempDir()
	a, b, c := openTestStore(t, url, shared), openTestStore(t, url, shared), openTestStore(t, url, own)
	p := a.populate(t, small)
	for _, s := range []*store{a, b, c} {
		s.start(t)
	}
	a.revoke(t, &population{clients: p.clients[:1], admin: p.admin})
	must(t, a.journal.follow(t.Context()))
	b.revoke(t, &population{clients: p.clients[1:], admin: p.admin})
	for _, s := range []*store{b, a, c} {
		must(t, s.journal.follow(t.Context()))
	}
	for _, dir := range []string{own, shared} {
		if got := lines(t, dir); len(got) != 3 {
			t.Errorf("%d lines; want 3", len(got))
		}
	}
}
