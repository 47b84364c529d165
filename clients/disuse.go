package clients

import (
	"context"
	"fmt"
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
// grows only while some server runs, and by no more than an hour from one look to the next. So from
// the first notice to the suspension, and again from there to the deletion, clients can be used for
// as long as the rule says, and one use ends it all.
type Disuse struct {
	DB   *database.DB
	Rule DisuseRule

	// Notify is told of each notice, in the transaction that records it. It may be nil.
	Notify func(context.Context, Notice) error
	// Acted is told of what was done, in the transaction that does it. It may be nil.
	Acted func(context.Context, ...DisuseAct) error

	stride time.Duration // of tests, which look once a day
}

const (
	// maxStride is how much the watched time grows at most from one look to the next.
	maxStride = time.Hour

	// startled is how large a gap between two looks is taken for a clock that was set forward, or
	// for a time in which nobody could be served.
	startled = day

	// atOnce is how many clients take a step in one transaction.
	atOnce = 1000
)

// An unused is a client that is not used.
type unused struct {
	id, name    string
	since       time.Time
	suspendedAt time.Time
	keep        bool
}

// Advance lets clients take the step that is due for them, and takes those off their way that were
// used. It does so for a part of them, in one transaction; what is left is done by the next call.
func (d *Disuse) Advance(ctx context.Context, now time.Time) error {
	return d.DB.Transact(ctx, func(ctx context.Context) error {
		clock, err := d.watch(ctx, now)
		if err != nil {
			return err
		}
		if err := d.release(ctx, now); err != nil {
			return err
		}
		steps, left := d.Rule.steps(), atOnce
		for i := len(steps) - 1; i >= 0 && left > 0; i-- { // the last first, so that nobody takes two
			if i == 0 && clock.startled(steps[0].after) {
				break
			}
			taken, err := d.take(ctx, i, steps[i], clock.watched, now, left)
			if err != nil {
				return err
			}
			left -= taken
		}
		return nil
	})
}

// A watch is for how many seconds servers were there to see uses, until the last look and until
// the last gap that was too large.
type watch struct{ watched, gapAt int64 }

// startled says whether the last gap is so near that no client is told for the first time: whoever
// is in use shows it in the time after which it would be told.
func (w watch) startled(patience time.Duration) bool {
	return w.gapAt > 0 && w.watched-w.gapAt < int64(patience/time.Second)
}

// watch moves the watched clock on, and returns it.
func (d *Disuse) watch(ctx context.Context, now time.Time) (w watch, err error) {
	var seen database.Time
	err = d.DB.QueryRow(ctx, `SELECT watched, gap_at, seen_at FROM disuse_clock WHERE id = 1`).Scan(&w.watched, &w.gapAt, &seen)
	if err != nil {
		return w, fmt.Errorf("read the clock of disuse: %w", err)
	}
	if !seen.IsZero() {
		gap := max(now.Sub(seen.Time), 0)
		w.watched += int64(min(gap, max(maxStride, d.stride)) / time.Second)
		if gap > startled {
			w.gapAt = w.watched
		}
	}
	_, err = d.DB.Exec(ctx, `UPDATE disuse_clock SET watched = $1, gap_at = $2, seen_at = $3 WHERE id = 1`, w.watched, w.gapAt, database.At(now))
	if err != nil {
		return w, fmt.Errorf("move the clock of disuse: %w", err)
	}
	return w, nil
}

// take lets clients take one step, and returns how many did.
func (d *Disuse) take(ctx context.Context, i int, s step, watched int64, now time.Time, limit int) (int, error) {
	due, err := d.due(ctx, i, s, watched, now, limit)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	switch {
	case s.days > 0:
		err = d.notify(ctx, s, due, now)
	case s.fate == Suspension:
		err = d.suspend(ctx, due, now)
	default:
		return len(due), d.delete(ctx, due, now)
	}
	if err != nil {
		return 0, err
	}
	return len(due), d.note(ctx, i+1, due, watched)
}

// due are the clients that the step is due for. The first comes to those that are not on their way.
func (d *Disuse) due(ctx context.Context, i int, s step, watched int64, now time.Time, limit int) ([]unused, error) {
	before := database.At(now.Add(-s.after))
	if i == 0 {
		return d.read(ctx, `SELECT `+unusedColumns+` FROM client_uses u JOIN clients c ON c.id = u.client_id
			WHERE u.last_used_at <= $1 AND c.created_at <= $1 AND c.resumed_at <= $1 AND c.suspended_at = 0 AND NOT (`+spared+`)
				AND NOT EXISTS (SELECT 1 FROM disuse d WHERE d.client_id = c.id) ORDER BY u.last_used_at, c.id LIMIT $2`, before, limit)
	}
	since := `d.unused_since`
	if s.fate == Deletion {
		since = `c.suspended_at`
	}
	return d.read(ctx, `SELECT `+unusedColumns+` FROM disuse d JOIN clients c ON c.id = d.client_id JOIN client_uses u ON u.client_id = c.id
		WHERE d.step = $1 AND d.taken_at <= $2 AND `+since+` <= $3 AND NOT (`+spared+`)
			AND u.last_used_at <= d.unused_since ORDER BY d.taken_at, c.id LIMIT $4`,
		i, watched-int64(s.wait/time.Second), before, limit)
}

// spared is whom the rule does not touch: those that an admin keeps, and those that may introspect,
// which do so with their secret alone and need no token for it.
const spared = `c.keep_unused OR EXISTS (SELECT 1 FROM client_permissions p
	WHERE p.client_id = c.id AND p.target = 'wardkey' AND p.action = 'introspect')`

const unusedColumns = `c.id, c.name, u.last_used_at, c.created_at, c.resumed_at, c.suspended_at, c.keep_unused`

func (d *Disuse) read(ctx context.Context, query string, args ...any) ([]unused, error) {
	rows, err := d.DB.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read unused clients: %w", err)
	}
	defer rows.Close()
	var all []unused
	for rows.Next() {
		var c unused
		var used, created, resumed, since database.Time
		if err := rows.Scan(&c.id, &c.name, &used, &created, &resumed, &since, &c.keep); err != nil {
			return nil, fmt.Errorf("read unused clients: %w", err)
		}
		c.since, c.suspendedAt = latest(used.Time, created.Time, resumed.Time), since.Time
		all = append(all, c)
	}
	return all, rows.Err()
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// note writes down which step clients took.
func (d *Disuse) note(ctx context.Context, taken int, all []unused, watched int64) error {
	for _, c := range all {
		_, err := d.DB.Exec(ctx, `INSERT INTO disuse (client_id, unused_since, step, taken_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (client_id) DO UPDATE SET step = excluded.step, taken_at = excluded.taken_at`,
			c.id, database.At(c.since), taken, watched)
		if err != nil {
			return fmt.Errorf("note a step of client %s: %w", c.id, err)
		}
	}
	return nil
}

// notify records a notice to each, and tells of those that were not recorded before: a clock that
// was set back does not make one twice.
func (d *Disuse) notify(ctx context.Context, s step, all []unused, now time.Time) error {
	happens := d.Rule.planned(s.fate, now).Add(-s.after)
	for _, c := range all {
		since := c.since
		if s.fate == Deletion {
			since = c.suspendedAt
		}
		n, err := d.DB.Exec(ctx, `INSERT INTO disuse_notices (client_id, fate, planned_at, days, at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT DO NOTHING`, c.id, string(s.fate), database.At(d.Rule.planned(s.fate, since)), s.days, database.At(now))
		if err != nil {
			return fmt.Errorf("record a notice of client %s: %w", c.id, err)
		}
		if n == 0 || d.Notify == nil {
			continue
		}
		notice := Notice{ClientID: c.id, Name: c.name, Fate: s.fate, Days: s.days, At: happens.UTC().Truncate(time.Second), UnusedSince: c.since}
		if err := d.Notify(ctx, notice); err != nil {
			return fmt.Errorf("tell of a notice of client %s: %w", c.id, err)
		}
	}
	return nil
}

func (d *Disuse) suspend(ctx context.Context, all []unused, now time.Time) error {
	if err := NewStore(d.DB).setSuspended(ctx, ids(all), now); err != nil {
		return err
	}
	return d.acted(ctx, ActSuspend, all, now)
}

func (d *Disuse) delete(ctx context.Context, all []unused, now time.Time) error {
	if _, err := NewStore(d.DB).DeleteAll(ctx, ids(all), "server", now); err != nil {
		return err
	}
	return d.acted(ctx, ActDelete, all, now)
}

func (d *Disuse) acted(ctx context.Context, kind ActKind, all []unused, now time.Time) error {
	if d.Acted == nil {
		return nil
	}
	acts := make([]DisuseAct, len(all))
	for i, c := range all {
		acts[i] = DisuseAct{Kind: kind, ClientID: c.id, Name: c.name, UnusedSince: c.since, SuspendedAt: c.suspendedAt}
		if kind == ActSuspend {
			acts[i].SuspendedAt = now.UTC().Truncate(time.Second)
		}
	}
	return d.Acted(ctx, acts...)
}

// release takes those off their way that were used after all, a suspended one too, whose use came
// in the moment in which it was suspended; and of those that are not suspended the ones that the
// rule does not touch any more.
func (d *Disuse) release(ctx context.Context, now time.Time) error {
	unusedBefore := time.Time{} // before which nobody was unused, if there is no rule
	if steps := d.Rule.steps(); len(steps) > 0 {
		unusedBefore = now.Add(-steps[0].after)
	}
	free, err := d.read(ctx, `SELECT `+unusedColumns+` FROM disuse d JOIN clients c ON c.id = d.client_id JOIN client_uses u ON u.client_id = c.id
		WHERE u.last_used_at > d.unused_since OR c.suspended_at = 0 AND (d.unused_since > $1 OR `+spared+`) ORDER BY c.id LIMIT $2`,
		database.At(unusedBefore), atOnce)
	if err != nil {
		return err
	}
	store := NewStore(d.DB)
	var back, spared []unused
	for _, c := range free {
		if !c.suspendedAt.IsZero() {
			back = append(back, c)
		}
		if c.keep || d.Rule.SuspendedAfter == 0 {
			spared = append(spared, c)
		}
	}
	if err := store.setSuspended(ctx, ids(back), time.Time{}); err != nil {
		return err
	}
	if err := store.leaveDisuse(ctx, ids(free)); err != nil {
		return err
	}
	if err := store.forgetNotices(ctx, ids(spared)); err != nil || len(back) == 0 {
		return err
	}
	return d.acted(ctx, ActResume, back, now)
}

func ids(all []unused) []string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = all[i].id
	}
	return list
}
