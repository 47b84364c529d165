package oauth

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/verify"
)

// takeReports has each server of the cluster take reports.
func (c *cluster) takeReports() *reports.Store {
	store := &reports.Store{DB: c.db, Clients: c.oauth.Clients.(*clients.Lookup)}
	for i, keys := range c.keys {
		issuer := *c.oauth.Issuer
		issuer.Keys = keys
		api := &admin.Handler{
			DB: c.db, Clients: c.store, Sections: c.things, Keys: keys, Audit: audit.NewLog(c.db, []byte("a key of 16 bytes")), Reports: store,
			Issuer: &issuer, Revoked: c.oauth.RevokedTokens, Lookup: c.oauth.Clients, Audience: c.oauth.AdminAudience, Audiences: c.oauth.Audiences,
			CursorKey: []byte("another key"),
		}
		router := mux.NewRouter()
		api.Register(router)
		router.PathPrefix("/").Handler(c.nodes[i])
		c.nodes[i] = router
	}
	return store
}

// deaf is a balancer that loses every third answer to a report.
type deaf struct {
	*cluster
	reports atomic.Int64
}

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := d.cluster.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/usage/reports") {
		if d.reports.Add(1)%3 == 0 {
			return nil, errors.New("connection reset by peer")
		}
	}
	return answer, err
}

// TestReportsReachTheIssuer holds that what two resource servers saw is known at the issuer to the
// last request, though it is away for a while, loses answers, and one of them is started again: and
// so is what a client does not use.
func TestReportsReachTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(newWorld(t), 2, 10*time.Minute)
		store, balancer := c.takeReports(), &deaf{cluster: c}
		server := func(name string) (*verify.Verifier, http.Handler) {
			v, err := verify.New(issuerURL, "https://api.example", verify.WithHTTPClient(&http.Client{Transport: balancer}),
				verify.WithLogger(slog.New(slog.DiscardHandler)), verify.WithReports(c.clients[name].ID, c.clients[name].secret, nil))
			c.must(err)
			routes := http.NewServeMux()
			ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			routes.Handle("GET /profiles/{id}", v.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))(ok))
			routes.Handle("POST /profiles/{id}", v.Require(verify.Section("nordic"), verify.Keyspace("crm-id", "write"))(ok))
			return v, routes
		}
		for i, name := range []string{"rs one", "rs two"} {
			c.client(t.Context(), int64(700+i), name, "", "wardkey:introspect", func(c *clients.Client) { c.Audiences = []string{"https://api.example"} })
		}
		client := c.client(t.Context(), 710, "crm two", "nordic baltic", "crm-id:read email:read email:write", func(c *clients.Client) { c.Audiences = []string{"https://api.example"} })
		one, routesOne := server("rs one")
		two, routesTwo := server("rs two")
		want := map[string]int64{}
		visit := func(routes http.Handler, method, token string) {
			r := httptest.NewRequest(method, "/profiles/1", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			routes.ServeHTTP(w, r)
			want[fmt.Sprintf("%s /profiles/{id} %d", method, w.Code)]++
		}
		var token string
		const hours = 5
		for minute := range hours * 60 {
			if minute%10 == 0 && !c.away.Load() {
				token = c.token("crm two")
			}
			c.away.Store(minute >= 100 && minute < 112) // and tokens end meanwhile
			visit(routesOne, "GET", token)
			if minute%2 == 0 {
				visit(routesTwo, "GET", token)
				visit(routesTwo, "POST", token)
			}
			if minute == 200 {
				two.Close()
				two, routesTwo = server("rs two")
			}
			time.Sleep(time.Minute)
		}
		one.Close()
		two.Close()

		now := time.Now()
		seen, _, err := store.Endpoints(t.Context(), client.ID, now.Add(-hours*time.Hour), now)
		c.must(err)
		got := map[string]int64{}
		for _, e := range seen {
			for outcome, status := range map[string]string{reports.Allowed: " 200", "expired": " 401", "insufficient_scope": " 403"} {
				if n := e.Outcomes[outcome]; n > 0 {
					got[e.Endpoint+status] = n
				}
			}
		}
		if !maps.Equal(got, want) || len(seen) != 2 {
			t.Errorf("%v was reported, want %v", got, want)
		}
		client.LastUsedAt = now
		use, err := store.Use(t.Context(), reports.Question{Client: client.Client, Since: now.Add(-(hours - 1) * time.Hour)}, now)
		c.must(err)
		left, taken := use.Left(client.Held)
		if fmt.Sprint(left.Scope(), taken) != "[section:nordic email:read] [section:baltic crm-id:read email:write]" {
			t.Errorf("%+v leaves %v and takes %v", use, left.Scope(), taken)
		}
	})
}
