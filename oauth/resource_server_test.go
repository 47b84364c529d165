package oauth

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/tokens"
	"github.com/wardkey/wardkey/verify"
)

// Resource servers that use package verify, against servers that share a store: no network, and
// time is faked, so that every second of it can be looked at.

// A cluster is servers on the world's store, behind one address.
type cluster struct {
	*world
	keys  []*tokens.Keys
	nodes []http.Handler
	away  atomic.Bool // nobody reaches them
	asked atomic.Int64
}

// startCluster starts servers that do their periodic work until the test ends.
func startCluster(w *world, nodes int, ttl time.Duration) *cluster {
	c := &cluster{world: w}
	for range nodes {
		keys := &tokens.Keys{DB: w.db, Master: w.keys.Master, Schedule: w.keys.Schedule, RSABits: 2048, Log: slog.New(slog.DiscardHandler)}
		w.must(keys.Start(w.t.Context(), tokens.ES256))
		h := *w.oauth
		h.Issuer = &tokens.Issuer{URL: issuerURL, Keys: keys}
		h.StatusLists = &tokens.StatusLists{DB: w.db, Issuer: h.Issuer, Alg: tokens.ES256, TTL: ttl, Log: slog.New(slog.DiscardHandler)}
		w.must(h.StatusLists.Refresh(w.t.Context()))
		router := mux.NewRouter()
		w.must(h.Register(router))
		c.keys, c.nodes = append(c.keys, keys), append(c.nodes, router)
		go func() { _ = keys.Run(w.t.Context()) }()
		go func() { _ = h.StatusLists.Run(w.t.Context()) }()
	}
	c.handler = c.nodes[0]
	return c
}

// RoundTrip is the balancer: it takes any server.
func (c *cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.away.Load() {
		return nil, errors.New("no route to host")
	}
	c.asked.Add(1)
	rec := httptest.NewRecorder()
	c.nodes[rand.IntN(len(c.nodes))].ServeHTTP(rec, r)
	return rec.Result(), nil
}

// resourceServer returns a resource server that is closed when the test ends.
func (c *cluster) resourceServer(options ...verify.Option) *verify.Verifier {
	options = append(options, verify.WithHTTPClient(&http.Client{Transport: c}), verify.WithLogger(slog.New(slog.DiscardHandler)))
	v, err := verify.New(issuerURL, "https://api.example", options...)
	c.must(err)
	return v
}

// TestRevocationReachesResourceServers holds how long a revoked token is still accepted:
// revocations at any moment, two servers, three resource servers that were started at different
// times.
func TestRevocationReachesResourceServers(t *testing.T) {
	for _, tt := range []struct {
		name             string
		ttl, median, all time.Duration
	}{
		{"default", 10 * time.Second, 8 * time.Second, 15 * time.Second},
		{"status-ttl 2s", 2 * time.Second, 4 * time.Second, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := startCluster(newWorld(t), 2, tt.ttl)
				took := c.revocations(t, rounds("WARDKEY_TEST_REVOCATIONS", 20), tt.ttl)
				slices.Sort(took)
				median, longest := took[len(took)/2], took[len(took)-1]
				t.Logf("%d refusals: half within %v, 99 %% within %v, all within %v", len(took), median, took[len(took)*99/100], longest)
				if median >= tt.median || longest > tt.all {
					t.Errorf("want half within %v and all within %v", tt.median, tt.all)
				}
			})
		})
	}
}

// rounds is how often a test tries: as often as the environment variable says, for who has the
// time.
func rounds(variable string, without int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return without
}

// revocations revokes the tokens of so many clients, one after the other, and returns how long
// each resource server accepted each after that.
func (c *cluster) revocations(t *testing.T, trials int, ttl time.Duration) (took []time.Duration) {
	var servers []*verify.Verifier
	for range 3 {
		v := c.resourceServer()
		defer v.Close()
		servers = append(servers, v)
		time.Sleep(rand.N(ttl))
	}
	for i := range trials {
		name := "trial " + strconv.Itoa(i)
		client := c.client(t.Context(), int64(1000+i), name, "nordic", "email:read", nil)
		token := c.token(name)
		for _, v := range servers {
			_, err := v.Verify(t.Context(), token)
			c.must(err)
		}
		time.Sleep(rand.N(ttl))
		if i%2 == 0 {
			c.must(c.store.RevokeTokens(t.Context(), client.ID, time.Now()))
		} else {
			c.must(c.store.Delete(t.Context(), client.ID, "test", time.Now()))
		}
		took = append(took, c.untilRefused(t, servers, token)...)
	}
	return took
}

// untilRefused returns how long it takes until each resource server refuses the token as revoked.
// What was refused once must not be accepted again.
func (c *cluster) untilRefused(t *testing.T, servers []*verify.Verifier, token string) (took []time.Duration) {
	start := time.Now()
	refused := make([]bool, len(servers))
	for len(took) < len(servers) && time.Since(start) < time.Minute {
		for i, v := range servers {
			_, err := v.Verify(t.Context(), token)
			switch {
			case refused[i] && err == nil:
				t.Fatal("a token that was refused as revoked is accepted again")
			case !refused[i] && errors.Is(err, verify.ErrRevoked):
				refused[i] = true
				took = append(took, time.Since(start))
			case !refused[i] && err != nil:
				t.Fatalf("a token is refused for another reason: %v", err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return took
}

// TestKeysRotateUnderResourceServers holds that nobody notices when signing keys change, while
// tokens are issued and checked all the time.
func TestKeysRotateUnderResourceServers(t *testing.T) {
	rotations := rounds("WARDKEY_TEST_ROTATIONS", 4)
	checks := rotations * rounds("WARDKEY_TEST_CHECKS", 200) // 20 times 50,000 take some minutes
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(newWorld(t), 2, 10*time.Second)
		v := c.resourceServer()
		defer v.Close()
		keys := map[string]bool{}
		var token string
		for rotation := range rotations {
			_, err := c.keys[0].Rotate(t.Context(), tokens.ES256, false)
			c.must(err)
			pause := 2 * tokens.DefaultSchedule.Publish / time.Duration(checks/rotations)
			for i := range checks / rotations {
				if i%10 == 0 {
					token = c.issue(i)
				}
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Fatalf("a token is refused during rotation %d: %v", rotation, err)
				}
				header, _, _ := strings.Cut(token, ".") // each key has one
				keys[header] = true
				time.Sleep(pause)
			}
		}
		if len(keys) < rotations {
			t.Errorf("tokens of %d keys were seen; want those of %d", len(keys), rotations)
		}
	})
}

// issue asks one of the servers for a token.
func (c *cluster) issue(n int) string {
	c.handler = c.nodes[n%len(c.nodes)]
	return c.token("billing")
}

// TestResourceServersOutliveTheIssuer holds that an issuer that is away for ten minutes keeps
// nobody out, and that revocations are known again when it is back.
func TestResourceServersOutliveTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := startCluster(w, 2, 10*time.Second)
		v := c.resourceServer()
		defer v.Close()
		client := c.client(t.Context(), 500, "long", "nordic", "email:read", func(c *clients.Client) { c.TokenLifetime = time.Hour })
		token, other := c.token("long"), c.token("billing")
		accepted := func(token string) bool {
			_, err := v.Verify(t.Context(), token)
			if err != nil && !errors.Is(err, verify.ErrRevoked) {
				t.Fatalf("a token is refused because the issuer is away: %v", err)
			}
			return err == nil
		}
		accepted(token)
		c.away.Store(true)
		c.must(c.store.RevokeTokens(t.Context(), client.ID, time.Now()))
		for range 60 {
			time.Sleep(10 * time.Second)
			if !accepted(token) || !accepted(other) {
				t.Fatal("a token is refused as revoked, which nobody can know")
			}
		}
		c.away.Store(false)
		time.Sleep(11 * time.Second)
		if accepted(token) {
			t.Error("the issuer is back, and a revoked token is accepted")
		}
		if !accepted(other) {
			t.Error("another client's token is refused")
		}
	})
}

// TestUnknownKeysCauseFewFetches holds that nobody makes a resource server ask the issuer all the
// time: 1,000 tokens of unknown keys in a minute.
func TestUnknownKeysCauseFewFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(newWorld(t), 1, 10*time.Second)
		v := c.resourceServer(verify.WithoutStatusLists(), verify.WithJWKSURL(issuerURL+"/.well-known/jwks.json"))
		defer v.Close()
		stranger := newWorld(t)
		forged := stranger.token("billing")
		if _, err := v.Verify(t.Context(), c.token("billing")); err != nil {
			t.Fatal(err)
		}
		before := c.asked.Load()
		for range 1000 {
			time.Sleep(time.Minute / 1000)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := v.Verify(ctx, forged); err == nil {
				t.Fatal("a token of an unknown key is accepted")
			}
			cancel()
		}
		if fetches := c.asked.Load() - before; fetches > 2 {
			t.Errorf("1,000 unknown keys caused %d fetches, want at most 2", fetches)
		}
	})
}
