package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

const (
	bare         = `Bearer realm="wardkey"`
	invalidToken = `Bearer realm="wardkey", error="invalid_token"`
)

// requests are one of each kind that a token is needed for, and what is not there at all.
var requests = []struct{ method, path string }{
	{"GET", "/sections"},
	{"GET", "/clients/x"},
	{"HEAD", "/clients"},
	{"POST", "/clients"},
	{"PATCH", "/clients/x"},
	{"DELETE", "/clients/x"},
	{"POST", "/signing-keys/rotate"},
	{"GET", "/nothing"},
	{"GET", ""},
	{"GET", "/"},
	{"PUT", "/sections"},
	{"OPTIONS", "/sections"},
	{"POST", "/openapi.yaml"},
	{"GET", "//sections"},
	{"GET", "/sections/../clients"},
}

// Whoever has no token, or not a good one, learns nothing but that (RFC 6750 §3).
func TestUnauthenticated(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := &tokens.Issuer{URL: "https://other.example", Keys: w.Keys}
		foreign, err := other.Issue(tokens.Grant{
			ClientID: w.root.ID, Audience: []string{audience}, Scope: "wardkey:write",
			IssuedAt: time.Now(), Lifetime: time.Minute, Alg: tokens.ES256, StatusIndex: w.root.StatusIndex,
		})
		if err != nil {
			t.Fatal(err)
		}
		grant := tokens.Grant{ClientID: w.root.ID, Audience: []string{audience}, Scope: "wardkey:read wardkey:write", StatusIndex: w.root.StatusIndex}
		expired, elsewhere, nobody, revoked, otherList := grant, grant, grant, grant, grant
		expired.IssuedAt = time.Now().Add(-time.Hour)
		elsewhere.Audience = []string{issuer}
		nobody.ClientID = "7f9c24e5-2f5d-4a3b-9d53-1f2e3c4d5e6f"
		revoked.StatusIndex++
		otherList.StatusIndex += 1 << 17 // the same place in another list
		parts := strings.Split(w.raw, ".")
		for _, tt := range []struct{ what, header, challenge string }{
			{"none", "", bare},
			{"Basic", "Basic dTpw", bare},
			{"another scheme", "Token " + w.raw, bare},
			{"the scheme alone", "Bearer", invalidToken},
			{"an empty token", "Bearer ", invalidToken},
			{"no token", "Bearer x", invalidToken},
			{"two tokens", "Bearer " + w.raw + " " + w.raw, invalidToken},
			{"two tokens in a list", "Bearer " + w.raw + ",Bearer " + w.raw, invalidToken},
			{"a cut signature", "Bearer " + w.raw[:len(w.raw)-2], invalidToken},
			{"no signature", "Bearer " + parts[0] + "." + parts[1] + ".", invalidToken},
			{"another payload", "Bearer " + parts[0] + ".e30." + parts[2], invalidToken},
			{"another issuer", "Bearer " + foreign, invalidToken},
			{"expired", "Bearer " + w.issue(expired), invalidToken},
			{"another audience", "Bearer " + w.issue(elsewhere), invalidToken},
			{"an unknown client", "Bearer " + w.issue(nobody), invalidToken},
			{"revoked as a whole", "Bearer " + w.issue(revoked), invalidToken},
			{"another status list", "Bearer " + w.issue(otherList), invalidToken},
		} {
			t.Run(tt.what, func(t *testing.T) {
				w := *w
				w.t = t
				for _, op := range requests {
					a := w.do(op.method, op.path, "", "Authorization", tt.header)
					if op.method == "HEAD" {
						a.body = nil
						if a.status != 401 {
							t.Errorf("%s = %d, want 401", a.what, a.status)
						}
					} else {
						a.isProblem(401, "unauthenticated")
					}
					if got := a.header.Get("WWW-Authenticate"); got != tt.challenge {
						t.Errorf("%s: WWW-Authenticate = %q, want %q", a.what, got, tt.challenge)
					}
				}
			})
		}
		// A token in the query is not looked at (RFC 6750 §2.3 advises against it).
		w.do("GET", "/sections?access_token="+w.raw, "", "Authorization", "").isProblem(401, "unauthenticated")

		for _, second := range []string{"", "Basic dTpw", "Bearer " + w.raw} {
			r := w.request("GET", "/sections")
			r.Header["Authorization"] = []string{"Bearer " + w.raw, second}
			w.send(r).isProblem(401, "unauthenticated")
		}
	})
}

func TestAuthenticated(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "Bearer  "} {
			w.do("GET", "/sections", "", "Authorization", scheme+w.raw).is(200)
		}
		w.do("GET", "/nothing", "").isProblem(404, "not-found")
		w.do("GET", "", "").isProblem(404, "not-found")
		w.do("GET", "//sections", "").isProblem(404, "not-found")
		w.do("GET", "/sections/", "").isProblem(404, "not-found")
		if log := w.log.String(); !strings.Contains(log, `actor="client `+w.root.ID) {
			t.Errorf("the log does not name the actor: %s", log)
		}
		if strings.Contains(w.log.String(), w.raw) {
			t.Error("the log has a token")
		}
	})
}

// What a token must grant, and its client still hold, for each method.
func TestScope(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			what, scope string
			held        []string
			read, write bool
		}{
			{"read", "wardkey:read", []string{"read"}, true, false},
			{"write", "wardkey:write", []string{"write"}, true, true},
			{"both", "wardkey:read wardkey:write", []string{"read", "write"}, true, true},
			{"introspect", "wardkey:introspect", []string{"introspect"}, false, false},
			{"nothing", "", []string{"read", "write"}, false, false},
			{"only in the token", "wardkey:read wardkey:write", []string{"introspect"}, false, false},
			{"only held", "wardkey:introspect", []string{"read", "write", "introspect"}, false, false},
			{"write no longer held", "wardkey:read wardkey:write", []string{"read"}, true, false},
			{"a longer value", "wardkey:writer wardkey:readx", []string{"read", "write"}, false, false},
		} {
			t.Run(tt.what, func(t *testing.T) {
				w := *w
				w.t = t
				w.raw = w.token(w.client(tt.what, tt.held...), tt.scope)
				for _, op := range requests {
					a := w.do(op.method, op.path, "")
					reads := op.method == "GET" || op.method == "HEAD"
					refused := reads && !tt.read || !reads && !tt.write
					if (a.status == 403) != refused {
						t.Errorf("%s = %d; refused: want %v", a.what, a.status, refused)
					}
					if !refused || op.method == "HEAD" {
						continue
					}
					need := "wardkey:write"
					if reads {
						need = "wardkey:read"
					}
					a.isProblem(403, "insufficient-scope")
					if got, want := a.header.Get("WWW-Authenticate"), bare+`, error="insufficient_scope", scope="`+need+`"`; got != want {
						t.Errorf("%s: WWW-Authenticate = %q, want %q", a.what, got, want)
					}
				}
			})
		}
	})
}

// Who is disabled, expired or deleted is out at once.
func TestClientGone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, tt := range []struct{ what, method, body string }{
			{"disabled", "PATCH", `{"disabled":true}`},
			{"deleted", "DELETE", ""},
		} {
			c := w.client(tt.what, "read")
			raw := w.token(c, "wardkey:read")
			w.do("GET", "/sections", "", "Authorization", "Bearer "+raw).is(200)
			w.do(tt.method, "/clients/"+c.ID, tt.body)
			w.do("GET", "/sections", "", "Authorization", "Bearer "+raw).isProblem(401, "unauthenticated")
		}
		c := w.client("expired", "read")
		raw := w.token(c, "wardkey:read")
		if _, err := w.DB.Exec(t.Context(), `UPDATE clients SET expires_at = 1 WHERE id = $1`, c.ID); err != nil {
			t.Fatal(err)
		}
		w.do("GET", "/sections", "", "Authorization", "Bearer "+raw).isProblem(401, "unauthenticated")

		c = w.client("less", "read", "write")
		raw = w.token(c, "wardkey:write")
		w.do("PATCH", "/clients/"+c.ID, `{"permissions":{"wardkey":["read"]}}`).is(200)
		w.do("POST", "/sections", `{"id":"a","name":"n"}`, "Authorization", "Bearer "+raw).isProblem(403, "insufficient-scope")
	})
}

// A store that cannot be asked is 503 and never 401: the caller must not throw its token away.
func TestStoreAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Lookup = lookup(func(context.Context, string) (*clients.Client, *sections.Catalog, error) {
			return nil, nil, errors.New("no route to clients at 10.0.0.1")
		})
		w.url = w.serve()
		a := w.do("GET", "/sections", "").isProblem(503, "unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		if strings.Contains(string(a.body), "10.0.0.1") {
			t.Errorf("the answer tells what is inside: %s", a.body)
		}
		if !strings.Contains(w.log.String(), "10.0.0.1") {
			t.Error("the log does not tell the cause")
		}
	})
	each(t, func(t *testing.T, w *world) {
		raw := w.raw
		if _, err := w.DB.Exec(t.Context(), `ALTER TABLE keyring RENAME TO keyring_away`); err != nil {
			t.Fatal(err)
		}
		w.do("GET", "/sections", "", "Authorization", "Bearer "+raw).isProblem(503, "unavailable")
	})
}

type lookup func(context.Context, string) (*clients.Client, *sections.Catalog, error)

func (l lookup) Client(ctx context.Context, id string) (*clients.Client, *sections.Catalog, error) {
	return l(ctx, id)
}

func openAt(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}
