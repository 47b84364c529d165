package telemetry

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/wardkey/wardkey/tokens"
)

// newMetrics returns metrics in which everything has happened once.
func newMetrics(t *testing.T) *Metrics {
	t.Helper()
	m := NewMetrics(Gauges{
		Version: "test",
		Keys: func() []*tokens.Key {
			return []*tokens.Key{
				{Alg: tokens.ES256, State: tokens.Active, ActivatedAt: time.Now().Add(-time.Hour)},
				{Alg: tokens.ES256, State: tokens.Retired, ActivatedAt: time.Now().Add(-9 * time.Hour)},
				{Alg: tokens.RS256, State: tokens.Active, ActivatedAt: time.Now().Add(-3 * time.Hour)},
			}
		},
		Rotate:         2 * time.Hour,
		FlushLag:       func(time.Time) time.Duration { return 1500 * time.Millisecond },
		ListsConfirmed: func() time.Time { return time.Now().Add(-2 * time.Second) },
	})
	m.Token("granted")
	m.Token("wrong_secret")
	m.Asked(7, 3*time.Millisecond, nil)
	m.Stored(Usage, time.Millisecond, errors.New("the disk is on fire"))
	handler := m.Time(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		} else {
			w.WriteHeader(http.StatusOK)
		}
	}))
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/oauth/token", nil),
		httptest.NewRequest(http.MethodPost, "/path/of/issuer/oauth/token", nil),
		httptest.NewRequest(http.MethodGet, "/oauth/token", nil), // is none
		httptest.NewRequest(http.MethodPost, "/oauth/revoke", nil),
	} {
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	return m
}

// scrape is what Prometheus is shown, line by line without comments.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("the metrics are answered %d: %s", answer.Code, answer.Body)
	}
	values := map[string]string{}
	for line := range strings.Lines(answer.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			values[name] = value
		}
	}
	return values
}

func TestMetrics(t *testing.T) { synctest.Test(t, testMetrics) } // in which no time passes

func testMetrics(t *testing.T) {
	got := scrape(t, newMetrics(t))
	for name, want := range map[string]string{
		`wardkey_build_info{version="test"}`:                   "1",
		`wardkey_token_requests_total{outcome="granted"}`:      "1",
		`wardkey_token_requests_total{outcome="wrong_secret"}`: "1",
		`wardkey_token_request_seconds_count{code="401"}`:      "2",
		`wardkey_store_seconds_count{operation="lookup"}`:      "1",
		`wardkey_store_seconds_count{operation="first_use"}`:   "0",
		`wardkey_store_errors_total{operation="lookup"}`:       "0",
		`wardkey_store_errors_total{operation="usage"}`:        "1",
		`wardkey_lookup_clients_bucket{le="4"}`:                "0",
		`wardkey_lookup_clients_bucket{le="8"}`:                "1",
		`wardkey_signing_key_age_seconds{alg="ES256"}`:         "3600",
		`wardkey_signing_key_rotation_seconds{alg="ES256"}`:    "3600",
		`wardkey_signing_key_rotation_seconds{alg="RS256"}`:    "-3600",
		`wardkey_usage_flush_lag_seconds`:                      "1.5",
		`wardkey_status_lists_age_seconds`:                     "2",
		`go_goroutines`:                                        "",
		`process_resident_memory_bytes`:                        "",
	} {
		if value, ok := got[name]; !ok || !strings.HasPrefix(value, want) {
			t.Errorf("%s = %q, want %q", name, value, want)
		}
	}
	problems, err := testutil.GatherAndLint(newMetrics(t).registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint says %v, %v", problems, err)
	}
}

// Without anybody who asks, nothing is measured and everything works.
func TestNoMetrics(t *testing.T) {
	var m *Metrics
	m.Token("granted")
	m.Asked(1, time.Second, nil)
	m.Stored(Usage, time.Second, nil)
	answer := httptest.NewRecorder()
	m.Time(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/oauth/token", nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("the handler answers %d, want 404", answer.Code)
	}
}

var (
	metricName = regexp.MustCompile(`\b(wardkey|go|process)_[a-z_]+`)
	labelName  = regexp.MustCompile(`([a-z_]+)(?:=|!=|=~)"`)
)

// The dashboard asks for metrics and labels that there are, and for each of ours.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../deploy/grafana/wardkey.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Query string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	there, labels := map[string]bool{}, map[string]bool{"instance": true, "job": true, "le": true}
	for line := range scrape(t, newMetrics(t)) {
		name, _, _ := strings.Cut(line, "{")
		there[name] = true
		for _, found := range labelName.FindAllStringSubmatch(line, -1) {
			labels[found[1]] = true
		}
	}
	asked := map[string]bool{}
	check := func(where, expression string) {
		names := metricName.FindAllString(expression, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for nothing: %s", where, expression)
		}
		for _, name := range names {
			if asked[name] = true; !there[name] {
				t.Errorf("%s asks for %s, which does not exist", where, name)
			}
		}
		for _, found := range labelName.FindAllStringSubmatch(expression, -1) {
			if !labels[found[1]] {
				t.Errorf("%s asks for the label %s, which does not exist", where, found[1])
			}
		}
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
		}
	}
	check("the list of servers", dashboard.Templating.List[1].Query)
	for _, name := range slices.Sorted(maps.Keys(there)) {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "wardkey_") && !slices.ContainsFunc(slices.Collect(maps.Keys(asked)), func(a string) bool { return strings.HasPrefix(a, base) }) {
			t.Errorf("nothing in the dashboard asks for %s", name)
		}
	}
}
