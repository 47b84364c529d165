package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	refreshInterval = 30 * time.Second // between two refreshes, whatever asks for them
	refreshTimeout  = 10 * time.Second // for one refresh
	firstRetry      = time.Second      // after a failure that leaves us without keys, then doubled
	maxStale        = 24 * time.Hour   // how long the last keys are used while the issuer is away
)

var errNoKeys = errors.New("none were fetched")

// A keySet is one answer of the issuer.
type keySet struct {
	keys    map[string]key
	fetched time.Time
	maxAge  time.Duration
}

func (s *keySet) fresh(now time.Time) bool { return now.Sub(s.fetched) < s.maxAge }

// overdue says whether the set is so old that a token had better wait for the next one.
func (s *keySet) overdue(now time.Time) bool { return now.Sub(s.fetched) >= 2*s.maxAge }

// A cache keeps the issuer's keys. At most one refresh runs at a time; it belongs
// to the cache, not to the token that asked for it.
type cache struct {
	fetch func(context.Context) (*keySet, error)
	log   *slog.Logger

	mu       sync.Mutex
	set      *keySet       // the last good one, nil before the first
	pending  chan struct{} // closed when the refresh under way ends, nil if there is none
	cancel   func()        // ends the refresh under way
	next     time.Time     // no refresh begins before
	failures int           // since the last good set
	err      error         // of the last refresh
	closed   bool

	refreshes sync.WaitGroup
}

// key returns the key with the given id, waiting for a refresh if that may help.
func (c *cache) key(ctx context.Context, kid string) (key, error) {
	k, wait, err := c.lookup(ctx, kid)
	if wait == nil {
		return k, err
	}
	select {
	case <-wait:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.find(kid, time.Now())
	case <-ctx.Done():
		return key{}, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// lookup returns the answer, or a channel to wait for if a refresh may change it.
func (c *cache) lookup(ctx context.Context, kid string) (key, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	k, err := c.find(kid, now)
	if err == nil && c.set.fresh(now) {
		return k, nil, nil
	}
	wait := c.refresh(ctx, now)
	if err == nil && (!c.set.overdue(now) || c.away(now)) {
		return k, nil, nil
	}
	return k, wait, err
}

// find answers from what is known. An unknown key is a refusal only if the issuer
// was asked: a key may be new, and the token good.
func (c *cache) find(kid string, now time.Time) (key, error) {
	if c.usable(now) {
		if k, ok := c.set.keys[kid]; ok {
			return k, nil
		}
		if c.err == nil {
			return key{}, fmt.Errorf("%w: it names none", ErrSignature)
		}
	}
	return key{}, fmt.Errorf("%w: %w", ErrUnavailable, cmp.Or(c.err, errNoKeys))
}

func (c *cache) usable(now time.Time) bool {
	return c.set != nil && now.Sub(c.set.fetched) < maxStale
}

// away says whether the issuer has just failed to answer, so that tokens need not
// wait for it to do so again.
func (c *cache) away(now time.Time) bool {
	return c.err != nil && now.Before(c.next.Add(refreshInterval))
}

// refresh returns a channel that is closed when the refresh under way ends. It
// begins one, unless it is too early for that; then the channel is nil.
func (c *cache) refresh(ctx context.Context, now time.Time) <-chan struct{} {
	if c.pending != nil || c.closed || now.Before(c.next) {
		return c.pending
	}
	// Whoever asked may leave; the others still want the keys.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	c.pending, c.cancel = make(chan struct{}), cancel
	c.refreshes.Go(func() {
		defer cancel()
		set, err := c.fetch(ctx)
		if c.finish(set, err) {
			c.log.WarnContext(ctx, "verify: the issuer's keys were not refreshed", "error", err)
		}
	})
	return c.pending
}

// finish takes the result of a refresh, and says whether somebody should hear of it.
func (c *cache) finish(set *keySet, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.set, c.failures = set, 0
	} else {
		c.failures++
	}
	now := time.Now()
	c.err, c.next = err, now.Add(c.delay(now))
	close(c.pending)
	c.pending = nil
	return err != nil && !c.closed
}

// delay says how long to leave the issuer alone. Without keys nothing works, so
// the first failures are made good sooner.
func (c *cache) delay(now time.Time) time.Duration {
	if c.usable(now) {
		return refreshInterval
	}
	return min(firstRetry<<min(c.failures-1, 5), refreshInterval)
}

// close ends the refresh under way, if any, waits for it, and begins no more.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	if c.pending != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.refreshes.Wait()
}
