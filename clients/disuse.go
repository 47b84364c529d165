package clients

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

const day = 24 * time.Hour

// Limits of a rule of disuse: every notice has its time.
const (
	MinUnusedAfter        = 30 * day
	MinUnusedDeletedAfter = 14 * day
)

// A DisuseRule says what becomes of clients that are not used.
type DisuseRule struct {
	SuspendedAfter time.Duration // 0: they stay as they are
	DeletedAfter   time.Duration // of being suspended; 0: never
}

// A Fate is what happens to a client that is not used.
type Fate string

// The fates.
const (
	Suspension Fate = "suspension"
	Deletion   Fate = "deletion"
)

// A step is one of those by which an unused client leaves: a notice, or what the notices are of.
type step struct {
	fate  Fate
	days  int           // before it, of a notice; 0: it happens
	after time.Duration // of no use, or of being suspended
	wait  time.Duration // since the step before it, by the watched clock
}

// noticeDays are how many days before a fate a notice is given.
var noticeDays = []int{15, 7, 1}

// stepsToSuspension is how many steps a client took that is suspended.
var stepsToSuspension = len(noticeDays) + 1

// steps are those of the rule, in order. The first of them may be long overdue, as when the rule is
// new; each of the others comes as long after the one before as if it had come in time.
func (r DisuseRule) steps() []step {
	if r.SuspendedAfter == 0 {
		return nil
	}
	steps := stepsTo(Suspension, r.SuspendedAfter)
	steps[0].wait = 0
	if r.DeletedAfter > 0 {
		steps = append(steps, stepsTo(Deletion, r.DeletedAfter)...)
	}
	return steps
}

func stepsTo(fate Fate, after time.Duration) (steps []step) {
	before := time.Duration(0)
	for _, days := range append(noticeDays, 0) {
		s := step{fate: fate, days: days, after: max(0, after-time.Duration(days)*day)}
		s.wait, before = s.after-before, s.after
		steps = append(steps, s)
	}
	return steps
}

// planned is when the fate of a step comes by the rule, given since when the client is unused, or
// suspended.
func (r DisuseRule) planned(fate Fate, since time.Time) time.Time {
	if fate == Suspension {
		return since.Add(r.SuspendedAfter)
	}
	return since.Add(r.DeletedAfter)
}

// A Notice tells that a client which is not used will be suspended or deleted.
type Notice struct {
	ClientID    string
	Name        string
	Fate        Fate
	Days        int       // 15, 7 or 1, of the rule's notices
	At          time.Time // when it happens, unless the client is used
	UnusedSince time.Time
}

// A DisuseAct is what became of a client that was not used.
type DisuseAct struct {
	Kind        ActKind
	ClientID    string
	Name        string
	UnusedSince time.Time
	SuspendedAt time.Time
}

// An ActKind is what was done.
type ActKind string

// What is done to clients that are not used, and what is undone when one turns out to be used.
const (
	ActSuspend ActKind = "suspend"
	ActResume  ActKind = "resume"
	ActDelete  ActKind = "delete"
)

// A Disuse applies a rule to all clients. Set its fields; [Disuse.Advance] does the work.
//
// No clock that is set forward or back ends a client. Steps are apart by the watched time, which
// grows only by what the looking process lived through. So from the first notice to the suspension,
// and again from there to the deletion, clients can be used for as long as the rule says, and one
// use ends it all.
type Disuse struct {
	DB   *database.DB
	Rule DisuseRule

	// Clock is one that all servers share, if there is one. Nothing is done while it is far from
	// this server's own. It may be nil.
	Clock func(context.Context) (time.Time, error)
	// Notify is told of each notice, in the transaction that records it. It may be nil.
	Notify func(context.Context, Notice) error
	// Acted is told of what was done, in the transaction that does it. It may be nil.
	Acted func(context.Context, ...DisuseAct) error

	last   look
	stride time.Duration // of tests, which look once a day
}

// transact is how transactions are made.
type transact = func(ctx context.Context, fn func(ctx context.Context) error) error

// Advance lets clients take the step that is due for them, and takes those off their way that were
// used. It looks for them outside of any transaction, so that nobody waits for that, and looks again
// at the few of each that it makes with transact. It says whether none is left; otherwise the next
// call goes on.
func (d *Disuse) Advance(ctx context.Context, now time.Time, transact transact) (done bool, err error) {
	if err := d.agree(ctx, now); err != nil {
		return false, err
	}
	clock, err := d.watch(ctx, now, transact)
	if err != nil {
		return false, err
	}
	w := sweep{Disuse: d, now: now, watched: clock.watched, transact: transact, left: inARow}
	if err := w.each(ctx, w.free(), w.release); err != nil {
		return false, err
	}
	steps := d.Rule.steps()
	for i := len(steps) - 1; i >= 0; i-- { // the last first, so that nobody takes two
		if i == 0 && clock.startled(steps[0].after) {
			break
		}
		take := func(ctx context.Context, due []unused) error { return w.take(ctx, i, steps[i], due) }
		if err := w.each(ctx, w.due(i, steps[i]), take); err != nil {
			return false, err
		}
	}
	return w.left > 0, nil
}
