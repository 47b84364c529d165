package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

const (
	// leeway is how far the issuer's clock may be ahead of ours.
	leeway = 10 * time.Second

	// endOfTime is the last second of the year 9999, and of what RFC 3339 can write.
	endOfTime = 253402300799
)

// claims are those of a token, as they stand there.
type claims map[string]any

// token reads the claims that RFC 9068 §2.2 requires.
func (c claims) token() (*Token, error) {
	var t Token
	var err error
	for _, claim := range []struct {
		name string
		text *string
	}{{"iss", &t.Issuer}, {"sub", &t.Subject}, {"client_id", &t.ClientID}, {"jti", &t.ID}} {
		if *claim.text, err = c.text(claim.name); err != nil {
			return nil, err
		}
	}
	if t.Audience, err = c.audience(); err != nil {
		return nil, err
	}
	if t.IssuedAt, err = c.date("iat"); err != nil {
		return nil, err
	}
	if t.ExpiresAt, err = c.date("exp"); err != nil {
		return nil, err
	}
	return &t, c.optional(&t)
}

// optional reads the claims that a token may lack.
func (c claims) optional(t *Token) (err error) {
	if _, ok := c["nbf"]; ok {
		if t.notBefore, err = c.date("nbf"); err != nil {
			return err
		}
	}
	if scope, ok := c["scope"]; ok {
		if t.Scope, ok = scope.(string); !ok {
			return fmt.Errorf("%w: scope is not text", ErrMalformed)
		}
	}
	_, t.bound = c["cnf"]
	return nil
}

func (c claims) text(name string) (string, error) {
	text, _ := c[name].(string)
	if text == "" {
		return "", fmt.Errorf("%w: %s is missing or not text", ErrMalformed, name)
	}
	return text, nil
}

// audience reads aud, which is one string or an array of them (RFC 7519 §4.1.3).
func (c claims) audience() ([]string, error) {
	array, ok := c["aud"].([]any)
	if !ok {
		array = []any{c["aud"]}
	}
	audience := make([]string, len(array))
	for i, a := range array {
		if audience[i], _ = a.(string); audience[i] == "" {
			return nil, fmt.Errorf("%w: aud is missing or not text", ErrMalformed)
		}
	}
	return audience, nil
}

// date reads a NumericDate: seconds, which may have a fraction (RFC 7519 §2).
func (c claims) date(name string) (time.Time, error) {
	number, _ := c[name].(json.Number)
	seconds, err := strconv.ParseFloat(string(number), 64)
	if err != nil || seconds < 0 || seconds > endOfTime {
		return time.Time{}, fmt.Errorf("%w: %s is missing or not a time", ErrMalformed, name)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))), nil
}

// check says whether a token that the issuer signed is good here and now.
func (v *Verifier) check(t *Token, now time.Time) error {
	switch {
	case t.Issuer != v.issuer:
		return ErrIssuer
	case !slices.Contains(t.Audience, v.audience):
		return fmt.Errorf("%w: it is for %q", ErrAudience, t.Audience)
	case !now.Before(t.ExpiresAt): // RFC 7519 §4.1.4: on or after
		return fmt.Errorf("%w: at %v", ErrExpired, t.ExpiresAt.UTC())
	case t.IssuedAt.After(now.Add(leeway)), t.notBefore.After(now.Add(leeway)):
		return ErrNotYetValid
	case t.bound: // RFC 9449 §7.2, RFC 8705 §3
		return ErrBound
	}
	return nil
}
