package refusals

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
)

// A Tally counts refusals, and writes the counts to the store once a second, so that a refusal
// costs no access to it. A crash loses the last second.
type Tally struct {
	db  *database.DB
	log *slog.Logger
	key cipher.Block // of error_ids

	flushing sync.Mutex // held while counts are written

	mu      sync.Mutex
	hours   map[int64]*hour
	pending map[bucket]*pending // not yet in the store
}

// A pending is what is to be added to a row.
type pending struct {
	*row
	count       int64
	first, last int64 // Unix seconds
}

// New returns a tally in db, which has the current schema. The first 16 bytes of the key are that
// of error_ids: the same on every server of one database, and not in it.
func New(db *database.DB, key []byte, log *slog.Logger) *Tally {
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		panic(err) // only for a key of another length
	}
	return &Tally{db: db, log: log, key: block, hours: map[int64]*hour{}, pending: map[bucket]*pending{}}
}

// Record counts a refusal, and returns the error_id for its answer. It does not wait for the store.
func (t *Tally) Record(r Refusal) (errorID string) {
	return t.seal(t.count(r.clean()), r.At)
}

func (t *Tally) count(r Refusal) bucket {
	at := r.At.Unix()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hour(at / 3600)
	to := h.row(r)
	if t.pending[to.bucket] == nil && len(t.pending) >= maxRows {
		to = h.last(r.Cause)
	}
	p := t.pending[to.bucket]
	if p == nil {
		p = &pending{row: to, first: at}
		t.pending[to.bucket] = p
	}
	p.count++
	p.first, p.last = min(p.first, at), max(p.last, at) // requests may end in another order than they began
	return to.bucket
}

// hour returns the rows of an hour. Those of the hours next to it are kept too: a request may have
// begun in the one before.
func (t *Tally) hour(number int64) *hour {
	h := t.hours[number]
	if h == nil {
		h = newHour(number)
		t.hours[number] = h
		maps.DeleteFunc(t.hours, func(other int64, _ *hour) bool { return other < number-1 || other > number+1 })
	}
	return h
}

// isClientID says whether the id is written as those of clients are.
func isClientID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// Run writes once a second until ctx ends, and then what is left.
func (t *Tally) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return t.flushInTime(context.WithoutCancel(ctx))
		case <-ticker.C:
			if err := t.flushInTime(ctx); err != nil && ctx.Err() == nil {
				t.log.WarnContext(ctx, "refused token requests not written, trying again", "err", err)
			}
		}
	}
}

// flushInTime is Flush with a time limit, because a connection that was cut may not say so for a
// quarter of an hour, while others would do.
func (t *Tally) flushInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return t.Flush(ctx)
}

// Flush writes what is not yet in the store. What cannot be written is kept for the next time; if
// only the store's answer was lost, it counts twice.
func (t *Tally) Flush(ctx context.Context) error {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	for some := range slices.Chunk(t.unwritten(), batch) {
		if err := t.write(ctx, some); err != nil {
			return fmt.Errorf("write refused token requests: %w", err)
		}
		t.written(some)
	}
	return nil
}

// unwritten is what is not yet in the store, in order, so that two servers do not wait for each
// other in a circle.
func (t *Tally) unwritten() []pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]pending, 0, len(t.pending))
	for _, p := range t.pending {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b pending) int { return bytes.Compare(a.bucket[:], b.bucket[:]) })
	return all
}

// written forgets counts that are in the store.
func (t *Tally) written(some []pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range some {
		p := t.pending[w.bucket]
		if p.count -= w.count; p.count == 0 {
			delete(t.pending, w.bucket)
		}
	}
}
