package tokens

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A sighting is the JWKS of a server at one moment.
type sighting struct {
	at   time.Time
	kids []string
}

// A year of two servers that rotate their keys by themselves, one of which hears of changes as
// late as it may. Whoever keeps a JWKS of either for as long as it is allowed never meets a token
// that it cannot check, from the moment it is signed until it expires a day later.
func TestYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, master := databasetest.SQLite(t), NewMasterKey()
		prompt, late := newKeys(db, master), newKeys(db, master)
		servers := []*Keys{prompt, late}
		for _, k := range servers {
			must(t, k.Start(t.Context(), ES256))
		}
		begin := time.Now()
		seen := map[*Keys][]sighting{}
		type token struct {
			kid string
			iat time.Time
		}
		var signed []token
		heard := begin
		for now := begin; now.Sub(begin) < 365*24*time.Hour; now = time.Now() {
			if now.Sub(heard) > 50*time.Second { // and with a minute it would not sign any more
				must(t, late.Refresh(t.Context()))
				heard = now
			}
			must(t, prompt.step(t.Context()))
			for _, k := range servers {
				seen[k] = append(seen[k], sighting{now, published(t, k)})
				signed = append(signed, token{signer(t, k, ES256), now})
			}
			pause := time.Hour
			if changing(prompt, now) {
				pause = 25 * time.Second
			}
			time.Sleep(pause)
		}
		kids := map[string]bool{}
		for _, tok := range signed {
			kids[tok.kid] = true
			for _, k := range servers {
				checkKnown(t, seen[k], tok.kid, tok.iat.Add(-JWKSMaxAge), tok.iat.Add(24*time.Hour))
			}
		}
		if len(kids) != 5 { // one from the start, and four rotations in 365 days
			t.Errorf("%d keys signed in a year; want 5", len(kids))
		}
		if got := published(t, prompt); len(got) != 1 {
			t.Errorf("after a year %d keys are published; want 1", len(got))
		}
	})
}

// changing says whether a key is about to sign, has just stopped, or is about to leave.
func changing(k *Keys, now time.Time) bool {
	return slices.ContainsFunc(k.All(), func(key *Key) bool {
		return key.State == Pending || key.State == Retired && (now.Sub(key.RetiredAt) < time.Hour || key.RemovesAt.Sub(now) <= time.Hour)
	})
}

// checkKnown fails if the key is missing in a JWKS that was to be had between from and until.
func checkKnown(t *testing.T, seen []sighting, kid string, from, until time.Time) {
	t.Helper()
	first, exact := slices.BinarySearchFunc(seen, from, func(s sighting, at time.Time) int { return s.at.Compare(at) })
	if !exact && first > 0 {
		first-- // who fetched then got what was there before
	}
	for _, s := range seen[first:] {
		if s.at.After(until) {
			return
		}
		if !slices.Contains(s.kids, kid) {
			t.Fatalf("the key %s of tokens between %s and %s is not published at %s", kid, from, until, s.at)
		}
	}
}

// run runs the keys until the test ends.
func run(t *testing.T, k *Keys) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// A server sees within two seconds what another changed, and what time changes.
func TestRunSeesChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, master := databasetest.SQLite(t), NewMasterKey()
		a, b := newKeys(db, master), newKeys(db, master)
		for _, k := range []*Keys{a, b} {
			must(t, k.Start(t.Context(), ES256))
			run(t, k)
		}
		now, err := a.Rotate(t.Context(), ES256, true)
		must(t, err)
		time.Sleep(2 * time.Second)
		if got := signer(t, b, ES256); got != now.ID {
			t.Errorf("two seconds after another key signs, this server signs with %s; want %s", got, now.ID)
		}
		next, err := b.Rotate(t.Context(), ES256, false)
		must(t, err)
		time.Sleep(DefaultSchedule.Publish - time.Second)
		if signer(t, a, ES256) == next.ID || signer(t, b, ES256) == next.ID {
			t.Error("a key signs before its time")
		}
		time.Sleep(3 * time.Second)
		if signer(t, a, ES256) != next.ID || signer(t, b, ES256) != next.ID {
			t.Error("a key does not sign when its time has come")
		}
		must(t, a.Remove(t.Context(), next.ID))
		time.Sleep(2 * time.Second)
		if slices.Contains(published(t, b), next.ID) {
			t.Error("two seconds after a key is removed, it is published")
		}
	})
}

// A server that hears nothing from the store signs for a minute and no longer, because its keys
// may have been removed; JWKS goes on. When the store is back, it signs again.
func TestRunWithoutTheStore(t *testing.T) {
	for name, away := range map[string]func(t *testing.T, db *database.DB) (back func()){
		"the store fails": func(t *testing.T, db *database.DB) func() {
			exec := func(statement string) {
				_, err := db.Exec(t.Context(), statement)
				must(t, err)
			}
			exec(`ALTER TABLE keyring RENAME TO elsewhere`)
			return func() { exec(`ALTER TABLE elsewhere RENAME TO keyring`) }
		},
		"the store hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeys(databasetest.SQLite(t), NewMasterKey())
				var log bytes.Buffer
				k.Log = slog.New(slog.NewTextHandler(&log, nil))
				must(t, k.Start(t.Context(), ES256))
				run(t, k)
				time.Sleep(1500 * time.Millisecond)
				set, _ := k.JWKS()
				back := away(t, k.DB)
				time.Sleep(patience - time.Second)
				if !k.Ready(ES256) {
					t.Error("it does not sign although the store was there a minute ago")
				}
				time.Sleep(2 * time.Second)
				if _, err := k.active(ES256); !errors.Is(err, ErrNoKey) {
					t.Errorf("after more than a minute without the store: %v; want ErrNoKey", err)
				}
				time.Sleep(time.Hour)
				if got, _ := k.JWKS(); !bytes.Equal(got, set) {
					t.Error("the JWKS changed without the store")
				}
				back()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if !k.Ready(ES256) {
					t.Error("it does not sign although the store is back")
				}
				if warnings := strings.Count(log.String(), "cannot read the store"); warnings < 60 {
					t.Errorf("in an hour without the store the log warns %d times", warnings)
				}
			})
		})
	}
}

// hang takes every connection that reads, so that queries wait, until back is called.
func hang(t *testing.T, db *database.DB) (back func()) {
	var taken []interface{ Close() error }
	free := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		return db.Ping(ctx) == nil
	}
	for free() {
		rows, err := db.Query(t.Context(), `SELECT 1`)
		must(t, err)
		taken = append(taken, rows)
	}
	return func() {
		for _, rows := range taken {
			must(t, rows.Close())
		}
	}
}
