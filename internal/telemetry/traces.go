package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Traces are sent to a collector. Nil ones are not.
type Traces struct{ provider *trace.TracerProvider }

// StartTraces sends traces to where the standard environment variables say
// (OTEL_EXPORTER_OTLP_ENDPOINT and the others of the OTLP exporter, OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER), over HTTP. A collector that is away costs traces
// and nothing else.
func StartTraces(ctx context.Context, version string, log *slog.Logger) (*Traces, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("start traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "wardkey"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv()) // the last one wins
	if err != nil {
		return nil, fmt.Errorf("start traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are not sent", "err", err) }))
	return newTraces(trace.WithBatcher(exporter), trace.WithResource(about)), nil
}

func newTraces(options ...trace.TracerProviderOption) *Traces {
	return &Traces{trace.NewTracerProvider(append(options, trace.WithSpanProcessor(cleaner{}))...)}
}

// Stop sends what was not sent yet.
func (t *Traces) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Wrap returns next with a span for each request, but for those that ask whether the server is
// alive. Callers cannot decide what is traced: a span does not continue their trace, it has a link
// to it.
func (t *Traces) Wrap(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return otelhttp.NewHandler(next, "",
		otelhttp.WithTracerProvider(t.provider), otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
		otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" && r.URL.Path != "/readyz" }),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return spanName(r) }))
}

// endpoints are what spans are named after: ends of paths, because an issuer may have a path.
var endpoints = []string{
	"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/status", "/.well-known/jwks.json",
	"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
}

// spanName is one of a few, whatever strangers ask for.
func spanName(r *http.Request) string {
	method := r.Method
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete}, method) {
		method = "HTTP"
	}
	for _, endpoint := range endpoints {
		if strings.HasSuffix(r.URL.Path, endpoint) {
			return method + " " + endpoint
		}
	}
	for _, below := range []string{"/admin/v1", "/admin", "/oauth/status"} {
		if strings.HasPrefix(r.URL.Path, below+"/") {
			return method + " " + below
		}
	}
	return method
}

// A cleaner takes out of spans what has no business there.
type cleaner struct{}

// secret is what a secret of a client looks like, or the beginning of one: people paste them
// where an id belongs.
var secret = regexp.MustCompile(`wks_[0-9A-Za-z]*`)

// maxText is how many bytes of a stranger's text are sent.
const maxText = 200

// OnStart implements [trace.SpanProcessor].
func (cleaner) OnStart(_ context.Context, span trace.ReadWriteSpan) {
	for _, a := range span.Attributes() {
		switch {
		case a.Key == "network.peer.address":
			// otelhttp believes whatever X-Forwarded-For says; this is what the server goes by.
			span.SetAttributes(attribute.String("client.address", a.Value.AsString()))
		case a.Value.Type() == attribute.STRING && a.Key != "client.address":
			text := a.Value.AsString()
			text = strings.ToValidUTF8(text[:min(len(text), maxText)], "")
			span.SetAttributes(a.Key.String(secret.ReplaceAllString(text, "[secret]")))
		}
	}
}

// OnEnd implements [trace.SpanProcessor].
func (cleaner) OnEnd(trace.ReadOnlySpan) {}

// Shutdown implements [trace.SpanProcessor].
func (cleaner) Shutdown(context.Context) error { return nil }

// ForceFlush implements [trace.SpanProcessor].
func (cleaner) ForceFlush(context.Context) error { return nil }
