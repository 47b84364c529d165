package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/leaks"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/internal/usage"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

const (
	issuer   = "https://auth.example"
	audience = issuer + "/admin"
)

// A world is a server with an admin API, and a client that may do everything there.
type world struct {
	*admin.Handler
	t    *testing.T
	url  string // of the API
	log  *buffer
	root *clients.Client

	raw    string // a token of root, which requests carry
	cookie string // of a session, which requests carry instead if it is not ""
}

// each runs a test in a world on each engine, on both at the same time.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		t.Parallel()
		test(t, newWorld(t, db, tokens.NewMasterKey()))
	})
}

func newWorld(t *testing.T, db *database.DB, master tokens.MasterKey) *world {
	t.Helper()
	log := &buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	events := audit.NewLog(db, master.Derive("audit"))
	persons := people.New(db, events)
	keys := &tokens.Keys{DB: db, Master: master, Schedule: tokens.DefaultSchedule, RSABits: 2048, Log: logger, Changed: admin.KeyChanges(db, events)}
	if err := keys.Start(t.Context(), tokens.ES256); err != nil {
		t.Fatalf("start the signing keys: %v", err)
	}
	w := &world{t: t, log: log, Handler: &admin.Handler{
		DB: db, Audit: events, People: persons, Sessions: people.NewSessions(persons, true), Refusals: refusals.New(db, master.Derive("error ids"), logger), Usage: usage.New(db, logger), Reports: &reports.Store{DB: db, Clients: clients.NewLookup(db, 10*time.Second)}, Leaks: &leaks.Reports{DB: db, Clients: clients.NewStore(db), Audit: events}, Disuse: clients.DisuseRule{SuspendedAfter: 90 * 24 * time.Hour, DeletedAfter: 14 * 24 * time.Hour}, Alerts: &alerts.Store{DB: db, Key: master.Derive("webhooks"), Pages: issuer + "/admin"}, Limits: &limits.Limiter{DB: db, Log: logger, Mode: limits.Enforce, Timeout: 10 * time.Second}, Habits: &limits.Habits{DB: db, Log: logger}, Clients: clients.NewStore(db), Sections: sections.NewStore(db), Keys: keys, Fetches: tokens.NewFetches(db, keys, logger),
		Issuer: &tokens.Issuer{URL: issuer, Keys: keys}, Revoked: tokens.RevokedTokens{DB: db}, Lookup: clients.NewLookup(db, 10*time.Second),
		Audience: audience, Audiences: []string{issuer, "https://api.example"}, Alg: tokens.ES256, CursorKey: master.Derive("cursors"),
	}}
	w.url = w.serve()
	w.root = w.client("root", "read", "write")
	w.raw = w.token(w.root, "wardkey:read wardkey:write")
	return w
}

// serve starts a server with the world's handler inside of others, and returns the address of its
// API. Its answers are held to the document.
func (w *world) serve(around ...func(http.Handler) http.Handler) string {
	router := mux.NewRouter().SkipClean(true) // as the server has it
	w.Register(router)
	var root http.Handler = router
	for _, wrap := range around {
		root = wrap(root)
	}
	server := httptest.NewServer(theDocument().checked(w.t, request.Wrap(slog.New(slog.NewTextHandler(w.log, nil)), root)))
	w.t.Cleanup(server.Close)
	return server.URL + "/admin/v1"
}

// client registers a client that holds actions on the server itself, past the API.
func (w *world) client(name string, actions ...string) *clients.Client {
	w.t.Helper()
	c := &clients.Client{Name: name, CreatedBy: "the test"}
	for _, action := range actions {
		c.Held.Permissions = append(c.Held.Permissions, sections.Permission{Target: "wardkey", Action: action})
	}
	if _, err := w.Clients.Create(w.t.Context(), c, time.Now()); err != nil {
		w.t.Fatalf("create a client: %v", err)
	}
	return c
}

// token issues a token for this API, as the token endpoint would.
func (w *world) token(c *clients.Client, scope string) string {
	w.t.Helper()
	return w.issue(tokens.Grant{ClientID: c.ID, Audience: []string{audience}, Scope: scope, StatusIndex: c.StatusIndex})
}

func (w *world) issue(g tokens.Grant) string {
	w.t.Helper()
	if g.IssuedAt.IsZero() {
		g.IssuedAt = time.Now()
	}
	g.Lifetime, g.Alg = 15*time.Minute, tokens.ES256
	raw, err := w.Issuer.Issue(g)
	if err != nil {
		w.t.Fatalf("issue a token: %v", err)
	}
	return raw
}

// api is the generated client with the root token.
func (w *world) api() *adminclient.ClientWithResponses {
	w.t.Helper()
	api, err := adminclient.NewClientWithResponses(w.url, adminclient.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+w.raw)
		return nil
	}))
	if err != nil {
		w.t.Fatalf("make a client: %v", err)
	}
	return api
}

// An answer is what came back.
type answer struct {
	t      *testing.T
	what   string // method and path
	status int
	header http.Header
	body   []byte
}

// do sends a request with the root token. A body that is not "" is JSON. Headers follow in pairs;
// an empty value takes a header away.
func (w *world) do(method, path, body string, headers ...string) *answer {
	w.t.Helper()
	r := w.request(method, path)
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return w.send(r)
}

// request is one with the root token, or the cookie, and without a body.
func (w *world) request(method, path string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.cookie != "" {
		r.Header.Set("Cookie", w.cookie)
	} else {
		r.Header.Set("Authorization", "Bearer "+w.raw)
	}
	return r
}

func (w *world) send(r *http.Request) *answer {
	w.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: read the answer: %v", r.Method, r.URL.Path, err)
	}
	return &answer{t: w.t, what: r.Method + " " + r.URL.RequestURI(), status: res.StatusCode, header: res.Header, body: body}
}

// is checks the status, and of a problem that it is one in form (RFC 9457).
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s = %d, want %d; %s", a.what, a.status, status, a.body)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		a.t.Errorf("%s: Cache-Control = %q, want no-store", a.what, got)
	}
	if a.header.Get("X-Request-Id") == "" {
		a.t.Errorf("%s has no X-Request-Id", a.what)
	}
	if status >= 400 {
		a.checkProblem()
	}
	return a
}

func (a *answer) checkProblem() {
	a.t.Helper()
	p := a.problem()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s: Content-Type = %q, want application/problem+json", a.what, got)
	}
	if !strings.HasPrefix(p.Type, "urn:wardkey:problem:") || p.Title == "" || p.Status != a.status || p.Detail == nil {
		a.t.Errorf("%s = %s, want a type, a title, the status %d and a detail", a.what, a.body, a.status)
	}
	if p.RequestID == nil || *p.RequestID != a.header.Get("X-Request-Id") {
		a.t.Errorf("%s: the request_id in %s is not that of the header", a.what, a.body)
	}
}

func (a *answer) problem() (p adminclient.Problem) {
	a.t.Helper()
	a.into(&p)
	return p
}

// isProblem checks status and kind of a problem, and which members it names.
func (a *answer) isProblem(status int, kind string, fields ...string) *answer {
	a.t.Helper()
	p := a.is(status).problem()
	if p.Type != "urn:wardkey:problem:"+kind {
		a.t.Errorf("%s: type = %q, want …:%s", a.what, p.Type, kind)
	}
	named := []string{}
	for _, e := range p.Errors {
		named = append(named, e.Field)
		if e.Detail == "" {
			a.t.Errorf("%s: nothing is said of %s", a.what, e.Field)
		}
	}
	if got, want := strings.Join(named, " "), strings.Join(fields, " "); got != want {
		a.t.Errorf("%s names %q, want %q; %s", a.what, got, want, a.body)
	}
	return a
}

// into reads a JSON answer to the letter: a member that the specification does not have fails.
func (a *answer) into(v any) *answer {
	a.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		a.t.Fatalf("%s = %d %s: %v", a.what, a.status, a.body, err)
	}
	return a
}

// member is one of a JSON object, as it stands there.
func (a *answer) member(name string) string {
	a.t.Helper()
	var members map[string]json.RawMessage
	a.into(&members)
	return string(members[name])
}

// buffer is a log that many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// setUp makes Sections nordic and baltic, keyspaces email and crm-id, the capability
// transactional-email which is on, and sms which is off.
func (w *world) setUp() {
	w.t.Helper()
	for path, bodies := range map[string][]string{
		"/sections": {`{"id":"nordic","name":"Nordic"}`, `{"id":"baltic","name":"Baltic"}`},
		"/keyspaces": {
			`{"id":"email","name":"E-mail","actions":["read","write","delete"]}`,
			`{"id":"crm-id","name":"CRM"}`,
		},
		"/capabilities": {
			`{"id":"transactional-email","name":"Transactional e-mail","actions":["send"],"enabled":true}`,
			`{"id":"sms","name":"SMS","actions":["send"]}`,
		},
	} {
		for _, body := range bodies {
			w.do("POST", path, body).is(201)
		}
	}
}

// register makes a client through the API, and returns it with its secret.
func (w *world) register(body string) adminclient.ClientCreated {
	w.t.Helper()
	var c adminclient.ClientCreated
	w.do("POST", "/clients", body).is(201).into(&c)
	return c
}

// read returns a client through the API.
func (w *world) read(id string) adminclient.Client {
	w.t.Helper()
	var c adminclient.Client
	w.do("GET", "/clients/"+id, "").is(200).into(&c)
	return c
}

// wantSame checks that two lists hold the same, in whatever order.
func wantSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
