package tokens

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// boot starts a server on db; stop ends it.
func boot(t *testing.T, db *database.DB, master MasterKey) (k *Keys, stop func()) {
	t.Helper()
	k = newKeys(db, master)
	must(t, k.Start(t.Context(), ES256))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	return k, func() {
		cancel()
		must(t, <-ended)
	}
}

// pending is the key that waits to sign, nil if there is none.
func pending(k *Keys) *Key {
	for _, key := range k.All() {
		if key.State == Pending {
			return key
		}
	}
	return nil
}

// What passes while no server is up does not count: a key signs when one has shown it for long
// enough after that, and not before, however the key was made.
func TestNoKeySignsUnseen(t *testing.T) {
	for name, makePending := range map[string]func(t *testing.T, k *Keys){
		"rotated by an admin": func(t *testing.T, k *Keys) {
			_, err := k.Rotate(t.Context(), ES256, false)
			must(t, err)
		},
		"rotated by itself": func(t *testing.T, k *Keys) {
			old := time.Now().Add(-DefaultSchedule.Rotate + DefaultSchedule.Publish)
			_, err := k.DB.Exec(t.Context(), `UPDATE signing_keys SET activated_at = $1`, database.At(old))
			must(t, err)
			_, err = k.DB.Exec(t.Context(), `UPDATE keyring SET generation = generation + 1`)
			must(t, err)
			time.Sleep(2 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, master := databasetest.SQLite(t), NewMasterKey()
				k, stop := boot(t, db, master)
				makePending(t, k)
				next := pending(k)
				if next == nil {
					t.Fatal("there is no key that waits to sign")
				}
				for _, up := range []time.Duration{time.Minute, DefaultSchedule.Publish - 5*time.Second} {
					time.Sleep(up)
					stop()
					time.Sleep(3 * time.Hour) // nobody is up
					k, stop = boot(t, db, master)
				}
				defer func() { stop() }()
				began := time.Now()
				waiting := pending(k)
				if waiting == nil {
					t.Fatalf("the keys are %q; want %s to wait", ids(k), next.ID)
				}
				if at := waiting.SignsAt(); !at.Equal(began.Add(DefaultSchedule.Publish)) {
					t.Errorf("SignsAt = %s; want %s after the start, %s", at, DefaultSchedule.Publish, began)
				}
				time.Sleep(DefaultSchedule.Publish - time.Second)
				if signer(t, k, ES256) == next.ID {
					t.Errorf("a key signs that was public for %s at a time", DefaultSchedule.Publish-time.Second)
				}
				time.Sleep(3 * time.Second)
				if signer(t, k, ES256) != next.ID {
					t.Errorf("a key does not sign that was public for %s", DefaultSchedule.Publish)
				}
			})
		})
	}
}

// Of two servers the one that has shown a key longest lets it sign, for both. When it is gone, the
// other one counts from when it began to show it.
func TestLongestShownCounts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stays bool // the server that has shown it longest
		signs time.Duration
	}{
		{"it stays", true, DefaultSchedule.Publish},
		{"it goes", false, DefaultSchedule.Publish + DefaultSchedule.Publish/2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, master := databasetest.SQLite(t), NewMasterKey()
				first, stopFirst := boot(t, db, master)
				next, err := first.Rotate(t.Context(), ES256, false)
				must(t, err)
				made := time.Now()
				time.Sleep(DefaultSchedule.Publish / 2)
				second, stopSecond := boot(t, db, master)
				defer stopSecond()
				if tt.stays {
					defer stopFirst()
				} else {
					time.Sleep(time.Minute)
					stopFirst()
				}
				time.Sleep(time.Minute)
				_, err = second.Rotate(t.Context(), EdDSA, true) // which begins nothing anew
				must(t, err)
				time.Sleep(time.Until(made.Add(tt.signs - time.Second)))
				if signer(t, second, ES256) == next.ID {
					t.Errorf("the key signs before %s", tt.signs)
				}
				time.Sleep(3 * time.Second)
				if signer(t, second, ES256) != next.ID {
					t.Errorf("the key does not sign after %s", tt.signs)
				}
			})
		})
	}
}

// A key that waits does not keep others from signing at once, nor do they make it sign.
func TestOthersSignAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, master := databasetest.SQLite(t), NewMasterKey()
		k, stop := boot(t, db, master)
		next, err := k.Rotate(t.Context(), ES256, false)
		must(t, err)
		stop()
		time.Sleep(time.Hour)
		k = newKeys(db, master)
		must(t, k.Ensure(t.Context(), EdDSA)) // before it has shown anything
		must(t, k.Start(t.Context(), ES256))
		if !k.Ready(EdDSA) || signer(t, k, ES256) == next.ID {
			t.Errorf("after a start, the first EdDSA key signs: %t, and %s signs ES256", k.Ready(EdDSA), signer(t, k, ES256))
		}
		now, err := k.Rotate(t.Context(), ES256, true)
		must(t, err)
		if got := signer(t, k, ES256); got != now.ID {
			t.Errorf("after a rotation at once %s signs; want %s", got, now.ID)
		}
		must(t, k.Remove(t.Context(), now.ID))
		if got := signer(t, k, ES256); got == next.ID || got == now.ID {
			t.Errorf("after a removal %s signs; want a new key", got)
		}
		if pending(k) == nil || pending(k).ID != next.ID {
			t.Errorf("the keys are %q; want %s to wait still", ids(k), next.ID)
		}
	})
}

// What waits is not written: the database says when a key was to sign, whoever started since.
func TestHoldIsNotStored(t *testing.T) {
	pair(t, func(t *testing.T, a, b *Keys) {
		made, err := a.Rotate(t.Context(), ES256, false)
		must(t, err)
		late := made.ActivatesAt.Add(-time.Hour)
		_, err = a.DB.Exec(t.Context(), `UPDATE signing_keys SET activates_at = $1 WHERE kid = $2`, database.At(late), made.ID)
		must(t, err)
		_, err = b.Rotate(t.Context(), EdDSA, true)
		must(t, err)
		must(t, a.Refresh(t.Context()))
		for _, k := range []*Keys{a, b} {
			if got := k.ring.Load().byID[made.ID]; got.State != Pending || !got.ActivatesAt.Equal(late) || time.Until(got.SignsAt()) < DefaultSchedule.Publish-time.Minute {
				t.Errorf("the key %v activates at %s and signs at %s; want %s, and %s from now", got, got.ActivatesAt, got.SignsAt(), late, DefaultSchedule.Publish)
			}
		}
	})
}
