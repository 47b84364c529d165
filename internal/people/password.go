package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// A Password is what a person is to sign in with. It is made before the transaction that gives it
// to somebody, because hashing is slow.
type Password struct {
	hash string
	text *string // of one that was made here; fmt looks into private fields, but not through such a pointer
}

// NewPassword makes a password of what the person with the e-mail chose. It returns [Invalid] for
// one that is easy to guess, and ErrBusy.
func (p *People) NewPassword(ctx context.Context, email, text string) (Password, error) {
	if err := checkPassword(fold(email), text); err != nil {
		return Password{}, err
	}
	hash, err := p.hash(ctx, text)
	return Password{hash: hash}, err
}

// OneTimePassword makes a password that somebody must be told, and that must be changed when it
// has been used. Seven days after it was given it opens nothing any more. It may return ErrBusy.
func (p *People) OneTimePassword(ctx context.Context) (Password, error) {
	text := rand.Text()
	hash, err := p.hash(ctx, text)
	return Password{hash: hash, text: &text}, err
}

func (p *People) hash(ctx context.Context, text string) (string, error) {
	done, err := p.hashes.turns.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return p.hashes.hash(text), nil
}

func (p Password) oneTime() bool { return p.text != nil }

// until is when the password ends that is given now, zero for never.
func (p Password) until(now time.Time) time.Time {
	if !p.oneTime() {
		return time.Time{}
	}
	return now.UTC().Truncate(time.Second).Add(oneTimeLife)
}

// Reveal returns the text of a one-time password, for the one answer that shows it; otherwise "".
func (p Password) Reveal() string {
	if p.text == nil {
		return ""
	}
	return *p.text
}

const redacted = "[password]"

// Format implements [fmt.Formatter] without telling the password, whatever the verb.
func (Password) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer] without telling the password.
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, without telling the password.
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const (
	minPassword  = 12   // characters
	maxPassword  = 1024 // bytes
	minLocalPart = 4    // characters; shorter names are in many good passwords by chance
)

// checkPassword says what is wrong with a password for the person with the folded e-mail.
func checkPassword(email, password string) error {
	local := email[:max(strings.LastIndexByte(email, '@'), 0)]
	named := utf8.RuneCountInString(local) >= minLocalPart && strings.Contains(strings.ToLower(password), local)
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return Invalid{"/password", fmt.Sprintf("has %d characters; choose one of at least %d", n, minPassword)}
	case len(password) > maxPassword:
		return Invalid{"/password", fmt.Sprintf("is too long; choose one of at most %d bytes", maxPassword)}
	case named || email != "" && strings.Contains(strings.ToLower(password), email):
		return Invalid{"/password", "contains the e-mail; choose one that does not"}
	}
	return nil
}

// A cost is what one guess of a password takes.
type cost struct {
	memory, passes uint32 // memory in KiB
	lanes          uint8
}

// sane says whether a hash of that cost may be computed: whoever can write to the database must
// not be able to fill the memory of the server.
func (c cost) sane() bool {
	return 8 <= c.memory && c.memory <= 128<<10 && 1 <= c.passes && c.passes <= 10 && 1 <= c.lanes && c.lanes <= 8
}

// A hasher hashes passwords. Passwords are made up by people, so unlike secrets they need a slow
// hash, of which few may run at once.
type hasher struct {
	cost   cost // of new hashes
	derive func(password, salt []byte, c cost, length int) []byte
	turns  turns
}

const (
	saltLength = 16
	sumLength  = 32
)

// newHasher returns one whose hashes take more than twice what OWASP asks for with that memory, and
// 50 to 150 ms of a processor.
func newHasher() *hasher {
	return &hasher{cost: cost{memory: 19 << 10, passes: 5, lanes: 1}, derive: argon, turns: newTurns()}
}

func argon(password, salt []byte, c cost, length int) []byte {
	return argon2.IDKey(password, salt, c.passes, c.memory, c.lanes, uint32(length))
}

// hash returns the hash of a password as a PHC string.
func (h *hasher) hash(password string) string {
	salt := make([]byte, saltLength)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	sum := h.derive([]byte(password), salt, h.cost, sumLength)
	return "$argon2id$" + versionText + "$" + h.cost.String() + "$" +
		base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(sum)
}

var versionText = fmt.Sprintf("v=%d", argon2.Version)

func (c cost) String() string { return fmt.Sprintf("m=%d,t=%d,p=%d", c.memory, c.passes, c.lanes) }

// check says whether the hash is that of the password, and returns a new hash if that one costs
// another amount than it should. What is no hash takes the same work as one that is wrong.
func (h *hasher) check(hash, password string) (fresh string, right bool) {
	c, salt, want, ok := parseHash(hash)
	if !ok {
		c, salt, want = h.cost, make([]byte, saltLength), make([]byte, sumLength)
	}
	got := h.derive([]byte(password), salt, c, len(want))
	if subtle.ConstantTimeCompare(got, want) != 1 || !ok {
		return "", false
	}
	if c != h.cost {
		fresh = h.hash(password)
	}
	return fresh, true
}

// parseHash reads a PHC string of argon2id. It is not ok if it is none, or one that must not be
// computed.
func parseHash(hash string) (c cost, salt, sum []byte, ok bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != versionText {
		return c, nil, nil, false
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.lanes)
	if err != nil || c.String() != parts[3] || !c.sane() {
		return c, nil, nil, false
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	sum, sumErr := base64.RawStdEncoding.DecodeString(parts[5])
	ok = saltErr == nil && sumErr == nil && 8 <= len(salt) && len(salt) <= 64 && 16 <= len(sum) && len(sum) <= 64
	return c, salt, sum, ok
}
