package verify

import (
	"context"
	"time"
)

// UsableKeys is how many keys of a JWK set would verify a token.
func UsableKeys(jwks []byte) int {
	keys, _ := parseKeys(jwks)
	return len(keys)
}

// StatusVerdict reads the claims of a status list, and judges the token at index by it.
func StatusVerdict(claims, uri string, index int64) (read bool, verdict error) {
	object, err := parseObject(claims)
	if err != nil {
		return false, err
	}
	list, err := parseStatusList(object, uri, time.Now())
	if err != nil {
		return false, err
	}
	return true, list.verdict(index)
}

// CheckStatus is what checking a token costs beyond reading it.
func (v *Verifier) CheckStatus(ctx context.Context, uri string, index int64) error {
	return v.statuses.check(ctx, place{uri, index})
}

// Remembered has an opinion formed on one token every so often. It returns how many of
// them are remembered in the end, and which is the oldest.
func Remembered(tokens int, every, lasting time.Duration) (oldest, count int) {
	i := introspection{opinions: map[digest]opinion{}}
	for n := range tokens {
		time.Sleep(every)
		now := time.Now()
		i.remember(digest{byte(n), byte(n >> 8)}, opinion{until: now.Add(lasting)}, now)
	}
	if len(i.order) != len(i.opinions) || len(i.order) == 0 {
		return -1, len(i.order)
	}
	return int(i.order[0][0]) | int(i.order[0][1])<<8, len(i.order)
}
