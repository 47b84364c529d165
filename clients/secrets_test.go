package clients

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// opens says with which verdict a secret is met at a time, as the store has the client.
func opens(t *testing.T, store *Store, id, secret string, at time.Time) Verdict {
	t.Helper()
	verdict, _ := read(t, store, id).Authenticate(secret, at)
	return verdict
}

// The rules for a second secret, and what becomes of the first.
func TestAddSecret(t *testing.T) {
	minutes := func(n int) *time.Duration { d := time.Duration(n) * time.Minute; return &d }
	tests := []struct {
		name       string
		firstEnds  time.Duration // after noon; 0: never
		overlap    *time.Duration
		expires    time.Time
		at         time.Duration // after noon
		first, new Verdict
	}{
		{"both live", 0, nil, time.Time{}, 1000 * time.Hour, Authenticated, Authenticated},
		{"within the overlap", 0, minutes(10), time.Time{}, 10*time.Minute - 1, Authenticated, Authenticated},
		{"after the overlap", 0, minutes(10), time.Time{}, 10 * time.Minute, SecretExpired, Authenticated},
		{"no overlap at all", 0, minutes(0), time.Time{}, 0, SecretExpired, Authenticated},
		{"an overlap makes nothing longer", 5 * time.Minute, minutes(10), time.Time{}, 5 * time.Minute, SecretExpired, Authenticated},
		{"an overlap makes it shorter", 15 * time.Minute, minutes(10), time.Time{}, 10 * time.Minute, SecretExpired, Authenticated},
		{"no overlap changes no end", 15 * time.Minute, nil, time.Time{}, 15*time.Minute - 1, Authenticated, Authenticated},
		{"the new one lives until its end", 0, nil, noon.Add(time.Hour), time.Hour - 1, Authenticated, Authenticated},
		{"the new one ends", 0, nil, noon.Add(time.Hour), time.Hour, Authenticated, SecretExpired},
	}
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				c := billing()
				first := create(t, store, c)
				if tt.firstEnds > 0 {
					_, err := db.Exec(t.Context(), `UPDATE client_secrets SET expires_at = $1 WHERE client_id = $2`, noon.Add(tt.firstEnds).Unix(), c.ID)
					must(t, err)
				}
				credential, secret, err := store.AddSecret(t.Context(), c.ID, tt.expires, tt.overlap, noon)
				must(t, err)
				if text := secret.Reveal(); credential.Hint != text[len(text)-4:] || !credential.CreatedAt.Equal(noon) || !credential.ExpiresAt.Equal(tt.expires) {
					t.Errorf("AddSecret = %+v for %s", credential, text)
				}
				if got := opens(t, store, c.ID, first, noon.Add(tt.at)); got != tt.first {
					t.Errorf("the first secret: %q; want %q", got, tt.first)
				}
				if got := opens(t, store, c.ID, secret.Reveal(), noon.Add(tt.at)); got != tt.new {
					t.Errorf("the new secret: %q; want %q", got, tt.new)
				}
			})
		}
	})
}

// At most two secrets are live; those that have ended make room, those that end later do not.
func TestTwoSecrets(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		first := create(t, store, c)
		add := func(expires time.Time, at time.Time) (Credential, error) {
			credential, _, err := store.AddSecret(t.Context(), c.ID, expires, nil, at)
			return credential, err
		}
		second, err := add(noon.Add(time.Hour), noon)
		must(t, err)
		for _, at := range []time.Time{noon, noon.Add(time.Hour - 1)} {
			if _, err := add(time.Time{}, at); !errors.Is(err, ErrTwoSecrets) {
				t.Errorf("a third secret at %s: %v; want ErrTwoSecrets", at, err)
			}
		}
		third, err := add(time.Time{}, noon.Add(time.Hour))
		must(t, err)
		if got := read(t, store, c.ID).Live(noon.Add(time.Hour)); len(got) != 2 || got[1].ID != third.ID {
			t.Errorf("the dead one left no room: %+v", got)
		}
		must(t, store.RevokeSecret(t.Context(), c.ID, second.ID, "me", noon.Add(time.Hour)))
		must(t, store.RevokeSecret(t.Context(), c.ID, third.ID, "me", noon.Add(time.Hour)))
		if got := opens(t, store, c.ID, first, noon); got != Authenticated {
			t.Errorf("the first secret: %q", got)
		}
		_, err = add(time.Time{}, noon)
		must(t, err)
	})
}

// A secret that is revoked opens nothing any more; a secret is revoked through its own client.
func TestRevokeSecret(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, store *Store) {
		c, other := billing(), billing()
		secret, otherSecret := create(t, store, c), create(t, store, other)
		if err := store.RevokeSecret(t.Context(), other.ID, c.Credentials[0].ID, "me", noon); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("RevokeSecret through another client = %v; want ErrSecretNotFound", err)
		}
		if got := opens(t, store, c.ID, secret, noon); got != Authenticated {
			t.Errorf("before, the secret: %q", got)
		}
		must(t, store.RevokeSecret(t.Context(), c.ID, c.Credentials[0].ID, "me", noon))
		if got := opens(t, store, c.ID, secret, noon); got != WrongSecret {
			t.Errorf("after, the secret: %q", got)
		}
		if got := opens(t, store, other.ID, otherSecret, noon); got != Authenticated {
			t.Errorf("the other client's secret: %q", got)
		}
		if err := store.RevokeSecret(t.Context(), c.ID, c.Credentials[0].ID, "me", noon); !errors.Is(err, ErrSecretNotFound) {
			t.Errorf("RevokeSecret again = %v; want ErrSecretNotFound", err)
		}
	})
}

// However many add a secret at once, on however many servers, there are never more than two; who
// is too late is told so, and nobody is told that the server failed.
func TestTwoSecretsAtOnce(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { twoAtOnce(t, databasetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) {
		url := databasetest.PostgresURL(t)
		var servers []*database.DB
		for range 2 {
			db, err := database.Open(url)
			must(t, err)
			t.Cleanup(func() { must(t, db.Close()) })
			servers = append(servers, db)
		}
		must(t, servers[0].Migrate(t.Context()))
		twoAtOnce(t, servers...)
	})
}

func twoAtOnce(t *testing.T, servers ...*database.DB) {
	store := furnish(t, servers[0])
	c := billing()
	create(t, store, c)
	errs := make([]error, 100)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, _, errs[i] = NewStore(servers[i%len(servers)]).AddSecret(t.Context(), c.ID, time.Time{}, nil, noon)
		})
	}
	wg.Wait()
	added := 0
	for _, err := range errs {
		if err == nil {
			added++
		} else if !errors.Is(err, ErrTwoSecrets) {
			t.Errorf("AddSecret: %v; want ErrTwoSecrets", err)
		}
	}
	if live := len(read(t, store, c.ID).Credentials); added != 1 || live != 2 {
		t.Errorf("%d secrets were added, %d are live; want 1 and 2", added, live)
	}
}
