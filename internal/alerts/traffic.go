package alerts

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/clients"
)

// Traffic tells of clients of whose requests too many are refused, and of those that make far more
// than at the same time of the days before: in this hour or the last, of each client once a day.
func (w *Watch) Traffic(ctx context.Context, now time.Time) error {
	for hour := hourOf(now) - 1; hour <= hourOf(now); hour++ {
		if err := w.refused(ctx, hour, now); err != nil {
			return err
		}
		if err := w.volume(ctx, hour, now); err != nil {
			return err
		}
	}
	return nil
}

// refused finds clients by their refused requests in an hour. The rows of nobody and of the whole
// account are no clients, so that they are not joined.
func (w *Watch) refused(ctx context.Context, hour int64, now time.Time) error {
	if w.Refusals.Percent == 0 {
		return nil
	}
	day := fmt.Sprint(hour / 24)
	tell := func(f found) error {
		return w.Store.Raise(ctx, Alert{
			Kind: ErrorRate, Once: f.id + " " + day, ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("Of %d token requests since %s, %d were refused. Its page and wardkey why say for what reasons.", f.b, when(hour*3600), f.a),
		})
	}
	return w.all(ctx, "refused requests", `SELECT c.id, c.id, c.name, '', u.refused, u.total
		FROM (SELECT client_id, CAST(sum(CASE outcome WHEN 'granted' THEN 0 ELSE requests END) AS BIGINT) AS refused, CAST(sum(requests) AS BIGINT) AS total
			FROM usage_hours WHERE hour = $3 GROUP BY client_id) u
		JOIN clients c ON c.id = u.client_id
		WHERE c.id > $1 AND u.total >= $4 AND u.refused * 100 >= u.total * $5
			AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'error_rate ' || c.id || ' ' || CAST($6 AS TEXT))
		ORDER BY c.id LIMIT $2`, tell, hour, w.Refusals.Least, w.Refusals.Percent, day)
}

// sameHours is on how many days before the same hour is looked at.
const sameHours = 7

// volume compares the requests in an hour with those in the same hour of the seven days before. A
// client that is younger has no such days.
func (w *Watch) volume(ctx context.Context, hour int64, now time.Time) error {
	if w.Volume.Percent == 0 {
		return nil
	}
	day := fmt.Sprint(hour / 24)
	tell := func(f found) error {
		return w.Store.Raise(ctx, Alert{
			Kind: UnusualVolume, Once: f.id + " " + day, ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("It made %d token requests since %s. On the %d days before, it made %d on average in the same hour.",
				f.a, when(hour*3600), sameHours, f.b/sameHours),
		})
	}
	return w.all(ctx, "unusual volume", `SELECT id, id, name, '', requests, before FROM (SELECT c.id, c.name, u.requests,
			(SELECT CAST(COALESCE(sum(b.requests), 0) AS BIGINT) FROM usage_hours b
				WHERE b.client_id = c.id AND b.hour IN ($3 - 24, $3 - 48, $3 - 72, $3 - 96, $3 - 120, $3 - 144, $3 - 168)) AS before
		FROM (SELECT client_id, CAST(sum(requests) AS BIGINT) AS requests FROM usage_hours WHERE hour = $3 GROUP BY client_id HAVING sum(requests) >= $4) u
		JOIN clients c ON c.id = u.client_id AND c.created_at <= ($3 - 168) * 3600
		WHERE c.id > $1 AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'unusual_volume ' || c.id || ' ' || CAST($5 AS TEXT))) busy
		WHERE requests * 100 * 7 >= before * $6 ORDER BY id LIMIT $2`, tell, hour, w.Volume.Least, day, w.Volume.Percent)
}

// nearly is what part of a limit is worth telling of, in percent.
const nearly = 80

// Limits tells of clients that took 80 % of what they may in a day, once a day, and of the account
// likewise. What servers have in reserve counts as taken.
func (w *Watch) Limits(ctx context.Context, now time.Time) error {
	if err := w.clientLimits(ctx, now); err != nil {
		return err
	}
	var taken int64
	err := w.Store.DB.QueryRow(ctx, `SELECT COALESCE(max(day_taken), 0) FROM limit_counts WHERE client_id = '*' AND day = $1`, dayOf(now)).Scan(&taken)
	if err != nil {
		return fmt.Errorf("look for the limit of the account: %w", err)
	}
	return w.nearLimit(ctx, "", "All keys together have", taken, w.AccountPerDay, now)
}

// clientLimits looks at all clients with numbers of their own, because what those are is not for a
// statement to read. The plus keeps the day from choosing the index: each page would go through all
// clients of the day again.
func (w *Watch) clientLimits(ctx context.Context, now time.Time) error {
	day, free, pro := dayOf(now), clients.Free.Limits().PerDay, clients.Pro.Limits().PerDay
	tell := func(f found) error {
		perDay := f.b
		if perDay == 0 {
			own, err := clients.ParseLimits(clients.Enterprise, f.text)
			if err != nil {
				return fmt.Errorf("the limits of client %s: %w", f.id, err)
			}
			perDay = own.PerDay
		}
		return w.nearLimit(ctx, f.id, "It has", f.a, perDay, now)
	}
	return w.all(ctx, "clients near their limits", `SELECT c.id, c.id, c.name, c.limits, l.day_taken,
			CASE c.plan WHEN 'free' THEN CAST($3 AS BIGINT) WHEN 'pro' THEN CAST($4 AS BIGINT) ELSE 0 END
		FROM limit_counts l JOIN clients c ON c.id = l.client_id
		WHERE l.client_id > $1 AND +l.day = $5 AND (c.plan = 'free' AND l.day_taken >= $6 OR c.plan = 'pro' AND l.day_taken >= $7 OR c.plan = 'enterprise')
			AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'near_limit ' || c.id || ' ' || CAST($8 AS TEXT))
		ORDER BY l.client_id LIMIT $2`, tell, free, pro, day, near(free), near(pro), fmt.Sprint(day))
}

// near is from what number on a limit is near.
func near(limit int64) int64 { return (limit*nearly + 99) / 100 }

// nearLimit tells of a client, or of the account as "", that took so much of what it may in a day,
// if that is near.
func (w *Watch) nearLimit(ctx context.Context, clientID, whose string, taken, perDay int64, now time.Time) error {
	if perDay == 0 || taken < near(perDay) {
		return nil
	}
	return w.Store.Raise(ctx, Alert{
		Kind: NearLimit, Once: fmt.Sprintf("%s %d", cmp.Or(clientID, "account"), dayOf(now)), ClientID: clientID, At: now,
		Text: fmt.Sprintf("%s used %d of the %d token requests of today (UTC). When none is left, requests are answered 429 until tomorrow.", whose, min(taken, perDay), perDay),
	})
}
