package clients

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

const (
	// atOnce is how many clients one transaction is about, so that no other waits long for it.
	atOnce = 50

	// inARow is how many clients one call is about.
	inARow = 500
)

// An unused is a client that is not used.
type unused struct {
	id, name    string
	since       time.Time
	suspendedAt time.Time
	used        bool // after all
}

// A sweep is one call of [Disuse.Advance].
type sweep struct {
	*Disuse
	now      time.Time
	watched  int64
	transact transact
	left     int
}

// each does something with the clients of a choice, as many as are left in this sweep, and in each
// transaction only with those that are still of the choice.
func (w *sweep) each(ctx context.Context, c choice, do func(context.Context, []unused) error) error {
	found, err := w.read(ctx, c, nil, w.left)
	if err != nil {
		return err
	}
	w.left -= len(found)
	for some := range slices.Chunk(ids(found), atOnce) {
		err := w.transact(ctx, func(ctx context.Context) error {
			still, err := w.read(ctx, c, some, len(some))
			if err != nil || len(still) == 0 {
				return err
			}
			return do(ctx, still)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// take lets clients take one step.
func (w *sweep) take(ctx context.Context, i int, s step, due []unused) (err error) {
	switch {
	case s.days > 0:
		err = w.notify(ctx, s, due)
	case s.fate == Suspension:
		err = w.suspend(ctx, due)
	default:
		return w.delete(ctx, due)
	}
	if err != nil {
		return err
	}
	return w.note(ctx, i+1, due)
}

// A choice is a condition that clients meet, where it is looked for, and in what order they come.
type choice struct {
	from, where, order string
	by                 string // the part of where that an index finds, where one is to be used
	args               []any
}

// Where clients are looked for: those that are on their way are few, so they are where it begins.
const (
	onTheirWay = `disuse d JOIN clients c ON c.id = d.client_id JOIN client_uses u ON u.client_id = d.client_id`
	theOthers  = `client_uses u JOIN clients c ON c.id = u.client_id LEFT JOIN disuse d ON d.client_id = u.client_id`
)

// due are the clients that a step is due for. The first comes to those that are not on their way.
func (w *sweep) due(i int, s step) choice {
	before := database.At(w.now.Add(-s.after))
	if i == 0 {
		return choice{
			from: theOthers, order: `u.last_used_at, u.client_id`, args: []any{before},
			where: `d.client_id IS NULL AND u.last_used_at <= $1 AND c.created_at <= $1 AND c.resumed_at <= $1
				AND c.suspended_at = 0 AND NOT (` + spared + `)`,
		}
	}
	since := `d.unused_since`
	if s.fate == Deletion {
		since = `c.suspended_at`
	}
	return choice{
		from: onTheirWay, order: `d.taken_at, d.client_id`, args: []any{i, w.watched - int64(s.wait/time.Second), before},
		by: `d.step = $1 AND d.taken_at <= $2`,
		// With + 0 no index is used, which would go through all of the step to check a few.
		where: `d.step + 0 = $1 AND d.taken_at + 0 <= $2 AND ` + since + ` <= $3 AND NOT (` + spared + `)
			AND u.last_used_at <= d.unused_since`,
	}
}

// free are the clients that are on their way and do not belong there: those that were used after
// all, a suspended one too, whose use came in the moment in which it was suspended; of those that are
// not suspended the ones that the rule does not touch any more; and those that were told something by
// a clock that was ahead.
func (w *sweep) free() choice {
	unusedBefore := time.Time{} // before which nobody was unused, if there is no rule
	if steps := w.Rule.steps(); len(steps) > 0 {
		unusedBefore = w.now.Add(-steps[0].after)
	}
	return choice{
		from: onTheirWay, order: `d.client_id`, args: []any{database.At(unusedBefore), database.At(w.ahead())},
		where: `(u.last_used_at > d.unused_since OR c.suspended_at = 0 AND (d.unused_since > $1 OR ` + spared + `)
			OR d.client_id IN (SELECT n.client_id FROM disuse_notices n WHERE n.at > $2))`,
	}
}

// ahead is the time from which on only a clock that was wrong can have told of something.
func (w *sweep) ahead() time.Time { return w.now.Add(startled) }

// spared is whom the rule does not touch: those that an admin keeps, and those that may introspect,
// which do so with their secret alone and need no token for it.
const spared = `c.keep_unused OR EXISTS (SELECT 1 FROM client_permissions p
	WHERE p.client_id = c.id AND p.target = 'wardkey' AND p.action = 'introspect')`

// read returns clients of a choice, at most limit, and if ids are given, only of those.
func (d *Disuse) read(ctx context.Context, c choice, only []string, limit int) ([]unused, error) {
	query := `SELECT c.id, c.name, u.last_used_at, c.created_at, c.resumed_at, c.suspended_at, COALESCE(d.unused_since, 0)
		FROM ` + c.from + ` WHERE ` + c.where
	args := c.args
	switch {
	case only != nil:
		among, named := in(len(args)+1, only)
		query, args = query+` AND u.client_id IN `+among, append(slices.Clip(args), named...)
	case c.by != "":
		query += ` AND ` + c.by
	}
	args = append(slices.Clip(args), limit)
	rows, err := d.DB.Query(ctx, query+fmt.Sprintf(` ORDER BY %s LIMIT $%d`, c.order, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("read unused clients: %w", err)
	}
	defer rows.Close()
	var all []unused
	for rows.Next() {
		var c unused
		var used, created, resumed, suspended, since database.Time
		if err := rows.Scan(&c.id, &c.name, &used, &created, &resumed, &suspended, &since); err != nil {
			return nil, fmt.Errorf("read unused clients: %w", err)
		}
		c.since, c.suspendedAt, c.used = latest(used.Time, created.Time, resumed.Time), suspended.Time, used.After(since.Time)
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
func (w *sweep) note(ctx context.Context, taken int, all []unused) error {
	for _, c := range all {
		_, err := w.DB.Exec(ctx, `INSERT INTO disuse (client_id, unused_since, step, taken_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (client_id) DO UPDATE SET step = excluded.step, taken_at = excluded.taken_at`,
			c.id, database.At(c.since), taken, w.watched)
		if err != nil {
			return fmt.Errorf("note a step of client %s: %w", c.id, err)
		}
	}
	return nil
}

// notify records a notice to each, and tells of it, except where the same was told before: that it
// happens on this day. Whoever was told of another day hears of the right one.
func (w *sweep) notify(ctx context.Context, s step, all []unused) error {
	happens := w.Rule.planned(s.fate, w.now).Add(-s.after).UTC().Truncate(time.Second)
	told, err := w.told(ctx, s, happens, ids(all))
	if err != nil {
		return err
	}
	for _, c := range all {
		if told[c.id] {
			continue
		}
		_, err := w.DB.Exec(ctx, `INSERT INTO disuse_notices (client_id, fate, planned_at, days, at) VALUES ($1, $2, $3, $4, $5)`,
			c.id, string(s.fate), database.At(happens), s.days, database.At(w.now))
		if err != nil {
			return fmt.Errorf("record a notice of client %s: %w", c.id, err)
		}
		if w.Notify == nil {
			continue
		}
		notice := Notice{ClientID: c.id, Name: c.name, Fate: s.fate, Days: s.days, At: happens, UnusedSince: c.since}
		if err := w.Notify(ctx, notice); err != nil {
			return fmt.Errorf("tell of a notice of client %s: %w", c.id, err)
		}
	}
	return nil
}

// told says to which clients the notice was given already, for about the same time.
func (w *sweep) told(ctx context.Context, s step, happens time.Time, ids []string) (map[string]bool, error) {
	among, named := in(5, ids)
	rows, err := w.DB.Query(ctx, `SELECT client_id FROM disuse_notices WHERE fate = $1 AND days = $2 AND planned_at > $3 AND planned_at < $4
		AND client_id IN `+among, append([]any{string(s.fate), s.days, database.At(happens.Add(-day)), database.At(happens.Add(day))}, named...)...)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	defer rows.Close()
	told := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read notices: %w", err)
		}
		told[id] = true
	}
	return told, rows.Err()
}

func (w *sweep) suspend(ctx context.Context, all []unused) error {
	if err := NewStore(w.DB).setSuspended(ctx, ids(all), w.now); err != nil {
		return err
	}
	return w.acted(ctx, ActSuspend, all)
}

func (w *sweep) delete(ctx context.Context, all []unused) error {
	if _, err := NewStore(w.DB).DeleteAll(ctx, ids(all), "server", w.now); err != nil {
		return err
	}
	return w.acted(ctx, ActDelete, all)
}

func (w *sweep) acted(ctx context.Context, kind ActKind, all []unused) error {
	if w.Acted == nil || len(all) == 0 {
		return nil
	}
	acts := make([]DisuseAct, len(all))
	for i, c := range all {
		acts[i] = DisuseAct{Kind: kind, ClientID: c.id, Name: c.name, UnusedSince: c.since, SuspendedAt: c.suspendedAt}
		if kind == ActSuspend {
			acts[i].SuspendedAt = w.now.UTC().Truncate(time.Second)
		}
	}
	return w.Acted(ctx, acts...)
}

// release takes clients off their way. One that stays suspended goes back to the beginning of its
// time until it is deleted.
func (w *sweep) release(ctx context.Context, all []unused) error {
	var off, back, again []unused
	for _, c := range all {
		switch {
		case c.suspendedAt.IsZero():
			off = append(off, c)
		case c.used:
			off, back = append(off, c), append(back, c)
		default:
			again = append(again, c)
		}
	}
	store := NewStore(w.DB)
	if err := store.setSuspended(ctx, ids(back), time.Time{}); err != nil {
		return err
	}
	if err := store.leaveDisuse(ctx, ids(off)); err != nil {
		return err
	}
	if err := w.forgetAhead(ctx, ids(all)); err != nil {
		return err
	}
	if err := w.note(ctx, stepsToSuspension, again); err != nil {
		return err
	}
	return w.acted(ctx, ActResume, back)
}

// forgetAhead forgets the notices that a clock gave which was ahead: they announced wrong days.
func (w *sweep) forgetAhead(ctx context.Context, ids []string) error {
	among, named := in(2, ids)
	if _, err := w.DB.Exec(ctx, `DELETE FROM disuse_notices WHERE at > $1 AND client_id IN `+among, append([]any{database.At(w.ahead())}, named...)...); err != nil {
		return fmt.Errorf("forget wrong notices: %w", err)
	}
	return nil
}

func ids(all []unused) []string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = all[i].id
	}
	return list
}
