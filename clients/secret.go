package clients

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A Secret is a client's password in the clear. It lives for one reply: the store keeps its
// SHA-256, and nothing prints it by accident.
type Secret struct {
	text *string // fmt looks into private fields, but not through such a pointer
}

// Reveal returns the text of the secret, for the one answer that shows it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const redacted = "[secret]"

// String implements [fmt.Stringer] without telling the secret.
func (Secret) String() string { return redacted }

// Format implements [fmt.Formatter] without telling the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer] without telling the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, without telling the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// The parts of a secret: the prefix that scanners for leaked secrets look for, 256 random bits,
// and a CRC-32 of all before it, by which a cut or mistyped one is known without a read.
const (
	secretPrefix   = "wks_"
	randomDigits   = 43 // base62 digits of 256 bits
	checksumDigits = 6  // base62 digits of 32 bits
	secretLength   = len(secretPrefix) + randomDigits + checksumDigits
)

// NewSecret makes a secret of 256 random bits.
func NewSecret() Secret {
	random := make([]byte, 32)
	rand.Read(random) // never fails: crypto/rand ends the program instead
	body := secretPrefix + base62(new(big.Int).SetBytes(random), randomDigits)
	text := body + checksum(body)
	return Secret{&text}
}

// SecretOf is a text that may be a secret, so that it is printed no more than one is.
func SecretOf(text string) Secret { return Secret{&text} }

func checksum(body string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), checksumDigits)
}

// base62 writes n with the digits 0-9A-Za-z, most significant first, padded with zeros.
func base62(n *big.Int, digits int) string {
	// big.Int's digits are 0-9a-zA-Z: the other order of the two cases.
	text := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, n.Text(62))
	return strings.Repeat("0", digits-len(text)) + text
}

// A Form is what can be seen of a secret's text without knowing any secret.
type Form int

// The forms of a secret's text.
const (
	Whole    Form = iota // prefix, length and checksum are right
	Blanks               // there are blanks around it
	Damaged              // it has the prefix, but was cut or mistyped
	Unlikely             // it was not made by this server
)

// FormOf looks at a secret's text as anybody could, who need not know what it should be.
func FormOf(text string) Form {
	switch {
	case strings.TrimSpace(text) != text:
		return Blanks
	case !strings.HasPrefix(text, secretPrefix):
		return Unlikely
	case len(text) != secretLength:
		return Damaged
	case text[secretLength-checksumDigits:] != checksum(text[:secretLength-checksumDigits]):
		return Damaged
	}
	return Whole
}

// holdsSecret says whether a whole secret stands somewhere in a text.
func holdsSecret(text string) bool {
	for at := range len(text) {
		if strings.HasPrefix(text[at:], secretPrefix) && len(text)-at >= secretLength && FormOf(text[at:at+secretLength]) == Whole {
			return true
		}
	}
	return false
}

// A hash is the SHA-256 of a secret. Secrets are random, so it need not be slow
// (docs/decisions/0003).
type hash [sha256.Size]byte

func (h hash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// A Credential is what is known of a client's secret once it was shown.
type Credential struct {
	ID         string
	Hint       string // the last four characters of the secret
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: not yet
	hash       hash
}

// NewCredential makes a secret and what is kept of it. Expires is zero for a secret that lives
// until it is revoked.
func NewCredential(now, expires time.Time) (Credential, Secret) {
	secret := NewSecret()
	text := secret.Reveal()
	return Credential{
		ID:        uuid.Must(uuid.NewV7()).String(), // later ones sort after earlier ones of the same second
		Hint:      text[secretLength-4:],
		CreatedAt: now.UTC().Truncate(time.Second), // as the store will give it back
		ExpiresAt: expires.UTC().Truncate(time.Second),
		hash:      sha256.Sum256([]byte(text)),
	}, secret
}

// liveAt says whether the secret opens anything at the given time.
func (c Credential) liveAt(now time.Time) bool {
	return c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt)
}

// matches says whether the hash of what was presented is the hash of this secret, in a time that
// does not depend on either.
func (c Credential) matches(presented hash) int {
	return subtle.ConstantTimeCompare(presented[:], c.hash[:])
}
