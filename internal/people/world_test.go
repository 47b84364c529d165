package people

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const (
	annsPassword = "correct horse battery"
	home         = "192.0.2.1"
)

// A world is a server with a database of its own, whose hashes are cheap and counted.
type world struct {
	*People
	sessions *Sessions
	hashed   *atomic.Int64
}

// each runs test on each engine.
func each(t *testing.T, test func(t *testing.T, w world)) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(t, newWorld(db)) })
}

var cheap = cost{memory: 8, passes: 1, lanes: 1}

func newWorld(db *database.DB) world {
	w := world{People: New(db, audit.NewLog(db, []byte("key"))), hashed: new(atomic.Int64)}
	w.hashes.cost = cheap
	w.hashes.derive = func(password, salt []byte, c cost, length int) []byte {
		w.hashed.Add(1)
		return argon(password, salt, c, length)
	}
	w.sessions = NewSessions(w.People, true)
	return w
}

// another is a second server on the same database.
func (w world) another() world { return newWorld(w.db) }

// make makes a person with the password annsPassword.
func (w world) make(t *testing.T, email string, role Role) *Person {
	t.Helper()
	password, err := w.NewPassword(t.Context(), email, annsPassword)
	must(t, err)
	x := &Person{Email: email, Role: role}
	must(t, w.Create(t.Context(), x, password, noon))
	return x
}

func (w world) read(t *testing.T, id string) Person {
	t.Helper()
	x, err := w.Person(t.Context(), id)
	must(t, err)
	return *x
}

func (w world) hashOf(t *testing.T, id string) (hash string) {
	t.Helper()
	must(t, w.db.QueryRow(t.Context(), `SELECT password_hash FROM admins WHERE id = $1`, id).Scan(&hash))
	return hash
}

// tryToSignIn signs in, and begins no session.
func (w world) tryToSignIn(ctx context.Context, email, password, address string, now time.Time) error {
	a := Attempt{Email: email, Password: password, Address: address}
	return w.signIn(ctx, a, now, func(context.Context, *Person) error { return nil })
}

// begin signs ann in at home.
func (w world) begin(t *testing.T, ctx context.Context) *SignedIn {
	t.Helper()
	in, err := w.sessions.SignIn(ctx, Attempt{Email: "ann@example.com", Password: annsPassword, Address: home, UserAgent: "Browser/1"})
	must(t, err)
	return in
}

// load is what a request with the cookie finds.
func (w world) load(t *testing.T, cookie *http.Cookie) (context.Context, *Session) {
	t.Helper()
	ctx, err := w.sessions.Load(withCookie(cookie))
	must(t, err)
	return ctx, Current(ctx)
}

func withCookie(cookie *http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return r
}

// events are those of the audit log after the first so many, oldest first, each in a line.
func (w world) events(t *testing.T, after int) []string {
	t.Helper()
	var lines []string
	for e, err := range w.log.All(t.Context(), audit.Filter{}) {
		must(t, err)
		line := fmt.Sprintf("%s %s %s %s", e.Actor, e.Action, strings.TrimSpace(e.Target.Kind+" "+e.Target.Name), e.Changes)
		lines = append(lines, line)
	}
	return lines[min(after, len(lines)):]
}

func (w world) wantEvents(t *testing.T, after int, want ...string) {
	t.Helper()
	if got := w.events(t, after); !slices.Equal(got, want) {
		t.Errorf("the audit log says\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// dump is all that the audit log holds.
func (w world) dump(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for e, err := range w.log.All(t.Context(), audit.Filter{}) {
		must(t, err)
		must(t, json.NewEncoder(&text).Encode(e))
	}
	return text.String()
}

func (w world) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	must(t, w.db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

func (w world) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := w.db.Exec(t.Context(), statement, args...)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
