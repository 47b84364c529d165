// Package telemetry shows operators what a server does: in numbers to Prometheus, and in traces to
// an OpenTelemetry collector.
//
// Begin with [NewMetrics] and [StartTraces]. Nothing here names a client: labels have a few values
// that are known beforehand, and no attribute of a trace holds a secret.
package telemetry

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wardkey/wardkey/tokens"
)

// Operations of the store whose time is measured.
const (
	Lookup   = "lookup"    // clients are read on the token path
	FirstUse = "first_use" // the first use of a day is written before a token is given
	Usage    = "usage"     // counts of token requests are written
)

// Metrics are what Prometheus is shown. A nil one is not shown to anybody: it takes and does
// nothing.
type Metrics struct {
	registry     *prometheus.Registry
	tokens       *prometheus.CounterVec
	latency      *prometheus.HistogramVec
	store        *prometheus.HistogramVec
	storeErrors  *prometheus.CounterVec
	lookupClient prometheus.Histogram
}

// Gauges are asked when Prometheus asks.
type Gauges struct {
	Version        string
	Keys           func() []*tokens.Key
	Rotate         time.Duration // how long a key signs
	FlushLag       func(now time.Time) time.Duration
	ListsConfirmed func() time.Time // when the status lists were compared with the store last
}

// NewMetrics returns metrics, with those of the Go runtime and of the process.
func NewMetrics(g Gauges) *Metrics {
	seconds := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wardkey_token_requests_total", Help: "Token requests by outcome: granted, or the cause of the refusal.",
		}, []string{"outcome"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wardkey_token_request_seconds", Help: "How long token requests took, by the status of the answer.", Buckets: seconds,
		}, []string{"code"}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wardkey_store_seconds", Help: "How long the store took, by what was done.", Buckets: seconds,
		}, []string{"operation"}),
		storeErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wardkey_store_errors_total", Help: "How often the store did not do what was asked, by what it was.",
		}, []string{"operation"}),
		lookupClient: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "wardkey_lookup_clients", Help: "How many clients one query of the token path read.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
	for _, operation := range []string{Lookup, FirstUse, Usage} {
		m.store.WithLabelValues(operation)
		m.storeErrors.WithLabelValues(operation)
	}
	m.registry.MustRegister(m.tokens, m.latency, m.store, m.storeErrors, m.lookupClient, newGaugeCollector(g),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics, at whatever path.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, EnableOpenMetrics: true})
}

// Token counts a token request by its outcome, of which there are a few.
func (m *Metrics) Token(outcome string) {
	if m != nil {
		m.tokens.WithLabelValues(outcome).Inc()
	}
}

// Asked notes that the store was asked for so many clients.
func (m *Metrics) Asked(clients int, took time.Duration, err error) {
	m.Stored(Lookup, took, err)
	if m != nil {
		m.lookupClient.Observe(float64(clients))
	}
}

// Stored notes how long an operation of the store took.
func (m *Metrics) Stored(operation string, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.store.WithLabelValues(operation).Observe(took.Seconds())
	if err != nil {
		m.storeErrors.WithLabelValues(operation).Inc()
	}
}

// Time measures how long next takes for token requests.
func (m *Metrics) Time(next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/oauth/token") {
			next.ServeHTTP(w, r)
			return
		}
		begun, out := time.Now(), &status{ResponseWriter: w, code: http.StatusInternalServerError} // if it panics
		defer func() { m.latency.WithLabelValues(strconv.Itoa(out.code)).Observe(time.Since(begun).Seconds()) }()
		next.ServeHTTP(out, r)
	})
}

// A status remembers the status of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
