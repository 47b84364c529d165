package tokens

import (
	"slices"
	"time"
)

// advance returns the keys as they should be at the given time: pending keys whose time has come
// and which are not held sign, the ones before them retire, and retired keys whose time is over are
// gone.
func (s Schedule) advance(keys []*Key, now time.Time) []*Key {
	for _, key := range keys {
		if key.State != Pending || key.ActivatesAt.After(now) || key.heldUntil.After(now) {
			continue
		}
		for _, older := range keys {
			if older.Alg == key.Alg && older.State == Active {
				older.State, older.RetiredAt, older.RemovesAt = Retired, now, now.Add(s.Keep)
			}
		}
		key.State, key.ActivatedAt = Active, now
	}
	return slices.DeleteFunc(keys, func(key *Key) bool {
		return key.State == Retired && !key.RemovesAt.After(now)
	})
}

// aging returns the algorithms whose signing key should have a successor by now and has none.
func (s Schedule) aging(keys []*Key, now time.Time) []Alg {
	var algs []Alg
	for _, key := range keys {
		successor := func(x *Key) bool { return x.Alg == key.Alg && x.State == Pending }
		old := !key.ActivatedAt.Add(s.Rotate - s.Publish).After(now)
		if key.State == Active && old && !slices.ContainsFunc(keys, successor) {
			algs = append(algs, key.Alg)
		}
	}
	return algs
}

// due says whether there is anything to do at the given time.
func (s Schedule) due(keys []*Key, now time.Time) bool {
	after := s.advance(clone(keys), now)
	return !slices.EqualFunc(keys, after, equal) || len(s.aging(after, now)) > 0
}
