package tokens

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrMasterKey means that the store was sealed with another master key.
var ErrMasterKey = errors.New("the signing keys in the database were sealed with another master key; start with the master key that made them (--master-key-file or WARDKEY_MASTER_KEY)")

// A MasterKey seals the private signing keys in the store. It is never in the store itself, and
// nothing prints it.
type MasterKey struct {
	key *string // 32 bytes; fmt looks into private fields, but not through such a pointer
}

// NewMasterKey makes a random master key.
func NewMasterKey() MasterKey {
	bytes := make([]byte, chacha20poly1305.KeySize)
	rand.Read(bytes) // never fails: crypto/rand ends the program instead
	key := string(bytes)
	return MasterKey{&key}
}

// ParseMasterKey reads a master key as it stands in a file or an environment variable: 32 bytes
// in base64, with blanks around it or not.
func ParseMasterKey(text string) (MasterKey, error) {
	bytes, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(bytes) != chacha20poly1305.KeySize {
		return MasterKey{}, errors.New("a master key is 32 bytes in base64; make one with: openssl rand -base64 32")
	}
	key := string(bytes)
	return MasterKey{&key}, nil
}

// Text returns the master key as [ParseMasterKey] reads it, for the file that keeps it.
func (m MasterKey) Text() string { return base64.StdEncoding.EncodeToString([]byte(*m.key)) }

const redacted = "[master key]"

// String implements [fmt.Stringer] without telling the key.
func (MasterKey) String() string { return redacted }

// Format implements [fmt.Formatter] without telling the key, whatever the verb.
func (MasterKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer] without telling the key.
func (MasterKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, without telling the key.
func (MasterKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Derive returns a key for another purpose, the same on every server with this master key.
func (m MasterKey) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(*m.key), nil, "wardkey "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return key
}

func (m MasterKey) aead() cipher.AEAD {
	aead, err := chacha20poly1305.NewX([]byte(*m.key))
	if err != nil {
		panic(err) // only for a key of another length, which neither constructor makes
	}
	return aead
}

// associated binds a sealed key to its row: kid and algorithm cannot be exchanged.
func associated(kid string, alg Alg) []byte {
	return []byte("wardkey signing key\x00" + kid + "\x00" + string(alg))
}

// seal encrypts a private key for the store (XChaCha20-Poly1305).
func (m MasterKey) seal(plain []byte, kid string, alg Alg) string {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return base64.StdEncoding.EncodeToString(m.aead().Seal(nonce, nonce, plain, associated(kid, alg)))
}

// open decrypts what seal made. It returns ErrMasterKey for anything else.
func (m MasterKey) open(sealed, kid string, alg Alg) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("the sealed key %s is damaged", kid)
	}
	nonce, body := raw[:chacha20poly1305.NonceSizeX], raw[chacha20poly1305.NonceSizeX:]
	plain, err := m.aead().Open(nil, nonce, body, associated(kid, alg))
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", kid, ErrMasterKey)
	}
	return plain, nil
}
