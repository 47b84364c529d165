package limits

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A clock is that of the database, which is one for all servers. It is read with each purchase, and
// every few seconds at least; in between, time goes on as it does here, whatever becomes of this
// server's own clock.
type clock struct{ last atomic.Pointer[reading] }

// A reading is what the database's clock said when the server's own said something else.
type reading struct{ database, server time.Time }

const readEvery = 10 * time.Second

// micros is the time of the database in microseconds, or that of the server as long as it was not
// read.
func (c *clock) micros(l *Limiter) int64 { return c.at(l.time()).UnixMicro() }

// at is what the database's clock says when the server's own says something else.
func (c *clock) at(server time.Time) time.Time {
	if r := c.last.Load(); r != nil {
		return r.database.Add(server.Sub(r.server)) // by the monotonic clock
	}
	return server
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
	c.last.Store(&reading{now, between(began, l.time())})
	return nil
}

// check notes what the database says that its time was since the server's own was began, if that is
// another than it should be: its clock was set, or this machine stood still. Small differences are
// how long the answer took.
func (c *clock) check(l *Limiter, database, began time.Time) {
	server := between(began, l.time())
	if l.DB.Embedded() || c.at(server).Sub(database).Abs() < time.Second {
		return
	}
	c.last.Store(&reading{database, server})
}

// between is the time between two others.
func between(a, b time.Time) time.Time { return a.Add(b.Sub(a) / 2) }
