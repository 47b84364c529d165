package attacks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512" // RS512
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms that an issuer signs with.
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
)

// Algs are all of them, Wardkey's default first.
var Algs = []string{ES256, RS256, EdDSA}

// object is a JSON object.
type object = map[string]any

// A key is a signing key, the issuer's or a stranger's.
type key struct {
	kid, alg  string
	private   crypto.Signer
	published bool
}

func newKey(alg string) (*key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("there is no algorithm %q", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	k := &key{alg: alg, private: private, published: true}
	public := k.public()
	print, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name a key: %w", err)
	}
	k.kid = b64(print)
	return k, nil
}

// newKeys makes a key of each algorithm.
func newKeys() ([]*key, error) {
	keys := make([]*key, len(Algs))
	for i, alg := range Algs {
		var err error
		if keys[i], err = newKey(alg); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// public is the half of k that stands in a JWKS.
func (k *key) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.kid, Algorithm: k.alg, Use: "sig"}
}

func (k *key) header() object {
	return object{"typ": "at+jwt", "alg": k.alg, "kid": k.kid}
}

// compact signs any header and payload, with the algorithm of the key whatever the header says.
func (k *key) compact(header, payload []byte) string {
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(k.sign(k.alg, signed))
}

// sign signs with any algorithm that suits the kind of the key. It does not fail: the key is one
// that newKey made, and reading randomness does not fail either.
func (k *key) sign(alg, signed string) []byte {
	var options crypto.SignerOpts = crypto.SHA256
	switch alg {
	case EdDSA:
		options = crypto.Hash(0)
	case "RS512":
		options = crypto.SHA512
	case "PS256":
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	message := []byte(signed)
	if hash := options.HashFunc(); hash != 0 {
		digest := hash.New()
		digest.Write(message)
		message = digest.Sum(nil)
	}
	signature, err := k.private.Sign(rand.Reader, message, options)
	if err != nil {
		panic(fmt.Sprintf("attacks: sign with a key of one's own: %v", err))
	}
	if alg == ES256 {
		return joined(signature)
	}
	return signature
}

func b64[T string | []byte](data T) string { return base64.RawURLEncoding.EncodeToString([]byte(data)) }

// encode writes JSON. What is written here are maps and texts, which does not fail.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("attacks: write JSON: %v", err))
	}
	return data
}

// in is a time relative to that at which a token is made.
type in time.Duration

// absent takes a member away.
type absent struct{}

// changed returns a copy of o with changes.
func changed(o, changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		switch value := value.(type) {
		case absent:
			delete(o, name)
		case in:
			o[name] = time.Now().Add(time.Duration(value)).Unix()
		default:
			o[name] = value
		}
	}
	return o
}
