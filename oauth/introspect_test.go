package oauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// about sends a request about a token.
func (w *world) about(path string, who *known, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", who.basic())
	return w.do(r)
}

// active says whether introspection calls a token active, to its client and to an inspector. A
// token that is not is said nothing of.
func (w *world) active(t *testing.T, owner, token string) bool {
	t.Helper()
	answers := map[string]bool{}
	for _, who := range []string{owner, "inspector"} {
		answer := w.about("/oauth/introspect", w.clients[who], token)
		body, err := decode[introspection](answer)
		if answer.Code == http.StatusUnauthorized && who == owner {
			continue // it may not ask any more
		}
		if err != nil || answer.Code != http.StatusOK || !body.Active && answer.Body.String() != `{"active":false}`+"\n" {
			t.Errorf("introspection of a token answers %d %s to %s", answer.Code, answer.Body, who)
		}
		answers[who] = body.Active
	}
	if asked, ok := answers[owner]; ok && asked != answers["inspector"] {
		t.Errorf("a token is active=%t to its client and active=%t to another", asked, answers["inspector"])
	}
	return answers["inspector"]
}

// TestInactive holds that a token is inactive from the moment that what it needs is taken away,
// and not before (RFC 7662 §2.2).
func TestInactive(t *testing.T) {
	for _, tt := range []struct {
		name string
		take func(ctx context.Context, w *world, c *clients.Client) error
	}{
		{"the client is deleted", func(ctx context.Context, w *world, c *clients.Client) error {
			return w.store.Delete(ctx, c.ID, "test", time.Now())
		}},
		{"the client is disabled", func(ctx context.Context, w *world, c *clients.Client) error {
			c.Disabled = true
			return w.store.Update(ctx, c)
		}},
		{"the client has expired", func(ctx context.Context, w *world, c *clients.Client) error {
			c.ExpiresAt = time.Now()
			return w.store.Update(ctx, c)
		}},
		{"its tokens are revoked", func(ctx context.Context, w *world, c *clients.Client) error {
			return w.store.RevokeTokens(ctx, c.ID, time.Now())
		}},
		{"a Section is taken", func(ctx context.Context, w *world, c *clients.Client) error {
			c.Held.Sections = []string{"baltic"}
			return w.store.Update(ctx, c)
		}},
		{"a permission is taken", func(ctx context.Context, w *world, c *clients.Client) error {
			c.Held.Permissions = c.Held.Permissions[:1]
			return w.store.Update(ctx, c)
		}},
		{"a capability is switched off", func(ctx context.Context, w *world, _ *clients.Client) error {
			_, err := w.db.Exec(ctx, `UPDATE capabilities SET enabled = FALSE WHERE id = $1`, "transactional-email")
			if err == nil {
				_, err = w.db.Exec(ctx, `UPDATE catalog SET version = version + 1`)
			}
			return err
		}},
		{"the key is removed", func(ctx context.Context, w *world, _ *clients.Client) error {
			return w.keys.Remove(ctx, w.keys.All()[0].ID)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				crm := w.clients["crm"]
				token := w.token("crm")
				if !w.active(t, "crm", token) {
					t.Fatal("a new token is inactive")
				}
				whole, err := w.store.Client(t.Context(), crm.ID)
				w.must(err)
				w.must(tt.take(t.Context(), w, whole))
				if w.active(t, "crm", token) {
					t.Error("the token is active")
				}
			})
		})
	}
}

// TestInactiveWhenExpired holds that exp is the end, to the second.
func TestInactiveWhenExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.token("billing")
		time.Sleep(15*time.Minute - time.Second)
		w.must(w.keys.Refresh(t.Context()))
		if !w.active(t, "billing", token) {
			t.Error("a token is inactive a second before it expires")
		}
		time.Sleep(time.Second)
		if w.active(t, "billing", token) {
			t.Error("a token is active when it has expired")
		}
	})
}

// TestIntrospectionIsNoAccessToken holds that the JWT of an answer opens nothing (RFC 9701 §8.1),
// nor does a status list.
func TestIntrospectionIsNoAccessToken(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest(http.MethodPost, "/oauth/introspect", strings.NewReader("token="+w.token("inspector")))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", introspectionType)
	r.Header.Set("Authorization", w.clients["inspector"].basic())
	for name, token := range map[string]string{"introspection": w.do(r).Body.String(), "status list": w.get("/oauth/status/1").Body.String()} {
		if strings.Count(token, ".") != 2 {
			t.Fatalf("the %s is no JWT: %.80s", name, token)
		}
		if claims, err := w.oauth.Issuer.Parse(token); err == nil {
			t.Errorf("the %s is an access token that says %+v", name, claims)
		}
		if w.active(t, "inspector", token) {
			t.Errorf("the %s is an active token", name)
		}
	}
}

// TestRevoke holds RFC 7009: a client's own token is inactive at once and for good, and no other
// is.
func TestRevoke(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		billing, crm := w.clients["billing"], w.clients["crm"]
		token, other := w.token("billing"), w.token("billing")
		status(t, w.about("/oauth/revoke", crm, token), 200)
		if !w.active(t, "billing", token) {
			t.Error("a client has revoked a token of another")
		}
		var group sync.WaitGroup
		for range 20 { // S-12: as often as it likes
			group.Go(func() { status(t, w.about("/oauth/revoke", billing, token), 200) })
		}
		group.Wait()
		if w.active(t, "billing", token) {
			t.Error("the token is active after it was revoked")
		}
		if !w.active(t, "billing", other) {
			t.Error("another token of the client is inactive")
		}
		var n int
		w.must(w.db.QueryRow(t.Context(), `SELECT count(*) FROM revoked_tokens`).Scan(&n))
		if n != 1 {
			t.Errorf("%d tokens are remembered, want 1", n)
		}
		status(t, w.ask(billing.basic()), 200) // the client itself goes on
	})
}

// TestRevokedIsForgotten holds that a token is remembered until it would have expired, and not
// much longer.
func TestRevokedIsForgotten(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		token := w.token("billing")
		claims, err := w.oauth.Issuer.Parse(token)
		w.must(err)
		status(t, w.about("/oauth/revoke", w.clients["billing"], token), 200)
		expires := time.Unix(claims.ExpiresAt, 0)
		for _, tt := range []struct {
			at      time.Time
			revoked bool
		}{{time.Now(), true}, {expires, true}, {expires.Add(time.Hour), false}} {
			w.must(w.oauth.RevokedTokens.Purge(t.Context(), tt.at))
			revoked, err := w.oauth.RevokedTokens.Revoked(t.Context(), claims)
			if err != nil || revoked != tt.revoked {
				t.Errorf("purged at %v of %v, the token is revoked = %t (%v); want %t", tt.at, expires, revoked, err, tt.revoked)
			}
		}
	})
}

// TestStoreAwayForTokens holds that no answer is made up when the store is away: not that a token
// was revoked (CVE-2020-15223), nor that it is inactive.
func TestStoreAwayForTokens(t *testing.T) {
	w := newWorld(t)
	token := w.token("billing")
	w.must(w.oauth.StatusLists.Refresh(t.Context()))
	status(t, w.get("/oauth/status/1"), 200)
	_, err := w.db.Exec(t.Context(), `DROP TABLE revoked_tokens`)
	w.must(err)
	unavailable(t, w.about("/oauth/revoke", w.clients["billing"], token), "the token is not revoked: the store does not answer; try again soon")
	unavailable(t, w.about("/oauth/introspect", w.clients["billing"], token), "the store does not answer; try again soon")
	w.must(w.db.Close())
	unavailable(t, w.about("/oauth/revoke", w.clients["billing"], token), "the store does not answer; try again soon")
	status(t, w.get("/oauth/status/1"), 200) // from memory
}

// TestScopeAsArray holds that the audiences of --audience-scp, and no others, get scp.
func TestScopeAsArray(t *testing.T) {
	w := newWorld(t)
	w.oauth.SCPAudiences = []string{"https://files.example"}
	for audience, want := range map[string][]string{
		"https://api.example":   nil,
		"https://files.example": {"section:nordic", "email:read", "email:write"},
	} {
		claims, err := w.claims(w.clients["billing"].basic(), "resource", audience)
		w.must(err)
		if !slices.Equal(claims.SCP, want) || claims.Scope != "section:nordic email:read email:write" {
			t.Errorf("for %s, scp is %q and scope is %q; want scp %q", audience, claims.SCP, claims.Scope, want)
		}
	}
}

// TestOnlyIntrospectKnowsOthers holds mayKnow: only wardkey:introspect opens other clients'
// tokens, not what reads or writes.
func TestOnlyIntrospectKnowsOthers(t *testing.T) {
	w := newWorld(t)
	claims, err := w.oauth.Issuer.Parse(w.token("billing"))
	w.must(err)
	for action, want := range map[string]bool{"read": false, "write": false, "introspect": true} {
		caller := &clients.Client{ID: "another", Held: sections.Held{Permissions: []sections.Permission{{Target: sections.Wardkey, Action: action}}}}
		if got := mayKnow(caller, claims); got != want {
			t.Errorf("with wardkey:%s a client may know of others' tokens: %t, want %t", action, got, want)
		}
	}
	if mayKnow(&clients.Client{ID: "another"}, &tokens.Claims{ClientID: "x"}) {
		t.Error("a client that holds nothing may know of others' tokens")
	}
}

// TestLongTokens holds that the longest token that package verify accepts can be asked about and
// revoked, as can rubbish of that length.
func TestLongTokens(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{strings.Repeat("a", 16<<10), w.token("billing") + strings.Repeat("A", 15<<10)} {
		if w.active(t, "billing", token) {
			t.Error("rubbish is active")
		}
		status(t, w.about("/oauth/revoke", w.clients["billing"], token), 200)
	}
	status(t, w.about("/oauth/introspect", w.clients["billing"], strings.Repeat("a", 32<<10)), 413)
}

// TestLineEndsInToken holds that nobody can write one token in two ways.
func TestLineEndsInToken(t *testing.T) {
	w := newWorld(t)
	token := w.token("billing")
	for _, other := range []string{token + "\n", "\n" + token, token[:len(token)-9] + "\r\n" + token[len(token)-9:], strings.Replace(token, ".", ".\n", 1)} {
		if w.active(t, "billing", other) {
			t.Errorf("%q is active", other[len(other)-12:])
		}
		if _, err := w.oauth.Issuer.Parse(other); err == nil {
			t.Error("Parse reads a token with a line end in it")
		}
	}
}
