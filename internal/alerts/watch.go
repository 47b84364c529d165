package alerts

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Watch finds in the store what admins should be told of. Begin with [Watch.Run]; each of the
// other methods looks once. They read outside of any transaction, because some of what they read is
// much, and an embedded database has one writer. What they find is told once, however often they
// look and whoever does.
type Watch struct {
	Store *Store
	Log   *slog.Logger
	// Refusals and Volume say from when on the requests of an hour are worth telling of.
	Refusals, Volume Threshold
	// AccountPerDay is how many requests all clients together may make in a day; 0 for no limit.
	AccountPerDay int64
	// Country says in which country a network is, by its code of two letters and its name; the code
	// is "" if that is not known. Nil: no country is known.
	Country func(netip.Prefix) (code, name string)

	page int // how much is read at a time; 0: as much as is usual, tests take less
}

// A Threshold is passed by both: a ratio, in percent of what it is compared with, and a number of
// requests, because a few tell nothing.
type Threshold struct {
	Percent int64 // 0: nothing is told
	Least   int64
}

// Run looks again and again until ctx ends. Any number of servers may; one is enough.
func (w *Watch) Run(ctx context.Context) error {
	looks := []struct {
		name  string
		every time.Duration
		look  func(context.Context, time.Time) error
	}{
		{"new places", 10 * time.Second, w.Places},
		{"limits", time.Minute, w.Limits},
		{"traffic", 5 * time.Minute, w.Traffic},
		{"new networks", 5 * time.Minute, w.Networks},
		{"expiry", 10 * time.Minute, w.Expiring},
		{"old secrets", 10 * time.Minute, w.OldSecrets},
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, l := range looks {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := l.look(ctx, time.Now()); err != nil && ctx.Err() == nil {
					w.Log.WarnContext(ctx, "looking for what to tell admins failed, trying again", "for", l.name, "in", l.every, "err", err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(l.every):
				}
			}
		})
	}
	return nil
}

// pageSize is how much is read at a time of what a look finds, however much that is.
const pageSize = 1000

// warnings are how long before an end it is told, the last first.
var warnings = []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 15 * 24 * time.Hour}

// found is what a statement finds of a client, with a text and two numbers of which the statement
// knows the meaning.
type found struct {
	id, clientID, name, text string // the id of the client, or of what it is about
	a, b                     int64
}

// all does something for each row that a statement finds. It reads them page by page in the order of
// their ids, so that each has its turn in each look: those behind $1, and of them the first $2.
func (w *Watch) all(ctx context.Context, what, statement string, do func(found) error, args ...any) error {
	size := cmp.Or(w.page, pageSize)
	for behind := ""; ; {
		page, err := w.query(ctx, statement, append([]any{behind, size}, args...)...)
		if err != nil {
			return fmt.Errorf("look for %s: %w", what, err)
		}
		for _, f := range page {
			if err := do(f); err != nil {
				return err
			}
			behind = f.id
		}
		if len(page) < size {
			return nil
		}
	}
}

func (w *Watch) query(ctx context.Context, statement string, args ...any) (page []found, err error) {
	rows, err := w.Store.DB.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f found
		if err := rows.Scan(&f.id, &f.clientID, &f.name, &f.text, &f.a, &f.b); err != nil {
			return nil, err
		}
		page = append(page, f)
	}
	return page, rows.Err()
}

// Expiring tells of keys and secrets that end in 15 days, in 7 and in 1, each time once. Of a secret
// that has a successor it tells nothing: that is meant to end.
func (w *Watch) Expiring(ctx context.Context, now time.Time) error {
	sooner := time.Duration(0)
	for _, before := range warnings {
		from, until := database.At(now.Add(sooner)), database.At(now.Add(before))
		if err := w.expiringClients(ctx, days(before), from, until, now); err != nil {
			return err
		}
		if err := w.expiringSecrets(ctx, days(before), from, until, now); err != nil {
			return err
		}
		sooner = before
	}
	return nil
}

func days(span time.Duration) int { return int(span / (24 * time.Hour)) }

// within is a number of days in words.
func within(days int) string {
	if days == 1 {
		return "within a day"
	}
	return fmt.Sprintf("within %d days", days)
}

const moment = "2006-01-02 15:04 UTC"

// when is a Unix time in words.
func when(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(moment) }

func (w *Watch) expiringClients(ctx context.Context, days int, from, until database.Time, now time.Time) error {
	tell := func(f found) error {
		return w.Store.Raise(ctx, Alert{
			Kind: ClientExpiring, Once: fmt.Sprintf("%s %d %d", f.id, f.a, days), ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("The key expires %s, on %s. From then on it gets no tokens. Give it another end if it is still needed.", within(days), when(f.a)),
		})
	}
	return w.all(ctx, "keys that expire", `SELECT c.id, c.id, c.name, '', c.expires_at, 0 FROM client_search s JOIN clients c ON c.id = s.client_id
		WHERE c.id > $1 AND s.expires_at > $3 AND s.expires_at <= $4 AND NOT c.disabled AND NOT EXISTS (
			SELECT 1 FROM alerts a WHERE a.told_once = 'client_expiring ' || c.id || ' ' || c.expires_at || ' ' || CAST($5 AS TEXT))
		ORDER BY c.id LIMIT $2`, tell, from, until, fmt.Sprint(days))
}

func (w *Watch) expiringSecrets(ctx context.Context, days int, from, until database.Time, now time.Time) error {
	tell := func(f found) error {
		return w.Store.Raise(ctx, Alert{
			Kind: SecretExpiring, Once: fmt.Sprintf("%s %d %d", f.id, f.a, days), ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("The secret that ends in %s expires %s, on %s. Add another and move its users to it before then.", f.text, within(days), when(f.a)),
		})
	}
	return w.all(ctx, "secrets that expire", `SELECT s.id, c.id, c.name, s.hint, s.expires_at, 0 FROM client_secrets s JOIN clients c ON c.id = s.client_id
		WHERE s.id > $1 AND s.expires_at > $3 AND s.expires_at > 0 AND s.expires_at <= $4 AND s.revoked_at = 0 AND NOT c.disabled
			AND NOT EXISTS (SELECT 1 FROM client_secrets newer WHERE newer.client_id = s.client_id AND newer.created_at > s.created_at AND newer.revoked_at = 0)
			AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'secret_expiring ' || s.id || ' ' || s.expires_at || ' ' || CAST($5 AS TEXT))
		ORDER BY s.id LIMIT $2`, tell, from, until, fmt.Sprint(days))
}

// rotated is how long after a new secret was made the old one may still be used.
const rotated = 24 * time.Hour

// OldSecrets tells of secrets that were used in this hour or the last although there has been a
// newer one for a day, once of each.
func (w *Watch) OldSecrets(ctx context.Context, now time.Time) error {
	tell := func(f found) error {
		a := Alert{
			Kind: OldSecretUsed, Once: f.id, ClientID: f.clientID, ClientName: f.name, At: now,
			Text: fmt.Sprintf("The secret that ends in %s is still used, although there has been a newer one since %s.", f.text, when(f.b)),
		}
		if f.a > 0 {
			a.Text += fmt.Sprintf(" It opens nothing any more after %s.", when(f.a))
		}
		a.Text += " The key's page says from where it is used."
		return w.Store.Raise(ctx, a)
	}
	return w.all(ctx, "old secrets", `SELECT older.id, c.id, c.name, older.hint, older.expires_at, min(newer.created_at)
		FROM (SELECT DISTINCT client_id, secret_id FROM secret_activity WHERE hour >= $3) used
		JOIN client_secrets older ON older.id = used.secret_id
		JOIN client_secrets newer ON newer.client_id = older.client_id AND newer.created_at > older.created_at AND newer.revoked_at = 0 AND newer.created_at < $4
		JOIN secret_uses u ON u.client_id = older.client_id AND u.secret_id = older.id AND u.last_used_at >= newer.created_at + $5
		JOIN clients c ON c.id = older.client_id
		WHERE older.id > $1 AND older.revoked_at = 0 AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.told_once = 'old_secret_used ' || older.id)
		GROUP BY older.id, c.id, c.name, older.hint, older.expires_at
		ORDER BY older.id LIMIT $2`, tell, hourOf(now)-1, database.At(now.Add(-rotated)), int64(rotated/time.Second))
}

// hourOf and dayOf are the hour and the day of a time by their numbers since 1970, in UTC.
func hourOf(t time.Time) int64 { return t.Unix() / 3600 }
func dayOf(t time.Time) int64  { return t.Unix() / 86400 }
