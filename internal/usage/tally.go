package usage

import (
	"hash/maphash"
	"net/netip"
)

// Bounds of what one process counts. Beyond each, requests are counted in a row that tells less.
const (
	maxBlocks = 64      // of a client in an hour, and as many again where it was refused
	maxSeen   = 1 << 17 // blocks of all clients in an hour, at most half of them where they were refused
	maxRows   = 50_000  // in one batch; beyond, whose requests they were is given up, but not how many
)

// A tally counts requests until they are sealed into a batch, within bounds.
type tally struct {
	counts map[key]int64
	spare  map[key]int64 // an empty one, so that a new batch does not need to grow again

	hour   int64 // the newest, by the clock as it is
	seed   maphash.Seed
	seen   map[uint64]struct{} // hashes of the clients and blocks of that hour
	blocks map[uint64]uint8    // how many of them by the hash of the client, granted and refused apart
}

func newTally() tally { return tally{counts: map[key]int64{}, seed: maphash.MakeSeed()} }

func (t *tally) count(k key) {
	if n, ok := t.counts[k]; ok {
		t.counts[k] = n + 1
		return
	}
	t.counts[t.place(k)]++
}

// place is where a request counts that is the first of its kind in the batch.
func (t *tally) place(k key) key {
	if !t.distinct(k) {
		k.block = netip.Prefix{}
	}
	if t.room(k) {
		return k
	}
	k.block = netip.Prefix{}
	if t.room(k) {
		return k
	}
	return key{outcome: k.outcome, hour: k.hour}
}

func (t *tally) room(k key) bool {
	_, known := t.counts[k]
	return known || len(t.counts) < maxRows
}

// distinct says whether the block of a request is told apart from others of the client. Refused ones
// have bounds of their own: a stranger causes as many as they like, and must not hide from where
// tokens were got.
func (t *tally) distinct(k key) bool {
	// One that began in the hour before may come late. An older one is from a clock that was set back:
	// the hour of before may be a year away.
	if k.hour > t.hour || k.hour < t.hour-1 || t.seen == nil {
		t.hour, t.seen, t.blocks = k.hour, map[uint64]struct{}{}, map[uint64]uint8{}
	}
	granted, most := k.outcome == Granted, maxSeen
	if !granted {
		most /= 2
	}
	client := maphash.Comparable(t.seed, counted{k.clientID, granted})
	place := maphash.Comparable(t.seed, seenAt{client, k.block})
	if _, ok := t.seen[place]; ok {
		return true
	}
	if t.blocks[client] >= maxBlocks || len(t.seen) >= most {
		return false
	}
	t.seen[place] = struct{}{}
	t.blocks[client]++
	return true
}

type counted struct {
	clientID string
	granted  bool
}

type seenAt struct {
	client uint64
	block  netip.Prefix
}

// take returns what was counted, and begins anew.
func (t *tally) take() map[key]int64 {
	taken := t.counts
	if t.counts = t.spare; t.counts == nil {
		t.counts = make(map[key]int64, len(taken))
	}
	t.spare = nil
	return taken
}

// giveBack lets the memory of a batch be used again, unless it has become much.
func (t *tally) giveBack(counts map[key]int64) {
	if len(counts) <= maxRows/10 {
		clear(counts)
		t.spare = counts
	}
}

// blockOf is the network that counts as one place: what one party commonly has to itself.
func blockOf(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 48
	if ip = ip.Unmap(); ip.Is4() {
		bits = 24
	}
	block, _ := ip.WithZone("").Prefix(bits) // fails only for more bits than there are
	return block
}
