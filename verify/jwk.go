package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// methods are the algorithms that Wardkey signs with. All are asymmetric, so
// nobody can make a token from what is public. RFC 9864 gave the third its new name.
var methods = map[string]jwt.SigningMethod{
	"ES256":   jwt.SigningMethodES256,
	"RS256":   jwt.SigningMethodRS256,
	"EdDSA":   jwt.SigningMethodEdDSA,
	"Ed25519": jwt.SigningMethodEdDSA,
}

// A key is a public key with the one algorithm that it is for (RFC 8725 §3.1).
type key struct {
	alg    string
	public crypto.PublicKey
}

// verify says whether the key's owner signed c.
func (k key) verify(c compact) error {
	if c.alg != k.alg {
		return fmt.Errorf("%w: alg is not that of the key", ErrSignature)
	}
	if err := methods[k.alg].Verify(c.signed, c.signature, k.public); err != nil {
		return ErrSignature // what the library says adds nothing
	}
	return nil
}

// parseKeys reads a JWK set (RFC 7517 §5). A set that contradicts itself is
// refused as a whole; a key that is not for us or not sound is left out.
func parseKeys(data []byte) (map[string]key, error) {
	set, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	array, ok := set["keys"].([]any)
	if !ok {
		return nil, errors.New("no keys in it")
	}
	keys, seen := map[string]key{}, map[string]bool{}
	for _, element := range array {
		jwk, _ := element.(map[string]any)
		kid, _ := jwk["kid"].(string)
		if jwk["kty"] == "oct" {
			return nil, errors.New("a symmetric key in it")
		}
		if kid == "" {
			continue // no token can name it
		}
		if seen[kid] {
			return nil, errors.New("two keys with one kid in it")
		}
		seen[kid] = true
		if k, ok := parseKey(jwk); ok {
			keys[kid] = k
		}
	}
	return keys, nil
}

// parseKey reads a key that may verify signatures (RFC 7517 §4), and says
// whether it is one.
func parseKey(jwk map[string]any) (key, bool) {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := jwk[name]; ok {
			return key{}, false // private no more, so anybody may sign with it
		}
	}
	if use, ok := jwk["use"]; ok && use != "sig" {
		return key{}, false
	}
	if operations, ok := jwk["key_ops"]; ok {
		array, _ := operations.([]any)
		if !slices.Contains(array, any("verify")) {
			return key{}, false
		}
	}
	var k key
	k.alg, _ = jwk["alg"].(string)
	switch jwk["kty"] {
	case "EC":
		k.public = ellipticKey(jwk)
		if _, ok := jwk["alg"]; !ok {
			k.alg = "ES256" // the only algorithm of this curve
		}
		return k, k.public != nil && k.alg == "ES256"
	case "RSA":
		k.public = rsaKey(jwk)
		return k, k.public != nil && k.alg == "RS256"
	case "OKP":
		k.public = edwardsKey(jwk)
		return k, k.public != nil && (k.alg == "EdDSA" || k.alg == "Ed25519")
	}
	return key{}, false // RFC 7517 §5: an unknown kty is ignored
}

// ellipticKey reads a point of P-256 (RFC 7518 §6.2.1), or returns nil.
func ellipticKey(jwk map[string]any) crypto.PublicKey {
	x, y := member(jwk, "x"), member(jwk, "y")
	if jwk["crv"] != "P-256" || len(x) != 32 || len(y) != 32 {
		return nil
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil
	}
	return public
}

// edwardsKey reads a key of Ed25519 (RFC 8037 §2), or returns nil.
func edwardsKey(jwk map[string]any) crypto.PublicKey {
	x := member(jwk, "x")
	if jwk["crv"] != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil
	}
	return ed25519.PublicKey(x)
}

// rsaKey reads an RSA key (RFC 7518 §6.3.1), or returns nil. RFC 7518 §3.3 asks
// for 2048 bits; above 8192 a signature costs too much to verify.
func rsaKey(jwk map[string]any) crypto.PublicKey {
	n, e := new(big.Int).SetBytes(member(jwk, "n")), new(big.Int).SetBytes(member(jwk, "e"))
	if n.BitLen() < 2048 || n.BitLen() > 8192 || n.Bit(0) == 0 {
		return nil
	}
	if !e.IsInt64() || e.Int64() < 3 || e.Int64() > math.MaxInt32 || e.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

// member decodes a member in base64url, or returns nil.
func member(jwk map[string]any, name string) []byte {
	text, _ := jwk[name].(string)
	data, err := base64url.DecodeString(text)
	if err != nil {
		return nil
	}
	return data
}
