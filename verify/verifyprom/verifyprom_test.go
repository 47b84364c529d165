package verifyprom_test

import (
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wardkey/wardkey/verify"
	"github.com/wardkey/wardkey/verify/verifyprom"
)

func Example() {
	outcomes := verifyprom.New()
	prometheus.MustRegister(outcomes)

	verifier, err := verify.New("https://auth.example", "https://api.example", outcomes.Option())
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
}

// TestOutcomes holds that each outcome is counted from 0, and that nothing which a
// stranger sends makes another series.
func TestOutcomes(t *testing.T) {
	outcomes := verifyprom.New()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(outcomes)
	v, err := verify.New("https://auth.example", "https://api.example", outcomes.Option(), verify.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, token := range []string{"", "a", "a.b.c", "é"} {
		if _, err := v.Verify(t.Context(), token); err == nil {
			t.Fatalf("Verify(%q) = no error", token)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	v.Forbid(httptest.NewRecorder(), r, verify.Section("nordic"))

	got := gather(t, registry)
	for _, result := range verify.Results() {
		want := map[string]float64{"malformed": 4, "insufficient_scope": 1}[result]
		if count, ok := got[result]; !ok || count != want {
			t.Errorf("%s = %v, %v; want %v", result, count, ok, want)
		}
	}
	if len(got) != len(verify.Results()) {
		t.Errorf("series %v, want one for each of %v", got, verify.Results())
	}
}

// gather returns the counters by outcome.
func gather(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "wardkey_verify_outcomes_total" {
		t.Fatalf("Gather = %v, %v; want one family", families, err)
	}
	counts := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		if len(m.GetLabel()) != 1 || m.GetLabel()[0].GetName() != "outcome" {
			t.Errorf("labels %v, want outcome alone", m.GetLabel())
		}
		counts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	return counts
}
