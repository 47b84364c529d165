package usage

import (
	"context"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// How long what is counted is kept.
const (
	HoursKept = 90 * 24 * time.Hour
	DaysKept  = 2 * 365 * 24 * time.Hour

	// nodesKept must be longer than any process sleeps between two tries of one batch.
	nodesKept = 30 * 24 * time.Hour
)

// Purge adds the first hour that was over by now and is not yet in its day to it, and takes away
// the first hour and the first day that were kept long enough: in one transaction as much as no
// token request waits for, so it must run more often than once an hour. Any number of servers may
// purge at the same time, and it does not matter where one is stopped.
func (c *Counter) Purge(ctx context.Context, now time.Time) error {
	err := c.db.Transact(ctx, func(ctx context.Context) error {
		if err := c.rollUp(ctx, Hour.Period(now)); err != nil {
			return err
		}
		// The first hour of all was added to its day, now or before.
		if err := c.forgetFirst(ctx, hours, Hour.Period(now.Add(-HoursKept))); err != nil {
			return err
		}
		if err := c.forgetFirst(ctx, days, Day.Period(now.Add(-DaysKept))); err != nil {
			return err
		}
		_, err := c.db.Exec(ctx, `DELETE FROM usage_nodes WHERE seen_at < $1`, database.At(now.Add(-nodesKept)))
		return err
	})
	if err != nil {
		return fmt.Errorf("add up usage and forget what is old: %w", err)
	}
	return nil
}

// rollUp adds the next hour before the given one to its day. It is found in the transaction that
// says until when all were added: an hour that somebody writes at the same moment is either found
// or written to its day, too.
func (c *Counter) rollUp(ctx context.Context, until int64) error {
	rolled, err := c.rolledUntil(ctx)
	if err != nil {
		return err
	}
	hour, found, err := c.first(ctx, hours, rolled, until)
	if err != nil || !found {
		return err
	}
	_, err = c.db.Exec(ctx, `INSERT INTO usage_days (client_id, day, outcome, audience, block, requests)
		SELECT client_id, hour / 24, outcome, audience, block, requests FROM usage_hours WHERE hour = $1
		ON CONFLICT (client_id, day, outcome, audience, block) DO UPDATE SET requests = usage_days.requests + excluded.requests`, hour)
	if err != nil {
		return err
	}
	_, err = c.db.Exec(ctx, `UPDATE usage_state SET rolled_until = $1 WHERE id = 1`, hour+1)
	return err
}

// rolledUntil is the hour before which all were added to their days.
func (c *Counter) rolledUntil(ctx context.Context) (hour int64, err error) {
	err = c.db.QueryRow(ctx, `SELECT rolled_until FROM usage_state WHERE id = 1`).Scan(&hour)
	return hour, err
}

// first is the first period from one on and before another of which there are rows.
func (c *Counter) first(ctx context.Context, in table, from, until int64) (period int64, found bool, err error) {
	err = c.db.QueryRow(ctx, `SELECT COALESCE(min(`+in.period+`), -1) FROM `+in.name+` WHERE `+in.period+` >= $1 AND `+in.period+` < $2`,
		from, until).Scan(&period)
	return period, period >= 0, err
}

// forgetFirst deletes the rows of the first period before the given one.
func (c *Counter) forgetFirst(ctx context.Context, in table, until int64) error {
	period, found, err := c.first(ctx, in, 0, until)
	if err != nil || !found {
		return err
	}
	_, err = c.db.Exec(ctx, `DELETE FROM `+in.name+` WHERE `+in.period+` = $1`, period)
	return err
}
