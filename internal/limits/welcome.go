package limits

import (
	"context"
	"time"
)

// askedEvery is for how long the store's answer about a client at a network holds.
const askedEvery = time.Minute

// How many requests ask the store at once, while others wait for their turn, and for how long each
// does both.
const (
	maxAsking = 4
	maxAsk    = time.Second
)

// Wait says how long a request with the client id from the address is not looked at; zero if it is.
//
// Before it holds off a client of which this server does not know that it was let in there, it asks
// the store, which knows better after a restart and of other servers. When that does not
// answer, the client is not held off because of it.
func (f *Failures) Wait(ctx context.Context, clientID, address string, now time.Time) time.Duration {
	if f == nil || f.perMinute == 0 {
		return 0
	}
	network, pair := f.keys(clientID, address)
	wait, sure := f.look(network, pair, now)
	if sure {
		return wait
	}
	last, err := f.lastAt(ctx, clientID, network, now)
	if err != nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked.set(pair, now)
	if last.IsZero() {
		return wait
	}
	f.welcome.set(pair, last)
	return 0
}

// look is how long a pair has to wait by what this server knows, and whether that is all there is to
// know.
func (f *Failures) look(network, pair uint64, now time.Time) (wait time.Duration, sure bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait = f.wait(network, pair, now)
	if wait == 0 || now.Sub(f.welcome.at(pair)) < lately {
		return 0, true
	}
	age := now.Sub(f.asked.at(pair))
	return wait, f.UsedFrom == nil || age >= 0 && age < askedEvery
}

// lastAt is when the client last got a token in the network, as far as that is lately; zero if it
// did not.
func (f *Failures) lastAt(ctx context.Context, clientID string, network uint64, now time.Time) (last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxAsk)
	defer cancel()
	select {
	case f.asking <- struct{}{}:
		defer func() { <-f.asking }()
	case <-ctx.Done():
		return last, ctx.Err()
	}
	used, err := f.UsedFrom(ctx, clientID, now.Add(-lately))
	for address, at := range used {
		if hashNetwork(f.seed, address) == network && at.After(last) {
			last = at
		}
	}
	return last, err
}
