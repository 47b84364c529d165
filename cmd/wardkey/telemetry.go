package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/internal/telemetry"
	"github.com/wardkey/wardkey/tokens"
)

// checkMetrics refuses an address that is none. It needs no TLS: metrics hold no secret and name no
// client.
func (c *config) checkMetrics() error {
	if c.metricsListen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.metricsListen); err != nil {
		return usagef("--metrics-listen must be HOST:PORT, like 127.0.0.1:9090, not %q", c.metricsListen)
	}
	return nil
}

// metricsServer is where Prometheus asks.
func (p *parts) metricsServer(listener net.Listener) *server {
	p.metricsHandler, p.metricsAddress = newSwitch(starting()), listener.Addr().String()
	return newServer(listener, request.Wrap(slog.New(slog.DiscardHandler), p.metricsHandler), p.log)
}

// measure makes the parts tell how they fare, if Prometheus asks.
func (p *parts) measure() {
	if p.metricsHandler == nil {
		return
	}
	p.metrics = telemetry.NewMetrics(telemetry.Gauges{
		Version: version, Keys: p.keys.All, Rotate: tokens.DefaultSchedule.Rotate,
		FlushLag: p.counter.Lag, ListsConfirmed: p.statuses.Confirmed,
	})
	p.lookup.Asked = p.metrics.Asked
	p.usage.Written = func(took time.Duration, err error) { p.metrics.Stored(telemetry.FirstUse, took, err) }
	p.counter.Written = func(took time.Duration, err error) { p.metrics.Stored(telemetry.Usage, took, err) }
	router := newRouter()
	router.Handle("/metrics", p.metrics.Handler()).Methods(http.MethodGet)
	p.metricsHandler.set(router)
}

// traced says whether the environment names a collector for traces (OpenTelemetry's specification
// of exporters and of the SDK).
func traced(getenv func(string) string) bool {
	endpoint := getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	return endpoint && getenv("OTEL_TRACES_EXPORTER") != "none" && getenv("OTEL_SDK_DISABLED") != "true"
}

// startTraces sends traces, if there is where to. Stop sends the last ones.
func (c *config) startTraces(ctx context.Context, log *slog.Logger) (traces *telemetry.Traces, stop func(), err error) {
	if !c.traced {
		return nil, func() {}, nil
	}
	if traces, err = telemetry.StartTraces(ctx, version, log); err != nil {
		return nil, nil, err
	}
	return traces, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := traces.Stop(ctx); err != nil {
			log.Warn("the last traces were not sent", "err", err)
		}
	}, nil
}
