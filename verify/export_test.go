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
