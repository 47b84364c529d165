package clients

import (
	"errors"
	"testing"

	"github.com/wardkey/wardkey/internal/database"
)

// A secret's text leads to its client while it is live, and after it was revoked.
func TestBySecret(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, store *Store) {
		c, other := billing(), billing()
		first := create(t, store, c)
		create(t, store, other)
		added, second, err := store.AddSecret(t.Context(), c.ID, at(9), nil, noon)
		must(t, err)
		old := c.Credentials[0]
		must(t, store.RevokeSecret(t.Context(), c.ID, old.ID, "me", at(1)))

		want := OwnedSecret{ClientID: c.ID, ID: old.ID, Hint: old.Hint, CreatedAt: old.CreatedAt, EndsAt: at(1), RevokedAt: at(1), RevokedBy: "me"}
		if got, err := store.BySecret(t.Context(), first); err != nil || got != want {
			t.Errorf("BySecret of a revoked one = %+v, %v; want %+v", got, err, want)
		}
		want = OwnedSecret{ClientID: c.ID, ID: added.ID, Hint: added.Hint, CreatedAt: added.CreatedAt, EndsAt: at(9)}
		got, err := store.BySecret(t.Context(), second.Reveal())
		if err != nil || got != want {
			t.Errorf("BySecret of a live one = %+v, %v; want %+v", got, err, want)
		}
		if !got.Live(at(8)) || got.Live(at(9)) {
			t.Errorf("Live before its end = %t, at its end = %t; want true, false", got.Live(at(8)), got.Live(at(9)))
		}
		if got, err := store.BySecret(t.Context(), NewSecret().Reveal()); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("BySecret of nobody's = %+v, %v; want ErrSecretNotFound", got, err)
		}
	})
}

// What it takes to find whose secret it is among 100,000 clients.
func BenchmarkBySecret(b *testing.B) {
	benchEach(b, func(b *testing.B, _ *database.DB, store *Store) {
		text := NewSecret().Reveal()
		for b.Loop() {
			if _, err := store.BySecret(b.Context(), text); !errors.Is(err, ErrSecretNotFound) {
				b.Fatal(err)
			}
		}
	})
}
