// Package reports keeps what resource servers say about the tokens that they were shown: at which
// endpoints, what of their scope was used, and which requests were refused.
//
// Begin with [Store.Add], which counts a [Report] once. [Store.Endpoints] says how often a client
// was seen where. [Store.Use] says which scope values it holds and does not use, and [Covered] for
// how long that is known at all: what no report is about may have been anything.
package reports

import (
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/sections"
)

// Bounds of a report.
const (
	MaxRows     = 200
	maxEndpoint = 200 // bytes
	maxScopes   = 16
	maxRequests = 1_000_000_000 // in one row, so that no sum overflows

	longestPeriod = 24 * time.Hour
	oldest        = 25 * time.Hour
	aheadOfUs     = 5 * time.Minute // that a clock may be
)

// Outcomes that are no refusal of a token. The others are those of verify.Results.
const (
	Allowed = "allowed"
	// Held is no request: the program asked whether the token holds the scope, and it does.
	Held = "held"
)

// Outcomes are what may become of a request.
var Outcomes = []string{
	Allowed, Held, "insufficient_scope", "malformed", "signature", "issuer", "audience", "expired", "not_yet_valid", "bound", "revoked", "unavailable",
}

// A Report is what one resource server saw in a while.
type Report struct {
	ID          string // of its sender's making: the same when it is sent again
	Audience    string
	From, Until time.Time
	Dropped     int64 // requests in that time of which nothing else is known
	Rows        []Row
}

// A Row is requests that are alike.
type Row struct {
	ClientID string // "" for tokens that nobody knows whose they are
	Endpoint string
	Scopes   []string // that were needed, or that were lacking
	Outcome  string
	Requests int64
	Sampled  int64 // of how many of them this is known; the rest is supposed to be alike
}

// Check says what is wrong with a report, by JSON pointers.
func (r *Report) Check(now time.Time) error {
	var v sections.Invalid
	if len(r.ID) < 16 || len(r.ID) > 64 || strings.ContainsFunc(r.ID, notPlain) {
		v.Add("/id", "must be 16 to 64 letters, digits, - and _")
	}
	switch {
	case !r.From.Before(r.Until):
		v.Add("/until", "must be after from")
	case r.Until.Sub(r.From) > longestPeriod:
		v.Add("/until", "must be at most 24 hours after from")
	case r.Until.After(now.Add(aheadOfUs)):
		v.Add("/until", "is in the future: the clock of the resource server is wrong, or ours")
	case r.From.Before(now.Add(-oldest)):
		v.Add("/from", "must be at most 25 hours ago")
	}
	if r.Dropped < 0 || r.Dropped > maxRequests {
		v.Add("/dropped", "must be 0 to %d", maxRequests)
	}
	if len(r.Rows) > MaxRows {
		v.Add("/rows", "must be at most %d; send the rest in another report", MaxRows)
		return v.Err()
	}
	for i := range r.Rows {
		r.Rows[i].check(&v, i)
	}
	return v.Err()
}

func (r *Row) check(v *sections.Invalid, i int) {
	at := func(member string) string { return sections.Pointer("rows", i, member) }
	if len(r.ClientID) > 64 || strings.ContainsFunc(r.ClientID, notPlain) {
		v.Add(at("client_id"), "is not the id of a client")
	}
	if len(r.Endpoint) > maxEndpoint || strings.ContainsFunc(r.Endpoint, notPrintable) {
		v.Add(at("endpoint"), "must be at most %d characters of ASCII", maxEndpoint)
	}
	if len(r.Scopes) > maxScopes || slices.ContainsFunc(r.Scopes, notValue) {
		v.Add(at("scopes"), "must be at most %d scope values", maxScopes)
	}
	if !slices.Contains(Outcomes, r.Outcome) {
		v.Add(at("outcome"), "must be one of %q", Outcomes)
	}
	if r.Requests < 1 || r.Requests > maxRequests {
		v.Add(at("requests"), "must be 1 to %d", maxRequests)
	}
	if r.Sampled < 1 || r.Sampled > r.Requests {
		v.Add(at("sampled"), "must be 1 to the number of requests")
	}
}

// maxValue is the longest that a scope value can be: "section:" and an id, or an id and an action.
const maxValue = 128 + 1 + 32

func notValue(s string) bool {
	return s == "" || len(s) > maxValue || !strings.Contains(s, ":") ||
		strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}

func notPrintable(c rune) bool { return c < ' ' || c > '~' }

func notPlain(c rune) bool {
	return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_'
}

// partial says whether requests may be missing from a report.
func (r *Report) partial() bool {
	return r.Dropped > 0 || slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Sampled < row.Requests })
}
