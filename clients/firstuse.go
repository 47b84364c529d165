package clients

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Unused clients are deleted in the end, so the first use of each client on each day is in the
// store before its token is given (docs/decisions/0007). Later ones of the day can wait a second.
//
// It is in a table of its own first, because a row for each use in tables that are in the order of
// ids costs ten times as much as one row for all that wait.

// firstUseTimeout is how long a token may wait for the first use of its client to be written.
const firstUseTimeout = time.Second

// Use notes that a token is about to be given for the secret of the client, to the given address.
// The first time on each day it waits until the store knows of it; an error means that it does not,
// and that the token must not be given.
func (u *Usage) Use(ctx context.Context, clientID, secretID, address string, at time.Time) error {
	if u.today.knows(clientID, at) {
		u.Record(clientID, secretID, address, at)
		return nil
	}
	b := u.first.join(u, use{clientID, secretID}, at)
	defer u.leave(b)
	select {
	case <-b.done:
	case <-ctx.Done():
		return fmt.Errorf("write the first use of a day: %w", ctx.Err())
	}
	if b.err != nil {
		return fmt.Errorf("write the first use of a day: %w", b.err)
	}
	u.today.learn(clientID, at)
	u.Record(clientID, secretID, address, at)
	return nil
}

// leave is called for each use of a batch when it is recorded, or when its token is not given.
func (u *Usage) leave(b *firstBatch) {
	if b.present.Add(-1) == 0 {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.spent = append(u.spent, b.id)
	}
}

// A today knows which clients have a use of which day in the store. It forgets those that were not
// seen for longest, and then writes once more than it must. Days are kept apart by what is
// remembered, not by which is the newest: a clock that was ahead for a while changes nothing.
type today struct {
	mu         sync.Mutex
	seed       maphash.Seed
	newest     int64               // day
	young, old map[uint64]struct{} // hashes of ids and days
}

// maxYoung is how many are remembered in each of the two generations: 10 MB in all.
const maxYoung = 160_000

func newToday() *today { return &today{seed: maphash.MakeSeed(), young: map[uint64]struct{}{}} }

// hash is that of a client on the day of the given time. Two are the same too seldom to count, and
// all that comes of it is a use that is written a second later.
func (t *today) hash(clientID string, at time.Time) uint64 {
	return maphash.Comparable(t.seed, struct {
		clientID string
		day      int64
	}{clientID, dayOf(at)})
}

// knows says whether the client was used on the day of the given time.
func (t *today) knows(clientID string, at time.Time) bool {
	hash := t.hash(clientID, at)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.young[hash]; ok {
		return true
	}
	_, ok := t.old[hash]
	if ok {
		t.add(hash)
	}
	return ok
}

// learn notes that the client was used on the day of the given time.
func (t *today) learn(clientID string, at time.Time) {
	hash := t.hash(clientID, at)
	t.mu.Lock()
	defer t.mu.Unlock()
	if day := dayOf(at); day > t.newest {
		t.newest = day
		t.turn() // of the days before, little is asked any more
	}
	t.add(hash)
}

func (t *today) add(hash uint64) {
	if len(t.young) >= maxYoung {
		t.turn()
	}
	t.young[hash] = struct{}{}
}

func (t *today) turn() { t.young, t.old = map[uint64]struct{}{}, t.young }

// dayOf is the day of a time by its number since 1970, in UTC.
func dayOf(at time.Time) int64 { return at.Unix() / (24 * secondsOfAnHour) }

// firstUses writes first uses. Those that wait at the same time share one transaction: at midnight
// all clients come at once.
type firstUses struct {
	mu      sync.Mutex
	waiting *firstBatch // not being written yet; nil: none
	sending bool
}

// A firstBatch is first uses that are written together.
type firstBatch struct {
	id      string
	begun   time.Time // when its first use came
	uses    []firstUse
	present atomic.Int64 // uses that have not left, and the batch itself until it is written
	done    chan struct{}
	err     error // set before done is closed
}

// A firstUse is one in the store.
type firstUse struct {
	ClientID string `json:"client"`
	SecretID string `json:"secret"`
	At       int64  `json:"at"` // Unix seconds
}

// join adds a use to the batch that waits, and sees to it that somebody will write it.
func (f *firstUses) join(to *Usage, by use, at time.Time) *firstBatch {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.waiting = &firstBatch{id: rand.Text(), begun: time.Now(), done: make(chan struct{})}
		f.waiting.present.Add(1)
	}
	b := f.waiting
	b.uses = append(b.uses, firstUse{by.clientID, by.secretID, at.Unix()})
	b.present.Add(1)
	if !f.sending {
		f.sending = true
		go f.send(to)
	}
	return b
}

// send writes batches until none waits. It ends by itself: each has a time limit.
func (f *firstUses) send(to *Usage) {
	for {
		runtime.Gosched() // requests that are ready to run join first
		b := f.take()
		if b == nil {
			return
		}
		b.err = to.writeFirst(b)
		close(b.done)
		to.leave(b)
	}
}

// take returns the batch to write now; nothing joins it any more. With nil, the sender is done.
func (f *firstUses) take() *firstBatch {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.waiting
	f.waiting, f.sending = nil, b != nil
	return b
}

// writeFirst writes a batch. The time that it has waited counts.
func (u *Usage) writeFirst(b *firstBatch) error {
	text, err := json.Marshal(b.uses)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(context.Background(), b.begun.Add(u.wait))
	defer cancel()
	begun := time.Now()
	_, err = u.db.Exec(ctx, `INSERT INTO first_uses (id, written_at, uses) VALUES ($1, $2, $3)`, b.id, database.At(begun), string(text))
	if u.Written != nil {
		u.Written(time.Since(begun), err)
	}
	return err
}

// forget takes away batches whose uses are where they belong.
func (u *Usage) forget(ctx context.Context, ids []string) error {
	for some := range slices.Chunk(ids, useBatch) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		if _, err := u.db.Exec(ctx, `DELETE FROM first_uses WHERE id IN `+database.Places(0, len(some)), args...); err != nil {
			return fmt.Errorf("forget first uses: %w", err)
		}
	}
	return nil
}

// How much is carried over at once, and how long the server that wrote it has to do so itself.
const (
	carriedAtOnce = 200
	carriedAfter  = time.Minute
)

// CarryOver writes the first uses of servers that were killed where they belong, some at a time.
// It does no harm to those that live: they would write the same.
func (u *Usage) CarryOver(ctx context.Context, now time.Time) error {
	return u.carryOver(ctx, now.Add(-carriedAfter))
}

func (u *Usage) carryOver(ctx context.Context, until time.Time) error {
	return u.db.Transact(ctx, func(ctx context.Context) error {
		ids, uses, err := u.readFirst(ctx, until)
		if err != nil || len(ids) == 0 {
			return err
		}
		last, byClient := map[use]int64{}, map[string]int64{}
		for _, f := range uses {
			by := use{f.ClientID, f.SecretID}
			last[by] = max(last[by], f.At)
			byClient[f.ClientID] = max(byClient[f.ClientID], f.At)
		}
		if err := u.writeClients(ctx, byClient); err != nil {
			return err
		}
		if err := u.writeLast(ctx, last); err != nil {
			return err
		}
		return u.forget(ctx, ids)
	})
}

// readFirst reads batches that were written until the given time.
func (u *Usage) readFirst(ctx context.Context, until time.Time) (ids []string, uses []firstUse, err error) {
	rows, err := u.db.Query(ctx, `SELECT id, uses FROM first_uses WHERE written_at <= $1 ORDER BY id LIMIT $2`, database.At(until), carriedAtOnce)
	if err != nil {
		return nil, nil, fmt.Errorf("read first uses: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, nil, fmt.Errorf("read first uses: %w", err)
		}
		var some []firstUse
		if err := json.Unmarshal([]byte(text), &some); err != nil {
			return nil, nil, fmt.Errorf("read first uses: %w", err)
		}
		ids, uses = append(ids, id), append(uses, some...)
	}
	return ids, uses, rows.Err()
}
