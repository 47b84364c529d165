package clients

import (
	"context"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// An Unused is a client that will be suspended or deleted, or was suspended, because nobody uses it.
type Unused struct {
	ClientID    string
	Name        string
	LastUsedAt  time.Time // zero: never
	UnusedSince time.Time // it was used, made or resumed then
	SuspendedAt time.Time // zero: not yet
	NoticedAt   time.Time // when the last notice was given; zero: none was
	Next        Fate      // "": nothing, as the rule is now
	NextAt      time.Time // at the earliest
}

// Unused returns a part of the list of clients that are on their way out, longest unused first, and
// what the rule does with them when.
func (s *Store) Unused(ctx context.Context, rule DisuseRule, page sections.Page, now time.Time) ([]Unused, error) {
	rows, err := s.db.Query(ctx, `SELECT c.id, c.name, u.last_used_at, d.unused_since, c.suspended_at,
			(SELECT COALESCE(max(at), 0) FROM disuse_notices n WHERE n.client_id = c.id AND n.at >= d.unused_since), c.keep_unused, d.step, k.watched - d.taken_at
		FROM disuse d JOIN clients c ON c.id = d.client_id JOIN client_uses u ON u.client_id = c.id JOIN disuse_clock k ON k.id = 1
		WHERE (d.unused_since, d.client_id) > ($1, $2) ORDER BY d.unused_since, d.client_id LIMIT $3`,
		database.At(page.After), page.AfterID, page.Limit)
	if err != nil {
		return nil, fmt.Errorf("list unused clients: %w", err)
	}
	defer rows.Close()
	all := []Unused{}
	for rows.Next() {
		var c Unused
		var used, since, suspendedAt, noticed database.Time
		var keep bool
		var taken int
		var passed int64
		if err := rows.Scan(&c.ClientID, &c.Name, &used, &since, &suspendedAt, &noticed, &keep, &taken, &passed); err != nil {
			return nil, fmt.Errorf("list unused clients: %w", err)
		}
		c.LastUsedAt, c.UnusedSince, c.SuspendedAt, c.NoticedAt = used.Time, since.Time, suspendedAt.Time, noticed.Time
		if !keep {
			c.Next, c.NextAt = rule.next(taken, c, time.Duration(passed)*time.Second, now)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// next is the fate of a client that took so many steps, the last of them so long ago, and when it
// comes at the earliest.
func (r DisuseRule) next(taken int, c Unused, passed time.Duration, now time.Time) (Fate, time.Time) {
	steps := r.steps()
	if taken >= len(steps) {
		return "", time.Time{}
	}
	fate, wait := steps[taken].fate, -passed
	for _, s := range steps[taken:] {
		if s.fate == fate {
			wait += s.wait
		}
	}
	since := c.UnusedSince
	if fate == Deletion {
		since = c.SuspendedAt
	}
	return fate, latest(now.Add(max(0, wait)), r.planned(fate, since)).UTC().Truncate(time.Second)
}
