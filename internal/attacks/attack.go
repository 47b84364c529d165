package attacks

import (
	"fmt"
	"net/http"
	"slices"
)

// A Want is what a service must do.
type Want string

// What a service must do.
const (
	Accept Want = "accept"        // 2xx
	Refuse Want = "refuse"        // 401
	Forbid Want = "forbid"        // 403: the token is good and not enough
	Reject Want = "refuse as bad" // 400 or 401: the request is wrong, not the token
)

// Met says whether a status is the right one.
func (w Want) Met(status int) bool {
	switch w {
	case Accept:
		return Accepted(status)
	case Refuse:
		return status == http.StatusUnauthorized
	case Forbid:
		return status == http.StatusForbidden
	}
	return status == http.StatusBadRequest || status == http.StatusUnauthorized
}

// Accepted says whether a status means that the token opened the door.
func Accepted(status int) bool { return status >= 200 && status < 300 }

// Refused says whether a status means that it did not, be it the right one or not. A server's
// error is neither.
func Refused(status int) bool { return status >= 400 && status < 500 }

// A Gravity is how bad it is that a service does the opposite of what it must.
type Gravity string

// From worst to what is only told.
const (
	Critical Gravity = "critical" // tokens that are forged, foreign or over get in
	Serious  Gravity = "serious"  // a line of defence is missing, or good tokens are refused
	Minor    Gravity = "minor"    // the manners of RFC 6750, or more than one text for a token
	Note     Gravity = "note"     // a choice that its owner should know
)

// An Attack is one thing that is sent to a service; genuine tokens are among them.
type Attack struct {
	Name         string   // short and stable
	Requirements []string // their numbers in docs/conformance.md
	Sends        string   // in words
	Risk         string   // what it means if the service does not do what it must
	Want         Want
	Gravity      Gravity

	Code    string // the error of RFC 6750 §3.1 that the challenge must have; empty: none of them
	Manners bool   // the status and the challenge are judged too, and not only the refusal
	Live    bool   // it can be made from one good token and the JWKS
	Late    bool   // a service may need until its caches end
	Settled bool   // it changes what late attacks before it are about, so those must be over
	Bait    bool   // it leads to an address of the issuer below BaitPath, which nobody may fetch
	Times   int    // how often it is sent, made anew each time; 0: once
	Fetches int    // how often all of them together may have the JWKS fetched; 0: it does not matter

	before  func(*Forge) error // what the issuer does first
	token   func(*Forge) string
	request func(*Forge) Request
}

// Request makes what is sent. It changes the issuer first if that is what the attack is about. It
// returns an error that matches ErrCannot if the forge lacks what it needs.
func (a Attack) Request(f *Forge) (Request, error) {
	if f.live != "" && !a.Live {
		return Request{}, fmt.Errorf("%w: it needs the keys of the issuer", ErrCannot)
	}
	if a.before != nil {
		if err := a.before(f); err != nil {
			return Request{}, err
		}
	}
	if a.request != nil {
		return a.request(f), nil
	}
	token := a.token(f)
	if token == "" {
		return Request{}, fmt.Errorf("%w: the issuer has no such key, or no other Section was named", ErrCannot)
	}
	return bearer(token), nil
}

// Apply lays the request over one that a service answers.
func (r Request) Apply(to *http.Request) {
	to.Header["Authorization"] = slices.Clone(r.Authorization)
	query := to.URL.Query()
	for name, values := range r.Query {
		query[name] = values
	}
	if len(r.Query) > 0 {
		to.URL.RawQuery = query.Encode()
	}
}

// All is the table of attacks, in the order in which to send them.
func All() []Attack {
	return slices.Concat(genuineTokens, requests, times, parties, types, algorithms, signatures, keyNames, keysInside, forms, cycle)
}
