package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/wardkey/wardkey/internal/database"
)

// A Fetch is the last time that a party had the JWKS. Parties are told apart by what they call
// themselves and where they are; two programs that share both are one.
type Fetch struct {
	UserAgent string
	Address   string
	At        time.Time
	KIDs      []string // of the keys that it then had, oldest first
}

// Bounds of what is kept of fetches. Whoever fetches the JWKS is a stranger, who may call himself
// anything.
const (
	maxFetches      = 500 // in the store, and waiting to be written
	maxOfNetwork    = 100 // of these from one IPv4 address, or IPv6 network of 64 bits
	maxUserAgent    = 200 // characters
	fetchesKept     = 30 * 24 * time.Hour
	fetchesEvery    = 10 * time.Second
	fetchesPatience = 5 * time.Second
)

// Fetches remember who has which signing keys, and write it to the store every ten seconds, so that
// the JWKS costs no access to it. Several servers on one database give one picture. A crash loses
// what was not yet written; the parties come again within minutes.
type Fetches struct {
	db   *database.DB
	keys *Keys
	log  *slog.Logger

	flushing sync.Mutex // held while fetches are written

	mu      sync.Mutex
	pending map[party]had
	crowds  map[string]int // parties in pending by network
}

type party struct{ address, userAgent string }

// A had is what a party had, and when.
type had struct {
	at   int64 // Unix seconds
	kids []string
}

// NewFetches returns what remembers fetches of the JWKS that keys make, in db.
func NewFetches(db *database.DB, keys *Keys, log *slog.Logger) *Fetches {
	return &Fetches{db: db, keys: keys, log: log, pending: map[party]had{}, crowds: map[string]int{}}
}

// Record notes that a party has the JWKS with this entity tag: it was given it, or has shown by
// If-None-Match that it has it. It does not wait for the store.
func (f *Fetches) Record(userAgent, address, etag string, at time.Time) {
	kids := f.keys.kidsOf(etag)
	if kids == nil {
		return // the keys changed this moment; the party comes again
	}
	p := party{address, cleanUserAgent(userAgent)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(p, had{at.Unix(), kids})
}

// keep notes what a party had, unless something later is known, or there is no room.
func (f *Fetches) keep(p party, what had) {
	known, ok := f.pending[p]
	if ok && known.at > what.at {
		return // requests may end in another order than they began
	}
	if !ok {
		network := networkOf(p.address)
		if len(f.pending) >= maxFetches || f.crowds[network] >= maxOfNetwork {
			return
		}
		f.crowds[network]++
		p.userAgent = strings.Clone(p.userAgent) // the rest of the request's head need not stay
	}
	f.pending[p] = what
}

// cleanUserAgent is a user agent as it is kept: what could confuse a terminal or a page is left out.
func cleanUserAgent(text string) string {
	const longest = 4 * maxUserAgent // bytes
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text[:min(len(text), longest)])
	if len(text) <= maxUserAgent {
		return text
	}
	characters := []rune(text)
	return string(characters[:min(len(characters), maxUserAgent)])
}

// networkOf is what of an address one subscriber has to itself.
func networkOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}

// Run writes every ten seconds until ctx ends, and then what is left.
func (f *Fetches) Run(ctx context.Context) error {
	ticker := time.NewTicker(fetchesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return f.flushInTime(context.WithoutCancel(ctx))
		case <-ticker.C:
			if err := f.flushInTime(ctx); err != nil && ctx.Err() == nil {
				f.log.WarnContext(ctx, "fetches of the JWKS not written, trying again", "err", err)
			}
		}
	}
}

// flushInTime is Flush with a time limit, because a connection that was cut may not say so for a
// quarter of an hour, while others would do.
func (f *Fetches) flushInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchesPatience)
	defer cancel()
	return f.Flush(ctx)
}

// Flush writes what is not yet in the store. What cannot be written is kept for the next time.
func (f *Fetches) Flush(ctx context.Context) error {
	f.flushing.Lock()
	defer f.flushing.Unlock()
	taken := f.take()
	if len(taken) == 0 {
		return nil
	}
	if err := f.write(ctx, taken); err != nil {
		f.giveBack(taken)
		return fmt.Errorf("write who fetched the JWKS: %w", err)
	}
	return f.trim(ctx)
}

func (f *Fetches) take() map[party]had {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.pending
	f.pending, f.crowds = map[party]had{}, map[string]int{}
	return taken
}

func (f *Fetches) giveBack(taken map[party]had) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, what := range taken {
		f.keep(p, what)
	}
}
