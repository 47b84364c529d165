package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/sections"
)

// from sends a token request from an address.
func (w *world) from(address, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Authorization", authorization)
	r.Header.Set("User-Agent", "curl/8.5")
	r.RemoteAddr = address + ":1234"
	return w.do(r)
}

// TestFailuresAreLimited holds that who fails again and again is held off where he is, and nobody
// else: not the client anywhere else, and not where it got a token before.
func TestFailuresAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.tally()
		w.oauth.Failures = limits.NewFailures(50) // 10 for each client id
		billing, crm, wide := w.clients["billing"], w.clients["crm"], w.clients["wide"]
		wrong := basic(billing.ID, clients.NewSecret().Reveal())
		status(t, w.from("192.0.2.9", billing.basic()), 200)
		for _, address := range []string{"192.0.2.1", "192.0.2.9"} {
			for range 10 {
				status(t, w.from(address, wrong), 401)
			}
			status(t, w.from(address, wrong), 429)
		}
		for _, tt := range []struct {
			what, address, authorization string
			want                         int
		}{
			{"it is held off here", "192.0.2.1", billing.basic(), 429},
			{"and not elsewhere", "192.0.2.2", billing.basic(), 200},
			{"nor where it got a token before", "192.0.2.9", billing.basic(), 200},
			{"others behind the address are not", "192.0.2.1", crm.basic(), 200},
		} {
			if got := w.from(tt.address, tt.authorization); got.Code != tt.want {
				t.Errorf("%s: %d, want %d: %s", tt.what, got.Code, tt.want, got.Body)
			}
		}
		for i := range 40 {
			status(t, w.from("192.0.2.1", basic(fmt.Sprint("guess", i), "x")), 401)
		}
		status(t, w.from("192.0.2.1", wide.basic()), 429)
		status(t, w.from("192.0.2.1", crm.basic()), 200)
		status(t, w.aboutFrom("192.0.2.1", wide.basic()), 429)
		time.Sleep(2 * time.Second)
		status(t, w.from("192.0.2.1", wide.basic()), 200)
	})
}

// aboutFrom asks for introspection from an address.
func (w *world) aboutFrom(address, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/oauth/introspect", strings.NewReader("token=x"))
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Authorization", authorization)
	r.RemoteAddr = address + ":1234"
	return w.do(r)
}

// TestFailuresTellNothing holds that who is held off learns nothing of the client: known, unknown,
// and let in before with a wrong secret now are one answer at one time.
func TestFailuresTellNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.tally()
		w.oauth.Failures = limits.NewFailures(10)
		secret := clients.NewSecret().Reveal()
		status(t, w.from("192.0.2.1", w.clients["pro"].basic()), 200)
		for i := range 10 {
			status(t, w.from("192.0.2.1", basic(fmt.Sprint("guess", i), "x")), 401)
		}
		var first string
		for _, name := range []string{"billing", "pro", "disabled", "deleted", "unknown"} {
			id := "7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11"
			if c := w.clients[name]; c != nil {
				id = c.ID
			}
			began := time.Now()
			answer := w.from("192.0.2.1", basic(id, secret))
			got := fmt.Sprintln(time.Since(began), answer.Header().Get("RateLimit"), stripped(answer))
			if answer.Code != 429 || answer.Header().Get("Retry-After") != "6" || first != "" && got != first {
				t.Errorf("%s: %s, want 429 and %s", name, got, first)
			}
			first = got
			row := w.why(answer)
			if want := map[bool]refusals.Cause{true: refusals.WrongSecret, false: refusals.RateLimited}[name == "pro"]; row.Cause != want {
				t.Errorf("%s: the admin is told %s, want %s", name, row.Cause, want)
			}
		}
	})
}

// A slowly is clients that are read from a store that is far away.
type slowly struct {
	clientFinder
	takes time.Duration
}

func (s slowly) Client(ctx context.Context, id string) (*clients.Client, *sections.Catalog, error) {
	time.Sleep(s.takes)
	return s.clientFinder.Client(ctx, id)
}

// TestFailuresOnOneBeat holds that the time of the answer does not tell who is looked at of those
// that are held off: not a client that was let in there, nor one that the store was asked about.
func TestFailuresOnOneBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.oauth.Failures = limits.NewFailures(10)
		status(t, w.from("192.0.2.1", w.clients["pro"].basic()), 200)
		for i := range 10 {
			status(t, w.from("192.0.2.1", basic(fmt.Sprint("guess", i), "x")), 401)
		}
		w.oauth.Clients = slowly{w.oauth.Clients, 7 * time.Millisecond}
		w.oauth.Failures.UsedFrom = func(_ context.Context, id string, _ time.Time) (map[string]time.Time, error) {
			time.Sleep(7 * time.Millisecond)
			if id == "guess" {
				return nil, nil
			}
			return map[string]time.Time{"192.0.2.1": time.Now()}, map[bool]error{true: errors.New("away")}[id == "away"]
		}
		for _, id := range []string{w.clients["pro"].ID, w.clients["billing"].ID, w.clients["billing"].ID, "guess", "guess", "away"} {
			began := time.Now()
			status(t, w.from("192.0.2.1", basic(id, clients.NewSecret().Reveal())), 429)
			if took := time.Since(began); took != paceHeldOff {
				t.Errorf("%s is answered after %s, want %s", id, took, paceHeldOff)
			}
		}
	})
}

// TestHeadersAgree holds that all fields of a refusal say the same, whichever limit is in the way and
// however long the store took.
func TestHeadersAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			over            string
			client, account clients.Limits
		}{
			{"minute", clients.Limits{PerMinute: 60, Burst: 60, PerDay: 1000}, clients.Limits{}},
			{"burst", clients.Limits{PerMinute: 6, Burst: 5, PerDay: 1000}, clients.Limits{}},
			{"day", clients.Limits{PerMinute: 60, Burst: 60, PerDay: 20}, clients.Limits{}},
			{"account-minute", clients.Limits{PerMinute: 60, Burst: 60}, clients.Limits{PerMinute: 10, Burst: 10}},
			{"account-burst", clients.Limits{}, clients.Limits{PerMinute: 6, Burst: 5}},
			{"account-day", clients.Limits{PerDay: 20}, clients.Limits{PerDay: 10}},
		} {
			w := newWorld(t)
			billing := w.client(t.Context(), 99, "limited", "nordic", "email:read", func(c *clients.Client) {
				if !tt.client.None() {
					c.Plan, c.Limits = clients.Enterprise, tt.client
				}
			})
			w.oauth.Limits.Account = tt.account
			for range 60 {
				w.ask(billing.basic())
			}
			w.oauth.Clients = slowly{w.oauth.Clients, 1300 * time.Millisecond}
			answer := w.ask(billing.basic())
			status(t, answer, 429)
			header := answer.Header()
			wait, err := strconv.ParseInt(header.Get("Retry-After"), 10, 64)
			w.must(err)
			limit, remaining := header.Get("X-RateLimit-Limit"), header.Get("X-RateLimit-Remaining")
			item, policy := fmt.Sprintf("%q;r=%s;t=%d", tt.over, remaining, wait), fmt.Sprintf("%q;q=%s;w=", tt.over, limit)
			if remaining != "0" || !strings.Contains(header.Get("RateLimit"), item) || !strings.Contains(header.Get("RateLimit-Policy"), policy) {
				t.Errorf("%s: %v has not %s, or not %s", tt.over, header, item, policy)
			}
			if got, want := header.Get("X-RateLimit-Reset"), strconv.FormatInt(time.Now().Unix()+wait, 10); got != want {
				t.Errorf("%s: X-RateLimit-Reset %s, want %s, when Retry-After is over", tt.over, got, want)
			}
			if !strings.Contains(answer.Body.String(), fmt.Sprintf(" %s token requests ", limit)) || !strings.Contains(answer.Body.String(), fmt.Sprintf("in %d s", wait)) {
				t.Errorf("%s: the body says %s", tt.over, answer.Body)
			}
		}
	})
}

// TestOverLimit holds that a client over its limit is refused, that the admin is told which, and
// that nothing is refused on trial.
func TestOverLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for mode, want := range map[limits.Mode]int{limits.Enforce: 429, limits.Report: 200, limits.Off: 200} {
			w := newWorld(t)
			w.tally()
			w.oauth.Limits.Mode = mode
			w.oauth.Habits = &limits.Habits{DB: w.db, Log: slog.New(slog.DiscardHandler)}
			metered := w.clients["metered"]
			for range 2 {
				status(t, w.from("192.0.2.1", metered.basic()), 200)
			}
			answer := w.from("192.0.2.1", metered.basic())
			status(t, answer, want)
			if remaining := answer.Header().Get("X-RateLimit-Remaining"); (remaining == "0") != (mode != limits.Off) {
				t.Errorf("%s: X-RateLimit-Remaining %q", mode, remaining)
			}
			if want == 429 {
				if row := w.why(answer); row.Cause != refusals.RateLimited || row.Detail != "burst" || row.ClientID != metered.ID {
					t.Errorf("the admin is told %+v", row)
				}
			}
			w.must(w.oauth.Habits.Flush(t.Context(), time.Now()))
			habit, err := w.oauth.Habits.Today(t.Context(), metered.ID, time.Now())
			w.must(err)
			wantHabit := limits.Habit{ClientID: metered.ID, Early: 1, Over: 1, UserAgent: "curl/8.5"}
			if mode != limits.Enforce {
				wantHabit.Early = 2
			}
			if mode == limits.Off {
				wantHabit.Over = 0
			}
			if habit != wantHabit {
				t.Errorf("%s: %+v, want %+v", mode, habit, wantHabit)
			}
		}
	})
}

// TestLimitsAway holds that a limit which cannot be counted is no limit that was reached.
func TestLimitsAway(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, err := w.db.Exec(t.Context(), `DROP TABLE limit_counts`)
		w.must(err)
		status(t, w.ask(w.clients["billing"].basic()), 200)
		answer := w.ask(w.clients["pro"].basic())
		if status(t, answer, 503); answer.Header().Get("Retry-After") == "" {
			t.Error("503 has no Retry-After")
		}
	})
}

// TestLimitAcrossServers holds what a client gets of four servers on one database that are all asked
// at once, as whoever asks counts it.
func TestLimitAcrossServers(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		if w.db.Embedded() {
			t.Skip("a SQLite file is of one server")
		}
		const limit = 300
		flooded := w.client(t.Context(), 99, "flooded", "nordic", "email:read", func(c *clients.Client) {
			c.Plan, c.Limits = clients.Enterprise, clients.Limits{PerMinute: limit, Burst: limit}
		})
		servers := []http.Handler{w.handler}
		for range 3 {
			other := &world{t: t, db: w.db, keys: w.keys}
			other.serve(issuerURL)
			servers = append(servers, other.handler)
		}
		var got atomic.Int64
		var asking sync.WaitGroup
		began := time.Now()
		for i := range 16 {
			asking.Go(func() {
				for range limit / 8 { // twice as many in all
					r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader("grant_type=client_credentials"))
					r.Header.Set("Content-Type", formType)
					r.Header.Set("Authorization", flooded.basic())
					answer := httptest.NewRecorder()
					if servers[i%4].ServeHTTP(answer, r); answer.Code == 200 {
						got.Add(1)
					}
				}
			})
		}
		asking.Wait()
		minutes := 1 + time.Now().Unix()/60 - began.Unix()/60 // of the clock; each has its own
		if n := got.Load(); n < limit*95/100 || n > minutes*limit*105/100 {
			t.Errorf("%d tokens were given in %d minutes of the clock, want %d in each", n, minutes, limit)
		}
	})
}
