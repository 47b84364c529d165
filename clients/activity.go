package clients

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/internal/database"
)

// Bounds of what one server counts.
const (
	maxAddresses = 100     // of a secret in an hour; the rest has the address ''
	maxSeen      = 1 << 18 // of all secrets in an hour
	maxPending   = 50_000  // rows to write; beyond, addresses become '', and there is one for each secret
)

const (
	secondsOfAnHour = 3600
	aMoment         = 60 // seconds
)

// An activity counts uses by secret, hour and address until they are written.
type activity struct {
	pending map[origin]tally

	hour      int64 // in which uses fall
	seed      maphash.Seed
	seen      map[uint64]struct{} // hashes of the secrets and addresses of this hour
	addresses map[uint64]int      // how many of them by the hash of the secret
}

// An origin is where uses came from.
type origin struct {
	use
	hour    int64
	address string
}

type tally struct{ uses, last int64 }

func newActivity() activity {
	return activity{pending: map[origin]tally{}, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, addresses: map[uint64]int{}}
}

func (a *activity) record(by use, address string, at int64) {
	// Requests may end in another order than they began: one of a moment before the hour falls in it
	// too. A use of longer ago tells that the clock was ahead.
	if hour := at / secondsOfAnHour; hour > a.hour || at < a.hour*secondsOfAnHour-aMoment {
		a.hour, a.seen, a.addresses = hour, map[uint64]struct{}{}, map[uint64]int{}
	}
	from := origin{by, a.hour, address}
	if !a.distinct(from) {
		from.address = ""
	}
	a.add(from, tally{1, at})
}

// distinct says whether the address is counted by itself.
func (a *activity) distinct(from origin) bool {
	secret, place := maphash.Comparable(a.seed, from.use), maphash.Comparable(a.seed, from)
	if _, ok := a.seen[place]; ok {
		return true
	}
	if a.addresses[secret] >= maxAddresses || len(a.seen) >= maxSeen {
		return false
	}
	a.seen[place] = struct{}{}
	a.addresses[secret]++
	return true
}

// add adds to what is to be written. When that is too much, addresses are given up, but no use: who
// looks unused is deleted in the end.
func (a *activity) add(from origin, more tally) {
	sum, ok := a.pending[from]
	if !ok && len(a.pending) >= maxPending {
		from.address = ""
		sum = a.pending[from]
	}
	a.pending[from] = tally{sum.uses + more.uses, max(sum.last, more.last)}
}

func (u *Usage) flushActivity(ctx context.Context) error {
	u.mu.Lock()
	pending := u.activity.pending
	u.activity.pending = make(map[origin]tally, len(pending))
	u.mu.Unlock()
	err := u.writeClients(ctx, lastOf(pending))
	if err == nil {
		err = u.writeActivity(ctx, pending)
	}
	if err == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for from, more := range pending {
		u.activity.add(from, more)
	}
	return fmt.Errorf("write the activity of secrets: %w", err)
}

// lastOf is the last use of each client.
func lastOf(pending map[origin]tally) map[string]int64 {
	last := map[string]int64{}
	for from, t := range pending {
		last[from.clientID] = max(last[from.clientID], t.last)
	}
	return last
}

// writeClients writes the last use of each client, by which lists are sorted and unused ones found.
func (u *Usage) writeClients(ctx context.Context, last map[string]int64) error {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(last)), useBatch) {
		var args []any
		for _, id := range some {
			args = append(args, id, last[id])
		}
		_, err := u.db.Exec(ctx, `INSERT INTO client_uses (client_id, last_used_at) VALUES `+database.Rows(len(some), 2)+`
			ON CONFLICT (client_id) DO UPDATE SET last_used_at = excluded.last_used_at
			WHERE client_uses.last_used_at < excluded.last_used_at`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// writeActivity adds to what the store has, and takes what it has written out of pending, so that
// nothing is counted twice.
func (u *Usage) writeActivity(ctx context.Context, pending map[origin]tally) error {
	origins := make([]origin, 0, len(pending))
	for from := range pending {
		origins = append(origins, from)
	}
	slices.SortFunc(origins, func(a, b origin) int {
		return cmp.Or(strings.Compare(a.clientID, b.clientID), strings.Compare(a.secretID, b.secretID),
			cmp.Compare(a.hour, b.hour), strings.Compare(a.address, b.address))
	})
	for some := range slices.Chunk(origins, useBatch/4) {
		var args []any
		for _, from := range some {
			t := pending[from]
			args = append(args, from.clientID, from.secretID, from.hour, from.address, t.uses, t.last)
		}
		_, err := u.db.Exec(ctx, `INSERT INTO secret_activity (client_id, secret_id, hour, address, uses, last_used_at)
			VALUES `+database.Rows(len(some), 6)+`
			ON CONFLICT (client_id, secret_id, hour, address) DO UPDATE SET uses = secret_activity.uses + excluded.uses,
			last_used_at = CASE WHEN secret_activity.last_used_at < excluded.last_used_at
				THEN excluded.last_used_at ELSE secret_activity.last_used_at END`, args...)
		if err != nil {
			return err
		}
		for _, from := range some {
			delete(pending, from)
		}
	}
	return nil
}
