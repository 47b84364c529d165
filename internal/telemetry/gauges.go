package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wardkey/wardkey/tokens"
)

// A gaugeCollector asks for what can be asked for at any time.
type gaugeCollector struct {
	Gauges
	build, keyAge, keyRotates, flushLag, listsAge *prometheus.Desc
}

func newGaugeCollector(g Gauges) *gaugeCollector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &gaugeCollector{
		Gauges:     g,
		build:      describe("wardkey_build_info", "Always 1; the label says which version runs.", "version"),
		keyAge:     describe("wardkey_signing_key_age_seconds", "How long the key that signs has signed.", "alg"),
		keyRotates: describe("wardkey_signing_key_rotation_seconds", "How long until the key that signs is replaced; negative if that is overdue.", "alg"),
		flushLag:   describe("wardkey_usage_flush_lag_seconds", "How long the oldest counted token request waits to be written."),
		listsAge:   describe("wardkey_status_lists_age_seconds", "How long ago the status lists were found to be as the store has them."),
	}
}

// Describe implements [prometheus.Collector].
func (c *gaugeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.build, c.keyAge, c.keyRotates, c.flushLag, c.listsAge} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *gaugeCollector) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	show := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	show(c.build, 1, c.Version)
	for _, k := range c.Keys() {
		if k.State == tokens.Active { // one of each algorithm
			age := now.Sub(k.ActivatedAt)
			show(c.keyAge, age.Seconds(), string(k.Alg))
			show(c.keyRotates, (c.Rotate - age).Seconds(), string(k.Alg))
		}
	}
	show(c.flushLag, c.FlushLag(now).Seconds())
	if confirmed := c.ListsConfirmed(); !confirmed.IsZero() {
		show(c.listsAge, now.Sub(confirmed).Seconds())
	}
}
