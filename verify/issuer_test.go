package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/verify"
)

const (
	issuerURL = "https://auth.example"
	audience  = "https://api.example"

	metadataURL = issuerURL + "/.well-known/oauth-authorization-server"
	jwksURL     = issuerURL + "/.well-known/jwks.json"
)

// object is a JSON object.
type object = map[string]any

// An issuer is a Wardkey as a resource server sees it. It is an http.Handler, and
// an http.RoundTripper for tests in which time is faked, where sockets do not work.
type issuer struct {
	mu           sync.Mutex
	metadata     object
	jwks         string
	cacheControl string
	others       map[string]http.HandlerFunc // what else it serves, by path
	away         bool                        // no request is answered
	hold         chan struct{}               // if not nil, requests are answered when it is closed
	requests     []string                    // addresses of all requests
}

func newIssuer(signers ...signer) *issuer {
	i := &issuer{metadata: object{"issuer": issuerURL, "jwks_uri": jwksURL}}
	i.publish(signers...)
	return i
}

func (i *issuer) publish(signers ...signer) {
	keys := []object{}
	for _, s := range signers {
		keys = append(keys, s.jwk)
	}
	i.serve(string(encode(object{"keys": keys})))
}

func (i *issuer) serve(jwks string) { i.set(func() { i.jwks = jwks }) }

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// fetches counts the requests for keys so far.
func (i *issuer) fetches() int { return i.asked(jwksURL) }

func (i *issuer) asked(address string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, r := range i.requests {
		if r == address {
			n++
		}
	}
	return n
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cacheControl != "" {
		w.Header().Set("Cache-Control", i.cacheControl)
	}
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		w.Write(encode(i.metadata))
	case "/.well-known/jwks.json":
		w.Write([]byte(i.jwks))
	default:
		if answer, ok := i.others[r.URL.Path]; ok {
			answer(w, r)
			return
		}
		http.NotFound(w, r)
	}
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.requests = append(i.requests, r.URL.String())
	away, hold := i.away, i.hold
	i.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if away {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result(), nil
}

// verifier returns a verifier of the tokens of i.
func (i *issuer) verifier(t testing.TB, options ...verify.Option) *verify.Verifier {
	t.Helper()
	options = append([]verify.Option{verify.WithHTTPClient(&http.Client{Transport: i}), verify.WithLogger(slog.New(slog.DiscardHandler))}, options...)
	v, err := verify.New(issuerURL, audience, options...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(v.Close)
	return v
}

// A signer is one signing key of an issuer.
type signer struct {
	jwk    object
	public crypto.PublicKey
	sign   func(signed string) []byte
}

// newES256 returns the same key for the same seed in each process, as a fuzz test needs.
func newES256(kid string, seed byte) signer {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		panic(err)
	}
	point, _ := private.PublicKey.Bytes()
	jwk := object{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:]), "kid": kid, "use": "sig", "alg": "ES256"}
	return signer{jwk, private.Public(), func(signed string) []byte {
		digest := sha256.Sum256([]byte(signed))
		der, _ := private.Sign(nil, digest[:], crypto.SHA256) // without randomness, RFC 6979
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			panic(err)
		}
		return append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	}}
}

func newEdDSA(kid, alg string, seed byte) signer {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	public := private.Public().(ed25519.PublicKey)
	jwk := object{"kty": "OKP", "crv": "Ed25519", "x": b64(public), "kid": kid, "use": "sig", "alg": alg}
	return signer{jwk, public, func(signed string) []byte { return ed25519.Sign(private, []byte(signed)) }}
}

// rsaKey is made once, because that takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey(2048) })

func newRSAKey(bits int) *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return private
}

func newRS256(kid string, private *rsa.PrivateKey) signer {
	jwk := object{"kty": "RSA", "n": b64(private.N.Bytes()), "e": b64(big.NewInt(int64(private.E)).Bytes()), "kid": kid, "use": "sig", "alg": "RS256"}
	return signer{jwk, private.Public(), func(signed string) []byte {
		digest := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return signature
	}}
}

// with returns the same signer with other members of its JWK; nil takes one away.
func (s signer) with(members object) signer {
	s.jwk = changed(s.jwk, members)
	return s
}

func (s signer) header() object {
	return object{"typ": "at+jwt", "alg": s.jwk["alg"], "kid": s.jwk["kid"]}
}

// claims are those of a good token.
func goodClaims() object {
	now := time.Now().Unix()
	return object{
		"iss": issuerURL, "sub": "billing", "client_id": "billing", "aud": audience, "jti": "1",
		"iat": now, "exp": now + 900, "scope": "section:nordic email:read",
	}
}

// token is a good token, with changes to its claims.
func (s signer) token(changes object) string {
	return s.compact(string(encode(s.header())), string(encode(changed(goodClaims(), changes))))
}

// compact signs any header and payload.
func (s signer) compact(header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(s.sign(signed))
}

// changed returns a copy of o with changes; nil takes a member away.
func changed(o, changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		o[name] = value
		if value == nil {
			delete(o, name)
		}
	}
	return o
}

func b64[T string | []byte | ed25519.PublicKey](data T) string {
	return base64.RawURLEncoding.EncodeToString([]byte(data))
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
