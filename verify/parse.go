package verify

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// maxTokenLength is how long a token may be. One with 300 scope values has 12 KiB.
const maxTokenLength = 16 << 10

// base64url is the one alphabet of JOSE. Strict, so that no two texts are one
// token (RFC 4648 §3.5).
var base64url = base64.RawURLEncoding.Strict()

// A compact is a token that has been read and not yet believed.
type compact struct {
	alg, kid  string
	claims    claims
	signed    string // what the signature is over
	signature []byte
}

// parse reads a token in the compact serialization of RFC 7515 §7.1.
func parse(token string) (*compact, error) {
	segments, err := split(token)
	if err != nil {
		return nil, err
	}
	c := &compact{signed: token[:strings.LastIndexByte(token, '.')]}
	header, err := decodeSegment(segments[0])
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if err := c.readHeader(header); err != nil {
		return nil, err
	}
	if c.claims, err = decodeSegment(segments[1]); err != nil {
		return nil, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
	}
	if c.signature, err = base64url.DecodeString(segments[2]); err != nil {
		return nil, fmt.Errorf("%w: the signature is not base64url", ErrMalformed)
	}
	return c, nil
}

// split cuts a token into its segments before anything else looks at it
// (RFC 8725bis §3.14), so that nothing else has to be careful.
func split(token string) ([]string, error) {
	if len(token) > maxTokenLength {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrMalformed, maxTokenLength)
	}
	if strings.ContainsFunc(token, foreign) {
		return nil, fmt.Errorf("%w: it has a character outside base64url", ErrMalformed)
	}
	segments := strings.Split(token, ".")
	if len(segments) != 3 || slices.Contains(segments, "") {
		return nil, fmt.Errorf("%w: it does not have three segments", ErrMalformed)
	}
	return segments, nil
}

func foreign(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

func decodeSegment(segment string) (map[string]any, error) {
	data, err := base64url.DecodeString(segment)
	if err != nil {
		return nil, fmt.Errorf("not base64url")
	}
	return decodeObject(data)
}

// readHeader takes from the header what Wardkey puts there. All the rest, jku,
// x5u, jwk and x5c among it, is as if it were absent (RFC 8725 §3.10), except what
// changes the meaning of the token.
func (c *compact) readHeader(header map[string]any) error {
	for _, name := range []string{"crit", "b64"} { // RFC 7515 §4.1.11, RFC 7797 §3
		if _, ok := header[name]; ok {
			return fmt.Errorf("%w: the header has %s", ErrMalformed, name)
		}
	}
	typ, _ := header["typ"].(string)
	if !accessToken(typ) {
		return fmt.Errorf("%w: typ is not at+jwt", ErrMalformed)
	}
	c.alg, _ = header["alg"].(string)
	if methods[c.alg] == nil {
		return fmt.Errorf("%w: alg is none of ours", ErrSignature)
	}
	c.kid, _ = header["kid"].(string)
	if c.kid == "" {
		return fmt.Errorf("%w: it does not name its key", ErrSignature)
	}
	return nil
}

// accessToken says whether typ is that of RFC 9068 §4. A media type has no case, and
// one without a slash is an application's (RFC 7515 §4.1.9).
func accessToken(typ string) bool {
	return strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt")
}
