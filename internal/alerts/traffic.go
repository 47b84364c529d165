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
	all, err := w.query(ctx, "refused requests", `SELECT c.id, c.name, u.refused, u.total
		FROM (SELECT client_id, CAST(sum(CASE outcome WHEN 'granted' THEN 0 ELSE requests END) AS BIGINT) AS refused, CAST(sum(requests) AS BIGINT) AS total
			FROM usage_hours WHERE hour = $1 GROUP BY client_id) u
		JOIN clients c ON c.id = u.client_id
		WHERE u.total >= $2 AND u.refused * 100 >= u.total * $3
			AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'error_rate ' || c.id || ' ' || CAST($4 AS TEXT))
		ORDER BY c.id LIMIT $5`, hour, w.Refusals.Least, w.Refusals.Percent, day, some)
	var raised []Alert
	for _, f := range all {
		raised = append(raised, Alert{
			Kind: ErrorRate, Once: f.clientID + " " + day, ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("Of %d token requests since %s, %d were refused. Its page and wardkey why say for what reasons.",
				f.b, time.Unix(hour*3600, 0).UTC().Format(moment), f.a),
		})
	}
	return w.tell(ctx, err, raised)
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
	all, err := w.query(ctx, "unusual volume", `SELECT id, name, requests, before FROM (SELECT c.id, c.name, u.requests,
			(SELECT CAST(COALESCE(sum(b.requests), 0) AS BIGINT) FROM usage_hours b
				WHERE b.client_id = c.id AND b.hour IN ($1 - 24, $1 - 48, $1 - 72, $1 - 96, $1 - 120, $1 - 144, $1 - 168)) AS before
		FROM (SELECT client_id, CAST(sum(requests) AS BIGINT) AS requests FROM usage_hours WHERE hour = $1 GROUP BY client_id HAVING sum(requests) >= $2) u
		JOIN clients c ON c.id = u.client_id AND c.created_at <= ($1 - 168) * 3600
		WHERE NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'unusual_volume ' || c.id || ' ' || CAST($3 AS TEXT))) busy
		WHERE requests * 100 * 7 >= before * $4 ORDER BY id LIMIT $5`, hour, w.Volume.Least, day, w.Volume.Percent, some)
	var raised []Alert
	for _, f := range all {
		raised = append(raised, Alert{
			Kind: UnusualVolume, Once: f.clientID + " " + day, ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("It made %d token requests since %s. On the %d days before, it made %d on average in the same hour.",
				f.a, time.Unix(hour*3600, 0).UTC().Format(moment), sameHours, f.b/sameHours),
		})
	}
	return w.tell(ctx, err, raised)
}

// nearly is what part of a limit is worth telling of, in percent.
const nearly = 80

// Limits tells of clients that took 80 % of what they may in a day, once a day, and of the account
// likewise. What servers have in reserve counts as taken.
func (w *Watch) Limits(ctx context.Context, now time.Time) error {
	day := dayOf(now)
	all, err := w.query(ctx, "clients near their limits", `SELECT c.id, c.name, l.day_taken, 0 FROM limit_counts l JOIN clients c ON c.id = l.client_id
		WHERE l.day = $1 AND (c.plan = 'free' AND l.day_taken >= $2 OR c.plan = 'pro' AND l.day_taken >= $3 OR c.plan = 'enterprise')
			AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'near_limit ' || c.id || ' ' || CAST($4 AS TEXT))
		ORDER BY c.id LIMIT $5`, day, near(clients.Free.Limits().PerDay), near(clients.Pro.Limits().PerDay), fmt.Sprint(day), 10*some)
	if err != nil {
		return err
	}
	for _, f := range all {
		c, err := clients.NewStore(w.Store.DB).Client(ctx, f.clientID)
		if err != nil {
			return err
		}
		if err := w.nearLimit(ctx, c.ID, "It has", f.a, c.Limits.PerDay, now); err != nil {
			return err
		}
	}
	account, err := w.query(ctx, "the limit of the account", `SELECT '', '', day_taken, 0 FROM limit_counts WHERE client_id = '*' AND day = $1`, day)
	for _, f := range account {
		err = w.nearLimit(ctx, "", "All keys together have", f.a, w.AccountPerDay, now)
	}
	return err
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
