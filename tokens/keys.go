package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wardkey/wardkey/internal/database"
)

// Errors of the signing keys.
var (
	ErrKeyNotFound = errors.New("tokens: no such signing key")
	ErrNoKey       = errors.New("tokens: no signing key is ready")
)

// JWKSMaxAge is how long others may keep the JWKS before they ask again, in the Cache-Control
// of its answers.
const JWKSMaxAge = 5 * time.Minute

// A Schedule says when keys change.
type Schedule struct {
	Publish time.Duration // a server that is up has a key in its JWKS so long before it signs
	Rotate  time.Duration // a key signs so long
	Keep    time.Duration // a key stays in the JWKS so long after it signed last
}

// DefaultSchedule rotates every 90 days. A key is public for two JWKS lifetimes before it signs,
// and until the longest token that it may have signed has expired, with an hour to spare.
var DefaultSchedule = Schedule{
	Publish: 2 * JWKSMaxAge,
	Rotate:  90 * 24 * time.Hour,
	Keep:    25 * time.Hour,
}

// Keys are the signing keys, the same for every server on one database. All servers agree
// without a lock: each change names the generation of the keys that it is based on, and is made
// only if that is still the newest one.
//
// A key that was made to be public first signs when its time has come and one server has had it
// in its JWKS for all of [Schedule.Publish], without a break. Each server counts for itself, from
// the moment at which it first shows the key, and the one that has shown it longest lets it sign
// for all. What passes while no server is up does not count, nor does a clock that is set.
type Keys struct {
	DB       *database.DB
	Master   MasterKey
	Schedule Schedule
	RSABits  int // of new RS256 keys: 2048 or 3072
	Log      *slog.Logger

	// Changed is told of each change in the transaction that makes it, which it may undo by an
	// error; the keys are oldest first. It may be nil.
	Changed func(ctx context.Context, before, after []*Key) error

	// MayRotate says whether this server is the one that makes a successor when a key has grown
	// old, so that not all of them make keys of which one is taken. Nil: it is.
	MayRotate func() bool

	ring atomic.Pointer[ring]
}

// A ring is the keys of one generation, and what is made of them for every request. It is never
// changed once made, but for the time of its last check.
type ring struct {
	generation int64
	keys       []*Key // oldest first
	byID       map[string]*Key
	active     map[Alg]*Key
	kids       []string             // of the keys in the JWKS
	shownAt    map[string]time.Time // since when this server shows each of them, by its id
	jwks       []byte
	etag       string
	checkedAt  atomic.Int64 // when the store last confirmed it, in Unix nanoseconds
}

func newRing(generation int64, keys []*Key, now time.Time) (*ring, error) {
	keys = slices.SortedFunc(slices.Values(keys), older) // the same order, and so the same JWKS, on every server
	r := &ring{generation: generation, keys: keys, byID: map[string]*Key{}, active: map[Alg]*Key{}}
	r.checkedAt.Store(now.UnixNano())
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		r.byID[k.ID] = k
		if k.State == Active {
			r.active[k.Alg] = k
		}
		r.kids = append(r.kids, k.ID)
		set.Keys = append(set.Keys, *k.jwk())
	}
	var err error
	if r.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("write the JWKS: %w", err)
	}
	sum := sha256.Sum256(r.jwks)
	r.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return r, nil
}

// Start opens the keys in the store, and makes the first key of alg if there is none. It returns
// an error wrapping ErrMasterKey if the store was sealed with another master key.
func (k *Keys) Start(ctx context.Context, alg Alg) error {
	if err := k.Ensure(ctx, alg); err != nil {
		return err
	}
	return k.Refresh(ctx)
}

// Run keeps the keys in step with the store and with time, until ctx ends: it sees what other
// servers changed within a second, and makes each change that is due.
func (k *Keys) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := k.step(ctx); err != nil && ctx.Err() == nil {
			k.Log.WarnContext(ctx, "signing keys: cannot read the store, going on with what is known", "err", err)
		}
	}
}

// step is one round of Run. It has a time limit, because a connection that was cut may not say
// so for a quarter of an hour, while others would do.
func (k *Keys) step(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	if err := k.Refresh(ctx); err != nil {
		return err
	}
	return k.tick(ctx, time.Now())
}

// Refresh reads the keys again if another server changed them.
func (k *Keys) Refresh(ctx context.Context) error {
	now := time.Now()
	var generation int64
	if err := k.DB.QueryRow(ctx, `SELECT generation FROM keyring WHERE id = 1`).Scan(&generation); err != nil {
		return fmt.Errorf("read the generation of the signing keys: %w", err)
	}
	if r := k.ring.Load(); r != nil && r.generation == generation {
		r.checkedAt.Store(now.UnixNano())
		return nil
	}
	// The generation was read first, so that the keys are never older than it says.
	keys, err := k.read(ctx)
	if err != nil {
		return err
	}
	return k.show(generation, keys, now)
}

// show makes the keys the ones that this server signs with, unless it knows newer ones.
func (k *Keys) show(generation int64, keys []*Key, now time.Time) error {
	fresh, err := newRing(generation, keys, now)
	if err != nil {
		return err
	}
	for {
		old := k.ring.Load()
		if old != nil && old.generation > generation {
			return nil
		}
		fresh.continues(old)
		k.hold(fresh.keys, fresh)
		if k.ring.CompareAndSwap(old, fresh) {
			return nil
		}
	}
}

// continues notes since when the keys are shown: those of the ring before, which may be nil, since
// then, the others from now on.
func (r *ring) continues(before *ring) {
	now := time.Now()
	r.shownAt = map[string]time.Time{}
	for _, kid := range r.kids {
		r.shownAt[kid] = before.since(kid, now)
	}
}

// since is when this server first showed a key, now if it does not show it yet.
func (r *ring) since(kid string, now time.Time) time.Time {
	if r == nil || r.shownAt[kid].IsZero() {
		return now
	}
	return r.shownAt[kid]
}

// hold lets pending keys wait that the ring, which may be nil, has not shown for long enough.
func (k *Keys) hold(keys []*Key, r *ring) {
	now := time.Now()
	for _, key := range keys {
		key.heldUntil = r.since(key.ID, now).Add(k.Schedule.Publish)
		if key.State != Pending || !key.heldUntil.After(now) {
			key.heldUntil = time.Time{}
		}
	}
}

// All returns the keys, oldest first.
func (k *Keys) All() []*Key { return k.ring.Load().keys }

// JWKS returns the JWK Set (RFC 7517 §5) and its entity tag, from memory.
func (k *Keys) JWKS() (set []byte, etag string) {
	r := k.ring.Load()
	return r.jwks, r.etag
}

// kidsOf returns the ids of the keys in the JWK Set with this entity tag, nil if it is not the one
// that this server shows.
func (k *Keys) kidsOf(etag string) []string {
	if r := k.ring.Load(); r.etag == etag {
		return r.kids
	}
	return nil
}

// Ready says whether a key of alg can sign.
func (k *Keys) Ready(alg Alg) bool {
	_, err := k.active(alg)
	return err == nil
}

// patience is how long a server goes on signing without a word from the store. Past it, its
// keys may have been removed long ago.
const patience = time.Minute

func (k *Keys) active(alg Alg) (*Key, error) {
	r := k.ring.Load()
	if r == nil || r.active[alg] == nil {
		return nil, fmt.Errorf("%w for %s", ErrNoKey, alg)
	}
	if time.Since(time.Unix(0, r.checkedAt.Load())) > patience {
		return nil, fmt.Errorf("%w: the store has not confirmed the keys for %s", ErrNoKey, patience)
	}
	return r.active[alg], nil
}

// Ensure makes a key of alg, which signs at once, if there is none: before it nothing could be
// signed with alg, so that nobody holds a set of keys that lacks it.
func (k *Keys) Ensure(ctx context.Context, alg Alg) error {
	if k.Ready(alg) {
		return nil
	}
	_, err := k.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		if slices.ContainsFunc(keys, func(x *Key) bool { return x.Alg == alg && x.State == Active }) {
			return keys, nil
		}
		return k.add(keys, alg, now, now)
	})
	return err
}

// Rotate makes a key of alg that takes over when a server has had it in its JWKS for the
// schedule's time, or at once. It returns the new key.
func (k *Keys) Rotate(ctx context.Context, alg Alg, atOnce bool) (*Key, error) {
	keys, err := k.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		activates := now.Add(k.Schedule.Publish)
		if atOnce {
			activates = now
		}
		return k.add(keys, alg, now, activates)
	})
	if err != nil {
		return nil, err
	}
	return keys[len(keys)-1], nil
}

// Remove takes a key out of the JWKS at once, because it leaked. If it was the one that signs,
// a new one takes over. It returns ErrKeyNotFound.
func (k *Keys) Remove(ctx context.Context, kid string) error {
	_, err := k.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		i := slices.IndexFunc(keys, func(x *Key) bool { return x.ID == kid })
		if i < 0 {
			return nil, ErrKeyNotFound
		}
		removed := keys[i]
		keys = slices.Delete(keys, i, i+1)
		if removed.State != Active {
			return keys, nil
		}
		return k.add(keys, removed.Alg, now, now)
	})
	return err
}

// tick makes the changes that are due at the given time.
func (k *Keys) tick(ctx context.Context, now time.Time) error {
	if !k.Schedule.due(k.All(), now) {
		return nil
	}
	_, err := k.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		keys = k.Schedule.advance(keys, now)
		if k.MayRotate != nil && !k.MayRotate() {
			return keys, nil
		}
		for _, alg := range k.Schedule.aging(keys, now) {
			var err error
			if keys, err = k.add(keys, alg, now, now.Add(k.Schedule.Publish)); err != nil {
				return nil, err
			}
		}
		return keys, nil
	})
	return err
}

// add appends a new key that signs from activates on, which may be now.
func (k *Keys) add(keys []*Key, alg Alg, now, activates time.Time) ([]*Key, error) {
	key, err := newKey(alg, k.RSABits)
	if err != nil {
		return nil, err
	}
	key.State, key.CreatedAt, key.ActivatesAt = Pending, now, activates
	return k.Schedule.advance(append(keys, key), now), nil
}

// errOutrun means that another server changed the keys first.
var errOutrun = errors.New("another server changed the signing keys")

// change lets edit alter the newest keys and saves what it returns, all or nothing. If another
// server is quicker, edit is asked again.
func (k *Keys) change(ctx context.Context, edit func(keys []*Key, now time.Time) ([]*Key, error)) ([]*Key, error) {
	for {
		keys, generation, err := k.changeOnce(ctx, edit)
		if errors.Is(err, errOutrun) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("change the signing keys: %w", err)
		}
		return keys, k.show(generation, keys, time.Now())
	}
}

func (k *Keys) changeOnce(ctx context.Context, edit func(keys []*Key, now time.Time) ([]*Key, error)) (after []*Key, generation int64, err error) {
	if err := k.DB.QueryRow(ctx, `SELECT generation FROM keyring WHERE id = 1`).Scan(&generation); err != nil {
		return nil, 0, err
	}
	before, err := k.read(ctx)
	if err != nil {
		return nil, 0, err
	}
	k.hold(before, k.ring.Load())
	// Keys are made outside of the transaction: RSA takes long.
	after, err = edit(clone(before), wholeSecond(time.Now()))
	if err != nil || slices.EqualFunc(before, after, equal) {
		return after, generation, err
	}
	err = k.DB.Transact(ctx, func(ctx context.Context) error {
		n, err := k.DB.Exec(ctx, `UPDATE keyring SET generation = generation + 1 WHERE id = 1 AND generation = $1`, generation)
		if err == nil && n == 0 {
			err = errOutrun
		}
		if err != nil {
			return err
		}
		if err := k.save(ctx, before, after); err != nil || k.Changed == nil {
			return err
		}
		return k.Changed(ctx, before, after)
	})
	if err != nil {
		return nil, 0, err
	}
	for _, key := range after {
		k.Log.InfoContext(ctx, "signing keys changed", "kid", key.ID, "alg", key.Alg, "state", key.State)
	}
	return after, generation + 1, nil
}

// wholeSecond cuts a time to the second, as the store keeps it. Unlike Truncate it leaves the
// monotonic clock in it, by which held keys wait.
func wholeSecond(t time.Time) time.Time { return t.Add(-time.Duration(t.Nanosecond())) }

func clone(keys []*Key) []*Key {
	copies := make([]*Key, len(keys))
	for i, key := range keys {
		c := *key
		copies[i] = &c
	}
	return copies
}

func equal(a, b *Key) bool {
	return a.ID == b.ID && a.State == b.State && a.ActivatesAt.Equal(b.ActivatesAt) && a.RemovesAt.Equal(b.RemovesAt)
}
