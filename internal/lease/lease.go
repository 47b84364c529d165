// Package lease lets one server at a time do what must not be done by all of them.
//
// Begin with [Lease.RunJobs], which does periodic work, or with [Lease.Run] for any other. Both
// wait until this server holds the lease, and wait again when it has lost it.
//
// No clocks are compared: the holder changes its row every 3 s, and a server that has seen the row
// unchanged for 10 s, by its own clock, takes it over with the next fencing number. That is within
// 15 s of the end of the holder, or at once when it gives the lease back. A holder that was stopped
// and goes on does not know that it lost the lease, so all that it does goes through
// [Held.Transact], which looks at the number in the same transaction (docs/decisions/0019).
package lease

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// ErrLost means that another server holds the lease now, or may.
var ErrLost = errors.New("lease: another server holds it now")

// A Lease is the right to do one kind of work. Set its fields, then call [Lease.Run] once.
type Lease struct {
	DB   *database.DB
	Name string // of the work, the same on every server
	Log  *slog.Logger

	// Alone says that no other server can have the database, so that nobody is waited for.
	Alone bool

	pace    *pace // nil: usual
	holding atomic.Bool
}

// A pace is how soon a lease changes hands.
type pace struct {
	beat     time.Duration // the holder changes the row so often
	look     time.Duration // the others look at it so often
	patience time.Duration // it is taken over when it did not change for so long
}

var usual = &pace{beat: 3 * time.Second, look: time.Second, patience: 10 * time.Second}

func (l *Lease) tempo() *pace { return cmp.Or(l.pace, usual) }

// Holding says whether this server held the lease when it last looked. What relies on it must
// bear that another holds it by now; [Held.Transact] does not have to.
func (l *Lease) Holding() bool { return l.holding.Load() }

// Run calls work whenever this server holds the lease, until ctx ends or work does. The context of
// work ends when the lease is lost; then Run waits for the next turn.
func (l *Lease) Run(ctx context.Context, work func(ctx context.Context, held *Held) error) error {
	me := rand.Text()
	for {
		held := l.wait(ctx, me)
		if held == nil {
			return nil
		}
		if err := l.hold(ctx, held, work); !errors.Is(err, ErrLost) {
			return err
		}
		l.Log.WarnContext(ctx, "lost a lease; another server goes on with the work", "lease", l.Name, "fence", held.fence)
	}
}

// hold runs work while the lease is held, and gives it back.
func (l *Lease) hold(ctx context.Context, held *Held, work func(ctx context.Context, held *Held) error) error {
	if !l.Alone {
		l.Log.InfoContext(ctx, "this server holds a lease now", "lease", l.Name, "fence", held.fence)
	}
	ctx, lose := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { held.keep(ctx, lose) })
	err := work(ctx, held)
	lose(nil)
	beating.Wait()
	held.giveBack(context.WithoutCancel(ctx))
	if lost := context.Cause(ctx); errors.Is(lost, ErrLost) {
		return lost
	}
	return err
}

// A row is what the store has of a lease.
type row struct {
	holder      string
	fence, beat int64
}

// A watch is the row as a server saw it last, and since when it has not changed, by its own clock.
type watch struct {
	seen  row
	since time.Time
}

// unchanged notes a row that was read between two times, and says for how long it has surely been
// as it is.
func (w *watch) unchanged(r row, began, ended time.Time) time.Duration {
	if r != w.seen || w.since.IsZero() {
		w.seen, w.since = r, ended
	}
	return began.Sub(w.since)
}

// wait looks at the lease until this server has it. It returns nil if ctx ends before.
func (l *Lease) wait(ctx context.Context, me string) *Held {
	var w watch
	failing := false
	for {
		held, err := l.look(ctx, &w, me)
		if held != nil {
			return held
		}
		if err != nil && !failing && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "a lease cannot be read, trying on", "lease", l.Name, "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(l.tempo().look):
		}
	}
}

// look reads the lease, and takes it if nobody has it or its holder is gone.
func (l *Lease) look(ctx context.Context, w *watch, me string) (*Held, error) {
	ctx, cancel := context.WithTimeout(ctx, l.tempo().beat)
	defer cancel()
	began := time.Now()
	r, err := l.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lease %s: %w", l.Name, err)
	}
	quiet := w.unchanged(r, began, time.Now())
	// Its own name, while it holds nothing, is from a take whose answer was lost.
	free := r.holder == "" || r.holder == me || l.Alone
	if !free && quiet < l.tempo().patience {
		return nil, nil //nolint:nilnil // another holds it, and that is no error
	}
	return l.take(ctx, r, me)
}

func (l *Lease) read(ctx context.Context) (r row, err error) {
	err = l.DB.QueryRow(ctx, `SELECT holder, fence, beat FROM leases WHERE name = $1`, l.Name).Scan(&r.holder, &r.fence, &r.beat)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = l.DB.Exec(ctx, `INSERT INTO leases (name, holder, fence, beat) VALUES ($1, '', 0, 0) ON CONFLICT DO NOTHING`, l.Name)
	}
	return r, err
}

// take makes this server the holder, if the row is still the one that it saw.
func (l *Lease) take(ctx context.Context, seen row, me string) (*Held, error) {
	held := &Held{lease: l, holder: me, fence: seen.fence + 1, sureAt: time.Now()}
	var taken int64
	// In a serializable transaction, so that the ones that looked at the fence come before it or fail.
	err := l.DB.Transact(ctx, func(ctx context.Context) (err error) {
		taken, err = l.DB.Exec(ctx, `UPDATE leases SET holder = $2, fence = $3, beat = 0
			WHERE name = $1 AND holder = $4 AND fence = $5 AND beat = $6`,
			l.Name, me, held.fence, seen.holder, seen.fence, seen.beat)
		return err
	})
	if err != nil || taken == 0 {
		return nil, err
	}
	return held, nil
}
