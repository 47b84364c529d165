package clients

import (
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

// sameSecrets brings the secrets of both to one order; the token path needs none.
func sameSecrets(a, b *Client) bool {
	if len(a.Credentials) != len(b.Credentials) {
		return false
	}
	byID := map[string]Credential{}
	for _, x := range a.Credentials {
		byID[x.ID] = x
	}
	for _, x := range b.Credentials {
		if byID[x.ID] != x {
			return false
		}
	}
	return true
}

// The row that the token path reads says what the tables say, after whatever is done to a client.
func TestDerivedRowAgreesWithTheTables(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		lookup := NewLookup(db, 10*time.Second)
		rapid.Check(t, func(r *rapid.T) {
			now := noon
			mine := []*Client{billing(), full()}
			for _, c := range mine {
				create(t, store, c)
			}
			// Sections and permissions that are taken are given back by a later update.
			acts := map[string]func(*Client){
				"update": func(c *Client) {
					c.Held = rapid.SampledFrom([]*Client{billing(), full()}).Draw(r, "as").Held
					c.Disabled = rapid.Bool().Draw(r, "disabled")
					_ = store.Update(t.Context(), c) // it may be deleted
				},
				"add a secret": func(c *Client) {
					overlap := time.Duration(rapid.IntRange(0, 100).Draw(r, "overlap")) * time.Second
					_, _, _ = store.AddSecret(t.Context(), c.ID, time.Time{}, &overlap, now) // two may live
				},
				"revoke a secret": func(c *Client) {
					if all := c.Credentials; len(all) > 0 {
						_ = store.RevokeSecret(t.Context(), c.ID, all[0].ID)
					}
				},
				"take a Section":    func(*Client) { _, _, err := store.TakeSection(t.Context(), "nordic", "me", now); must(t, err) },
				"take a permission": func(*Client) { _, err := store.TakePermissions(t.Context(), "email", []string{"write"}); must(t, err) },
				"delete":            func(c *Client) { _ = store.Delete(t.Context(), c.ID, "me", now) },
			}
			names := []string{"update", "add a secret", "revoke a secret", "take a Section", "take a permission", "delete"}
			for range rapid.IntRange(1, 8).Draw(r, "acts") {
				now = now.Add(time.Minute)
				acts[rapid.SampledFrom(names).Draw(r, "act")](rapid.SampledFrom(mine).Draw(r, "client"))
				for _, c := range mine {
					want, err := store.Client(t.Context(), c.ID)
					if err != nil {
						want = Nobody // deleted
					}
					got, _, err := lookup.Client(t.Context(), c.ID)
					if err != nil {
						r.Fatal(err)
					}
					if got == Nobody || want == Nobody {
						if got != want {
							r.Fatalf("the token path has %+v, the tables %+v", got, want)
						}
						continue
					}
					want = known(want)
					if !sameSecrets(got, want) {
						r.Fatalf("the token path has the secrets %+v, the tables %+v", got.Credentials, want.Credentials)
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
