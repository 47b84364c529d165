package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// maxTokenLength is how long a token may be. One with 300 scope values has 12 KiB.
const maxTokenLength = 16 << 10

// base64url is the one alphabet of JOSE. Strict, so that no two texts are one
// token (RFC 4648 §3.5).
var base64url = base64.RawURLEncoding.Strict()

// A compact is a JWT that has been read and not yet believed.
type compact struct {
	alg, kid  string
	payload   value
	signed    string // what the signature is over
	signature []byte
}

// parse reads an access token.
func parse(token string) (compact, error) {
	if len(token) > maxTokenLength {
		return compact{}, fmt.Errorf("%w: it is longer than %d bytes", ErrMalformed, maxTokenLength)
	}
	return parseCompact(token, "at+jwt") // RFC 9068 §4
}

// parseCompact reads a JWT of the given type in the compact serialization of RFC 7515 §7.1.
func parseCompact(token, typ string) (c compact, err error) {
	header, payload, signature, err := split(token)
	if err != nil {
		return c, err
	}
	h, err := decodeSegment(header)
	if err != nil {
		return c, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if err := c.readHeader(h, typ); err != nil {
		return c, err
	}
	if c.payload, err = decodeSegment(payload); err != nil {
		return c, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
	}
	if c.signature, err = base64url.DecodeString(signature); err != nil {
		return c, fmt.Errorf("%w: the signature is not base64url", ErrMalformed)
	}
	c.signed = token[:len(header)+len(".")+len(payload)]
	return c, nil
}

// split cuts a token into its segments before anything else looks at it
// (RFC 8725bis §3.14), so that nothing else has to be careful.
func split(token string) (header, payload, signature string, err error) {
	if strings.Contains(token, "\n") || strings.Contains(token, "\r") { // which Go's base64 skips
		return "", "", "", fmt.Errorf("%w: it has a character outside base64url", ErrMalformed)
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	if header == "" || payload == "" || signature == "" {
		return "", "", "", fmt.Errorf("%w: it does not have three segments", ErrMalformed)
	}
	return header, payload, signature, nil
}

// decodeSegment reads the JSON object in a segment. Most fit into the buffer, so
// that only their text is allocated.
func decodeSegment(segment string) (value, error) {
	var buffer [2 << 10]byte
	data, err := base64url.AppendDecode(buffer[:0], []byte(segment))
	if err != nil {
		return "", errors.New("not base64url")
	}
	return parseObject(string(data))
}

// readHeader takes from the header what Wardkey puts there. All the rest, jku,
// x5u, jwk and x5c among it, is as if it were absent (RFC 8725 §3.10), except what
// changes the meaning of the token.
func (c *compact) readHeader(header value, want string) error {
	var typ string
	for name, v := range header.members() {
		switch name {
		case "typ":
			typ, _ = v.text()
		case "alg":
			c.alg, _ = v.text()
		case "kid":
			c.kid, _ = v.text()
		case "crit", "b64": // RFC 7515 §4.1.11, RFC 7797 §3
			return fmt.Errorf("%w: the header has %s", ErrMalformed, name)
		}
	}
	switch {
	case !isType(typ, want):
		return fmt.Errorf("%w: typ is not %s", ErrMalformed, want)
	case methods[c.alg] == nil:
		return fmt.Errorf("%w: alg is none of ours", ErrSignature)
	case c.kid == "":
		return fmt.Errorf("%w: it does not name its key", ErrSignature)
	}
	return nil
}

// isType compares media types. They have no case, and one without a slash is an
// application's (RFC 7515 §4.1.9).
func isType(typ, want string) bool {
	const application = "application/"
	if len(typ) > len(want) && strings.EqualFold(typ[:len(typ)-len(want)], application) {
		typ = typ[len(application):]
	}
	return strings.EqualFold(typ, want)
}
