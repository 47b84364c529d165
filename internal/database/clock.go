package database

import (
	"context"
	"fmt"
	"time"
)

// Clock says what time it is by the database, which is one for all servers. One that is part of
// this process has no clock of its own.
func (db *DB) Clock(ctx context.Context) (now time.Time, err error) {
	if db.Embedded() {
		return time.Now(), nil
	}
	if err := db.QueryRow(ctx, `SELECT CURRENT_TIMESTAMP`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the database's clock: %w", err)
	}
	return now, nil
}
