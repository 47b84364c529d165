package usage

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Flush writes what is not yet in the store. A batch of which it is not known whether it is there,
// because the answer was lost, is written again as it was, and the store knows it by its number;
// what is counted meanwhile waits for the next.
func (c *Counter) Flush(ctx context.Context) error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	if c.sealed != nil {
		if err := c.write(ctx); err != nil {
			return err
		}
	}
	if !c.seal() {
		return nil
	}
	return c.write(ctx)
}

// seal makes a batch of what was counted, if anything was.
func (c *Counter) seal() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tally.counts) == 0 {
		return false
	}
	c.number++
	c.sealed = &batch{number: c.number, counts: c.tally.take()}
	c.next = time.Time{}
	return true
}

// write writes the sealed batch.
func (c *Counter) write(ctx context.Context) error {
	rows, begun := rowsOf(c.sealed.counts), time.Now()
	err := c.transact(ctx, func(ctx context.Context) error {
		fresh, err := c.claim(ctx, c.sealed.number)
		if err != nil || !fresh {
			return err
		}
		return c.add(ctx, rows)
	})
	if c.Written != nil {
		c.Written(time.Since(begun), err)
	}
	if err != nil {
		return fmt.Errorf("write counts of token requests: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.giveBack(c.sealed.counts)
	c.sealed, c.waiting = nil, c.next
	return nil
}

// claim says whether the batch is not in the store yet, and notes that it will be.
func (c *Counter) claim(ctx context.Context, number int64) (fresh bool, err error) {
	n, err := c.db.Exec(ctx, `INSERT INTO usage_nodes (node, batch, seen_at) VALUES ($1, $2, $3)
		ON CONFLICT (node) DO UPDATE SET batch = excluded.batch, seen_at = excluded.seen_at WHERE usage_nodes.batch < excluded.batch`,
		c.node, number, database.At(time.Now()))
	return n == 1, err
}

// A row is what is added to one of the store.
type row struct {
	clientID, outcome, audience, block string
	period                             int64 // an hour or a day
	requests                           int64
}

func compareRows(a, b row) int {
	return cmp.Or(strings.Compare(a.clientID, b.clientID), cmp.Compare(a.period, b.period), strings.Compare(a.outcome, b.outcome),
		strings.Compare(a.audience, b.audience), strings.Compare(a.block, b.block))
}

// rowsOf are the rows of the clients and of the account, in order, so that two servers do not wait
// for each other in a circle.
func rowsOf(counts map[key]int64) []row {
	rows := make([]row, 0, len(counts)+8)
	account := map[key]int64{}
	for k, n := range counts {
		rows = append(rows, k.row(n))
		k.clientID, k.block = Account, netip.Prefix{}
		account[k] += n
	}
	for k, n := range account {
		rows = append(rows, k.row(n))
	}
	slices.SortFunc(rows, compareRows)
	return rows
}

func (k key) row(requests int64) row {
	r := row{clientID: k.clientID, outcome: k.outcome, audience: k.audience, period: k.hour, requests: requests}
	if k.block.IsValid() {
		r.block = k.block.String()
	}
	return r
}

// add adds rows to their hours, and to the days of those that were added up already: requests may
// be written long after they were counted.
func (c *Counter) add(ctx context.Context, rows []row) error {
	rolled, err := c.rolledUntil(ctx)
	if err != nil {
		return err
	}
	if err := c.upsert(ctx, hours, rows); err != nil {
		return err
	}
	return c.upsert(ctx, days, daysOf(rows, rolled))
}

// daysOf adds up rows of the hours before the given one by the day.
func daysOf(rows []row, until int64) []row {
	sums := map[row]int64{}
	for _, r := range rows {
		if r.period >= until {
			continue
		}
		n := r.requests
		r.period, r.requests = r.period/hoursOfADay, 0
		sums[r] += n
	}
	byDay := make([]row, 0, len(sums))
	for r, n := range sums {
		r.requests = n
		byDay = append(byDay, r)
	}
	slices.SortFunc(byDay, compareRows)
	return byDay
}

// A table is one of the two that hold counts.
type table struct{ name, period string }

var (
	hours = table{"usage_hours", "hour"}
	days  = table{"usage_days", "day"}
)

// rowsAtOnce is how many rows one statement writes: SQLite finds the place of each argument by
// going through all of them, so that a few large statements cost several times as much.
const rowsAtOnce = 32

// upsert adds rows to those of the table.
func (c *Counter) upsert(ctx context.Context, to table, rows []row) error {
	for some := range slices.Chunk(rows, rowsAtOnce) {
		args := make([]any, 0, 6*len(some))
		for _, r := range some {
			args = append(args, r.clientID, r.period, r.outcome, r.audience, r.block, r.requests)
		}
		_, err := c.db.Exec(ctx, `INSERT INTO `+to.name+` (client_id, `+to.period+`, outcome, audience, block, requests)
			VALUES `+database.Rows(len(some), 6)+`
			ON CONFLICT (client_id, `+to.period+`, outcome, audience, block) DO UPDATE SET requests = `+to.name+`.requests + excluded.requests`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}
