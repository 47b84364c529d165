package clients

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
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

// BySecrets finds whose secrets some texts are, in their order. What nobody has is the zero
// OwnedSecret.
func (s *Store) BySecrets(ctx context.Context, texts []string) ([]OwnedSecret, error) {
	hashes := make([]string, len(texts))
	for i, text := range texts {
		hashes[i] = hash(sha256.Sum256([]byte(text))).String()
	}
	found := map[string]OwnedSecret{}
	for some := range slices.Chunk(hashes, chunk) {
		if err := s.byHash(ctx, some, found); err != nil {
			return nil, fmt.Errorf("find whose secrets they are: %w", err)
		}
	}
	all := make([]OwnedSecret, len(texts))
	for i, h := range hashes {
		all[i] = found[h]
	}
	return all, nil
}

func (s *Store) byHash(ctx context.Context, hashes []string, found map[string]OwnedSecret) error {
	among, args := in(1, hashes)
	rows, err := s.db.Query(ctx, `SELECT hash, client_id, id, hint, created_at, expires_at, revoked_at, revoked_by FROM client_secrets
		WHERE hash IN `+among, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var h string
		var o OwnedSecret
		var created, ends, revoked database.Time
		if err := rows.Scan(&h, &o.ClientID, &o.ID, &o.Hint, &created, &ends, &revoked, &o.RevokedBy); err != nil {
			return err
		}
		o.CreatedAt, o.EndsAt, o.RevokedAt = created.Time, ends.Time, revoked.Time
		found[h] = o
	}
	return rows.Err()
}

// BySecret finds whose secret a text is, for an admin who was shown one and does not know. It
// returns ErrSecretNotFound for one that nobody has, or that ended so long ago that it is
// forgotten.
func (s *Store) BySecret(ctx context.Context, text string) (OwnedSecret, error) {
	found, err := s.BySecrets(ctx, []string{text})
	if err != nil {
		return OwnedSecret{}, err
	}
	if found[0].ClientID == "" {
		return OwnedSecret{}, fmt.Errorf("find whose secret it is: %w", ErrSecretNotFound)
	}
	return found[0], nil
}
