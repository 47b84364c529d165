package verify_test

import (
	"crypto/ecdsa"
	"errors"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/verify"
)

// TestKeys holds which keys of a set are used: a token signed with the key is
// accepted or not, beside another key that works.
func TestKeys(t *testing.T) {
	ec, ed, rs := newES256("1", 1), newEdDSA("1", "EdDSA", 1), newRS256("1", rsaKey())
	other := newES256("2", 2)
	x, y := ec.coordinates()
	for _, tt := range []struct {
		name string
		key  signer
		ok   bool
	}{
		{"ES256", ec, true},
		{"RS256", rs, true},
		{"EdDSA", ed, true},
		{"no use", ec.with(object{"use": nil}), true},
		{"key_ops verify", ec.with(object{"use": nil, "key_ops": []string{"verify"}}), true},
		{"members that we do not know", ec.with(object{"x5c": []string{"MIIB"}, "nbf": 1}), true},
		{"EC without alg", ec.with(object{"alg": nil}), true},

		// J-08, X-007
		{"use enc", ec.with(object{"use": "enc"}), false},
		{"use is a number", ec.with(object{"use": 1}), false},
		{"key_ops sign", ec.with(object{"key_ops": []string{"sign"}}), false},
		{"key_ops empty", ec.with(object{"key_ops": []string{}}), false},
		{"key_ops is text", ec.with(object{"key_ops": "verify"}), false},

		// J-07, M-11, K-05
		{"EC with another alg", ec.with(object{"alg": "ES384"}), false},
		{"EC with alg of a MAC", ec.with(object{"alg": "HS256"}), false},
		{"EC with alg a number", ec.with(object{"alg": 0}), false},
		{"RSA without alg", rs.with(object{"alg": nil}), false},
		{"RSA with another alg", rs.with(object{"alg": "PS256"}), false},
		{"OKP without alg", ed.with(object{"alg": nil}), false},
		{"OKP with another alg", ed.with(object{"alg": "ES256"}), false},
		{"unknown kty", ec.with(object{"kty": "AKP"}), false},
		{"no kty", ec.with(object{"kty": nil}), false},
		{"unknown curve", ec.with(object{"crv": "P-521"}), false},
		{"OKP of another curve", ed.with(object{"crv": "X25519"}), false},

		// M-02
		{"EC private", ec.with(object{"d": "AQ"}), false},
		{"RSA private by its primes", rs.with(object{"p": "AQ"}), false},
		{"OKP private", ed.with(object{"d": "AQ"}), false},

		// J-09, X-062
		{"EC point off the curve", ec.with(object{"y": ec.jwk["x"]}), false},
		{"EC coordinate missing", ec.with(object{"y": nil}), false},
		{"EC coordinate padded", ec.with(object{"x": b64("\x00") + ec.jwk["x"].(string)}), false},
		{"EC coordinates cut elsewhere", ec.with(object{"x": b64(x[:31]), "y": b64(x[31:] + y)}), false},
		{"EC coordinate not base64url", ec.with(object{"x": "!" + ec.jwk["x"].(string)[1:]}), false},
		{"OKP too short", ed.with(object{"x": b64("short")}), false},
		{"RSA of 1024 bits", newRS256("1", newRSAKey(1024)), false},
		{"RSA exponent 1", rs.with(object{"e": b64("\x01")}), false},
		{"RSA exponent even", rs.with(object{"e": b64("\x01\x00\x00")}), false},
		{"RSA exponent huge", rs.with(object{"e": b64(strings.Repeat("\xff", 512))}), false},
		{"RSA exponent above 2^31", rs.with(object{"e": b64("\x02\x00\x00\x00\x01")}), false},
		{"RSA exponent 2^64+65537", rs.with(object{"e": b64("\x01\x00\x00\x00\x00\x00\x01\x00\x01")}), false},
		{"RSA modulus even", rs.with(object{"n": b64(strings.Repeat("\xfe", 256))}), false},
		{"RSA modulus missing", rs.with(object{"n": nil}), false},
		{"RSA modulus of 16384 bits", rs.with(object{"n": b64(strings.Repeat("\xff", 2048))}), false},

		{"no kid in the set", ec.with(object{"kid": nil}), false},
		{"kid is a number in the set", ec.with(object{"kid": 1}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newIssuer(tt.key, other).verifier(t)
			token := tt.key.compact(string(encode(changed(tt.key.header(), object{"kid": "1", "alg": algOf(tt.key)}))), string(encode(goodClaims())))
			_, err := v.Verify(t.Context(), token)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, verify.ErrSignature) {
				t.Errorf("Verify = %v, want ok %v", err, tt.ok)
			}
			usable := map[bool]int{true: 1, false: 0}[tt.ok]
			if got := verify.UsableKeys(encode(object{"keys": []object{tt.key.jwk}})); got != usable {
				t.Errorf("UsableKeys of %s = %d, want %d", encode(tt.key.jwk), got, usable)
			}
			if _, err := v.Verify(t.Context(), other.token(nil)); err != nil {
				t.Errorf("Verify by the other key = %v, want no error", err)
			}
		})
	}
}

// coordinates are those of the point of an EC key.
func (s signer) coordinates() (x, y string) {
	point, err := s.public.(*ecdsa.PublicKey).Bytes()
	if err != nil {
		panic(err)
	}
	return string(point[1:33]), string(point[33:])
}

// algOf is the algorithm that a signer really signs with.
func algOf(s signer) string {
	switch s.jwk["kty"] {
	case "RSA":
		return "RS256"
	case "OKP":
		return "EdDSA"
	}
	return "ES256"
}

// TestAlgOfAnotherCurve holds that a key of P-384 is not used, whatever it says.
func TestAlgOfAnotherCurve(t *testing.T) {
	for _, alg := range []string{"ES384", "ES256"} {
		s := newES384("1").with(object{"alg": alg})
		if _, err := newIssuer(s).verifier(t).Verify(t.Context(), s.token(nil)); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("Verify of a P-384 signature with alg %s = %v, want ErrSignature", alg, err)
		}
	}
}

// TestBadSets holds which sets are refused as a whole (M-12, X-014, X-016): the
// last good one stays in use, and without one there is no answer.
func TestBadSets(t *testing.T) {
	key, other := newES256("1", 1), newES256("2", 2)
	one := string(encode(key.jwk))
	for name, jwks := range map[string]string{
		"two keys with one kid":     `{"keys":[` + one + `,` + string(encode(other.with(object{"kid": "1"}).jwk)) + `]}`,
		"one kid, one key unusable": `{"keys":[` + one + `,{"kty":"XX","kid":"1"}]}`,
		"symmetric key":             `{"keys":[` + one + `,{"kty":"oct","kid":"2","k":"AAAA","alg":"HS256"}]}`,
		"symmetric key without kid": `{"keys":[` + one + `,{"kty":"oct","k":"AAAA"}]}`,
		"a name twice":              `{"keys":[],"keys":[` + one + `]}`,
		"a name twice in a key":     `{"keys":[{"kid":"x",` + one[1:] + `]}`,
		"no keys":                   `{}`,
		"keys is an object":         `{"keys":{"1":` + one + `}}`,
		"an array":                  `[` + one + `]`,
		"HTML":                      `<html>`,
		"nothing":                   ``,
		"trailing data":             `{"keys":[` + one + `]}x`,
		"longer than a megabyte":    `{"keys":[` + one + `]}` + strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer()
			i.serve(jwks)
			if _, err := i.verifier(t).Verify(t.Context(), key.token(nil)); !errors.Is(err, verify.ErrUnavailable) || errors.Is(err, verify.ErrInvalidToken) {
				t.Errorf("Verify = %v, want ErrUnavailable", err)
			}
		})
	}
}

// TestEmptySet holds that an issuer may withdraw all of its keys.
func TestEmptySet(t *testing.T) {
	if _, err := newIssuer().verifier(t).Verify(t.Context(), newES256("1", 1).token(nil)); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("Verify = %v, want ErrSignature", err)
	}
}
