package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxOpinions    = 10_000           // tokens of which it is remembered what the issuer said
	longestSilence = 10 * time.Second // of ours, after the issuer has failed to answer
	inactiveFor    = 10 * time.Second // a token that is not active may be again: its client was disabled
)

var errClosed = errors.New("the verifier is closed")

// WithIntrospection has the issuer asked about each token that is good in itself
// (RFC 7662), with the credentials of the resource server, which must be a client
// that may ask about it. It notices also a single token that was revoked, which no
// status list does. The price is a request for each token, and [ErrUnavailable]
// while the issuer does not answer; see [WithOutage].
//
// An answer that the token is active is relied on for maxAge; with 0 each request
// asks, or waits with others for an answer that is on its way. One that it is not
// active is relied on for 10 seconds.
func WithIntrospection(clientID, clientSecret string, maxAge time.Duration) Option {
	return func(v *Verifier) {
		v.introspection = &introspection{
			authorize: basic(clientID, clientSecret),
			named:     clientID != "" && clientSecret != "",
			maxAge:    maxAge,
		}
	}
}

// A digest is by what a token is known. The jti would do if nobody ever made two
// tokens with one.
type digest [sha256.Size]byte

// introspection is what the issuer says about single tokens.
type introspection struct {
	source    *source
	log       *slog.Logger
	authorize func(*http.Request)
	named     bool
	maxAge    time.Duration

	mu       sync.Mutex
	endpoint string
	asking   map[digest]*question
	opinions map[digest]opinion
	order    []digest  // of the opinions, the oldest first
	next     time.Time // nothing is asked before
	failures int       // in a row
	err      error     // of the last question that failed
	closed   bool

	discovery sync.Mutex // held while the endpoint is looked for
	questions sync.WaitGroup
}

// A question is one that the issuer has not answered yet. Whoever has the same waits for it.
type question struct {
	done   chan struct{} // closed when err is set
	err    error
	cancel func()
}

// An opinion is what the issuer said, and how long it counts.
type opinion struct {
	err   error // nil or ErrRevoked
	until time.Time
}

func (i *introspection) validate(issuer *url.URL) error {
	switch {
	case !i.named || i.maxAge < 0:
		return errors.New("introspection needs the id of a client, its secret, and no negative age")
	case !private(issuer):
		return errors.New("the issuer must be https: introspection sends it the client's secret")
	}
	return nil
}

// check says whether the issuer still stands by the token, which expires then.
func (i *introspection) check(ctx context.Context, token string, expires time.Time) error {
	q, err := i.ask(token, expires)
	if q == nil {
		return err
	}
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// ask returns the answer, or the question that will bring it.
func (i *introspection) ask(token string, expires time.Time) (*question, error) {
	known := digest(sha256.Sum256([]byte(token)))
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	if o, ok := i.opinions[known]; ok && now.Before(o.until) {
		return nil, o.err
	}
	if q := i.asking[known]; q != nil {
		return q, nil
	}
	if i.closed || now.Before(i.next) {
		return nil, fmt.Errorf("%w: introspection: %w", ErrUnavailable, cmp.Or(i.err, errClosed))
	}
	// It belongs to all who wait for it, not to the request that came first.
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	q := &question{done: make(chan struct{}), cancel: cancel}
	if i.asking == nil {
		i.asking, i.opinions = map[digest]*question{}, map[digest]opinion{}
	}
	i.asking[known] = q
	i.questions.Go(func() {
		defer cancel()
		active, err := i.introspect(ctx, token)
		i.finish(known, i.opinion(active, now, expires), err)
	})
	return q, nil
}

// opinion is what follows from the answer to a question that was asked then: it
// counts from there on, as the issuer may have changed its mind since.
func (i *introspection) opinion(active bool, asked, expires time.Time) opinion {
	o := opinion{nil, asked.Add(i.maxAge)}
	if !active {
		o = opinion{fmt.Errorf("%w: the issuer says so", ErrRevoked), asked.Add(inactiveFor)}
	}
	if o.until.After(expires) {
		o.until = expires
	}
	return o
}

// introspect asks the issuer (RFC 7662 §2).
func (i *introspection) introspect(ctx context.Context, token string) (active bool, err error) {
	endpoint, err := i.locate(ctx)
	if err != nil {
		return false, err
	}
	form := url.Values{"token": {token}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	i.authorize(r)
	a, err := i.source.ask(r)
	if refused, ok := errors.AsType[*statusError](err); ok && (refused.status == http.StatusUnauthorized || refused.status == http.StatusForbidden) {
		return false, fmt.Errorf("%w: %w", errCredentials, err)
	}
	if err != nil {
		return false, err
	}
	answer, err := parseObject(string(a.body))
	if err != nil {
		return false, fmt.Errorf("read the answer of %s: %w", endpoint, err)
	}
	switch answer.member("active") {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("read the answer of %s: it does not say whether the token is active", endpoint)
}

// locate returns where to ask. The first question looks it up for all.
func (i *introspection) locate(ctx context.Context) (string, error) {
	i.discovery.Lock()
	defer i.discovery.Unlock()
	i.mu.Lock()
	endpoint := i.endpoint
	i.mu.Unlock()
	if endpoint != "" {
		return endpoint, nil
	}
	endpoint, err := i.source.endpoint(ctx, "introspection_endpoint")
	i.mu.Lock()
	defer i.mu.Unlock()
	i.endpoint = endpoint
	return endpoint, err
}

// finish answers all who wait for a question. The log hears when an outage begins
// and when it ends.
func (i *introspection) finish(known digest, o opinion, err error) {
	before, after := i.settle(known, o, err)
	switch {
	case before == 0 && after > 0:
		i.log.Warn("verify: the issuer does not answer introspection", "error", err)
	case before > 0 && after == 0:
		i.log.Info("verify: the issuer answers introspection again", "failures", before)
	}
}

// settle takes the answer, and returns how often in a row there was none, before and now.
func (i *introspection) settle(known digest, o opinion, err error) (before, after int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before = i.failures
	q := i.asking[known]
	delete(i.asking, known)
	defer close(q.done)
	if err != nil {
		q.err = fmt.Errorf("%w: introspection: %w", ErrUnavailable, err)
		i.fail(err)
		return before, i.failures
	}
	i.failures, i.err = 0, nil
	q.err = o.err
	i.remember(known, o, time.Now())
	return before, 0
}

// fail leaves the issuer alone for a while, so that not every token waits for it to
// fail once more. Questions that fail together count as one.
func (i *introspection) fail(err error) {
	now := time.Now()
	if i.closed || now.Before(i.next) || aboutToken(err) {
		return
	}
	i.endpoint = "" // it may have moved
	i.err, i.next = err, now.Add(min(firstRetry<<min(i.failures, 4), longestSilence))
	i.failures++
}

// aboutToken says whether a question failed because of the token that was asked about.
// Then the issuer is there, for other tokens.
func aboutToken(err error) bool {
	refused, ok := errors.AsType[*statusError](err)
	return ok && (refused.status == http.StatusBadRequest || refused.status == http.StatusRequestEntityTooLarge)
}

// errCredentials means that the issuer does not let us ask. That is no outage.
var errCredentials = errors.New("the issuer refuses the credentials of this resource server")

// remember keeps an opinion for as long as it counts, if there is room: the oldest
// gives way. What is forgotten is asked again.
func (i *introspection) remember(known digest, o opinion, now time.Time) {
	if !now.Before(o.until) {
		return
	}
	for len(i.order) > 0 && (len(i.order) >= maxOpinions || !now.Before(i.opinions[i.order[0]].until)) {
		delete(i.opinions, i.order[0])
		i.order = i.order[1:]
	}
	if _, again := i.opinions[known]; !again {
		i.order = append(i.order, known)
	}
	i.opinions[known] = o
}

// close ends the questions that are under way and waits for them.
func (i *introspection) close() {
	i.mu.Lock()
	i.closed = true
	for _, q := range i.asking {
		q.cancel()
	}
	i.mu.Unlock()
	i.questions.Wait()
}
