package limits

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A clock is that of the database, which is one for all servers. It is read every few seconds; in
// between, time goes on as it does here, whatever becomes of this server's own clock.
type clock struct{ last atomic.Pointer[reading] }

// A reading is what the database's clock said when the server's own said something else.
type reading struct{ database, server time.Time }

const readEvery = 10 * time.Second

// micros is the time of the database in microseconds, or that of the server as long as it was not
// read.
func (c *clock) micros(l *Limiter) int64 {
	now := l.time()
	if r := c.last.Load(); r != nil {
		now = r.database.Add(now.Sub(r.server)) // by the monotonic clock
	}
	return now.UnixMicro()
}

func (l *Limiter) time() time.Time {
	if l.now != nil {
		return l.now()
	}
	return time.Now()
}

// read asks the database for the time if that was too long ago. One that is part of this process
// has no other clock.
func (c *clock) read(ctx context.Context, l *Limiter) error {
	began := l.time()
	if last := c.last.Load(); l.DB.Embedded() || last != nil && began.Sub(last.server) < readEvery {
		return nil
	}
	var now time.Time
	if err := l.DB.QueryRow(ctx, `SELECT CURRENT_TIMESTAMP`).Scan(&now); err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	c.last.Store(&reading{database: now, server: began.Add(l.time().Sub(began) / 2)})
	return nil
}
