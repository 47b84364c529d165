package verify

import (
	"errors"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// WithReports has the issuer told what its tokens are used for: how often each client was
// let in at each route, with which scopes, and how often and why it was refused. So an admin
// sees which permissions a client holds and does not use. Path, query, headers and bodies are
// not told, nor is any token.
//
// The credentials are those of the resource server, which must be a client that holds
// wardkey:introspect and has the audience among its own. Reports are sent once a minute from
// the first token on, in the background: requests never wait for them, and do not fail when
// they do. What cannot be sent is kept, 64 reports at most and within 4,096 kinds of requests.
//
// Each request is counted, under the name that route gives it, which must not have ids or
// anything else in it that clients choose. With nil it is [http.Request.Pattern], which a
// [http.ServeMux] sets. With gorilla/mux, route is the path template of mux.CurrentRoute.
// What [Verifier.Require], [Verifier.Permit] and [Token.Holds] find covered counts as used;
// a program that reads [Token.Scope] for itself uses what nobody hears of.
func WithReports(clientID, clientSecret string, route func(*http.Request) string) Option {
	return func(v *Verifier) {
		v.reports = &reports{
			authorize: basic(clientID, clientSecret),
			named:     clientID != "" && clientSecret != "",
			route:     route, seed: maphash.MakeSeed(), from: time.Now(),
		}
	}
}

// basic authenticates requests as a client (RFC 6749 §2.3.1: both halves are form-encoded first).
// In a closure the secret cannot be printed.
func basic(clientID, clientSecret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret)) }
}

const (
	// maxTallies is how many kinds of requests are told apart. Others are counted together, and
	// told as dropped.
	maxTallies = 4096

	// maxIdle is how many reports a kind of requests is remembered for that is not seen.
	maxIdle = 10
)

// The outcomes of reports that are no results.
const (
	outcomeAllowed = "allowed"
	outcomeHeld    = "held" // no request: a program asked [Token.Holds]
)

// reports are what is to be told to the issuer. A nil one counts nothing.
type reports struct {
	source    *source
	log       *slog.Logger
	audience  string
	authorize func(*http.Request)
	named     bool
	route     func(*http.Request) string // nil: the request's Pattern

	seed    maphash.Seed
	shards  [16]shard
	kinds   atomic.Int64 // of requests, in all shards
	dropped atomic.Int64 // requests for which there was no room

	mu      sync.Mutex
	stop    func() // nil until the first request
	closed  bool
	sending sync.WaitGroup

	// What follows is the sender's alone.
	from    time.Time // when the next report begins
	waiting []parcel
	lost    parcel // what was given up
	access  accessToken
}

// A shard is a part of the tallies, so that requests seldom wait for each other.
type shard struct {
	mu      sync.RWMutex
	tallies map[uint64]*tally // by the hash of the sighting; others with the same hash follow
}

// A sighting is what is told of one request.
type sighting struct {
	client, method, route, outcome string
	scopes                         []string
}

func (s *sighting) equal(o *sighting) bool {
	return s.client == o.client && s.method == o.method && s.route == o.route && s.outcome == o.outcome && slices.Equal(s.scopes, o.scopes)
}

// own is the same in memory of its own: much of it is a part of a token or a request.
func (s *sighting) own() sighting {
	o := sighting{strings.Clone(s.client), strings.Clone(s.method), strings.Clone(s.route), strings.Clone(s.outcome), slices.Clone(s.scopes)}
	for i := range o.scopes {
		o.scopes[i] = strings.Clone(o.scopes[i])
	}
	return o
}

// A tally counts sightings that are alike.
type tally struct {
	sighting
	next *tally
	seen atomic.Int64
	idle int // reports in a row in which it was not
}

func (t *tally) find(s *sighting) *tally {
	for t != nil && !t.equal(s) {
		t = t.next
	}
	return t
}

// count counts a request. It takes no memory for one that is like another before.
func (r *reports) count(s *sighting) {
	hash := r.hash(s)
	place := &r.shards[hash%uint64(len(r.shards))]
	place.mu.RLock()
	t := place.tallies[hash].find(s)
	if t != nil {
		t.seen.Add(1)
	}
	place.mu.RUnlock()
	switch {
	case t != nil:
	case r.crowded() && s.names():
		s.scopes = nil
		r.count(s)
	default:
		r.begin()
		r.countNew(place, hash, s)
	}
}

// crowded says whether kinds of requests are so many that those which clients can make up must
// leave room for others: what is dropped keeps anything from being called unused.
func (r *reports) crowded() bool { return r.kinds.Load() >= maxTallies/2 }

// names says whether a sighting has scopes that may be of a client's choice, as the Section in the
// address of a request that was refused.
func (s *sighting) names() bool {
	return len(s.scopes) > 0 && s.outcome != outcomeAllowed && s.outcome != outcomeHeld
}

func (r *reports) hash(s *sighting) uint64 {
	const odd = 0x9e3779b97f4a7c15 // so that the order matters
	hash := maphash.String(r.seed, s.client)
	hash = hash*odd + maphash.String(r.seed, s.route)
	// There are few methods and outcomes; those that look alike here are told apart by find.
	hash = hash*odd + uint64(len(s.method)<<8+len(s.outcome))
	for _, value := range s.scopes {
		hash = hash*odd + maphash.String(r.seed, value)
	}
	return hash ^ hash>>32
}

// countNew counts a request that is the first of its kind, or was when count looked.
func (r *reports) countNew(place *shard, hash uint64, s *sighting) {
	place.mu.Lock()
	defer place.mu.Unlock()
	t := place.tallies[hash].find(s)
	if t == nil {
		if r.kinds.Add(1) > maxTallies {
			r.kinds.Add(-1)
			r.dropped.Add(1)
			return
		}
		if place.tallies == nil {
			place.tallies = map[uint64]*tally{}
		}
		t = &tally{sighting: s.own(), next: place.tallies[hash]}
		place.tallies[hash] = t
	}
	t.seen.Add(1)
}

// take returns how often each kind was seen since it was last called.
func (r *reports) take() (rows []reportRow) {
	for i := range r.shards {
		seen, forgotten := r.shards[i].take()
		rows = append(rows, seen...)
		r.kinds.Add(-forgotten)
	}
	return rows
}

// take returns how often each kind was seen, and how many it forgets that were not for long.
func (p *shard) take() (rows []reportRow, forgotten int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for hash, t := range p.tallies {
		var kept *tally
		for t != nil {
			next := t.next
			n := t.seen.Swap(0)
			if t.idle++; n > 0 {
				rows, t.idle = append(rows, t.row(n)), 0
			}
			if t.idle <= maxIdle {
				t.next, kept = kept, t
			} else {
				forgotten++
			}
			t = next
		}
		if p.tallies[hash] = kept; kept == nil {
			delete(p.tallies, hash)
		}
	}
	return rows, forgotten
}

// allowed counts a request that was let in for what it needed.
func (r *reports) allowed(q *http.Request, t *Token, needed []Scope) {
	if r == nil {
		return
	}
	var few [4]string
	s := sighting{client: t.ClientID, outcome: outcomeAllowed, scopes: few[:0]}
	for i, scope := range needed {
		if i == maxScopesSent {
			r.heldAll(t, needed[i:])
			break
		}
		// As it stands in the token, which bounds how many there are.
		s.scopes = append(s.scopes, scope.coveredAs(t.Scope))
	}
	r.at(&s, q)
	r.count(&s)
}

// refused counts a request that was not let in; the token is nil if it was not the issuer's.
func (r *reports) refused(q *http.Request, o Outcome, lacking []Scope) {
	if r == nil || o.Result == resultAccepted {
		return
	}
	s := sighting{outcome: o.Result}
	if o.Token != nil {
		s.client = o.Token.ClientID
	}
	for _, scope := range lacking {
		if scope.value != "" && len(s.scopes) < maxScopesSent {
			s.scopes = append(s.scopes, scope.value)
		}
	}
	r.at(&s, q)
	r.count(&s)
}

// heldAll counts scopes beyond those that fit in one sighting.
func (r *reports) heldAll(t *Token, scopes []Scope) {
	for _, scope := range scopes {
		r.held(t, scope)
	}
}

// held counts that a program found a scope covered.
func (r *reports) held(t *Token, scope Scope) {
	if r == nil {
		return
	}
	values := [1]string{scope.coveredAs(t.Scope)}
	r.count(&sighting{client: t.ClientID, outcome: outcomeHeld, scopes: values[:]})
}

// at says of a sighting where it was; the request is nil if there is none.
func (r *reports) at(s *sighting, q *http.Request) {
	if q == nil {
		return
	}
	s.method = method(q.Method)
	if s.route = q.Pattern; r.route != nil {
		s.route = r.route(q)
	}
}

// unrouted says whether it is known only after a request was served which route it had.
func (r *reports) unrouted(q *http.Request) bool {
	return r != nil && r.route == nil && q.Pattern == ""
}

// method is that of a request, as far as it is one that everybody knows: clients may send any.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	case "":
		return http.MethodGet
	}
	return "OTHER"
}

func (r *reports) validate(issuer *url.URL) error {
	switch {
	case !r.named:
		return errors.New("reports need the id of a client and its secret")
	case !private(issuer):
		return errors.New("the issuer must be https: reports send it the client's secret")
	}
	return nil
}
