// Package limits says whether a client may have another token now.
//
// Begin with [Limiter.Take], which counts one token request of an authenticated client against its
// limits and those of the account, over all servers of one database: each server takes shares of
// them from the store, and gives back what it does not use. Who fails to authenticate is held off
// by [Failures], in memory; [Habits] counts clients that ask for tokens which they do not need.
//
// In each minute and day of the database's clock no more requests are let through than the limits
// allow, whatever the clocks of the servers say (docs/decisions/0020).
package limits

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
)

// A Mode is what comes of a request over a limit.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // it is refused
	Report  Mode = "report"  // it is counted and told, and let through
	Off     Mode = "off"     // nothing is counted
)

// Modes are all of them.
var Modes = []Mode{Enforce, Report, Off}

// account stands for all clients together.
const account = "*"

// A Limiter counts token requests against limits. Set its fields, then call [Limiter.Run].
type Limiter struct {
	DB      *database.DB
	Log     *slog.Logger
	Mode    Mode
	Account clients.Limits // of all clients together; with a burst
	Timeout time.Duration  // for the store

	now func() time.Time // nil: time.Now; the clock of a server in a test may be wrong

	clock  clock
	mu     sync.Mutex
	shares map[string]*share // by client, and of the account
}

// Take counts a token request of a client that has the limits, and says whether there is room for
// it. An error means that the store could not be asked in time. A client without limits costs
// nothing, and no Limiter has no limits.
func (l *Limiter) Take(ctx context.Context, clientID string, limits clients.Limits) (Verdict, error) {
	if l == nil || l.Mode == Off || limits.None() && l.Account.None() {
		return Verdict{}, nil
	}
	v, err := l.take(ctx, clientID, limits)
	if l.Mode == Report {
		v.refused, err = false, nil // the clients themselves are read from the same store
	}
	return v, err
}

func (l *Limiter) take(ctx context.Context, clientID string, limits clients.Limits) (v Verdict, err error) {
	var own *share
	if !limits.None() {
		own = l.share(clientID)
		v, err = l.draw(ctx, own, limits)
		if err != nil || v.over != nil && l.Mode == Enforce {
			return v, err
		}
	}
	if l.Account.None() {
		return v, nil
	}
	all, err := l.draw(ctx, l.share(account), l.Account)
	if err == nil && all.over == nil || v.over != nil {
		return v, nil
	}
	if own != nil && l.Mode == Enforce {
		own.putBack(v.from)
	}
	if all.over != nil {
		// How others stand with the account is nobody's business until it is in the way.
		over := *all.over
		over.Name = "account-" + over.Name
		v.Standings, v.over, v.refused = append(v.Standings, over), &over, true
	}
	return v, err
}

// draw takes one request out of a share, and sees to it that there is something in it, if there is
// something to be had.
func (l *Limiter) draw(ctx context.Context, s *share, limits clients.Limits) (Verdict, error) {
	for {
		v, wait := l.try(s, limits)
		if wait == nil {
			return v, nil
		}
		select {
		case <-wait.done:
		case <-ctx.Done():
			return Verdict{}, ctx.Err()
		}
		if wait.err != nil {
			return Verdict{}, wait.err
		}
	}
}

// try takes a request out of what the share has. If that is nothing, it returns the purchase to
// wait for.
func (l *Limiter) try(s *share, limits clients.Limits) (Verdict, *purchase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.clock.micros(l)
	s.renew(limits, now)
	switch {
	case s.left > 0:
		s.left--
		s.drawnAt = now
		v := s.verdict(now, nil)
		v.from = s.taken
		return v, nil
	case now < s.closedUntil && s.closedUntil-now <= askAgain: // or the clock was set back
		return s.verdict(now, &s.closed), nil
	}
	if s.buying == nil {
		s.buying = &purchase{done: make(chan struct{})}
		go l.buy(s, s.buying)
	}
	s.waiting++
	return Verdict{}, s.buying
}

func (l *Limiter) share(id string) *share {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shares == nil {
		l.shares = map[string]*share{}
	}
	s := l.shares[id]
	if s == nil {
		s = &share{id: id}
		l.shares[id] = s
	}
	return s
}

// How long a share may lie unused, and how long it is known at all: a million clients that each come
// now and then are not to be known all at once.
const (
	idle      = second
	atOnce    = math.MinInt64
	forgotten = 10 * second
)

// Run gives back what lies unused, until ctx ends, and then everything.
func (l *Limiter) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := l.giveBack(context.WithoutCancel(ctx), atOnce); err != nil {
				l.Log.WarnContext(ctx, "shares of limits not given back; they are lost to this minute and day", "err", err)
			}
			return nil
		case <-ticker.C:
			if err := l.giveBack(ctx, idle); err != nil && ctx.Err() == nil {
				l.Log.WarnContext(ctx, "shares of limits not given back; they are lost to this minute and day", "err", err)
			}
		}
	}
}

// giveBack returns shares that nothing was drawn from for so many microseconds. It is tried once:
// giving back twice would let too much through.
func (l *Limiter) giveBack(ctx context.Context, after int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var failed error
	for _, s := range l.known() {
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
		for _, p := range l.unused(s, after) {
			failed = errors.Join(failed, l.putBack(ctx, s.id, p))
		}
	}
	return failed
}

func (l *Limiter) known() []*share {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*share, 0, len(l.shares))
	for _, s := range l.shares {
		all = append(all, s)
	}
	return all
}

// unused takes out of a share what is to be given back, and forgets one that nobody uses.
func (l *Limiter) unused(s *share, after int64) []portion {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.clock.micros(l)
	s.end(now)
	quiet := now - s.drawnAt
	if quiet < -askew {
		quiet = math.MaxInt64 // the clock was set back
	}
	if quiet >= after {
		s.retire()
	}
	back := s.back
	s.back = nil
	if s.buying == nil && quiet > forgotten {
		delete(l.shares, s.id)
	}
	return back
}

// Purge forgets counts that no limit looks at any more. Which those are is a matter of the
// database's clock, whatever this server takes for now.
func (l *Limiter) Purge(ctx context.Context, _ time.Time) error {
	if err := l.clock.read(ctx, l); err != nil {
		return err
	}
	if _, err := l.DB.Exec(ctx, `DELETE FROM limit_counts WHERE day < $1`, l.clock.micros(l)/day-1); err != nil {
		return fmt.Errorf("purge counts of limits: %w", err)
	}
	return nil
}
