package clients

import (
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
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return u.Flush(ctx)
		case <-ticker.C:
			if err := u.Flush(ctx); err != nil && ctx.Err() == nil {
				u.log.WarnContext(ctx, "last use of clients not written, trying again", "err", err)
			}
		}
	}
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

func (u *Usage) write(ctx context.Context, last map[use]int64) error {
	bySecret, byClient := map[string]int64{}, map[string]int64{}
	for use, at := range last {
		bySecret[use.secretID] = at
		byClient[use.clientID] = max(byClient[use.clientID], at)
	}
	return u.db.Transact(ctx, func(ctx context.Context) error {
		if err := u.writeTable(ctx, "client_secrets", bySecret); err != nil {
			return err
		}
		return u.writeTable(ctx, "clients", byClient)
	})
}

// writeTable sets the last use of rows, unless another server has written a later one. Rows are
// in order, so that two servers do not wait for each other.
func (u *Usage) writeTable(ctx context.Context, table string, last map[string]int64) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(last)), useBatch) {
		var values []string
		var args []any
		for i, id := range ids {
			values = append(values, fmt.Sprintf("(CAST($%d AS TEXT), CAST($%d AS BIGINT))", 2*i+1, 2*i+2))
			args = append(args, id, last[id])
		}
		_, err := u.db.Exec(ctx, `UPDATE `+table+` SET last_used_at = used.column2
			FROM (VALUES `+strings.Join(values, ", ")+`) AS used
			WHERE `+table+`.id = used.column1 AND `+table+`.last_used_at < used.column2`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}
