package clients

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Usage remembers when clients and their secrets were last used, and writes it to the store
// once a second, so that a token costs no write. A crash loses the last second.
type Usage struct {
	db  *database.DB
	log *slog.Logger

	mu   sync.Mutex
	last map[use]int64 // Unix seconds, not yet in the store
}

type use struct{ clientID, secretID string }

// NewUsage returns a usage that writes to db.
func NewUsage(db *database.DB, log *slog.Logger) *Usage {
	return &Usage{db: db, log: log, last: map[use]int64{}}
}

// Record notes that a token was given for the secret of the client.
func (u *Usage) Record(clientID, secretID string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := use{clientID, secretID}
	u.last[key] = max(u.last[key], at.Unix()) // requests may end in another order than they began
}

// Run writes once a second until ctx ends, and then what is left.
func (u *Usage) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return u.flushInTime(context.WithoutCancel(ctx))
		case <-ticker.C:
			if err := u.flushInTime(ctx); err != nil && ctx.Err() == nil {
				u.log.WarnContext(ctx, "last use of clients not written, trying again", "err", err)
			}
		}
	}
}

// flushInTime is Flush with a time limit, because a connection that was cut may not say so for a
// quarter of an hour, while others would do.
func (u *Usage) flushInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return u.Flush(ctx)
}

// Flush writes what is not yet in the store. What cannot be written is kept for the next time.
func (u *Usage) Flush(ctx context.Context) error {
	u.mu.Lock()
	last := u.last
	u.last = make(map[use]int64, len(last))
	u.mu.Unlock()
	if len(last) == 0 {
		return nil
	}
	err := u.write(ctx, last)
	if err == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for use, at := range last {
		u.last[use] = max(u.last[use], at)
	}
	return fmt.Errorf("write the last use of clients: %w", err)
}

// useBatch is how many uses one statement writes.
const useBatch = 256

// write writes uses, many in a statement, each of which is right by itself. A later use that
// another server has written stays. Rows are in order, so that two servers do not wait for each
// other in a circle.
func (u *Usage) write(ctx context.Context, last map[use]int64) error {
	uses := slices.SortedFunc(maps.Keys(last), func(a, b use) int {
		return cmp.Or(strings.Compare(a.clientID, b.clientID), strings.Compare(a.secretID, b.secretID))
	})
	for some := range slices.Chunk(uses, useBatch) {
		var rows []string
		var args []any
		for i, use := range some {
			rows = append(rows, fmt.Sprintf("($%d, $%d, $%d)", 3*i+1, 3*i+2, 3*i+3))
			args = append(args, use.clientID, use.secretID, last[use])
		}
		_, err := u.db.Exec(ctx, `INSERT INTO secret_uses (client_id, secret_id, last_used_at) VALUES `+strings.Join(rows, ", ")+`
			ON CONFLICT (client_id, secret_id) DO UPDATE SET last_used_at = excluded.last_used_at
			WHERE secret_uses.last_used_at < excluded.last_used_at`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}
