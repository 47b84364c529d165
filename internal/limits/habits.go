package limits

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Habits counts what clients do that costs them more than it must: asking for a token while the
// last one, for the same audience and scope and to the same address, has more than half its life
// left; and asking beyond their limits. It counts in memory and writes every few seconds; what it
// says is good advice, not a bill.
type Habits struct {
	DB  *database.DB
	Log *slog.Logger

	mu      sync.Mutex
	seed    maphash.Seed
	halves  buckets // when the last token is through half its life
	pending map[string]*Habit
}

// A Habit is what a client did on a day.
type Habit struct {
	ClientID  string
	Early     int64  // tokens that were asked for too early
	Over      int64  // requests over a limit
	UserAgent string // of the last early one
}

// A Token is what there is to know of one that was given.
type Token struct {
	ClientID  string
	Audience  []string
	Scope     string
	Address   string
	UserAgent string
	At        time.Time
	Lifetime  time.Duration
}

// Bounds of what is counted.
const (
	maxHabits    = 4_000 // clients between two writes
	maxUserAgent = 100
	habitsKept   = 30  // days
	habitBatch   = 200 // in one statement
	writeEvery   = 5 * time.Second
)

// Given notes that a token was given.
func (h *Habits) Given(t Token) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin()
	key := h.key(t)
	early := t.At.Before(h.halves.at(key))
	h.halves.set(key, t.At.Add(t.Lifetime/2))
	if !early {
		return
	}
	if habit := h.of(t.ClientID); habit != nil {
		habit.Early++
		habit.UserAgent = plain(t.UserAgent)
	}
}

// Over notes that a client asked beyond a limit.
func (h *Habits) Over(clientID string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if habit := h.of(clientID); habit != nil {
		habit.Over++
	}
}

// key is of what one token is kept for.
func (h *Habits) key(t Token) uint64 {
	key := join(maphash.String(h.seed, t.ClientID), maphash.String(h.seed, t.Scope))
	for _, audience := range t.Audience {
		key = join(key, maphash.String(h.seed, audience))
	}
	return join(key, maphash.String(h.seed, t.Address))
}

func (h *Habits) begin() {
	if h.pending == nil {
		h.pending, h.seed = map[string]*Habit{}, maphash.MakeSeed()
	}
}

// of is what is to be written of a client, nil if there is no room for it.
func (h *Habits) of(clientID string) *Habit {
	h.begin()
	habit := h.pending[clientID]
	if habit == nil && len(h.pending) < maxHabits {
		habit = &Habit{ClientID: clientID}
		h.pending[clientID] = habit
	}
	return habit
}

// plain is what is kept of the name that a client gives itself: product and version, and nothing
// that looks like a secret.
func plain(userAgent string) string {
	userAgent = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, userAgent[:min(len(userAgent), maxUserAgent)])
	if before, _, found := strings.Cut(userAgent, "wks_"); found {
		return before
	}
	return userAgent
}

// Run writes every few seconds until ctx ends, and then what is left.
func (h *Habits) Run(ctx context.Context) error {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return h.Flush(context.WithoutCancel(ctx), time.Now())
		case now := <-ticker.C:
			if err := h.Flush(ctx, now); err != nil && ctx.Err() == nil {
				h.Log.WarnContext(ctx, "habits of clients not written, trying again", "err", err)
			}
		}
	}
}

// Flush writes what is not yet in the store. What cannot be written is kept for the next time.
func (h *Habits) Flush(ctx context.Context, now time.Time) error {
	h.mu.Lock()
	pending := h.pending
	if pending != nil {
		h.pending = map[string]*Habit{}
	}
	h.mu.Unlock()
	all := slices.SortedFunc(maps.Values(pending), func(a, b *Habit) int { return cmp.Compare(a.ClientID, b.ClientID) })
	for some := range slices.Chunk(all, habitBatch) {
		if err := h.write(ctx, some, now); err != nil {
			h.keep(pending)
			return fmt.Errorf("write the habits of clients: %w", err)
		}
		for _, habit := range some {
			delete(pending, habit.ClientID)
		}
	}
	return nil
}

// write adds to what the store has. The rows are in order, so that two servers do not wait for each
// other in a circle.
func (h *Habits) write(ctx context.Context, some []*Habit, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var args []any
	for _, habit := range some {
		args = append(args, habit.ClientID, dayOf(now), habit.Early, habit.Over, habit.UserAgent)
	}
	_, err := h.DB.Exec(ctx, `INSERT INTO token_habits (client_id, day, early, over_limit, user_agent)
		VALUES `+database.Rows(len(some), 5)+`
		ON CONFLICT (client_id, day) DO UPDATE SET early = token_habits.early + excluded.early,
		over_limit = token_habits.over_limit + excluded.over_limit,
		user_agent = CASE excluded.user_agent WHEN '' THEN token_habits.user_agent ELSE excluded.user_agent END`, args...)
	return err
}

// keep adds what was not written to what came since.
func (h *Habits) keep(unwritten map[string]*Habit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, habit := range unwritten {
		if now := h.of(id); now != nil {
			now.Early += habit.Early
			now.Over += habit.Over
			now.UserAgent = cmp.Or(now.UserAgent, habit.UserAgent)
		}
	}
}

// dayOf is the day of a time by its number since 1970, in UTC.
func dayOf(at time.Time) int64 { return at.UnixMicro() / day }

// Today returns the habits of a client on the day of the given time.
func (h *Habits) Today(ctx context.Context, clientID string, now time.Time) (Habit, error) {
	habit := Habit{ClientID: clientID}
	err := h.DB.QueryRow(ctx, `SELECT early, over_limit, user_agent FROM token_habits WHERE client_id = $1 AND day = $2`,
		clientID, dayOf(now)).Scan(&habit.Early, &habit.Over, &habit.UserAgent)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return habit, fmt.Errorf("read the habits of client %s: %w", clientID, err)
	}
	return habit, nil
}

// Worst returns the clients that asked most often for tokens too early on the day of the given
// time.
func (h *Habits) Worst(ctx context.Context, now time.Time, limit int) ([]Habit, error) {
	rows, err := h.DB.Query(ctx, `SELECT client_id, early, over_limit, user_agent FROM token_habits
		WHERE day = $1 AND early > 0 ORDER BY early DESC, client_id LIMIT $2`, dayOf(now), limit)
	if err != nil {
		return nil, fmt.Errorf("read the habits of clients: %w", err)
	}
	defer rows.Close()
	all := []Habit{}
	for rows.Next() {
		var habit Habit
		if err := rows.Scan(&habit.ClientID, &habit.Early, &habit.Over, &habit.UserAgent); err != nil {
			return nil, fmt.Errorf("read the habits of clients: %w", err)
		}
		all = append(all, habit)
	}
	return all, rows.Err()
}

// Purge forgets days that are too long ago.
func (h *Habits) Purge(ctx context.Context, now time.Time) error {
	if _, err := h.DB.Exec(ctx, `DELETE FROM token_habits WHERE day < $1`, dayOf(now)-habitsKept); err != nil {
		return fmt.Errorf("purge the habits of clients: %w", err)
	}
	return nil
}
