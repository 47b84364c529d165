package verify

import (
	"cmp"
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

// claims are those of a token that matter here, as they stand there.
type claims struct {
	iss, sub, clientID, aud, jti, iat, exp value // RFC 9068 §2.2
	nbf, scope, cnf, status                value // which a token may lack
}

func readClaims(payload value) (c claims) {
	for name, v := range payload.members() {
		switch name {
		case "iss":
			c.iss = v
		case "sub":
			c.sub = v
		case "client_id":
			c.clientID = v
		case "aud":
			c.aud = v
		case "jti":
			c.jti = v
		case "iat":
			c.iat = v
		case "exp":
			c.exp = v
		case "nbf":
			c.nbf = v
		case "scope":
			c.scope = v
		case "cnf":
			c.cnf = v
		case "status":
			c.status = v
		}
	}
	return c
}

// token says what the claims mean.
func (c claims) token() (*Token, error) {
	t := &Token{bound: c.cnf != ""}
	err := cmp.Or(
		readText("iss", c.iss, &t.Issuer),
		readText("sub", c.sub, &t.Subject),
		readText("client_id", c.clientID, &t.ClientID),
		readText("jti", c.jti, &t.ID),
		readAudience(c.aud, &t.Audience),
		readDate("iat", c.iat, &t.IssuedAt),
		readDate("exp", c.exp, &t.ExpiresAt),
		c.optional(t),
	)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// optional reads the claims that a token may lack.
func (c claims) optional(t *Token) (err error) {
	if c.nbf != "" {
		if err := readDate("nbf", c.nbf, &t.notBefore); err != nil {
			return err
		}
	}
	scope, ok := c.scope.text()
	if !ok && c.scope != "" {
		return fmt.Errorf("%w: scope is not text", ErrMalformed)
	}
	t.Scope = scope
	t.status, err = readStatus(c.status)
	return err
}

func readText(name string, v value, text *string) error {
	if *text, _ = v.text(); *text == "" {
		return fmt.Errorf("%w: %s is missing or not text", ErrMalformed, name)
	}
	return nil
}

// readAudience reads aud, which is one string or an array of them (RFC 7519 §4.1.3).
func readAudience(v value, audience *[]string) error {
	if v.kind() != '[' {
		*audience = make([]string, 1)
		return readText("aud", v, &(*audience)[0])
	}
	for element := range v.elements() {
		var one string
		if err := readText("aud", element, &one); err != nil {
			return err
		}
		*audience = append(*audience, one)
	}
	return nil
}

// readDate reads a NumericDate: seconds, which may have a fraction (RFC 7519 §2).
func readDate(name string, v value, date *time.Time) error {
	seconds, err := strconv.ParseFloat(string(v), 64) // it reads no value but a number
	if err != nil || seconds < 0 || seconds > endOfTime {
		return fmt.Errorf("%w: %s is missing or not a time", ErrMalformed, name)
	}
	whole, fraction := math.Modf(seconds)
	*date = time.Unix(int64(whole), int64(fraction*float64(time.Second)))
	return nil
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
