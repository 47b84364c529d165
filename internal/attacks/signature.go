package attacks

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A pair is an ECDSA signature as ASN.1 has it.
type pair struct{ R, S *big.Int }

// joined turns an ECDSA signature from ASN.1 into R and S beside each other (RFC 7518 §3.4).
func joined(der []byte) []byte {
	var p pair
	if _, err := asn1.Unmarshal(der, &p); err != nil {
		panic(fmt.Sprintf("attacks: read a signature of one's own: %v", err))
	}
	return append(p.R.FillBytes(make([]byte, 32)), p.S.FillBytes(make([]byte, 32))...)
}

// asDER is the reverse: the token with its signature in ASN.1.
func asDER(token string) string {
	signature := signatureOf(token)
	half := len(signature) / 2
	der, err := asn1.Marshal(pair{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
	if err != nil {
		panic(fmt.Sprintf("attacks: write a signature: %v", err))
	}
	return resigned(token, der)
}

// segments are the three parts of a token, and signatureOf the last of them, decoded.
func segments(token string) (header, payload, signature string) {
	parts := strings.SplitN(token+"..", ".", 4)
	return parts[0], parts[1], parts[2]
}

func signatureOf(token string) []byte {
	_, _, text := segments(token)
	signature, _ := base64.RawURLEncoding.DecodeString(text) // of a good token
	return signature
}

// resigned is the token with another signature.
func resigned(token string, signature []byte) string {
	header, payload, _ := segments(token)
	return header + "." + payload + "." + b64(signature)
}

// flipped changes one bit in the middle of the signature.
func flipped(token string) string {
	signature := signatureOf(token)
	signature[len(signature)/2] ^= 1
	return resigned(token, signature)
}

// order is that of the group of P-256.
func order() []byte { return elliptic.P256().Params().N.Bytes() }

// looseEnd changes the bits of the last character that do not belong to the signature. Signatures
// of 64 and of 256 bytes have such bits.
func looseEnd(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

// hs256 makes a token with an HMAC (RFC 7518 §3.2).
func hs256(header, payload, secret []byte) string {
	signed := b64(header) + "." + b64(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// The forms of a public key that a confused verifier takes for a secret.
func derOf(k jose.JSONWebKey) []byte {
	spki, err := x509.MarshalPKIXPublicKey(k.Key)
	if err != nil {
		return nil // no kind of key that a JWKS holds
	}
	return spki
}

func pemOf(k jose.JSONWebKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: derOf(k)})
}

func trimmedPEM(k jose.JSONWebKey) []byte { return []byte(strings.TrimSpace(string(pemOf(k)))) }

func jwkOf(k jose.JSONWebKey) []byte { return encode(k) }

func nothing(jose.JSONWebKey) []byte { return nil }
