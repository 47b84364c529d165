package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Usage remembers when clients and their secrets were used and from where, and writes it to the
// store now and then, so that a token costs no write: the last use of each secret once a second,
// the rest every ten seconds. A crash loses what was not yet written, but no client's only use of
// a day.
type Usage struct {
	// Written is told how long first uses of a day took to be written. It may be nil; set it before
	// the first call of Use.
	Written func(took time.Duration, err error)

	db    *database.DB
	log   *slog.Logger
	today *today
	first firstUses
	wait  time.Duration // for the first use of a day to be written

	mu       sync.Mutex
	last     map[use]int64 // Unix seconds, not yet in the store
	spent    []string      // batches of first uses that were all recorded
	activity activity
}

type use struct{ clientID, secretID string }

// NewUsage returns a usage that writes to db.
func NewUsage(db *database.DB, log *slog.Logger) *Usage {
	return &Usage{db: db, log: log, today: newToday(), wait: firstUseTimeout, last: map[use]int64{}, activity: newActivity()}
}

// Record notes that a token was given for the secret of the client, to the given address. It does
// not wait for the store; [Usage.Use] does where it must.
func (u *Usage) Record(clientID, secretID, address string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := use{clientID, secretID}
	u.last[key] = max(u.last[key], at.Unix()) // requests may end in another order than they began
	u.activity.record(key, address, at.Unix())
}

// activityEvery is how many seconds of activity are written together.
const activityEvery = 10

// Run writes now and then until ctx ends, and then what is left.
func (u *Usage) Run(ctx context.Context) error {
	if err := inTime(ctx, func(ctx context.Context) error { return u.carryOver(ctx, time.Now()) }); err != nil && ctx.Err() == nil {
		u.log.WarnContext(ctx, "first uses of an earlier process not carried over, trying again in a minute", "err", err)
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for second := 1; ; second++ {
		flush := u.flushLast
		if second%activityEvery == 0 || u.crowded() {
			flush = u.Flush
		}
		select {
		case <-ctx.Done():
			return database.AtEnd(ctx, func(ctx context.Context) error { return inTime(ctx, u.Flush) })
		case <-ticker.C:
			if err := inTime(ctx, flush); err != nil && ctx.Err() == nil {
				u.log.WarnContext(ctx, "use of clients not written, trying again", "err", err)
			}
		}
	}
}

// crowded says whether what is to be written should not wait until it is due.
func (u *Usage) crowded() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.activity.pending) > maxPending/2
}

// inTime flushes with a time limit, because a connection that was cut may not say so for a
// quarter of an hour, while others would do.
func inTime(ctx context.Context, flush func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return flush(ctx)
}

// Flush writes what is not yet in the store. What cannot be written is kept for the next time.
func (u *Usage) Flush(ctx context.Context) error {
	u.mu.Lock()
	spent := u.spent
	u.spent = nil
	u.mu.Unlock()
	err := errors.Join(u.flushLast(ctx), u.flushActivity(ctx))
	if err == nil {
		err = u.forget(ctx, spent)
	}
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.spent = append(u.spent, spent...)
	}
	return err
}

func (u *Usage) flushLast(ctx context.Context) error {
	u.mu.Lock()
	last := u.last
	u.last = make(map[use]int64, len(last))
	u.mu.Unlock()
	err := u.writeLast(ctx, last)
	if err == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for use, at := range last {
		u.last[use] = max(u.last[use], at)
	}
	return fmt.Errorf("write the last use of secrets: %w", err)
}

// writeLast writes last uses. A later use that another server has written stays.
func (u *Usage) writeLast(ctx context.Context, last map[use]int64) error {
	uses := slices.SortedFunc(maps.Keys(last), func(a, b use) int {
		return cmp.Or(strings.Compare(a.clientID, b.clientID), strings.Compare(a.secretID, b.secretID))
	})
	for some := range slices.Chunk(uses, useBatch) {
		var args []any
		for _, use := range some {
			args = append(args, use.clientID, use.secretID, last[use])
		}
		_, err := u.db.Exec(ctx, `INSERT INTO secret_uses (client_id, secret_id, last_used_at) VALUES `+database.Rows(len(some), 3)+`
			ON CONFLICT (client_id, secret_id) DO UPDATE SET last_used_at = excluded.last_used_at
			WHERE secret_uses.last_used_at < excluded.last_used_at`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// useBatch is how many rows one statement writes. Each statement is right by itself, and its rows
// are in order, so that two servers do not wait for each other in a circle. SQLite finds the place
// of each argument by going through all of them, so that larger ones cost more.
const useBatch = 64
