package clients

import (
	"errors"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// What is known of a secret depends on how it ended.
func TestEndedSecret(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, other := billing(), billing()
		create(t, store, c)
		create(t, store, other)
		first := c.Credentials[0]
		ended := func(want EndedSecret, wantErr error) {
			t.Helper()
			if got, err := store.EndedSecret(t.Context(), c.ID, first.ID); got != want || !errors.Is(err, wantErr) {
				t.Errorf("EndedSecret = %+v, %v; want %+v, %v", got, err, want, wantErr)
			}
		}
		ended(EndedSecret{}, ErrSecretNotFound) // it lives
		hour := time.Hour
		_, _, err := store.AddSecret(t.Context(), c.ID, time.Time{}, &hour, noon)
		must(t, err)
		want := EndedSecret{ID: first.ID, Hint: first.Hint, CreatedAt: noon, EndedAt: noon.Add(hour)}
		ended(want, nil)
		want.RevokedAt, want.RevokedBy = noon.Add(2*hour), "me"
		must(t, store.RevokeSecret(t.Context(), c.ID, first.ID, "me", noon.Add(2*hour)))
		ended(want, nil) // it came to its end before
		if err := store.RevokeSecret(t.Context(), c.ID, first.ID, "somebody else", noon.Add(3*hour)); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("RevokeSecret again = %v; want ErrSecretNotFound", err)
		}
		ended(want, nil)
		if got, err := store.EndedSecret(t.Context(), other.ID, first.ID); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("EndedSecret through another client = %+v, %v", got, err)
		}
	})
}

// A secret that was revoked is known on the token path, and dead by any server's clock; it is in
// no list.
func TestRevokedSecretIsKnownAndDead(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		secret := create(t, store, c)
		must(t, store.RevokeSecret(t.Context(), c.ID, c.Credentials[0].ID, "me", noon))
		got, _, err := NewLookup(db, 10*time.Second).Client(t.Context(), c.ID)
		must(t, err)
		for _, now := range []time.Time{noon, noon.Add(-time.Second), noon.Add(-24 * time.Hour), noon.Add(24 * time.Hour)} {
			if verdict, id := got.Authenticate(secret, now); verdict != SecretExpired || id != c.Credentials[0].ID {
				t.Errorf("at %s the revoked secret is met with %q, %q; want %q", now, verdict, id, SecretExpired)
			}
		}
		if listed := read(t, store, c.ID).Credentials; len(listed) != 0 {
			t.Errorf("it is listed: %+v", listed)
		}
	})
}

// So many secrets that have ended are remembered, and for so long.
func TestSecretsAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		lookup := NewLookup(db, 10*time.Second)
		known := func(want int) {
			t.Helper()
			got, _, err := lookup.Client(t.Context(), c.ID)
			must(t, err)
			if len(got.Credentials) != want {
				t.Errorf("%d secrets are known on the token path; want %d", len(got.Credentials), want)
			}
		}
		now := noon
		rotate := func() {
			t.Helper()
			now = now.Add(24 * time.Hour)
			older := read(t, store, c.ID).Live(now)
			_, _, err := store.AddSecret(t.Context(), c.ID, time.Time{}, nil, now)
			must(t, err)
			must(t, store.RevokeSecret(t.Context(), c.ID, older[0].ID, "me", now))
		}
		for i := range 8 {
			rotate()
			known(1 + min(i+1, rememberedSecrets))
		}
		if _, err := store.EndedSecret(t.Context(), c.ID, c.Credentials[0].ID); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("the first of many: EndedSecret = %v; want ErrSecretNotFound", err)
		}
		now = now.Add(remembered)
		rotate()
		known(2)
	})
}

// A sooner end is kept, on the token path and when the rotation is cancelled; a later one is not
// taken, nor one for a secret that was revoked.
func TestEndSecret(t *testing.T) {
	const hour = time.Hour
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		for _, tt := range []struct {
			name    string
			ends    time.Duration // after noon; 0: never
			revoked bool
			at      time.Duration
			want    time.Duration
			err     error
		}{
			{"no end", 0, false, hour, hour, nil},
			{"a later end", 2 * hour, false, hour, hour, nil},
			{"the same end", hour, false, hour, hour, ErrSecretNotFound},
			{"a sooner end", hour, false, 2 * hour, hour, ErrSecretNotFound},
			{"revoked", 0, true, -hour, 0, ErrSecretNotFound},
		} {
			c := billing()
			secret := create(t, store, c)
			id := c.Credentials[0].ID
			if tt.ends != 0 {
				_, _, err := store.AddSecret(t.Context(), c.ID, time.Time{}, &tt.ends, noon)
				must(t, err)
			}
			if tt.revoked {
				must(t, store.RevokeSecret(t.Context(), c.ID, id, "me", noon))
			}
			if err := store.EndSecret(t.Context(), c.ID, id, noon.Add(tt.at)); !errors.Is(err, tt.err) {
				t.Errorf("%s: EndSecret = %v; want %v", tt.name, err, tt.err)
			}
			if tt.ends > tt.at && !tt.revoked {
				_, err := store.CancelRotation(t.Context(), c.ID, "me", noon)
				must(t, err)
			}
			ended, err := store.EndedSecret(t.Context(), c.ID, id)
			if err != nil || !ended.EndedAt.Equal(noon.Add(tt.want)) {
				t.Errorf("%s: it ends %s, %v; want %s", tt.name, ended.EndedAt, err, noon.Add(tt.want))
			}
			found, _, err := NewLookup(db, 10*time.Second).Client(t.Context(), c.ID)
			must(t, err)
			if verdict, _ := found.Authenticate(secret, noon.Add(hour)); verdict != SecretExpired {
				t.Errorf("%s: on the token path it is met with %q", tt.name, verdict)
			}
		}
		if err := store.EndSecret(t.Context(), "nobody", "nothing", noon); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("EndSecret of nothing = %v", err)
		}
	})
}
