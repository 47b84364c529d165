package clients

import (
	"slices"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A place whose bit was set is nobody's until no token carries it and no list shows it any more,
// and then somebody else's.
func TestPlacesAreUsedAgain(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := billing()
		create(t, store, c)
		place := c.StatusIndex
		must(t, store.RevokeTokens(t.Context(), c.ID, noon))
		for _, tt := range []struct {
			after time.Duration
			set   int // bits
			taken bool
		}{
			{0, 1, false},
			{MaxTokenLifetime, 1, false},
			{bitKept - time.Second, 1, false},
			{bitKept, 0, false},
			{bitKept + placeRests - time.Second, 0, false},
			{bitKept + placeRests, 0, true},
		} {
			now := noon.Add(tt.after)
			must(t, store.releaseStatus(t.Context(), now))
			if n := count(t, db, `SELECT count(*) FROM status_entries WHERE position = $1 AND revoked_at > 0`, place); n != tt.set {
				t.Errorf("%v after the revocation, %d bits are set at its place; want %d", tt.after, n, tt.set)
			}
			taken, err := store.takePlace(t.Context(), place, "another", now)
			if err != nil || taken != tt.taken {
				t.Errorf("%v after the revocation, its place is given to another = %t, %v; want %t", tt.after, taken, err, tt.taken)
			}
		}
	})
}

// Each change of a bit is one that other servers can read, after all that they have read.
func TestChangesHaveVersions(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		version := func() int { return count(t, db, `SELECT version FROM status_version WHERE id = 1`) }
		newest := func() int { return count(t, db, `SELECT max(changed) FROM status_entries`) }
		var ids []string
		for range 3 {
			c := billing()
			create(t, store, c)
			ids = append(ids, c.ID)
		}
		if n := newest(); n != 0 {
			t.Errorf("a new place has the version %d; nobody need read it", n)
		}
		versions := []int{version()}
		act := func(name string, err error) {
			t.Helper()
			must(t, err)
			versions = append(versions, version())
			if newest() != version() {
				t.Errorf("%s: the newest bit has the version %d, the lists %d", name, newest(), version())
			}
		}
		act("revoked", store.RevokeTokens(t.Context(), ids[0], noon))
		act("deleted", store.Delete(t.Context(), ids[1], "me", noon))
		act("released", store.releaseStatus(t.Context(), noon.Add(bitKept)))
		if !slices.IsSorted(versions) || len(slices.Compact(versions)) != 4 {
			t.Errorf("the versions are %v; each must be greater than the one before", versions)
		}
		before := version()
		must(t, store.releaseStatus(t.Context(), noon.Add(bitKept)))
		if version() != before {
			t.Error("a release that releases nothing has changed the version, and every list with it")
		}
	})
}
