package reports

import (
	"maps"
	"sync"
	"time"
)

// How many reports of one resource server a process of ours takes: so many at once, which is more
// than a Verifier keeps while we are away, and so many a second in the long run, which is what 250
// processes send that use the same client: each sends one in 48 to 60 seconds.
const (
	atOnce    = 100
	perSecond = 5
)

// TooSoon means that a resource server sends more reports than are taken of one. Nothing of the
// report is counted; it may be sent again later, as it was.
type TooSoon struct{ RetryAfter time.Duration } // whole seconds

func (t TooSoon) Error() string {
	return "reports: too many of one resource server; try again in " + t.RetryAfter.String()
}

// A pace bounds what resource servers cost us. The zero value takes reports of all of them.
type pace struct {
	mu      sync.Mutex
	allowed map[string]allowance // by client
}

// An allowance is how many reports are taken still, as of a time.
type allowance struct {
	reports float64
	at      time.Time
}

// maxAllowances is when those are forgotten that are whole again.
const maxAllowances = 1000

// take takes a report of a client, or says how long it must wait.
func (p *pace) take(clientID string, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.allowed) >= maxAllowances {
		maps.DeleteFunc(p.allowed, func(_ string, a allowance) bool { return a.after(now) == atOnce })
	}
	left := float64(atOnce)
	if a, known := p.allowed[clientID]; known {
		left = a.after(now)
	}
	if left < 1 {
		return TooSoon{time.Second} // there is more than one again after a second
	}
	if p.allowed == nil {
		p.allowed = map[string]allowance{}
	}
	p.allowed[clientID] = allowance{left - 1, now}
	return nil
}

// after is how many are left at a later time; a clock that was set back earns nothing.
func (a allowance) after(now time.Time) float64 {
	return min(atOnce, a.reports+perSecond*max(0, now.Sub(a.at).Seconds()))
}
