package clients

import (
	"errors"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Cancelling a rotation brings back the state before it, whatever the overlap did.
func TestCancelRotation(t *testing.T) {
	minutes := func(n int) *time.Duration { d := time.Duration(n) * time.Minute; return &d }
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		for _, tt := range []struct {
			name      string
			firstEnds time.Time
			overlap   *time.Duration
			was       time.Time // what the overlap made of it
		}{
			{"no overlap", time.Time{}, nil, time.Time{}},
			{"no overlap, an end of its own", noon.Add(time.Hour), nil, noon.Add(time.Hour)},
			{"an end where there was none", time.Time{}, minutes(10), noon.Add(10 * time.Minute)},
			{"a sooner end", noon.Add(time.Hour), minutes(10), noon.Add(10 * time.Minute)},
			{"it ends before the overlap does", noon.Add(5 * time.Minute), minutes(10), noon.Add(5 * time.Minute)},
		} {
			c := billing()
			first := create(t, store, c)
			_, err := db.Exec(t.Context(), `UPDATE client_secrets SET expires_at = $1 WHERE client_id = $2`, database.At(tt.firstEnds), c.ID)
			must(t, err)
			before := read(t, store, c.ID)
			added, second, err := store.AddSecret(t.Context(), c.ID, time.Time{}, tt.overlap, noon)
			must(t, err)
			done, err := store.CancelRotation(t.Context(), c.ID, "me", noon.Add(time.Minute))
			must(t, err)
			if done.Ended.ID != added.ID || done.Kept != before.Credentials[0] || !done.Was.Equal(tt.was) {
				t.Errorf("%s: CancelRotation = %+v; want %+v, which was to end at %s", tt.name, done, before.Credentials[0], tt.was)
			}
			if got := read(t, store, c.ID); !equal(got, before) {
				t.Errorf("%s: the client is now %+v; want %+v", tt.name, got, before)
			}
			if got := opens(t, store, c.ID, first, noon.Add(2*time.Minute)); got != Authenticated {
				t.Errorf("%s: the older secret: %q", tt.name, got)
			}
			if got := opens(t, store, c.ID, second.Reveal(), noon); got == Authenticated {
				t.Errorf("%s: the newer secret still opens the client", tt.name)
			}
			if ended, err := store.EndedSecret(t.Context(), c.ID, added.ID); err != nil || ended.RevokedBy != "me" || !ended.RevokedAt.Equal(noon.Add(time.Minute)) {
				t.Errorf("%s: EndedSecret = %+v, %v", tt.name, ended, err)
			}
		}
	})
}

// Of secrets made in the same second the one that was made last is the newer, each time.
func TestNewerOfTheSameSecond(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, store *Store) {
		for range 20 {
			c := billing()
			create(t, store, c)
			added, _, err := store.AddSecret(t.Context(), c.ID, time.Time{}, nil, noon)
			must(t, err)
			if done, err := store.CancelRotation(t.Context(), c.ID, "me", noon); err != nil || done.Ended.ID != added.ID {
				t.Fatalf("CancelRotation ended %s, %v; want %s", done.Ended.ID, err, added.ID)
			}
		}
	})
}

// There is nothing to cancel where there are not two live secrets, and an end that one overlap
// gave is not taken back with the next.
func TestNoRotation(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		cancel := func(want error, at time.Time) {
			t.Helper()
			if _, err := store.CancelRotation(t.Context(), c.ID, "me", at); !errors.Is(err, want) {
				t.Errorf("CancelRotation = %v; want %v", err, want)
			}
		}
		cancel(ErrNoRotation, noon)
		hour := time.Hour
		second, _, err := store.AddSecret(t.Context(), c.ID, time.Time{}, &hour, noon)
		must(t, err)
		cancel(ErrNoRotation, noon.Add(hour)) // the older one has ended
		must(t, store.RevokeSecret(t.Context(), c.ID, second.ID, "me", noon))
		cancel(ErrNoRotation, noon)
		_, _, err = store.AddSecret(t.Context(), c.ID, time.Time{}, nil, noon)
		must(t, err)
		cancel(nil, noon)
		if got := read(t, store, c.ID).Credentials; len(got) != 1 || !got[0].ExpiresAt.Equal(noon.Add(hour)) {
			t.Errorf("the first secret is now %+v; want the end that the first overlap gave it", got)
		}
		c.ID = nobodyID
		cancel(ErrNotFound, noon)
	})
}

// Tokens that were issued carry a place in the status lists that says that they are revoked;
// those that follow carry another.
func TestRevokeTokens(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, other := billing(), billing()
		secret := create(t, store, c)
		create(t, store, other)
		places := []int64{c.StatusIndex}
		for i := range 3 {
			must(t, store.RevokeTokens(t.Context(), c.ID, at(i)))
			now := read(t, store, c.ID)
			for j, place := range places {
				if place == now.StatusIndex {
					t.Fatalf("tokens that follow carry the place %d again", place)
				}
				if n := count(t, db, `SELECT count(*) FROM status_entries WHERE position = $1 AND client_id = $2 AND revoked_at = $3`, place, c.ID, at(j).Unix()); n != 1 {
					t.Errorf("the place %d does not say that its tokens were revoked at %s", place, at(j))
				}
			}
			places = append(places, now.StatusIndex)
		}
		last := places[len(places)-1]
		if n := count(t, db, `SELECT count(*) FROM status_entries WHERE revoked_at = 0 AND position IN ($1, $2)`, last, other.StatusIndex); n != 2 {
			t.Errorf("of two places that are in use, %d are not revoked", n)
		}
		if got := opens(t, store, c.ID, secret, noon); got != Authenticated {
			t.Errorf("the secret: %q", got)
		}
		if err := store.RevokeTokens(t.Context(), nobodyID, noon); !errors.Is(err, ErrNotFound) {
			t.Errorf("RevokeTokens of an unknown client = %v; want ErrNotFound", err)
		}
	})
}
