package clients

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// An OwnedSecret says whose secret a text is. It may have ended.
type OwnedSecret struct {
	ClientID  string
	ID        string
	Hint      string
	CreatedAt time.Time
	EndsAt    time.Time // zero: never
	RevokedAt time.Time // zero: it was not
	RevokedBy string
}

// Live says whether the secret opens its client at the given time.
func (o OwnedSecret) Live(now time.Time) bool { return o.EndsAt.IsZero() || now.Before(o.EndsAt) }

// BySecret finds whose secret a text is, for an admin who was shown one and does not know. It
// returns ErrSecretNotFound for one that nobody has, or that ended so long ago that it is
// forgotten.
func (s *Store) BySecret(ctx context.Context, text string) (OwnedSecret, error) {
	var o OwnedSecret
	var created, ends, revoked database.Time
	err := s.db.QueryRow(ctx, `SELECT client_id, id, hint, created_at, expires_at, revoked_at, revoked_by FROM client_secrets
		WHERE hash = $1`, hash(sha256.Sum256([]byte(text))).String()).
		Scan(&o.ClientID, &o.ID, &o.Hint, &created, &ends, &revoked, &o.RevokedBy)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrSecretNotFound
	}
	if err != nil {
		return OwnedSecret{}, fmt.Errorf("find whose secret it is: %w", err)
	}
	o.CreatedAt, o.EndsAt, o.RevokedAt = created.Time, ends.Time, revoked.Time
	return o, nil
}
