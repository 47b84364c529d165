package verify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/verify"
)

const (
	tokenPath   = "/oauth/token"
	reportsPath = "/admin/v1/usage/reports"
)

// sent is a report as it arrives.
type sent struct {
	ID, Audience string
	From, Until  time.Time
	Dropped      int64
	Rows         []struct {
		ClientID string `json:"client_id"`
		Endpoint string
		Scopes   []string
		Outcome  string
		Requests int64
	}
}

// A desk is where an issuer takes reports. What it has is the issuer's to lock.
type desk struct {
	issuer  *issuer
	reports []sent
	tokens  int
	answer  int         // the status; 0 is 200
	wait    string      // Retry-After, with that status
	tries   []time.Time // of reports
	lost    bool        // reports arrive, answers do not
	busy    bool        // no tokens are given, either
}

// reported runs a test in which time is faked, with an issuer that takes reports.
func reported(t *testing.T, test func(t *testing.T, i *issuer, key signer, d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i := newIssuer(key)
		d := &desk{issuer: i}
		i.metadata["token_endpoint"] = issuerURL + tokenPath
		i.others = map[string]http.HandlerFunc{tokenPath: d.issue, reportsPath: d.take}
		test(t, i, key, d)
	})
}

func (d *desk) issue(w http.ResponseWriter, r *http.Request) {
	if d.busy {
		d.take(w, r)
		return
	}
	id, secret, _ := r.BasicAuth()
	if id != url.QueryEscape(rsID) || secret != url.QueryEscape(rsSecret) || r.PostFormValue("grant_type") != "client_credentials" ||
		r.PostFormValue("scope") != "wardkey:introspect" || r.PostFormValue("resource") != issuerURL+"/admin" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	d.tokens++
	fmt.Fprintf(w, `{"access_token":"own-%d","expires_in":900}`, d.tokens)
}

func (d *desk) take(w http.ResponseWriter, r *http.Request) {
	d.tries = append(d.tries, time.Now())
	if d.answer != 0 {
		w.Header().Set("Retry-After", d.wait)
		w.WriteHeader(d.answer)
		return
	}
	if r.Header.Get("Authorization") != fmt.Sprintf("Bearer own-%d", d.tokens) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var s sent
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &s); err != nil || len(body) > 64<<10 || len(s.Rows) > 200 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.reports = append(d.reports, s)
	if d.lost {
		w.WriteHeader(http.StatusBadGateway)
	}
}

// taken are the reports that have arrived, and how many tokens were issued for them.
func (d *desk) taken() (reports []sent, tokens int) {
	synctest.Wait() // for what arrives at this very moment
	d.issuer.set(func() { reports, tokens = slices.Clone(d.reports), d.tokens })
	return reports, tokens
}

// sums are how many requests of each kind were reported, once for each report.
func (d *desk) sums() map[string]int64 {
	sums, seen := map[string]int64{}, map[string]bool{}
	reports, _ := d.taken()
	for _, s := range reports {
		if seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		for _, r := range s.Rows {
			sums[strings.Join([]string{r.ClientID, r.Endpoint, strings.Join(r.Scopes, "+"), r.Outcome}, "|")] += r.Requests
		}
		if s.Dropped > 0 {
			sums["dropped"] += s.Dropped
		}
	}
	return sums
}

func (d *desk) expect(t *testing.T, want map[string]int64) {
	t.Helper()
	if got := d.sums(); !maps.Equal(got, want) {
		t.Errorf("%v was reported, want %v", got, want)
	}
}

func reporting() verify.Option { return verify.WithReports(rsID, rsSecret, nil) }

// api is an API with three routes.
func api(v *verify.Verifier) http.Handler {
	mux := http.NewServeMux()
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, _ := verify.FromContext(r.Context()); r.URL.Query().Has("ask") {
			t.Holds(verify.Section("nordic"))
			t.Holds(verify.Section("baltic"))
		}
	})
	mux.Handle("GET /profiles/{id}", v.Require(verify.Keyspace("email", "read"))(ok))
	mux.Handle("/files", v.Require(verify.Keyspace("email", "write"))(ok))
	mux.Handle("/sections/{id}/", v.RequireFor(func(r *http.Request) []verify.Scope {
		return []verify.Scope{verify.Section(r.PathValue("id")), verify.Keyspace("crm", "read")}
	})(ok))
	return mux
}

func visit(h http.Handler, method, path, token string) int {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestReports holds that each request is told of once, at its route and with what it used.
func TestReports(t *testing.T) {
	reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
		v := i.verifier(t, reporting())
		begun, h := time.Now(), api(v)
		time.Sleep(time.Hour)
		good, wide := key.token(nil), key.token(object{"client_id": "crm", "sub": "crm", "scope": "section:* *:read"})
		for n := range 30 {
			visit(h, "GET", fmt.Sprint("/profiles/", n), good)
			visit(h, "GET", fmt.Sprintf("/sections/s%d/x", n), wide)
		}
		visit(h, "HEAD", "/profiles/1", good)
		visit(h, "BREW", "/files", good)
		visit(h, "POST", "/files", key.token(object{"exp": 1}))
		visit(h, "POST", "/files", "x")
		visit(h, "GET", "/profiles/1?ask", good)
		if _, err := v.Verify(t.Context(), "x"); err == nil {
			t.Error("x is a token")
		}
		time.Sleep(10 * time.Minute)
		d.expect(t, map[string]int64{
			"billing|GET /profiles/{id}|email:read|allowed":       31,
			"billing|HEAD /profiles/{id}|email:read|allowed":      1,
			"crm|GET /sections/{id}/|section:*+*:read|allowed":    30,
			"billing|OTHER /files|email:write|insufficient_scope": 1,
			"billing|POST /files||expired":                        1,
			"|POST /files||malformed":                             1,
			"|||malformed":                                        1,
			"billing||section:nordic|held":                        1,
		})
		// What is reported has no gap, and begins when the Verifier was made.
		at := begun
		reports, tokens := d.taken()
		for n, s := range reports {
			if !s.From.Equal(at) || s.Audience != audience {
				t.Fatalf("report %d is about %s from %v, want %s from %v", n, s.Audience, s.From, audience, at)
			}
			at = s.Until
		}
		if n := len(reports); n < 10 || n > 13 || tokens != 1 {
			t.Errorf("%d reports were sent with %d tokens, want 10 to 13 with 1", n, tokens)
		}
		time.Sleep(5 * time.Minute)
		before, tokens := d.taken()
		if tokens != 2 {
			t.Errorf("after 80 %% of its life, there were %d tokens; want 2", tokens)
		}
		i.set(func() { d.tokens++ }) // the token was revoked
		time.Sleep(3 * time.Minute)
		after, tokens := d.taken()
		if more := len(after) - len(before); more < 2 || tokens != 4 {
			t.Errorf("after the token was revoked, there were %d reports more and %d tokens; want 2 and 4", more, tokens)
		}
	})
}

// TestReportsRetried holds that nothing is lost and nothing counts twice while the issuer is away,
// fails, or its answers are lost, and that requests notice nothing.
func TestReportsRetried(t *testing.T) {
	for _, tt := range []struct {
		name       string
		begin, end func(i *issuer, d *desk)
	}{
		{"away", func(i *issuer, d *desk) { i.set(func() { i.away = true }) }, func(i *issuer, d *desk) { i.set(func() { i.away = false }) }},
		{"failing", func(i *issuer, d *desk) { i.set(func() { d.answer = 503 }) }, func(i *issuer, d *desk) { i.set(func() { d.answer = 0 }) }},
		{"busy", func(i *issuer, d *desk) { i.set(func() { d.answer = 429 }) }, func(i *issuer, d *desk) { i.set(func() { d.answer = 0 }) }},
		{"token revoked", func(i *issuer, d *desk) { i.set(func() { d.tokens++ }) }, func(*issuer, *desk) {}},
		{"deaf", func(i *issuer, d *desk) { i.set(func() { d.lost = true }) }, func(i *issuer, d *desk) { i.set(func() { d.lost = false }) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
				v := i.verifier(t, reporting(), verify.WithoutStatusLists())
				h := api(v)
				const minutes = 30
				for n := range minutes {
					if n == 3 {
						tt.begin(i, d)
					}
					if n == minutes-5 {
						tt.end(i, d)
					}
					if status := visit(h, "GET", "/profiles/1", key.token(nil)); status != 200 {
						t.Fatalf("minute %d: a request is answered with %d", n, status)
					}
					time.Sleep(time.Minute)
				}
				v.Close()
				d.expect(t, map[string]int64{"billing|GET /profiles/{id}|email:read|allowed": minutes})
			})
		})
	}
}

// TestReportsWait holds that a report is sent again when the issuer asks for it, and no sooner; that
// Close waits, too, if there is time; and that an issuer that asks for nonsense is asked again.
func TestReportsWait(t *testing.T) {
	for _, tt := range []struct {
		wait           string
		busy           bool
		atLeast, under time.Duration // until the next try
	}{
		{"1", false, time.Second, 2 * time.Second},
		{"600", true, 10 * time.Minute, 11 * time.Minute},
		{"600", false, 10 * time.Minute, 11 * time.Minute},
		{"86400", false, time.Hour, 61 * time.Minute},
		{"", false, 0, 2 * time.Second},
		{"-5", false, 0, 2 * time.Second},
		{"99999999999", false, 0, 2 * time.Second},
		{"Fri, 31 Dec 2999 23:59:59 GMT", false, 0, 2 * time.Second},
	} {
		t.Run(tt.wait, func(t *testing.T) {
			reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
				v := i.verifier(t, reporting(), verify.WithoutStatusLists())
				i.set(func() { d.answer, d.wait, d.busy = 429, tt.wait, tt.busy })
				visit(api(v), "GET", "/profiles/1", key.token(nil))
				time.Sleep(61 * time.Second)
				i.set(func() { d.answer, d.busy = 0, false })
				time.Sleep(tt.under + time.Second)
				v.Close()
				if wait := d.tries[1].Sub(d.tries[0]); wait < tt.atLeast || wait > tt.under {
					t.Errorf("asked to wait for %q, it waited for %v; want %v to %v", tt.wait, wait, tt.atLeast, tt.under)
				}
				d.expect(t, map[string]int64{"billing|GET /profiles/{id}|email:read|allowed": 1})
			})
		})
	}
	reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
		v := i.verifier(t, reporting(), verify.WithoutStatusLists())
		visit(api(v), "GET", "/profiles/1", key.token(nil))
		i.set(func() { d.answer, d.wait = 429, "2" })
		go func() {
			time.Sleep(time.Second)
			i.set(func() { d.answer = 0 })
		}()
		v.Close()
		d.expect(t, map[string]int64{"billing|GET /profiles/{id}|email:read|allowed": 1})
	})
}

// TestReportsRefused holds that what the issuer will never take is given up, and told as dropped.
func TestReportsRefused(t *testing.T) {
	reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
		v := i.verifier(t, reporting())
		h := api(v)
		i.set(func() { d.answer = 403 })
		begun := time.Now()
		visit(h, "GET", "/profiles/1", key.token(nil))
		time.Sleep(3 * time.Minute)
		i.set(func() { d.answer = 0 })
		time.Sleep(3 * time.Minute)
		visit(h, "GET", "/profiles/1", key.token(nil))
		v.Close()
		sums := d.sums()
		reports, _ := d.taken()
		if sums["billing|GET /profiles/{id}|email:read|allowed"] != 1 || sums["dropped"] < 1 || !reports[0].From.Equal(begun) {
			t.Errorf("%v was reported, the first from %v; want one request, and what was dropped from %v on", sums, reports[0].From, begun)
		}
	})
}

// TestReportsAreBounded holds that clients that are seen in a million ways take no more memory than
// those that are seen in 4,096, and that nobody is forgotten.
func TestReportsAreBounded(t *testing.T) {
	reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
		n := 0
		v := i.verifier(t, verify.WithReports(rsID, rsSecret, func(*http.Request) string { n++; return fmt.Sprint("/", n) }))
		h, token := v.Require()(http.NotFoundHandler()), key.token(nil)
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		const requests = 20_000
		for range requests {
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		time.Sleep(2 * time.Minute)
		var sum int64
		sums := d.sums()
		for _, n := range slices.Collect(maps.Values(sums)) {
			sum += n
		}
		if len(sums) != 4096+1 || sum != requests || sums["dropped"] != requests-4096 {
			t.Errorf("%d kinds of %d requests were reported, %d of them dropped; want 4096 of %d", len(sums)-1, sum, sums["dropped"], requests)
		}
		time.Sleep(15 * time.Minute) // and it forgets them
		r.Header.Set("Authorization", "Bearer "+key.token(nil))
		h.ServeHTTP(httptest.NewRecorder(), r)
		time.Sleep(2 * time.Minute)
		if got := d.sums()[fmt.Sprintf("billing|GET /%d||allowed", requests+1)]; got != 1 {
			t.Errorf("one that came later was reported %d times, want once", got)
		}
	})
}

// TestReportsOfWhatClientsChoose holds that a client that asks for one Section after another that it
// does not hold takes no room from others: nothing is dropped.
func TestReportsOfWhatClientsChoose(t *testing.T) {
	reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
		v := i.verifier(t, reporting())
		h, token := api(v), key.token(nil)
		const requests = 10_000
		for n := range requests {
			if status := visit(h, "GET", fmt.Sprintf("/sections/s%d/x", n), token); status != 403 {
				t.Fatalf("a request is answered with %d", status)
			}
		}
		visit(h, "GET", "/profiles/1?ask", key.token(object{"client_id": "crm", "sub": "crm"}))
		time.Sleep(2 * time.Minute)
		var refused int64
		sums := d.sums()
		for kind, n := range sums {
			if strings.HasPrefix(kind, "billing|GET /sections/{id}/|") {
				refused += n
			}
		}
		if sums["dropped"] != 0 || refused != requests {
			t.Errorf("%d requests were refused and %d dropped, want %d and none", refused, sums["dropped"], requests)
		}
		for _, kind := range []string{"crm|GET /profiles/{id}|email:read|allowed", "crm||section:nordic|held"} {
			if sums[kind] != 1 {
				t.Errorf("%s of another client was reported %d times, want once", kind, sums[kind])
			}
		}
	})
}

// TestCloseReports holds that Close sends what there is, and does not wait for an issuer that hangs.
func TestCloseReports(t *testing.T) {
	reported(t, func(t *testing.T, i *issuer, key signer, d *desk) {
		v := i.verifier(t, reporting())
		visit(api(v), "GET", "/profiles/1", key.token(nil))
		begun := time.Now()
		v.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close took %v", took)
		}
		d.expect(t, map[string]int64{"billing|GET /profiles/{id}|email:read|allowed": 1})

		v = i.verifier(t, reporting())
		visit(api(v), "GET", "/profiles/1", key.token(nil))
		i.set(func() { i.hold = make(chan struct{}) })
		begun = time.Now()
		v.Close()
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("Close took %v, want 5s", took)
		}
		i.verifier(t, reporting()).Close() // of one that saw nothing
		if reports, _ := d.taken(); len(reports) != 1 {
			t.Errorf("%d reports were sent, want 1", len(reports))
		}
	})
}

func TestReportsNeedHTTPS(t *testing.T) {
	for _, tt := range []struct{ issuer, id, secret, want string }{
		{"http://auth.example", rsID, rsSecret, "https"},
		{issuerURL, "", rsSecret, "reports need"},
		{issuerURL, rsID, "", "reports need"},
	} {
		_, err := verify.New(tt.issuer, audience, verify.WithReports(tt.id, tt.secret, nil), verify.WithJWKSURL(jwksURL))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("New(%s) with reports of %q = %v, want %q", tt.issuer, tt.id, err, tt.want)
		}
	}
}

// TestReportAllocations holds that counting takes no memory once a request is like one before.
func TestReportAllocations(t *testing.T) {
	seen := verify.NewSighting()
	if n := testing.AllocsPerRun(1000, seen.Count); n != 0 {
		t.Errorf("counting a request allocates %v times, want 0", n)
	}
}

// BenchmarkReports is what WithReports adds to a request.
func BenchmarkReports(b *testing.B) {
	seen := verify.NewSighting()
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			seen.Count()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				seen.Count()
			}
		})
	})
}
