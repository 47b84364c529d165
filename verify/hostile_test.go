package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/wardkey/wardkey/verify"
)

// TestHostileTokens sends what attackers send. Whatever can be signed is signed
// with a key that the issuer does publish, so each is refused for the one thing
// that is wrong with it.
func TestHostileTokens(t *testing.T) {
	ec, ed, rs := newES256("ec", 1), newEdDSA("ed", "EdDSA", 1), newRS256("rsa", rsaKey())
	i := newIssuer(ec, ed, rs)
	v := i.verifier(t)
	claims := string(encode(goodClaims()))
	header := func(changes object) string { return string(encode(changed(ec.header(), changes))) }
	with := func(changes object) string { return ec.compact(header(changes), claims) }
	payload := func(text string) string { return ec.compact(header(nil), text) }
	good := ec.token(nil)
	segments := strings.Split(good, ".")
	resigned := func(signature []byte) string { return segments[0] + "." + segments[1] + "." + b64(signature) }

	type hostile struct {
		name, token string
		err         error
	}
	cases := []hostile{
		// J-03, J-04, J-05, X-044, X-058, X-059, X-061: the serialization
		{"empty", "", verify.ErrMalformed},
		{"a megabyte of dots", strings.Repeat(".", 1<<20), verify.ErrMalformed},
		{"too long", ec.token(object{"x": strings.Repeat("a", 16<<10)}), verify.ErrMalformed},
		{"two segments", segments[0] + "." + segments[1], verify.ErrMalformed},
		{"four segments", good + ".", verify.ErrMalformed},
		{"five segments", good + "." + segments[0] + "." + segments[1], verify.ErrMalformed},
		{"empty header", "." + segments[1] + "." + segments[2], verify.ErrMalformed},
		{"empty payload", segments[0] + ".." + segments[2], verify.ErrMalformed},
		{"empty signature", segments[0] + "." + segments[1] + ".", verify.ErrMalformed},
		{"JSON serialization", `{"payload":"` + segments[1] + `","protected":"` + segments[0] + `","signature":"` + segments[2] + `"}`, verify.ErrMalformed},
		{"blank before", " " + good, verify.ErrMalformed},
		{"line feed behind", good + "\n", verify.ErrMalformed},
		{"line feed inside", good[:10] + "\n" + good[10:], verify.ErrMalformed},
		{"padding", good + "=", verify.ErrMalformed},
		{"the other base64", ec.compactIn(base64.RawStdEncoding, header(object{"x": "~~~???"}), claims), verify.ErrMalformed},
		{"not ASCII", good + "é", verify.ErrMalformed},
		{"NUL", good + "\x00", verify.ErrMalformed},
		{"one character cut off", good[:len(good)-1], verify.ErrMalformed},
		{"one segment's length is impossible", good + "AAA", verify.ErrMalformed},
		{"one character too many", ec.token(nil) + "A", verify.ErrSignature},
		{"unused bits in the signature", unusedBits(good), verify.ErrMalformed}, // J-23, X-035

		// J-01, J-02, J-13, J-18, H-11, J-26: the header
		{"typ JWT", with(object{"typ": "JWT"}), verify.ErrMalformed},
		{"no typ", with(object{"typ": nil}), verify.ErrMalformed},
		{"typ is an array", with(object{"typ": []string{"at+jwt"}}), verify.ErrMalformed},
		{"ID token", with(object{"typ": "id_token"}), verify.ErrMalformed},
		{"DPoP proof", with(object{"typ": "dpop+jwt"}), verify.ErrMalformed},
		{"status list", with(object{"typ": "statuslist+jwt"}), verify.ErrMalformed},
		{"client assertion", with(object{"typ": "client-authentication+jwt"}), verify.ErrMalformed},
		{"introspection response", with(object{"typ": "token-introspection+jwt"}), verify.ErrMalformed},
		{"typ with a prefix too many", with(object{"typ": "text/at+jwt"}), verify.ErrMalformed},
		{"crit unknown", with(object{"crit": []string{"x"}, "x": 1}), verify.ErrMalformed},
		{"crit empty", with(object{"crit": []string{}}), verify.ErrMalformed},
		{"crit registered", with(object{"crit": []string{"alg"}}), verify.ErrMalformed},
		{"b64 false", with(object{"b64": false}), verify.ErrMalformed},
		{"b64 false with crit", with(object{"b64": false, "crit": []string{"b64"}}), verify.ErrMalformed},
		{"alg twice", ec.compact(`{"typ":"at+jwt","alg":"none","kid":"ec","alg":"ES256"}`, claims), verify.ErrMalformed},
		{"kid twice, once escaped", ec.compact(`{"typ":"at+jwt","alg":"ES256","kid":"ec","\u006bid":"ec"}`, claims), verify.ErrMalformed},
		{"header is an array", ec.compact(`["at+jwt"]`, claims), verify.ErrMalformed},
		{"header is null", ec.compact(`null`, claims), verify.ErrMalformed},
		{"names in capitals", ec.compact(`{"TYP":"at+jwt","ALG":"ES256","KID":"ec"}`, claims), verify.ErrMalformed},
		{"zipped JWE of three segments", with(object{"enc": "A128GCM", "alg": "dir", "zip": "DEF"}), verify.ErrSignature},

		// J-06, J-07, J-11, J-12, X-001, X-002, X-008: the algorithm
		{"alg none", b64(header(object{"alg": "none"})) + "." + b64(claims) + ".", verify.ErrMalformed},
		{"alg none with a signature", with(object{"alg": "none"}), verify.ErrSignature},
		{"alg None", with(object{"alg": "None"}), verify.ErrSignature},
		{"alg nOnE", with(object{"alg": "nOnE"}), verify.ErrSignature},
		{"no alg", with(object{"alg": nil}), verify.ErrSignature},
		{"alg empty", with(object{"alg": ""}), verify.ErrSignature},
		{"alg unknown", with(object{"alg": "XX256"}), verify.ErrSignature},
		{"alg in small letters", with(object{"alg": "es256"}), verify.ErrSignature},
		{"alg is an array", with(object{"alg": []string{"ES256"}}), verify.ErrSignature},
		{"EC key, alg RS256", with(object{"alg": "RS256"}), verify.ErrSignature},
		{"EC key, alg EdDSA", with(object{"alg": "EdDSA"}), verify.ErrSignature},
		{"EC key, alg ES384", with(object{"alg": "ES384"}), verify.ErrSignature},
		{"RSA key, alg PS256", pss(rs, claims), verify.ErrSignature},
		{"RSA key, alg RS512", rs.compact(string(encode(changed(rs.header(), object{"alg": "RS512"}))), claims), verify.ErrSignature},
		{"OKP key, its other name", ed.compact(string(encode(changed(ed.header(), object{"alg": "Ed25519"}))), claims), verify.ErrSignature},

		// J-09, J-10, X-005: the signature
		{"ES256 in DER", segments[0] + "." + segments[1] + "." + b64(der(ec.sign(segments[0]+"."+segments[1]))), verify.ErrSignature},
		{"ES256 r=s=0", resigned(make([]byte, 64)), verify.ErrSignature},
		{"ES256 r=s=n", resigned(bytes.Repeat(elliptic.P256().Params().N.Bytes(), 2)), verify.ErrSignature},
		{"ES256 r=s=1", resigned(one64()), verify.ErrSignature},
		{"ES256 of 63 bytes", resigned(ec.sign(segments[0])[:63]), verify.ErrSignature},
		{"ES256 of 65 bytes", resigned(append([]byte{0}, ec.sign(segments[0]+"."+segments[1])...)), verify.ErrSignature},
		{"another's signature", newES256("ec", 2).token(nil), verify.ErrSignature}, // H-16, J-16
		{"the signature of another token", segments[0] + "." + b64(encode(changed(goodClaims(), object{"sub": "admin"}))) + "." + segments[2], verify.ErrSignature},
		{"RSA of another key", newRS256("rsa", newRSAKey(2048)).token(nil), verify.ErrSignature},
		{"Ed25519 of another key", newEdDSA("ed", "EdDSA", 2).token(nil), verify.ErrSignature},
		{"Ed25519 with S above the order", nonCanonical(ed.token(nil)), verify.ErrSignature}, // K-06

		// J-15: the key's name
		{"no kid", with(object{"kid": nil}), verify.ErrSignature},
		{"kid empty", with(object{"kid": ""}), verify.ErrSignature},
		{"kid is a number", with(object{"kid": 1}), verify.ErrSignature},
		{"kid is a path", with(object{"kid": "../../../dev/null"}), verify.ErrSignature},
		{"kid is SQL", with(object{"kid": "ec' or '1'='1"}), verify.ErrSignature},
		{"kid with NUL", with(object{"kid": "ec\x00"}), verify.ErrSignature},
		{"kid of 10 KiB", with(object{"kid": strings.Repeat("k", 10<<10)}), verify.ErrSignature},
		{"kid of another key", with(object{"kid": "rsa"}), verify.ErrSignature},

		// J-02, J-20, J-26, X-026: the payload
		{"scope twice", payload(claims[:len(claims)-1] + `,"scope":"section:*"}`), verify.ErrMalformed},
		{"a name twice deep inside", payload(claims[:len(claims)-1] + `,"x":[{"a":1,"a":2}]}`), verify.ErrMalformed},
		{"payload is an array", payload("[" + claims + "]"), verify.ErrMalformed},
		{"payload is text", payload(`"` + b64(claims) + `"`), verify.ErrMalformed},
		{"payload is null", payload("null"), verify.ErrMalformed},
		{"trailing data", payload(claims + "{}"), verify.ErrMalformed},
		{"a brace too many", payload(claims + "}"), verify.ErrMalformed},
		{"unfinished", payload(claims[:len(claims)-1]), verify.ErrMalformed},
		{"byte order mark", payload("\ufeff" + claims), verify.ErrMalformed},
		{"UTF-16", payload(utf16Text(claims)), verify.ErrMalformed},
		{"invalid UTF-8", payload(strings.Replace(claims, "billing", "bill\xffing", 1)), verify.ErrMalformed},
		{"lone surrogate", payload(strings.Replace(claims, "billing", `bill\ud800ing`, 1)), verify.ErrMalformed},
		{"lone surrogate in a name", payload(claims[:len(claims)-1] + `,"\udfff":1}`), verify.ErrMalformed},
		{"NaN", payload(claims[:len(claims)-1] + `,"nbf":NaN}`), verify.ErrMalformed},
		{"nested deep", payload(claims[:len(claims)-1] + `,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}"), verify.ErrMalformed},
	}
	// J-11, X-001: what is public, used as a secret
	for name, secret := range publicSecrets(rs) {
		cases = append(cases, hostile{"HS256 with the " + name, hs256(object{"typ": "at+jwt", "alg": "HS256", "kid": "rsa"}, claims, secret), verify.ErrSignature},
			hostile{"HS256 said to be RS256 with the " + name, hs256(object{"typ": "at+jwt", "alg": "RS256", "kid": "rsa"}, claims, secret), verify.ErrSignature})
	}
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatalf("Verify of a good token: %v", err)
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), tt.token)
			if !errors.Is(err, tt.err) {
				t.Fatalf("Verify = %v, want %v", err, tt.err)
			}
			refused(t, tt.name, tt.token, err)
		})
	}
	if n := i.fetches(); n > 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// TestKeysInTheHeader holds that a token brings neither its key nor an address of
// it (J-14, X-010, X-011): it is ignored, so the issuer's own token with such a
// member is good, and nobody else's is; and nothing is fetched.
func TestKeysInTheHeader(t *testing.T) {
	key, attacker := newES256("1", 1), newES256("1", 2)
	i := newIssuer(key)
	v := i.verifier(t)
	for _, member := range []object{
		{"jku": "https://evil.example/jwks.json"},
		{"x5u": "https://evil.example/cert.pem"},
		{"jwk": attacker.jwk},
		{"x5c": []string{"MIIB"}},
		{"x5t": "x"},
	} {
		header := string(encode(changed(key.header(), member)))
		if _, err := v.Verify(t.Context(), key.compact(header, string(encode(goodClaims())))); err != nil {
			t.Errorf("Verify of the issuer's token with %v = %v, want no error", member, err)
		}
		if _, err := v.Verify(t.Context(), attacker.compact(header, string(encode(goodClaims())))); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("Verify of another's token with %v = %v, want ErrSignature", member, err)
		}
	}
	for _, address := range i.requests {
		if address != metadataURL && address != jwksURL {
			t.Errorf("%s was fetched", address)
		}
	}
}

// TestNotWorthAFetch holds that what cannot be a token of Wardkey does not make
// anybody ask for keys.
func TestNotWorthAFetch(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	v := i.verifier(t)
	claims := string(encode(goodClaims()))
	for _, token := range []string{
		"", "a.b.c",
		key.compact(`{"typ":"at+jwt","alg":"HS256","kid":"1"}`, claims),
		key.compact(`{"typ":"at+jwt","alg":"none","kid":"1"}`, claims),
		key.compact(`{"typ":"at+jwt","alg":"ES256"}`, claims),
		key.compact(`{"typ":"JWT","alg":"ES256","kid":"1"}`, claims),
		key.compact(`{"typ":"at+jwt","alg":"ES256","kid":"1"}`, "{}"),
	} {
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("Verify(%q) = %v, want ErrInvalidToken", token, err)
		}
	}
	if len(i.requests) != 0 {
		t.Errorf("requests %v, want none", i.requests)
	}
}

// TestTyp holds the two ways to write the type (RFC 9068 §4, J-19).
func TestTyp(t *testing.T) {
	key := newES256("1", 1)
	v := newIssuer(key).verifier(t)
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"} {
		header := string(encode(changed(key.header(), object{"typ": typ})))
		if _, err := v.Verify(t.Context(), key.compact(header, string(encode(goodClaims())))); err != nil {
			t.Errorf("Verify with typ %s = %v, want no error", typ, err)
		}
	}
}

// compactIn signs in an encoding that is not that of JOSE.
func (s signer) compactIn(encoding *base64.Encoding, header, payload string) string {
	signed := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(payload))
	return signed + "." + encoding.EncodeToString(s.sign(signed))
}

// unusedBits changes the last character so that lenient decoders see no change.
func unusedBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

func der(signature []byte) []byte {
	data, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
	if err != nil {
		panic(err)
	}
	return data
}

func one64() []byte {
	signature := make([]byte, 64)
	signature[31], signature[63] = 1, 1
	return signature
}

// nonCanonical adds the order of the group to S, which a lenient verifier accepts.
func nonCanonical(token string) string {
	end := strings.LastIndexByte(token, '.') + 1
	signature, _ := base64.RawURLEncoding.DecodeString(token[end:])
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := reverse(signature[32:])
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	return token[:end] + b64(append(signature[:32], reverse(sum)...))
}

func reverse(data []byte) []byte {
	reversed := make([]byte, len(data))
	for i, b := range data {
		reversed[len(data)-1-i] = b
	}
	return reversed
}

// pss signs with the RSA key as PS256 asks.
func pss(s signer, claims string) string {
	signed := b64(encode(changed(s.header(), object{"alg": "PS256"}))) + "." + b64(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPSS(rand.Reader, rsaKey(), 5, digest[:], nil) // 5 is crypto.SHA256
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(signature)
}

func hs256(header object, claims string, secret []byte) string {
	signed := b64(encode(header)) + "." + b64(claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// publicSecrets are the forms of a public key that a confused verifier takes for
// an HMAC secret.
func publicSecrets(s signer) map[string][]byte {
	spki, err := x509.MarshalPKIXPublicKey(s.public)
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	return map[string][]byte{
		"PEM": text, "PEM without line feed": bytes.TrimRight(text, "\n"), "DER": spki,
		"JWK": encode(s.jwk), "empty secret": nil,
	}
}

func utf16Text(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(unit >> 8))
		b.WriteByte(byte(unit))
	}
	return b.String()
}

// newES384 is a key on a curve that is not ours.
func newES384(kid string) signer {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	point, _ := private.PublicKey.Bytes()
	jwk := object{"kty": "EC", "crv": "P-384", "x": b64(point[1:49]), "y": b64(point[49:]), "kid": kid, "use": "sig"}
	return signer{jwk, private.Public(), func(signed string) []byte {
		digest := sha512.Sum384([]byte(signed))
		r, s, _ := ecdsa.Sign(rand.Reader, private, digest[:])
		return append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
	}}
}
