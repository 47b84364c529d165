package clients

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wardkey/wardkey/sections"
)

// A Plan says how often a client may ask for tokens.
type Plan string

// The plans.
const (
	NoPlan     Plan = "" // no limit of its own
	Free       Plan = "free"
	Pro        Plan = "pro"
	Enterprise Plan = "enterprise" // numbers of its own
)

// Plans are all of them that a client can be on.
var Plans = []Plan{Free, Pro, Enterprise}

// Limits are how many token requests may be answered with a token. Zero stands for no limit.
type Limits struct {
	PerMinute int64 // in each minute of the clock
	Burst     int64 // at once, above an even flow of PerMinute
	PerDay    int64 // in each day of UTC
}

// of the plans whose numbers are fixed.
var planLimits = map[Plan]Limits{
	Free: Limits{PerMinute: 60, PerDay: 10_000}.WithBurst(),
	Pro:  Limits{PerMinute: 1000, PerDay: 1_000_000}.WithBurst(),
}

// Limits are those of a plan; none for Enterprise, where each client has its own.
func (p Plan) Limits() Limits { return planLimits[p] }

// Bounds of what an admin may set.
const (
	maxPerMinute = 1_000_000
	maxPerDay    = 1_000_000_000
	leastBurst   = 10
)

// WithBurst returns the limits with a burst: a quarter of a minute's, where none is said.
func (l Limits) WithBurst() Limits {
	if l.PerMinute > 0 && l.Burst == 0 {
		l.Burst = min(max(l.PerMinute/4, leastBurst), l.PerMinute)
	}
	return l
}

// None says whether there is no limit at all.
func (l Limits) None() bool { return l.PerMinute == 0 && l.PerDay == 0 }

// Check says what is wrong with limits, at a JSON pointer.
func (l Limits) Check(v *sections.Invalid, at string) {
	switch {
	case l.PerMinute < 0 || l.PerMinute > maxPerMinute:
		v.Add(at+"/per_minute", "must be 1 to %d", maxPerMinute)
	case l.PerDay < 0 || l.PerDay > maxPerDay:
		v.Add(at+"/per_day", "must be 1 to %d", maxPerDay)
	case l.PerDay > 0 && l.PerDay < l.PerMinute:
		v.Add(at+"/per_day", "must not be less than per_minute")
	case l.None():
		v.Add(at, "must have per_minute or per_day")
	case l.PerMinute == 0 && l.Burst != 0:
		v.Add(at+"/burst", "goes with per_minute")
	case l.PerMinute > 0 && (l.Burst < leastBurstOf(l.PerMinute) || l.Burst > l.PerMinute):
		v.Add(at+"/burst", "must be %d to %d: between what comes in a second and in a minute", leastBurstOf(l.PerMinute), l.PerMinute)
	}
}

// leastBurstOf is what comes in a second of an even flow: with less, the flow itself would be refused.
func leastBurstOf(perMinute int64) int64 { return max(1, (perMinute+59)/60) }

// checkPlan checks the plan and what goes with it.
func (c *Client) checkPlan(v *sections.Invalid) {
	switch {
	case c.Plan != NoPlan && !slices.Contains(Plans, c.Plan):
		v.Add("/plan", "must be one of %q, or none", Plans)
	case c.Plan == Enterprise:
		c.Limits = c.Limits.WithBurst()
		c.Limits.Check(v, "/limits")
	case c.Limits != Limits{} && c.Limits != c.Plan.Limits():
		v.Add("/limits", "go with the plan enterprise; those of the others are fixed")
	default:
		c.Limits = c.Plan.Limits()
	}
}

// stored are the limits as they are kept: only those that the plan does not say.
func (c *Client) storedLimits() string {
	if c.Plan != Enterprise {
		return ""
	}
	return fmt.Sprintf("%d %d %d", c.Limits.PerMinute, c.Limits.Burst, c.Limits.PerDay)
}

// ParseLimits reads the limits of a client that is on the plan, as they stand beside it in the store.
func ParseLimits(plan Plan, stored string) (l Limits, err error) {
	if plan != Enterprise {
		return plan.Limits(), nil
	}
	perMinute, rest, _ := strings.Cut(stored, " ")
	burst, perDay, _ := strings.Cut(rest, " ")
	for _, number := range []struct {
		to   *int64
		text string
	}{{&l.PerMinute, perMinute}, {&l.Burst, burst}, {&l.PerDay, perDay}} {
		if *number.to, err = strconv.ParseInt(number.text, 10, 64); err != nil {
			return l, fmt.Errorf("limits %q: %w", stored, err)
		}
	}
	return l, nil
}
