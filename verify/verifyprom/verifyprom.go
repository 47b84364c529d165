// Package verifyprom counts for Prometheus what becomes of the tokens that a
// [verify.Verifier] checks. It is a package of its own so that package verify needs
// no module of Prometheus.
package verifyprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wardkey/wardkey/verify"
)

// Outcomes is a [prometheus.Collector] of one counter,
// wardkey_verify_outcomes_total, by outcome: one of [verify.Results] and nothing else,
// so nobody can make it grow by what they send. Each outcome is there from the start,
// at 0.
//
// A valid token that lacks a scope counts twice: as accepted, and as
// insufficient_scope. Several verifiers may share one Outcomes; to tell them apart,
// give each its own and register it through [prometheus.WrapRegistererWith].
type Outcomes struct{ *prometheus.CounterVec }

// New returns counters that all stand at 0.
func New() Outcomes {
	o := Outcomes{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wardkey_verify_outcomes_total",
		Help: "Access tokens that were checked, by what became of them.",
	}, []string{"outcome"})}
	for _, result := range verify.Results() {
		o.WithLabelValues(result)
	}
	return o
}

// Option has a Verifier tell these counters what becomes of its tokens.
func (o Outcomes) Option() verify.Option {
	return verify.WithObserver(func(outcome verify.Outcome) {
		o.WithLabelValues(outcome.Result).Inc()
	})
}
