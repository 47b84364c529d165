package clients

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wardkey/wardkey/internal/database"
)

// known is what a token request needs to know of a client.
func known(c *Client) *Client {
	k := &Client{
		ID: c.ID, Held: c.Held, Audiences: c.Audiences, TokenLifetime: c.TokenLifetime, SigningAlg: c.SigningAlg,
		Disabled: c.Disabled, ExpiresAt: c.ExpiresAt, StatusIndex: c.StatusIndex,
	}
	for _, x := range c.Credentials {
		k.Credentials = append(k.Credentials, Credential{ID: x.ID, ExpiresAt: x.ExpiresAt, hash: x.hash})
	}
	return k
}

// secretsInTable are all of a client's that the table has, with what the token path knows of
// them: one that was revoked ended long ago.
func secretsInTable(t *testing.T, db *database.DB, clientID string) map[string]Credential {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT id, hash, expires_at, revoked_at <> 0 FROM client_secrets WHERE client_id = $1`, clientID)
	must(t, err)
	defer rows.Close()
	all := map[string]Credential{}
	for rows.Next() {
		var x Credential
		var hash string
		var end database.Time
		var revoked bool
		must(t, rows.Scan(&x.ID, &hash, &end, &revoked))
		must(t, x.hash.parse(hash))
		if x.ExpiresAt = end.Time; revoked {
			x.ExpiresAt = time.Unix(1, 0).UTC()
		}
		all[x.ID] = x
	}
	must(t, rows.Err())
	return all
}

func byID(credentials []Credential) map[string]Credential {
	all := map[string]Credential{}
	for _, x := range credentials {
		all[x.ID] = x
	}
	return all
}

// A life is a client to which things happen, and every secret that it ever had.
type life struct {
	*Client
	secrets map[string]string // by id
	ended   map[string]bool   // those that were revoked
}

// end notes that a secret was revoked, unless the store refused.
func (l *life) end(id string, err error) {
	if err == nil {
		l.ended[id] = true
	}
}

// The row that the token path reads says what the tables say, after whatever is done to a client;
// and no secret that was revoked opens it, by whatever clock.
func TestDerivedRowAgreesWithTheTables(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		lookup := NewLookup(db, 10*time.Second)
		rapid.Check(t, func(r *rapid.T) {
			now := noon
			mine := []*life{{Client: billing()}, {Client: full()}}
			for _, l := range mine {
				secret := create(t, store, l.Client)
				l.secrets, l.ended = map[string]string{l.Credentials[0].ID: secret}, map[string]bool{}
			}
			// Sections and permissions that are taken are given back by a later update.
			acts := map[string]func(*life){
				"update": func(l *life) {
					l.Held = rapid.SampledFrom([]*Client{billing(), full()}).Draw(r, "as").Held
					l.Disabled = rapid.Bool().Draw(r, "disabled")
					_ = store.Update(t.Context(), l.Client) // it may be deleted
				},
				"add a secret": func(l *life) {
					overlap := time.Duration(rapid.IntRange(0, 100).Draw(r, "overlap")) * time.Second
					added, secret, err := store.AddSecret(t.Context(), l.ID, time.Time{}, &overlap, now) // two may live
					if err == nil {
						l.secrets[added.ID] = secret.Reveal()
					}
				},
				"revoke a secret": func(l *life) {
					id := rapid.SampledFrom(slices.Sorted(maps.Keys(l.secrets))).Draw(r, "secret")
					l.end(id, store.RevokeSecret(t.Context(), l.ID, id, "me", now))
				},
				"cancel a rotation": func(l *life) {
					cancelled, err := store.CancelRotation(t.Context(), l.ID, "me", now)
					l.end(cancelled.Ended.ID, err)
				},
				"revoke tokens":     func(l *life) { _ = store.RevokeTokens(t.Context(), l.ID, now) },
				"take a Section":    func(*life) { _, _, err := store.TakeSection(t.Context(), "nordic", "me", now); must(t, err) },
				"take a permission": func(*life) { _, err := store.TakePermissions(t.Context(), "email", []string{"write"}); must(t, err) },
				"delete":            func(l *life) { _ = store.Delete(t.Context(), l.ID, "me", now) },
			}
			names := []string{
				"update", "add a secret", "add a secret", "revoke a secret", "revoke a secret", "cancel a rotation", "revoke tokens",
				"take a Section", "take a permission", "delete",
			}
			for range rapid.IntRange(1, 12).Draw(r, "acts") {
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(r, "seconds")) * time.Second)
				acts[rapid.SampledFrom(names).Draw(r, "act")](rapid.SampledFrom(mine).Draw(r, "client"))
				for _, l := range mine {
					want, err := store.Client(t.Context(), l.ID)
					if err != nil {
						want = Nobody // deleted
					}
					got, _, err := lookup.Client(t.Context(), l.ID)
					if err != nil {
						r.Fatal(err)
					}
					for id := range l.ended {
						for _, at := range []time.Time{noon.Add(-time.Hour), now, now.Add(1000 * time.Hour)} {
							if verdict, _ := got.Authenticate(l.secrets[id], at); verdict == Authenticated {
								r.Fatalf("at %s the revoked secret %s opens the client", at, id)
							}
							if verdict, _ := want.Authenticate(l.secrets[id], at); verdict == Authenticated {
								r.Fatalf("at %s the tables let the revoked secret %s open the client", at, id)
							}
						}
					}
					if got == Nobody || want == Nobody {
						if got != want {
							r.Fatalf("the token path has %+v, the tables %+v", got, want)
						}
						continue
					}
					want = known(want)
					if secrets := secretsInTable(t, db, l.ID); !maps.Equal(byID(got.Credentials), secrets) || len(got.Credentials) != len(secrets) {
						r.Fatalf("the token path has the secrets %+v, the tables %+v", got.Credentials, secrets)
					}
					got.Credentials, want.Credentials = nil, nil
					if !equal(got, want) {
						r.Fatalf("the token path has %+v, the tables %+v", got, want)
					}
				}
			}
		})
	})
}
