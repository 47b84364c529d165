package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const hidden = "wks_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"

// careless are requests with secrets everywhere.
func careless() []*http.Request {
	post := httptest.NewRequest(http.MethodPost, "/oauth/token?client_secret="+hidden+"&x=in-the-query", strings.NewReader("client_secret="+hidden))
	post.SetBasicAuth("crm", hidden)
	post.Header.Set("User-Agent", "curl/8 "+hidden)
	post.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	post.Header.Set("X-Forwarded-For", "203.0.113.66")
	post.Header.Set("Cookie", "session=in-the-cookie")
	get := httptest.NewRequest(http.MethodGet, "/admin/v1/clients/"+hidden, nil)
	get.Header.Set("Authorization", "Bearer in-the-header")
	return []*http.Request{post, get, httptest.NewRequest("BREW", "/"+hidden, nil), httptest.NewRequest(http.MethodGet, "/healthz", nil)}
}

// Each request but those for health is a span of its own, in which no secret is, and nothing that a
// stranger could make large or call as he likes.
func TestTraces(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	traces := newTraces(trace.WithSyncer(exporter))
	handler := traces.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	for _, r := range careless() {
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	spans := exporter.GetSpans()
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
		text := fmt.Sprint(s.Name, s.Events, s.Status)
		for _, a := range s.Attributes {
			text += fmt.Sprintf("\n%s=%v", a.Key, a.Value.String())
		}
		for _, bad := range []string{hidden, hidden[4:], "in-the-", "203.0.113.66", "Basic"} {
			if strings.Contains(text, bad) {
				t.Errorf("the span tells %q:\n%s", bad, text)
			}
		}
		for _, good := range []string{"http.response.status_code=401", "client.address=192.0.2.1"} {
			if !strings.Contains(text, good) {
				t.Errorf("the span does not tell %q:\n%s", good, text)
			}
		}
	}
	if got, want := strings.Join(names, ", "), "POST /oauth/token, GET /admin/v1, HTTP"; got != want {
		t.Fatalf("the spans are %s; want %s", got, want)
	}
	if first := spans[0]; first.Parent.IsValid() || len(first.Links) != 1 || first.Links[0].SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the caller's trace is the parent %v, with links %v", spans[0].Parent, spans[0].Links)
	}
}

func TestNoTraces(t *testing.T) {
	var traces *Traces
	answer := httptest.NewRecorder()
	traces.Wrap(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	if err := traces.Stop(t.Context()); err != nil || answer.Code != http.StatusNotFound {
		t.Errorf("without traces, %d and %v", answer.Code, err)
	}
}

// Traces go where the standard variables say, with what they say, and without secrets.
func TestCollector(t *testing.T) {
	var mu sync.Mutex
	var heard, header strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		heard.WriteString(r.Method + " " + r.URL.Path + "\n" + string(body))
		header.WriteString(r.Header.Get("Api-Key"))
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=of-the-operator")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=blue")
	traces, err := StartTraces(t.Context(), "1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range careless() {
		traces.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	}
	if err := traces.Stop(t.Context()); err != nil {
		t.Errorf("Stop = %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"POST /v1/traces\n", "POST /oauth/token", "wardkey", "1.2.3", "blue"} {
		if !strings.Contains(heard.String(), want) {
			t.Errorf("the collector does not hear %q", want)
		}
	}
	if strings.Contains(heard.String(), hidden[4:]) || strings.Contains(heard.String(), "in-the-") || header.String() != "of-the-operator" {
		t.Errorf("the collector hears %q with the key %q", heard.String(), header.String())
	}
}

// A collector that is away does not keep a server from stopping.
func TestCollectorAway(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	traces, err := StartTraces(t.Context(), "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	traces.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), careless()[0])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := traces.Stop(ctx); err == nil {
		t.Error("Stop succeeds without a collector")
	}
}
