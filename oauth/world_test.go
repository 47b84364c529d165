package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// A world is a server with a store of its own and some clients. It is called without a network,
// so that it can live where time is faked.
type world struct {
	t       testing.TB
	db      *database.DB
	things  *sections.Store
	store   *clients.Store
	keys    *tokens.Keys
	oauth   *Handler
	refused *refusals.Tally // nil: refusals are not counted
	handler http.Handler
	log     bytes.Buffer
	clients map[string]*known
}

// A known client is one whose secret the tests know.
type known struct {
	*clients.Client
	secret string
}

// basic is the Authorization header that authenticates the client.
func (k *known) basic() string { return basic(k.ID, k.secret) }

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

const (
	issuerURL    = "https://auth.example"
	storeTimeout = 10 * time.Second // a test machine may be slow; cmd/wardkey has one second
)

// newWorld starts a server that has a key of ES256, on SQLite.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, databasetest.SQLite(t))
}

// eachWorld runs a test on SQLite and on PostgreSQL.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(t, newWorldOn(t, db)) })
}

func newWorldOn(t testing.TB, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, db: db, clients: map[string]*known{}}
	w.things, w.store = sections.NewStore(w.db), clients.NewStore(w.db)
	w.keys = &tokens.Keys{DB: w.db, Master: tokens.NewMasterKey(), Schedule: tokens.DefaultSchedule, RSABits: 2048, Log: slog.New(slog.DiscardHandler)}
	w.must(w.keys.Start(t.Context(), tokens.ES256))
	w.must(w.db.Transact(t.Context(), w.fill))
	w.serve(issuerURL)
	return w
}

// serve makes the world's server one with the given issuer.
func (w *world) serve(issuer string) {
	w.oauth = &Handler{
		Clients:       clients.NewLookup(w.db, storeTimeout),
		Issuer:        &tokens.Issuer{URL: issuer, Keys: w.keys},
		Audiences:     []string{"https://api.example", "https://files.example", "https://old.example/v1?tenant=1", "urn:example:tv"},
		AdminAudience: issuer + "/admin",
		Lifetime:      15 * time.Minute,
		Alg:           tokens.ES256,
		AudienceAlgs:  map[string]tokens.Alg{"https://old.example/v1?tenant=1": tokens.RS256, "urn:example:tv": tokens.EdDSA},
		StatusLists:   &tokens.StatusLists{DB: w.db, Issuer: &tokens.Issuer{URL: issuer, Keys: w.keys}, Alg: tokens.ES256, TTL: 10 * time.Second, Log: slog.New(slog.DiscardHandler)},
		RevokedTokens: tokens.RevokedTokens{DB: w.db},
		Used:          func(context.Context, Use) error { return nil },
		Limits:        &limits.Limiter{DB: w.db, Log: slog.New(slog.DiscardHandler), Mode: limits.Enforce, Timeout: storeTimeout},
		Ping:          w.db.Ping,
	}
	w.must(w.oauth.StatusLists.Refresh(w.t.Context()))
	router := mux.NewRouter().SkipClean(true) // as cmd/wardkey makes it: it never redirects
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, `{"error":"not_found","title":"Not found","status":404,"detail":"there is nothing at this path"}`)
	})
	w.must(w.oauth.Register(router))
	w.handler = request.Wrap(slog.New(slog.NewJSONHandler(&w.log, nil)), router)
}

// tally makes the world's server one that counts refusals.
func (w *world) tally() {
	w.refused = refusals.New(w.db, []byte("a key of 16 bytes"), slog.New(slog.DiscardHandler))
	w.oauth.Refused = w.refused.Record
}

// fill makes what the vectors speak of.
func (w *world) fill(ctx context.Context) error {
	now := time.Now()
	for _, id := range []string{"arctic", "baltic", "nordic", "usercreated.sections.heartland_demo_2.0-rppfuhvt6a"} {
		w.must(w.things.CreateSection(ctx, &sections.Section{ID: id, Name: id, CreatedAt: now}))
	}
	for _, id := range []string{"com.apsis1.keyspaces.email", "crm-id", "email"} {
		w.must(w.things.CreateKeyspace(ctx, &sections.Keyspace{ID: id, Name: id, Actions: sections.DefaultActions, CreatedAt: now}))
	}
	for id, action := range map[string]string{"export": "run", "transactional-email": "send"} {
		w.must(w.things.CreateCapability(ctx, &sections.Capability{ID: id, Name: id, Actions: []string{action}, Enabled: id != "export", CreatedAt: now}))
	}
	for i, c := range []struct {
		name, sections, permissions string
		edit                        func(*clients.Client)
	}{
		{name: "billing", sections: "nordic", permissions: "email:read email:write"},
		{name: "crm", sections: "baltic nordic", permissions: "crm-id:read email:read export:run transactional-email:send"},
		{name: "wide", sections: "*", permissions: "*:read"},
		{name: "heartland", sections: "usercreated.sections.heartland_demo_2.0-rppfuhvt6a", permissions: "com.apsis1.keyspaces.email:read"},
		{name: "mailer", permissions: "transactional-email:send"},
		{name: "idle", permissions: "export:run"}, // holds nothing but what is switched off
		{name: "operator", permissions: "wardkey:read wardkey:write"},
		{name: "mixed", sections: "nordic", permissions: "email:read wardkey:read"},
		{name: "files", sections: "nordic", permissions: "email:read", edit: func(c *clients.Client) {
			c.Audiences = []string{"https://files.example", "urn:example:tv"}
			c.TokenLifetime = time.Minute
		}},
		{name: "rsa", sections: "nordic", permissions: "email:read", edit: func(c *clients.Client) {
			c.SigningAlg = string(tokens.RS256)
			c.TokenLifetime = 24 * time.Hour
		}},
		{name: "disabled", sections: "nordic", permissions: "email:read", edit: func(c *clients.Client) { c.Disabled = true }},
		{name: "expired", sections: "nordic", permissions: "email:read", edit: func(c *clients.Client) { c.ExpiresAt = now }},
		{name: "deleted", sections: "nordic", permissions: "email:read"},
		{name: "stale", sections: "nordic", permissions: "email:read"}, // its secret has expired
		{name: "inspector", permissions: "wardkey:introspect"},
		{name: "files-api", permissions: "wardkey:introspect", edit: func(c *clients.Client) { c.Audiences = []string{"https://files.example"} }},
		{name: "metered", sections: "nordic", permissions: "email:read", edit: func(c *clients.Client) {
			c.Plan, c.Limits = clients.Enterprise, clients.Limits{PerMinute: 6, Burst: 2, PerDay: 100}
		}},
		{name: "pro", sections: "nordic", permissions: "email:read", edit: func(c *clients.Client) { c.Plan = clients.Pro }},
	} {
		w.client(ctx, int64(i), c.name, c.sections, c.permissions, c.edit)
	}
	w.must(w.store.Delete(ctx, w.clients["deleted"].ID, "test", now))
	atOnce := time.Duration(0)
	_, _, err := w.store.AddSecret(ctx, w.clients["stale"].ID, time.Time{}, &atOnce, now)
	return err
}

// client makes a client, whose place in the status lists is known.
func (w *world) client(ctx context.Context, place int64, name, held, permissions string, edit func(*clients.Client)) *known {
	w.t.Helper()
	c := &clients.Client{Name: name, CreatedBy: "test", Held: sections.Held{Sections: strings.Fields(held)}}
	for p := range strings.FieldsSeq(permissions) {
		target, action, _ := strings.Cut(p, ":")
		c.Held.Permissions = append(c.Held.Permissions, sections.Permission{Target: target, Action: action})
	}
	if edit != nil {
		edit(c)
	}
	secret, err := w.store.Create(ctx, c, time.Now())
	w.must(err)
	place += 1 << 17 // in the second list, because the server takes places in the first one
	_, err = w.db.Exec(ctx, `INSERT INTO status_entries (position, client_id) VALUES ($1, $2)`, place, c.ID)
	w.must(err)
	_, err = w.db.Exec(ctx, `UPDATE clients SET status_index = $1 WHERE id = $2`, place, c.ID)
	w.must(err)
	w.clients[name] = &known{c, secret.Reveal()}
	return w.clients[name]
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// do sends a request to the world's server.
func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// ask sends a token request with Basic credentials. The form's values come in pairs.
func (w *world) ask(authorization string, form ...string) *httptest.ResponseRecorder {
	values := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", authorization)
	return w.do(r)
}

// claims asks for a token and returns what it says.
func (w *world) claims(authorization string, form ...string) (*tokens.Claims, error) {
	w.t.Helper()
	answer := w.ask(authorization, form...)
	body, err := decode[tokenBody](answer)
	if err != nil || answer.Code != http.StatusOK {
		return nil, fmt.Errorf("%d %s", answer.Code, answer.Body)
	}
	return w.oauth.Issuer.Parse(body.AccessToken)
}

func decode[T any](answer *httptest.ResponseRecorder) (body T, err error) {
	err = json.Unmarshal(answer.Body.Bytes(), &body)
	return body, err
}
