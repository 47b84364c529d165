package tokens

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// pair runs test with two servers on one database, of each engine: on PostgreSQL each with a
// pool of its own.
func pair(t *testing.T, test func(t *testing.T, a, b *Keys)) {
	master := NewMasterKey()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		a, b := newKeys(db, master), newKeys(db, master)
		must(t, a.Start(t.Context(), ES256))
		must(t, b.Start(t.Context(), ES256))
		test(t, a, b)
	})
}

// ids are the keys of a server, oldest first, with their states.
func ids(k *Keys) (list []string) {
	for _, key := range k.All() {
		list = append(list, key.ID+" "+string(key.State))
	}
	return list
}

// published are the kids in a server's JWKS.
func published(t *testing.T, k *Keys) (kids []string) {
	t.Helper()
	set, _ := k.JWKS()
	var v struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	must(t, json.Unmarshal(set, &v))
	for _, key := range v.Keys {
		kids = append(kids, key.KID)
	}
	return kids
}

func signer(t *testing.T, k *Keys, alg Alg) string {
	t.Helper()
	key, err := k.active(alg)
	must(t, err)
	return key.ID
}

// Of servers that start at once on an empty store one makes the first key, and all have it.
func TestStartAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		master := NewMasterKey()
		servers := make([]*Keys, 10)
		var wg sync.WaitGroup
		for i := range servers {
			servers[i] = newKeys(db, master)
			wg.Go(func() {
				for _, alg := range []Alg{ES256, EdDSA} {
					if err := servers[i].Start(t.Context(), alg); err != nil {
						t.Errorf("Start: %v", err)
					}
				}
			})
		}
		wg.Wait()
		for _, k := range servers {
			must(t, k.Refresh(t.Context()))
			if got := ids(k); len(got) != 2 || !slices.Equal(got, ids(servers[0])) || !k.Ready(ES256) || !k.Ready(EdDSA) || k.Ready(RS256) {
				t.Errorf("a server has the keys %q; want two that sign", got)
			}
		}
	})
}

// Every server has the same JWKS, byte for byte, however it came to know the keys: also of keys
// that were made within one second.
func TestJWKSIsTheSameEverywhere(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		for i := range 6 {
			_, err := []*Keys{a, b}[i%2].Rotate(t.Context(), []Alg{ES256, EdDSA}[i%2], i%3 == 0)
			must(t, err)
		}
		must(t, a.Refresh(t.Context()))
		must(t, b.Refresh(t.Context()))
		c := newKeys(a.DB, a.Master)
		must(t, c.Start(t.Context(), ES256))
		want, wantTag := a.JWKS()
		for _, k := range []*Keys{b, c} {
			if got, tag := k.JWKS(); !bytes.Equal(got, want) || tag != wantTag {
				t.Errorf("one server has the JWKS %s, another %s", want, got)
			}
		}
		for range 10 {
			must(t, a.Refresh(t.Context()))
		}
		if got, tag := a.JWKS(); !bytes.Equal(got, want) || tag != wantTag {
			t.Error("the JWKS changed although no key did")
		}
	})
}

// A new key is published at once on the server that made it, and on others when they look; it
// signs when it has been public for long enough.
func TestRotate(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		first, _ := a.active(ES256)
		made, err := a.Rotate(t.Context(), ES256, false)
		must(t, err)
		if made.State != Pending || made.ActivatesAt.Sub(made.CreatedAt) != DefaultSchedule.Publish || made.ID == first.ID {
			t.Errorf("Rotate = %v of %s, signs at %s", made, made.CreatedAt, made.ActivatesAt)
		}
		must(t, b.Refresh(t.Context()))
		for _, k := range []*Keys{a, b} {
			if got := published(t, k); !slices.Contains(got, made.ID) || !slices.Contains(got, first.ID) || signer(t, k, ES256) != first.ID {
				t.Errorf("a server publishes %q and signs with %s", got, signer(t, k, ES256))
			}
		}
		now, err := b.Rotate(t.Context(), ES256, true)
		must(t, err)
		must(t, a.Refresh(t.Context()))
		for _, k := range []*Keys{a, b} {
			if got := published(t, k); len(got) != 3 || signer(t, k, ES256) != now.ID || k.ring.Load().byID[first.ID].State != Retired {
				t.Errorf("a server publishes %q and signs with %s; want %s", got, signer(t, k, ES256), now.ID)
			}
		}
		if k, err := a.Rotate(t.Context(), "none", true); err == nil {
			t.Errorf("Rotate of no algorithm = %v", k)
		}
	})
}

// A key that leaked is gone at once. If it was the one that signs, another one does.
func TestRemove(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		retired := signer(t, a, ES256)
		now, err := a.Rotate(t.Context(), ES256, true)
		must(t, err)
		pending, err := a.Rotate(t.Context(), ES256, false)
		must(t, err)
		i := &Issuer{URL: issuerURL, Keys: b}
		must(t, b.Refresh(t.Context()))
		leaked := issue(t, i, grant(ES256, time.Now()))
		for _, step := range []struct {
			remove, left string // the id and the state that it had
			changes      bool
		}{{retired, "retired", false}, {pending.ID, "pending", false}, {now.ID, "active", true}} {
			before := signer(t, a, ES256)
			must(t, a.Remove(t.Context(), step.remove))
			must(t, b.Refresh(t.Context()))
			for _, k := range []*Keys{a, b} {
				if slices.Contains(published(t, k), step.remove) {
					t.Errorf("a %s key is published after its removal", step.left)
				}
				if (signer(t, k, ES256) != before) != step.changes {
					t.Errorf("after a %s key is removed %s signs, before %s", step.left, signer(t, k, ES256), before)
				}
			}
			if err := a.Remove(t.Context(), step.remove); !errors.Is(err, ErrKeyNotFound) {
				t.Errorf("Remove again = %v; want ErrKeyNotFound", err)
			}
		}
		if claims, err := i.Parse(leaked); err == nil {
			t.Errorf("a token of the removed key is taken: %+v", claims)
		}
		if got := published(t, b); len(got) != 1 || got[0] != signer(t, b, ES256) {
			t.Errorf("published are %q; want the new key alone", got)
		}
	})
}

// Whoever changes the keys at the same time as others neither loses a change nor undoes one: each
// is one step of the generation, and all end up with the same keys.
func TestRacingRotations(t *testing.T) {
	url := databasetest.PostgresURL(t)
	master := NewMasterKey()
	var servers []*Keys
	for range 2 {
		db, err := database.Open(url)
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		must(t, db.Migrate(t.Context()))
		k := newKeys(db, master)
		must(t, k.Start(t.Context(), ES256))
		servers = append(servers, k)
	}
	const each = 25
	before := servers[0].ring.Load().generation
	made := make(chan string, 2*each)
	var wg sync.WaitGroup
	for _, k := range servers {
		wg.Go(func() {
			for i := range each {
				key, err := k.Rotate(t.Context(), ES256, i%2 == 0)
				if err != nil {
					t.Errorf("Rotate: %v", err)
					return
				}
				made <- key.ID
			}
		})
	}
	wg.Wait()
	close(made)
	for _, k := range servers {
		must(t, k.Refresh(t.Context()))
	}
	a, b := servers[0].ring.Load(), servers[1].ring.Load()
	if steps := a.generation - before; steps != 2*each {
		t.Errorf("%d rotations are %d steps", 2*each, steps)
	}
	if a.generation != b.generation || a.etag != b.etag || !slices.Equal(ids(servers[0]), ids(servers[1])) {
		t.Errorf("one server has %q of generation %d, another %q of %d", ids(servers[0]), a.generation, ids(servers[1]), b.generation)
	}
	if len(a.keys) != 2*each+1 {
		t.Errorf("there are %d keys; want %d", len(a.keys), 2*each+1)
	}
	active := 0
	for _, key := range a.keys {
		if key.State == Active {
			active++
		}
	}
	if active != 1 {
		t.Errorf("%d keys sign", active)
	}
	for id := range made {
		if a.byID[id] == nil {
			t.Errorf("the key %s that Rotate returned is lost", id)
		}
	}
}

// With another master key nothing starts, and the answer says what to do. Nothing is changed.
func TestAnotherMasterKey(t *testing.T) {
	pair(t, func(t *testing.T, a, _ *Keys) {
		stranger := newKeys(a.DB, NewMasterKey())
		for _, alg := range []Alg{ES256, RS256} {
			if err := stranger.Start(t.Context(), alg); !errors.Is(err, ErrMasterKey) || !strings.Contains(err.Error(), "another master key") {
				t.Errorf("Start(%s) with another master key = %v", alg, err)
			}
		}
		again := newKeys(a.DB, a.Master)
		must(t, again.Start(t.Context(), ES256))
		if !slices.Equal(ids(again), ids(a)) {
			t.Errorf("the keys are now %q; want %q", ids(again), ids(a))
		}
	})
}

// Rows whose sealed keys were exchanged, or whose names or algorithms were changed, are refused.
func TestRowsCannotBeExchanged(t *testing.T) {
	for name, change := range map[string]string{
		"exchanged":          `UPDATE signing_keys SET private_key = (SELECT private_key FROM signing_keys other WHERE other.kid <> signing_keys.kid)`,
		"another name":       `UPDATE signing_keys SET kid = 'x' || kid`,
		"another algorithm":  `UPDATE signing_keys SET alg = 'RS256'`,
		"one byte":           `UPDATE signing_keys SET private_key = 'AAAA' || substr(private_key, 5)`,
		"nothing in it":      `UPDATE signing_keys SET private_key = ''`,
		"an unsealed letter": `UPDATE signing_keys SET private_key = 'hello'`,
	} {
		t.Run(name, func(t *testing.T) {
			pair(t, func(t *testing.T, a, b *Keys) {
				_, err := a.Rotate(t.Context(), ES256, true)
				must(t, err)
				must(t, b.Refresh(t.Context()))
				good := ids(b)
				_, err = a.DB.Exec(t.Context(), change)
				must(t, err)
				_, err = a.DB.Exec(t.Context(), `UPDATE keyring SET generation = generation + 1`)
				must(t, err)
				if err := b.Refresh(t.Context()); err == nil {
					t.Errorf("Refresh = nil, with the keys %q", ids(b))
				}
				if got := ids(b); !slices.Equal(got, good) {
					t.Errorf("the server goes on with %q; want %q", got, good)
				}
				if err := newKeys(a.DB, a.Master).Start(t.Context(), ES256); err == nil {
					t.Error("another server starts with them")
				}
			})
		})
	}
}

// The store holds no private key in the clear.
func TestPrivateKeysAreSealed(t *testing.T) {
	pair(t, func(t *testing.T, a, _ *Keys) {
		for _, key := range a.All() {
			var sealed string
			must(t, a.DB.QueryRow(t.Context(), `SELECT private_key FROM signing_keys WHERE kid = $1`, key.ID).Scan(&sealed))
			der, err := key.marshalPrivate()
			must(t, err)
			refuseLeak(t, "the row of a key", sealed, der)
			for _, secret := range secretParts(t, key) {
				refuseLeak(t, "the row of a key", sealed, secret)
			}
			if got, err := a.Master.open(sealed, key.ID, key.Alg); err != nil || !bytes.Equal(got, der) {
				t.Errorf("the row of a key holds something else: %v", err)
			}
		}
	})
}

// Who leaves while keys are changed leaves nothing half done.
func TestChangeIsAllOrNothing(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		before := ids(a)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Rotate(ctx, ES256, true); !errors.Is(err, context.Canceled) {
			t.Errorf("Rotate = %v; want context.Canceled", err)
		}
		must(t, b.Refresh(t.Context()))
		if !slices.Equal(ids(a), before) || !slices.Equal(ids(b), before) {
			t.Errorf("the keys are %q and %q; want %q", ids(a), ids(b), before)
		}
	})
}
