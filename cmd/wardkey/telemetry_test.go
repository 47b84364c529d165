package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Traces are sent only where the environment says so.
func TestTraced(t *testing.T) {
	for _, tt := range []struct {
		environment map[string]string
		want        bool
	}{
		{map[string]string{}, false},
		{map[string]string{"OTEL_SERVICE_NAME": "auth"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://localhost:4318/v1/metrics"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"}, false},
	} {
		if got := traced(func(name string) string { return tt.environment[name] }); got != tt.want {
			t.Errorf("traced with %v = %v, want %v", tt.environment, got, tt.want)
		}
	}
}

// A server that is told to stop has sent what it traced, without a secret in it.
func TestTracesOfServer(t *testing.T) {
	var mu sync.Mutex
	var heard strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		heard.WriteString(r.URL.Path + "\n" + string(body))
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	file := bootstrapFile(t)
	process, n := startProcess(t, "--data-dir", t.TempDir(), "--demo", "--bootstrap-file", file)
	must(t, n.signIn(t.Context(), file))
	c, err := n.create(t.Context())
	must(t, err)
	got, err := n.ask(t.Context(), c.ID, c.Secret, "")
	must(t, err)
	end(t, process, syscall.SIGTERM)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"/v1/traces\n", "POST /oauth/token", "POST /admin/v1"} {
		if !strings.Contains(heard.String(), want) {
			t.Errorf("the collector does not hear %q", want)
		}
	}
	for _, bad := range []string{c.Secret, got.token, n.admin, "wks_", "Basic", "Bearer"} {
		if bad == "" || strings.Contains(heard.String(), bad) {
			t.Errorf("the collector hears %q", bad)
		}
	}
}
