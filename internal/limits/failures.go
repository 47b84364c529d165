package limits

import (
	"context"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Failures holds off who fails to authenticate again and again, so that guessing costs this server
// little. It is in the memory of each server by itself: secrets cannot be guessed anyway.
//
// What fails is counted by network, and by network and client id, never by the id alone: nobody
// can have a client refused anywhere else than where he is himself. And there a client that
// authenticated within a day is asked all the same (docs/decisions/0020).
type Failures struct {
	// UsedFrom is asked from which addresses a client got tokens since the given time, and when from
	// each last. It may be nil; set it before the first request.
	UsedFrom func(ctx context.Context, clientID string, since time.Time) (map[string]time.Time, error)

	perMinute int64
	seed      maphash.Seed
	asking    chan struct{} // a place for each who asks the store

	mu       sync.Mutex
	networks buckets
	pairs    buckets
	welcome  buckets // of pairs: when they authenticated last
	asked    buckets // of pairs: when the store was asked about them
}

// A share of what a network may fail is what one client id there may: the rest is for the others
// behind the same address. Clients that try Basic and then the body fail twice each time.
const (
	pairShare = 5
	lately    = 24 * time.Hour
)

// NewFailures returns a Failures that lets each network fail so often a minute, and as often at
// once. Of IPv4 a network is one address: its neighbours are others' machines. Of IPv6 it is a
// /64, which one party commonly has to itself.
func NewFailures(perMinute int) *Failures {
	return &Failures{perMinute: int64(perMinute), seed: maphash.MakeSeed(), asking: make(chan struct{}, maxAsking)}
}

// Failed notes that the credentials of a request were not right. It says how long others would have
// to wait that are not looked at any more, so that nobody learns from the answer who is.
func (f *Failures) Failed(clientID, address string, now time.Time) time.Duration {
	if f == nil || f.perMinute == 0 {
		return 0
	}
	network, pair := f.keys(clientID, address)
	f.mu.Lock()
	defer f.mu.Unlock()
	if wait := f.wait(network, pair, now); wait > 0 {
		return wait
	}
	f.pairs.add(pair, f.ofPair(), now)
	f.networks.add(network, f.perMinute, now)
	return 0
}

func (f *Failures) wait(network, pair uint64, now time.Time) time.Duration {
	return max(f.networks.wait(network, f.perMinute, now), f.pairs.wait(pair, f.ofPair(), now))
}

// Succeeded notes that a client authenticated from the address.
func (f *Failures) Succeeded(clientID, address string, now time.Time) {
	if f == nil || f.perMinute == 0 {
		return
	}
	_, pair := f.keys(clientID, address)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.welcome.set(pair, now)
}

func (f *Failures) ofPair() int64 { return max(2, f.perMinute/pairShare) }

// keys are hashes. Two that are the same by chance come to one in 10^13 clients.
func (f *Failures) keys(clientID, address string) (network, pair uint64) {
	network = hashNetwork(f.seed, address)
	return network, join(network, maphash.String(f.seed, clientID))
}

// join makes one hash of two, in their order.
func join(a, b uint64) uint64 { return bits.RotateLeft64(a, 1)*11400714819323198485 ^ b }

// hashNetwork hashes the network of an address; there is one of all that have none.
func hashNetwork(seed maphash.Seed, address string) uint64 {
	if !strings.Contains(address, ":") {
		return maphash.String(seed, address)
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return 0
	}
	if ip = ip.Unmap(); ip.Is4() {
		return maphash.String(seed, ip.String())
	}
	bytes := ip.As16()
	return maphash.Bytes(seed, bytes[:8])
}

// buckets are times by key. When there are too many, those are forgotten that were not touched for
// longest.
type buckets struct{ young, old map[uint64]int64 }

// maxYoung bounds each of the two generations: less than 1 MB, for four kinds of buckets 7 MB.
const maxYoung = 50_000

func (b *buckets) at(key uint64) time.Time {
	at, ok := b.young[key]
	if !ok {
		at = b.old[key]
	}
	return time.UnixMicro(at)
}

func (b *buckets) set(key uint64, at time.Time) {
	if b.young == nil || len(b.young) >= maxYoung {
		b.young, b.old = map[uint64]int64{}, b.young
	}
	b.young[key] = at.UnixMicro()
}

// wait is how long it takes until there is room for another failure.
func (b *buckets) wait(key uint64, perMinute int64, now time.Time) time.Duration {
	each := time.Minute / time.Duration(perMinute)
	return max(0, b.filled(key, now).Add(each).Sub(now.Add(time.Minute)))
}

// filled is until when a bucket has something in it. What a clock said that was ahead does not count.
func (b *buckets) filled(key uint64, now time.Time) time.Time {
	if at := b.at(key); at.Before(now.Add(2 * time.Minute)) {
		return at
	}
	return now
}

// add adds a failure to a bucket, which is full with those of a minute.
func (b *buckets) add(key uint64, perMinute int64, now time.Time) {
	at := b.filled(key, now)
	if at.Before(now) {
		at = now
	}
	b.set(key, at.Add(time.Minute/time.Duration(perMinute)))
}
