package tokens

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A life is what was seen of one key, whatever became of it.
type life struct {
	*Key
	promised bool // it was made to be published before it signs
	removed  bool // an admin took it away
}

// However time passes and whatever an admin does: once there was a key that signs, there is one,
// and only one of each algorithm; a key is public for Publish before it signs, unless an admin
// said "at once", and for Keep after it signed last.
func TestScheduleKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Publish: 10 * time.Minute, Rotate: 90 * 24 * time.Hour, Keep: 25 * time.Hour}
		now := noon
		var keys []*Key
		lives := map[string]*life{}
		add := func(alg Alg, activates time.Time, promised bool) {
			k := &Key{ID: fmt.Sprint(len(lives)), Alg: alg, State: Pending, CreatedAt: now, ActivatesAt: activates}
			lives[k.ID] = &life{Key: k, promised: promised}
			keys = s.advance(append(keys, k), now)
		}
		tick := func() { // as Keys.tick does
			keys = s.advance(keys, now)
			for _, alg := range s.aging(keys, now) {
				add(alg, now.Add(s.Publish), true)
			}
			if s.due(keys, now) {
				t.Fatalf("there still is something to do: %v", keys)
			}
		}
		algs := []Alg{ES256, RS256}
		for _, alg := range algs {
			add(alg, now, false)
		}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				limit := rapid.SampledFrom([]time.Duration{time.Minute, 20 * time.Minute, 50 * time.Hour, 200 * 24 * time.Hour}).Draw(t, "limit")
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(limit/time.Second)).Draw(t, "seconds")) * time.Second)
				tick()
			},
			"rotate":         func(t *rapid.T) { add(rapid.SampledFrom(algs).Draw(t, "alg"), now.Add(s.Publish), true) },
			"rotate at once": func(t *rapid.T) { add(rapid.SampledFrom(algs).Draw(t, "alg"), now, false) },
			"remove": func(t *rapid.T) { // as Keys.Remove does
				i := rapid.IntRange(0, len(keys)-1).Draw(t, "key")
				gone := keys[i]
				lives[gone.ID].removed = true
				keys = slices.Delete(keys, i, i+1)
				if gone.State == Active {
					add(gone.Alg, now, false)
				}
			},
			"": func(t *rapid.T) {
				for _, alg := range algs {
					active := 0
					for _, k := range keys {
						if k.Alg == alg && k.State == Active {
							active++
						}
					}
					if active != 1 {
						t.Fatalf("%d keys sign %s", active, alg)
					}
				}
				for _, l := range lives {
					here := slices.Contains(keys, l.Key)
					if l.promised && !l.ActivatedAt.IsZero() && l.ActivatedAt.Before(l.CreatedAt.Add(s.Publish)) {
						t.Fatalf("key %s of %s signs at %s", l.ID, l.CreatedAt, l.ActivatedAt)
					}
					if !here && !l.removed && (l.State != Retired || now.Before(l.RetiredAt.Add(s.Keep))) {
						t.Fatalf("key %s, %s since %s, is gone at %s", l.ID, l.State, l.RetiredAt, now)
					}
					if here && l.State == Retired && (l.ActivatedAt.IsZero() || l.RetiredAt.Before(l.ActivatedAt) || !l.RemovesAt.Equal(l.RetiredAt.Add(s.Keep))) {
						t.Fatalf("key %s retired at %s, signed from %s, leaves at %s", l.ID, l.RetiredAt, l.ActivatedAt, l.RemovesAt)
					}
				}
			},
		})
	})
}

// A day in the life of a rotation, moment by moment.
func TestScheduleMoments(t *testing.T) {
	s := DefaultSchedule
	first := &Key{ID: "first", Alg: ES256, State: Active, CreatedAt: noon, ActivatesAt: noon, ActivatedAt: noon}
	next := &Key{ID: "next", Alg: ES256, State: Pending}
	states := func(keys []*Key) (text string) {
		for _, k := range keys {
			text += k.ID + " " + string(k.State) + " "
		}
		return text
	}
	old := noon.Add(s.Rotate - s.Publish)
	if got := s.aging([]*Key{first}, old.Add(-1)); len(got) != 0 {
		t.Errorf("a moment too early %v is aging", got)
	}
	if got := s.aging([]*Key{first}, old); !slices.Equal(got, []Alg{ES256}) {
		t.Errorf("when it is time %v is aging", got)
	}
	next.CreatedAt, next.ActivatesAt = old, old.Add(s.Publish)
	if got := s.aging([]*Key{first, next}, old); len(got) != 0 {
		t.Errorf("with a successor there %v is aging", got)
	}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{old, "first active next pending "},
		{next.ActivatesAt.Add(-1), "first active next pending "},
		{next.ActivatesAt, "first retired next active "},
		{next.ActivatesAt.Add(s.Keep - 1), "first retired next active "},
		{next.ActivatesAt.Add(s.Keep), "next active "},
	} {
		keys := s.advance(clone([]*Key{first, next}), next.ActivatesAt.Add(-1))
		if !tt.at.Before(next.ActivatesAt) {
			keys = s.advance(keys, next.ActivatesAt)
		}
		if got := states(s.advance(keys, tt.at)); got != tt.want {
			t.Errorf("at %s the keys are %s; want %s", tt.at, got, tt.want)
		}
	}
	if s.Publish < JWKSMaxAge || s.Keep <= 24*time.Hour+patience {
		t.Errorf("%+v keeps less than what is promised: a JWKS lives %s, a token 24h, and a server signs for %s alone", s, JWKSMaxAge, patience)
	}
}
