package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/argon2"

	"github.com/wardkey/wardkey/internal/database"
)

// People keeps the admins: persons who sign in with a password.
type People struct {
	db *database.DB
}

// NewPeople returns the admins in db, which has the current schema.
func NewPeople(db *database.DB) *People { return &People{db: db} }

// Any says whether there is an admin.
func (p *People) Any(ctx context.Context) (bool, error) {
	var n int
	if err := p.db.QueryRow(ctx, `SELECT count(*) FROM admins`).Scan(&n); err != nil {
		return false, fmt.Errorf("count the admins: %w", err)
	}
	return n > 0, nil
}

// Create saves a new admin with the hash of a password, as [HashPassword] makes it.
func (p *People) Create(ctx context.Context, email, passwordHash, role string, now time.Time) error {
	_, err := p.db.Exec(ctx, `INSERT INTO admins (id, email, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5)`,
		uuid.NewString(), strings.ToLower(email), passwordHash, role, database.At(now))
	if err != nil {
		return fmt.Errorf("create an admin: %w", err)
	}
	return nil
}

// The cost of a password hash, in the range that OWASP advises for argon2id. They are stored
// with each hash.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonLength = 32 // bytes
)

// HashPassword returns the argon2id hash of a password as a PHC string. Passwords are made up by
// people, so unlike secrets they need a slow hash.
func HashPassword(password string) string {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	sum := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonLength)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// CheckPassword says whether the hash is that of the password, with the cost that it names.
func CheckPassword(hash, password string) bool {
	var version, memory, passes, lanes int
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil || memory < 1 || passes < 1 || lanes < 1 {
		return false
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	want, wantErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || wantErr != nil || len(want) == 0 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, uint32(passes), uint32(memory), uint8(lanes), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}
