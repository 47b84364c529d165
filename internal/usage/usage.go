// Package usage counts token requests: how many of each client were granted and refused, for
// which audience and from which networks, by the hour and by the day.
//
// Begin with [Counter.Record], which counts in memory. [Counter.Run] writes once a second, in
// batches that a lost answer does not make count twice. [Counter.Read] reads what is in the store,
// and [Counter.Purge] adds up days and takes away what is too old.
package usage

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Granted is the outcome of a token request that was granted. The others are causes of refusals.
const Granted = "granted"

// Account stands for all clients, those that were deleted too, and for requests with an id that
// no client has.
const Account = "*"

// A Request is a token request that was answered.
type Request struct {
	ClientID string // "" for an id that no client has
	Outcome  string // Granted, or the cause of the refusal
	Audience string // several are separated by a blank; "" if the request was refused before it was known
	Address  string // from where
	At       time.Time
}

// A Counter counts the token requests of one server process. What kill -9 takes with it is the
// last second.
type Counter struct {
	// Written is told how long each batch took to be written. It may be nil; set it before Run.
	Written func(took time.Duration, err error)

	log  *slog.Logger
	db   *database.DB
	node string // of this process alone, so that its batches can be numbered
	// transact is db.Transact, but for tests in which answers are lost.
	transact func(context.Context, func(context.Context) error) error

	flushing sync.Mutex // held while a batch is written
	sealed   *batch     // nil, or one of which it is not known that it is in the store
	number   int64      // of the last batch

	mu      sync.Mutex
	tally   tally
	waiting time.Time // since when the oldest request waits to be written; zero: none does
	next    time.Time // likewise without those in the sealed batch
}

// A batch is counts that are written together, once.
type batch struct {
	number int64
	counts map[key]int64
}

// A key is what is alike in requests that are counted together.
type key struct {
	clientID, outcome, audience string
	block                       netip.Prefix // zero: not told apart
	hour                        int64
}

// New returns a counter that writes to db, which has the current schema.
func New(db *database.DB, log *slog.Logger) *Counter {
	return &Counter{log: log, db: db, node: rand.Text(), transact: db.Transact, tally: newTally()}
}

// secondsOfAnHour are in each hour, and hoursOfADay in each day: all times are UTC.
const (
	secondsOfAnHour = 3600
	hoursOfADay     = 24
)

// Record counts a request. It does not wait for the store.
func (c *Counter) Record(r Request) {
	k := key{r.ClientID, r.Outcome, r.Audience, blockOf(r.Address), r.At.Unix() / secondsOfAnHour}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.count(k)
	if c.next.IsZero() {
		c.next = r.At
	}
	if c.waiting.IsZero() {
		c.waiting = r.At
	}
}

// Lag is how long the oldest request has waited to be written.
func (c *Counter) Lag(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting.IsZero() {
		return 0
	}
	return now.Sub(c.waiting)
}

// Run writes once a second until ctx ends, and then what is left.
func (c *Counter) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return database.AtEnd(ctx, c.flushInTime)
		case <-ticker.C:
			if err := c.flushInTime(ctx); err != nil && ctx.Err() == nil {
				c.log.WarnContext(ctx, "counts of token requests not written, trying again", "err", err)
			}
		}
	}
}

// flushInTime is Flush with a time limit, because a connection that was cut may not say so for a
// quarter of an hour, while others would do.
func (c *Counter) flushInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.Flush(ctx)
}
