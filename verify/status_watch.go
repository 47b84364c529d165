package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxWatches = 1024
	patience   = 10 // how many polls nobody need ask for before a list is no longer polled
	// clocksApart is how far the clocks of the issuer's servers may be apart. A list that is
	// older than the one we have by more comes from one that has lost touch with the others.
	clocksApart = time.Minute

	renewal = time.Minute // before it expires, a list is fetched even if it has not changed
)

var errOldList = errors.New("it is older than the one before")

var errManyLists = errors.New("there are too many status lists")

// statuses are the status lists that tokens have named lately. Each has a goroutine
// that polls it. Those who read a list hold no lock.
type statuses struct {
	source  *source
	keys    *cache
	log     *slog.Logger
	off     bool
	longest time.Duration // between two fetches of a list

	watches atomic.Pointer[map[string]*watch] // replaced with mu held, never changed

	mu     sync.Mutex
	idle   map[string]*statusList // those that are not polled and have not expired
	closed bool

	polls sync.WaitGroup
}

// A watch is one list that is being polled.
type watch struct {
	uri   string
	tried chan struct{}              // closed when the list was fetched, or could not be
	list  atomic.Pointer[statusList] // the last good one, nil before the first
	named atomic.Int64               // when a token last named it, in Unix seconds
	stop  context.CancelFunc
}

// read returns the list to judge a token by. The first tokens wait for it together.
func (w *watch) read(ctx context.Context) (*statusList, error) {
	now := time.Now()
	if s := now.Unix(); w.named.Load() != s { // so that readers do not wait for each other to write
		w.named.Store(s)
	}
	select {
	case <-w.tried:
	default:
		select {
		case <-w.tried:
			now = time.Now()
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
	list := w.list.Load()
	if !list.usable(now) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errNoList)
	}
	return list, nil
}

// watch returns the watch of a list, which begins if no token has named it lately.
func (s *statuses) watch(uri string) (*watch, error) {
	if w := s.known()[uri]; w != nil {
		return w, nil
	}
	if !s.sameOrigin(uri) {
		return nil, fmt.Errorf("%w: its status list is not the issuer's", ErrMalformed)
	}
	return s.begin(uri)
}

func (s *statuses) known() map[string]*watch {
	if m := s.watches.Load(); m != nil {
		return *m
	}
	return nil
}

func (s *statuses) begin(uri string) (*watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known()
	if w := known[uri]; w != nil {
		return w, nil
	}
	if len(known) >= maxWatches {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errManyLists)
	}
	uri = strings.Clone(uri) // it was a part of a token
	w := &watch{uri: uri, tried: make(chan struct{})}
	w.list.Store(s.idle[uri]) // for as long as no newer one can be had
	if s.closed {
		close(w.tried)
		return w, nil
	}
	delete(s.idle, uri)
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	w.named.Store(time.Now().Unix())
	s.replace(func(m map[string]*watch) { m[uri] = w })
	s.polls.Go(func() { s.poll(ctx, w) })
	return w, nil
}

// replace changes what is watched, under the eyes of those who read it.
func (s *statuses) replace(change func(map[string]*watch)) {
	m := maps.Clone(s.known())
	if m == nil {
		m = map[string]*watch{}
	}
	change(m)
	s.watches.Store(&m)
}

// poll fetches a list for as long as tokens name it.
func (s *statuses) poll(ctx context.Context, w *watch) {
	defer w.stop()
	err := s.fetch(ctx, w)
	close(w.tried)
	for failures := 0; ctx.Err() == nil; err = s.fetch(ctx, w) {
		failures = s.count(ctx, w, failures, err)
		interval := s.interval(w.list.Load(), time.Now())
		sleep(ctx, delay(interval, failures))
		if time.Since(time.Unix(w.named.Load(), 0)) > patience*interval {
			s.forget(w)
			return
		}
	}
}

// count says how many fetches have failed in a row. The first of them is told to the
// log, and the end of it.
func (s *statuses) count(ctx context.Context, w *watch, failures int, err error) int {
	if err != nil {
		if failures == 0 {
			s.log.WarnContext(ctx, "verify: the issuer's status list was not fetched", "uri", w.uri, "error", err)
		}
		return failures + 1
	}
	if failures > 0 {
		s.log.InfoContext(ctx, "verify: the issuer's status list is fetched again", "uri", w.uri, "failures", failures)
	}
	return 0
}

// interval says how often a list is to be fetched: more often than it says, if it
// would expire in between.
func (s *statuses) interval(list *statusList, now time.Time) time.Duration {
	if !list.usable(now) {
		return min(defaultTTL, s.longest)
	}
	return max(min(list.ttl, s.longest, list.expires.Sub(now)/2), shortestTTL)
}

// delay is the pause before the next fetch. After a failure it is a short one at
// first. Chance makes it shorter, so that not all resource servers ask at once.
func delay(interval time.Duration, failures int) time.Duration {
	if failures > 0 {
		interval = min(interval, firstRetry<<min(failures-1, 5))
	}
	return time.Duration(float64(interval) * (0.8 + 0.2*rand.Float64()))
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// forget ends the watch of a list that no token names. The list is kept until it
// expires: it is good enough for when a token does, and the issuer is away.
func (s *statuses) forget(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(func(m map[string]*watch) { delete(m, w.uri) })
	now := time.Now()
	maps.DeleteFunc(s.idle, func(_ string, l *statusList) bool { return !l.usable(now) })
	if list := w.list.Load(); list.usable(now) && len(s.idle) < maxWatches {
		if s.idle == nil {
			s.idle = map[string]*statusList{}
		}
		s.idle[w.uri] = list
	}
}

// fetch reads the list from the issuer, unless it has not changed. What the answer
// says of caching does not count: ttl and exp do (Token Status List §8.2).
func (s *statuses) fetch(ctx context.Context, w *watch) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.uri, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/"+statusListType)
	r.Header.Set("Cache-Control", "no-cache")
	if held := w.list.Load(); held.usable(time.Now().Add(renewal)) && held.etag != "" {
		r.Header.Set("If-None-Match", held.etag)
	}
	a, err := s.source.ask(r)
	if err != nil || a.status == http.StatusNotModified {
		return err
	}
	list, err := s.believe(ctx, string(a.body), w.uri)
	if err != nil {
		return fmt.Errorf("read the status list: %w", err)
	}
	if held := w.list.Load(); held.usable(time.Now()) && list.issued.Before(held.issued.Add(-clocksApart)) {
		return errOldList
	}
	list.etag = a.header.Get("ETag")
	w.list.Store(list)
	return nil
}

// believe reads a list that a key of the issuer has signed.
func (s *statuses) believe(ctx context.Context, token, uri string) (*statusList, error) {
	c, err := parseCompact(token, statusListType)
	if err != nil {
		return nil, err
	}
	k, err := s.keys.key(ctx, c.kid)
	if err != nil {
		return nil, err
	}
	if err := k.verify(c); err != nil {
		return nil, err
	}
	return parseStatusList(c.payload, uri, time.Now())
}

// close ends all polls and waits for them.
func (s *statuses) close() {
	s.mu.Lock()
	s.closed = true
	for _, w := range s.known() {
		w.stop()
	}
	s.mu.Unlock()
	s.polls.Wait()
}
