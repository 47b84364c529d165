package attacks_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/attacks"
	"github.com/wardkey/wardkey/verify"
)

const (
	issuerURL = "https://auth.example/tenant"
	audience  = "https://api.example"
	needed    = "section:nordic email:read"
	elsewhere = "section:baltic email:read"
)

func newIssuer(t *testing.T) *attacks.Issuer {
	t.Helper()
	issuer, err := attacks.NewIssuer(issuerURL, audience)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// inProcess sends what would go over the network to a handler.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// service is one that does everything right, as far as the package verify does.
func service(t *testing.T, issuer *attacks.Issuer) http.Handler {
	t.Helper()
	v, err := verify.New(issuer.URL, issuer.Audience, verify.WithLogger(slog.New(slog.DiscardHandler)),
		verify.WithHTTPClient(&http.Client{Transport: inProcess{issuer.Handler()}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// sending makes an attack and returns what sends it, as often as it is called.
func sending(t *testing.T, to http.Handler, a attacks.Attack, f *attacks.Forge) func() int {
	t.Helper()
	request, err := a.Request(f)
	if err != nil {
		t.Fatalf("%s: Request: %v", a.Name, err)
	}
	return func() int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Apply(r)
		w := httptest.NewRecorder()
		to.ServeHTTP(w, r)
		return w.Code
	}
}

func TestVerifyWithstandsAll(t *testing.T) {
	for _, alg := range attacks.Algs {
		t.Run(alg, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { withstand(t, alg) })
		})
	}
}

func withstand(t *testing.T, alg string) {
	issuer := newIssuer(t)
	to := service(t, issuer)
	forge := issuer.Forge(alg, needed)
	forge.Elsewhere = elsewhere
	for _, a := range attacks.All() {
		if alg != attacks.ES256 && slices.Contains([]string{"signature-der", "signature-order"}, a.Name) {
			continue
		}
		fetches := issuer.Requests(attacks.JWKSPath)
		for range a.Times {
			sending(t, to, a, forge)()
		}
		send := sending(t, to, a, forge)
		status := send()
		for range 2 { // the second finds keys that the first had fetched
			if a.Late && !a.Want.Met(status) {
				time.Sleep(issuer.MaxAge + time.Second)
				status = send()
			}
		}
		if !a.Want.Met(status) {
			t.Errorf("%s: status %d, want %s", a.Name, status, a.Want)
		}
		if n := issuer.Requests(attacks.JWKSPath) - fetches; a.Fetches > 0 && n > a.Fetches {
			t.Errorf("%s: the keys were fetched %d times, want at most %d", a.Name, n, a.Fetches)
		}
	}
	if n := issuer.Requests("/bait/"); n > 0 {
		t.Errorf("%d baits were taken", n)
	}
}

func TestTableIsComplete(t *testing.T) {
	requirement := regexp.MustCompile(`^([A-Z]-\d\d|X-\d\d\d)$`)
	seen := map[string]bool{}
	for _, a := range attacks.All() {
		if seen[a.Name] || a.Name == "" || strings.Contains(a.Name, " ") {
			t.Errorf("the name %q is not one word, or used twice", a.Name)
		}
		seen[a.Name] = true
		if a.Sends == "" || a.Risk == "" || a.Want == "" || a.Gravity == "" || len(a.Requirements) == 0 {
			t.Errorf("%s: something is not said: %+v", a.Name, a)
		}
		for _, r := range a.Requirements {
			if !requirement.MatchString(r) {
				t.Errorf("%s: %q is no requirement", a.Name, r)
			}
		}
	}
}

// Without the issuer's private keys only what is Live can be made, and that is hostile all the same.
func TestLive(t *testing.T) {
	for _, alg := range attacks.Algs {
		t.Run(alg, func(t *testing.T) {
			issuer, bait := newIssuer(t), newIssuer(t)
			jwks, err := json.Marshal(issuer.JWKS())
			if err != nil {
				t.Fatal(err)
			}
			forge, err := attacks.Live(issuer.Token(alg, needed, nil, nil), jwks, bait)
			if err != nil {
				t.Fatal(err)
			}
			to := service(t, issuer)
			for _, a := range attacks.All() {
				_, err := a.Request(forge)
				if err != nil {
					otherKind := alg != attacks.ES256 && slices.Contains([]string{"signature-der", "signature-order"}, a.Name)
					if !errors.Is(err, attacks.ErrCannot) || a.Live && !otherKind {
						t.Errorf("%s: Request = %v", a.Name, err)
					}
				} else if status := sending(t, to, a, forge)(); !a.Want.Met(status) || !a.Live {
					t.Errorf("%s: status %d, want %s", a.Name, status, a.Want)
				}
			}
		})
	}
}

func TestLiveRefusesWhatIsNoToken(t *testing.T) {
	for _, token := range []string{"", "a.b.c", "e30.bnVsbA.x"} {
		if _, err := attacks.Live(token, []byte(`{"keys":[]}`), nil); err == nil {
			t.Errorf("Live(%q) = nil, want an error", token)
		}
	}
	if _, err := attacks.Live("e30.e30.e30", []byte("<html>"), nil); err == nil {
		t.Error("Live with keys that are HTML = nil, want an error")
	}
}

func TestSectionNeedsAName(t *testing.T) {
	issuer := newIssuer(t)
	for _, a := range attacks.All() {
		if _, err := a.Request(issuer.Forge(attacks.ES256, needed)); (err != nil) != (a.Name == "section-other") {
			t.Errorf("%s: Request = %v", a.Name, err)
		}
	}
}

func TestRequestKeepsTheQuery(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?page=2", nil)
	attacks.Request{Authorization: []string{"Bearer a", "Bearer b"}, Query: map[string][]string{"access_token": {"x"}}}.Apply(r)
	if got := r.URL.RawQuery; got != "access_token=x&page=2" {
		t.Errorf("query %q", got)
	}
	if got := r.Header.Values("Authorization"); !slices.Equal(got, []string{"Bearer a", "Bearer b"}) {
		t.Errorf("Authorization %q", got)
	}
}

func TestIssuerServes(t *testing.T) {
	issuer := newIssuer(t)
	issuer.SCP = true
	handler := issuer.Handler()
	answer := func(address string, etag string) *http.Response {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		r.Header.Set("If-None-Match", etag)
		resp, err := inProcess{handler}.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for _, tt := range []struct{ address, kind string }{
		{"https://auth.example/.well-known/oauth-authorization-server/tenant", "application/json"},
		{issuerURL + "/.well-known/openid-configuration", "application/json"},
		{issuerURL + "/.well-known/jwks.json", "application/jwk-set+json"},
		{issuerURL + "/oauth/status/0", "application/statuslist+jwt"},
	} {
		resp := answer(tt.address, "")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != tt.kind {
			t.Errorf("GET %s = %d %s, want 200 %s", tt.address, resp.StatusCode, resp.Header.Get("Content-Type"), tt.kind)
		}
		if etag := resp.Header.Get("ETag"); etag != "" && answer(tt.address, etag).StatusCode != http.StatusNotModified {
			t.Errorf("GET %s with its ETag is not 304", tt.address)
		}
	}
	if resp := answer(issuerURL+"/oauth/status/x", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a list that is no number: %d, want 404", resp.StatusCode)
	}
	if n := issuer.Requests(attacks.JWKSPath); n != 2 {
		t.Errorf("Requests = %d, want 2", n)
	}
	body, err := io.ReadAll(answer(issuerURL+"/.well-known/jwks.json", "").Body)
	if err != nil || strings.Contains(string(body), `"d"`) {
		t.Errorf("JWKS %s, %v", body, err)
	}
}
