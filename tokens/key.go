package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// An Alg is a signing algorithm by its name in RFC 7518 §3.1 and RFC 8037.
type Alg string

// The algorithms on offer.
const (
	ES256 Alg = "ES256"
	RS256 Alg = "RS256"
	EdDSA Alg = "EdDSA"
)

// Algs are the names of all algorithms on offer, the default first.
var Algs = []string{string(ES256), string(RS256), string(EdDSA)}

// A State is where a signing key is in its life.
type State string

// The states of a key, in their order. A key that is gone has no row.
const (
	Pending State = "pending" // in the JWKS, not signing yet
	Active  State = "active"  // signs
	Retired State = "retired" // in the JWKS until the last token it signed has expired
)

// A Key is a signing key.
type Key struct {
	ID          string // kid: the RFC 7638 thumbprint
	Alg         Alg
	State       State
	CreatedAt   time.Time
	ActivatesAt time.Time // when a pending key begins to sign, at the earliest
	ActivatedAt time.Time // zero: not yet
	RetiredAt   time.Time // zero: not yet
	RemovesAt   time.Time // when a retired key leaves the JWKS; zero: not retired

	// heldUntil is how long a pending key waits for this server to have shown it long enough,
	// whatever ActivatesAt says; zero if it has. It is not in the store: another server may have.
	heldUntil time.Time

	private *crypto.Signer // fmt looks into private fields, but not through such a pointer
	method  jwt.SigningMethod
	header  string // the encoded JOSE header of every access token it signs
}

// SignsAt is when a pending key begins to sign, as far as this server can tell. It is later than
// ActivatesAt if no server was up for a while.
func (k *Key) SignsAt() time.Time {
	if k.heldUntil.Sub(k.ActivatesAt) > time.Minute { // saving and showing a new key takes a moment
		return k.heldUntil
	}
	return k.ActivatesAt
}

// Format implements [fmt.Formatter] without telling the private half, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "signing key %s (%s, %s)", k.ID, k.Alg, k.State)
}

func (k *Key) signer() crypto.Signer { return *k.private }

// newKey makes a key. bits is the size of an RSA key.
func newKey(alg Alg, bits int) (*Key, error) {
	var signer crypto.Signer
	var err error
	switch alg {
	case ES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		signer, err = rsa.GenerateKey(rand.Reader, bits)
	case EdDSA:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("there is no signing algorithm %q", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	k := &Key{Alg: alg, private: &signer}
	return k, k.complete()
}

// complete derives the key's id, method and token header from its other fields.
func (k *Key) complete() error {
	thumbprint, err := k.jwk().Thumbprint(crypto.SHA256)
	if err != nil {
		return fmt.Errorf("name a signing key: %w", err)
	}
	k.ID = base64.RawURLEncoding.EncodeToString(thumbprint)
	k.method = jwt.GetSigningMethod(string(k.Alg))
	k.header, err = header(accessTokenType, k)
	return err
}

// header is an encoded JOSE header (RFC 7515 §4).
func header(typ string, k *Key) (string, error) {
	text, err := json.Marshal(struct {
		Alg Alg    `json:"alg"`
		KID string `json:"kid"`
		Typ string `json:"typ"`
	}{k.Alg, k.ID, typ})
	return base64.RawURLEncoding.EncodeToString(text), err
}

// jwk is the public half as RFC 7517 publishes it.
func (k *Key) jwk() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: k.signer().Public(), KeyID: k.ID, Algorithm: string(k.Alg), Use: "sig"}
}

// sign returns the compact JWS of the claims.
func (k *Key) sign(header string, claims []byte) (string, error) {
	input := make([]byte, 0, len(header)+1+base64.RawURLEncoding.EncodedLen(len(claims))+90)
	input = append(input, header...)
	input = append(input, '.')
	input = base64.RawURLEncoding.AppendEncode(input, claims)
	// golang-jwt takes private keys by value of their own types, Ed25519 as any crypto.Signer.
	signature, err := k.method.Sign(string(input), k.signer())
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", k.ID, err)
	}
	input = append(input, '.')
	return string(base64.RawURLEncoding.AppendEncode(input, signature)), nil
}

func (k *Key) marshalPrivate() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.signer()) }

func (k *Key) unmarshalPrivate(der []byte) error {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("read key %s: %w", k.ID, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return fmt.Errorf("read key %s: a %T does not sign", k.ID, parsed)
	}
	k.private = &signer
	kid := k.ID
	if err := k.complete(); err != nil {
		return err
	}
	if kid != k.ID {
		return fmt.Errorf("key %s in the database is not the key of that name", kid)
	}
	return nil
}
