package rscheck_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wardkey/wardkey/internal/attacks"
	"github.com/wardkey/wardkey/internal/rscheck"
	"github.com/wardkey/wardkey/verify"
)

const (
	issuerURL = "https://auth.example"
	audience  = "https://api.example"
	needed    = "section:nordic email:read"
)

func pemOf(k jose.JSONWebKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(k.Key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func newIssuer(t *testing.T) *attacks.Issuer {
	t.Helper()
	issuer, err := attacks.NewIssuer(issuerURL, audience)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// newCheck is a check of a service whose network is all in this process.
func newCheck(issuer *attacks.Issuer, service http.Handler) *rscheck.Check {
	network := inProcess{"auth.example": issuer.Handler(), "api.example": service}
	forge := issuer.Forge(attacks.ES256, needed)
	forge.Elsewhere = "section:baltic email:read"
	return &rscheck.Check{
		URL: "https://api.example/profiles", Method: http.MethodGet, Client: &http.Client{Transport: network},
		Forge: forge, Issuer: issuer, Patience: 40 * time.Second,
		Facts: rscheck.Facts{Issuer: issuerURL, Audience: audience, JWKS: issuerURL + attacks.JWKSPath, Scope: needed},
	}
}

// run checks a service with flaws, in faked time.
func run(t *testing.T, issuer *attacks.Issuer, flaws ...string) *rscheck.Report {
	t.Helper()
	c := newCheck(issuer, &service{issuer: issuer, flaws: flaws})
	report, err := c.Run(t.Context())
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return report
}

func outcomes(r *rscheck.Report, o rscheck.Outcome) []string {
	var names []string
	for _, result := range r.Results {
		if result.Outcome == o {
			names = append(names, result.Name)
		}
	}
	return names
}

func TestVerifyGetsAnA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		issuer.MaxAge = 10 * time.Second
		v, err := verify.New(issuerURL, audience, verify.WithLogger(slog.New(slog.DiscardHandler)),
			verify.WithHTTPClient(&http.Client{Transport: inProcess{"auth.example": issuer.Handler()}}))
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		api := v.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		report, err := newCheck(issuer, api).Run(t.Context())
		if err != nil {
			t.Fatalf("Run: %v", err)
		}
		for _, r := range report.Results {
			if r.Outcome != rscheck.Passed {
				t.Errorf("%s: %s, %s", r.Name, r.Outcome, r.Detail)
			}
		}
		if report.Grade != "A" || report.Framework != "go" || len(report.Results) != len(rscheck.Names()) {
			t.Errorf("grade %s, framework %s, %d results; want A, go, %d", report.Grade, report.Framework, len(report.Results), len(rscheck.Names()))
		}
	})
}

// TestFlaws holds that each flaw is found by the attacks that are meant for it, by no others of
// this table, and is graded.
func TestFlaws(t *testing.T) {
	issuer := newIssuer(t)
	old := http.DefaultTransport
	http.DefaultTransport = inProcess{"auth.example": issuer.Handler()}
	t.Cleanup(func() { http.DefaultTransport = old })
	var careful []string
	synctest.Test(t, func(t *testing.T) {
		report := run(t, issuer)
		careful = outcomes(report, rscheck.Failed)
		noted := outcomes(report, rscheck.Noted)
		if len(careful) > 0 || report.Grade != "A" || !slices.Equal(noted, []string{"scope-twice", "revoked"}) {
			t.Errorf("without a flaw: grade %s, failed %v, noted %v; want A, nothing, scope-twice and revoked", report.Grade, careful, noted)
		}
	})
	for _, tt := range []struct{ flaw, found, grade string }{
		{"alg none", "alg-none alg-None alg-nOnE alg-none-signed", "F"},
		{"aud", "audience-other audience-missing audience-empty audience-others audience-longer", "F"},
		{"typ", "typ-jwt typ-missing typ-status-list typ-dpop typ-introspection typ-assertion id-token", "E"},
		{"iss", "issuer-other issuer-missing issuer-slash", "D"},
		{"hs256", "hs256-pem hs256-pem-ec", "F"},
		{"exp", "expired exp-missing not-yet", "F"},
		{"jwk", "key-in-jwk", "F"},
		{"jku", "key-by-jku", "F"},
		{"jku fetched", "key-by-jku", "D"},
		{"cnf", "bound-to-key bound-to-certificate", "D"},
		{"scope", "scope-missing scope-absent scope-longer section-other", "E"},
		{"scope by its text", "scope-longer", "D"},
		{"section", "section-other", "D"},
		{"query", "token-in-query", "B"},
		{"no challenge", "no-token no-jwt expired payload-altered scope-missing", "C"},
		{"403 for 401", "no-token no-jwt expired payload-altered", "C"},
		{"repeats the token", "expired stranger padding", "C"},
		{"500 on rubbish", "no-jwt two-segments json", "E"},
		{"no rotation", "key-rotated", "D"},
		{"flood", "kid-flood", "D"},
		{"open", "no-token no-jwt expired alg-none", "F"},
	} {
		t.Run(tt.flaw, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				report := run(t, issuer, tt.flaw)
				found := outcomes(report, rscheck.Failed)
				for name := range strings.FieldsSeq(tt.found) {
					if !slices.Contains(found, name) || slices.Contains(careful, name) {
						t.Errorf("%s does not find it; without the flaw: %v", name, slices.Contains(careful, name))
					}
				}
				if report.Grade != tt.grade {
					t.Errorf("grade %s, want %s; failed: %v", report.Grade, tt.grade, found)
				}
				for _, r := range report.Results {
					if r.Outcome == rscheck.Failed && (r.Risk == "" || r.Fix == "" || strings.Contains(r.Fix, "{")) {
						t.Errorf("%s does not say what to do: %+v", r.Name, r)
					}
				}
			})
		})
	}
}

// TestAwait holds that a service may be configured late, and that the wait ends.
func TestAwait(t *testing.T) {
	issuer := newIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		configured := began.Add(time.Minute)
		c := newCheck(issuer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if time.Now().Before(configured) {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		if err := c.Await(t.Context(), 2*time.Minute); err != nil || time.Since(began) > 61*time.Second {
			t.Errorf("Await = %v after %s, want no error after a minute", err, time.Since(began))
		}
		configured = time.Now().Add(time.Hour)
		if err := c.Await(t.Context(), time.Minute); !errors.Is(err, rscheck.ErrNotReady) || !strings.Contains(err.Error(), "401") {
			t.Errorf("Await = %v, want ErrNotReady with the status", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Await(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await = %v, want that the context ended", err)
		}
		if _, err := c.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run = %v, want that the context ended", err)
		}
	})
}

// TestOnly holds that a good token is always among what is sent, and that nothing else is sent to
// a service that refuses it.
func TestOnly(t *testing.T) {
	issuer := newIssuer(t)
	for _, tt := range []struct {
		status int
		want   string
	}{
		{http.StatusOK, "good expired"},
		{http.StatusUnauthorized, "good"},
	} {
		c := newCheck(issuer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
		c.Only = []string{"expired"}
		report, err := c.Run(t.Context())
		if err != nil {
			t.Fatalf("Run: %v", err)
		}
		var names []string
		for _, r := range report.Results {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("status %d: sent %q, want %q", tt.status, got, tt.want)
		}
	}
}

// TestRequestsAreAsTold holds that the service gets what was asked for, with what each attack adds.
func TestRequestsAreAsTold(t *testing.T) {
	issuer := newIssuer(t)
	c := newCheck(issuer, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"a":1}` || r.Method != http.MethodPatch || r.Header.Get("Accept") != "text/html" || r.URL.Query().Get("page") != "2" {
			t.Errorf("got %s %s %v %q", r.Method, r.URL, r.Header, body)
		}
	}))
	c.URL, c.Method, c.Body, c.Header = "https://api.example/x?page=2", http.MethodPatch, `{"a":1}`, http.Header{"Accept": {"text/html"}}
	c.Only = []string{"token-in-query", "no-token"}
	if _, err := c.Run(t.Context()); err != nil {
		t.Fatalf("Run: %v", err)
	}
}

// TestNoTokenIsTold holds that nothing of a report can be used against anybody.
func TestNoTokenIsTold(t *testing.T) {
	issuer := newIssuer(t)
	http.DefaultTransport = inProcess{"auth.example": issuer.Handler()}
	synctest.Test(t, func(t *testing.T) {
		text, err := json.Marshal(run(t, issuer, "repeats the token"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "eyJ") {
			t.Errorf("there is a token in %s", text)
		}
	})
}
