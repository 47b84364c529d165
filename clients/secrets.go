package clients

import (
	"context"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

func (s *Store) insertSecret(ctx context.Context, clientID string, c Credential) error {
	_, err := s.db.Exec(ctx, `INSERT INTO client_secrets (id, client_id, hash, hint, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		c.ID, clientID, c.hash.String(), c.Hint, database.At(c.CreatedAt), database.At(c.ExpiresAt))
	return err
}

// AddSecret gives the client a second secret, which it makes and returns with what is kept of
// it. Expires is zero for one that lives until it is revoked. With an overlap, the older live
// secrets end that long from now, unless they end sooner. It returns ErrNotFound, and
// ErrTwoSecrets if two are live.
func (s *Store) AddSecret(ctx context.Context, clientID string, expires time.Time, overlap *time.Duration, now time.Time) (Credential, Secret, error) {
	credential, secret := NewCredential(now, expires)
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		client, err := s.Client(ctx, clientID)
		if err != nil {
			return err
		}
		if len(client.Live(now)) >= maxSecrets {
			return ErrTwoSecrets
		}
		// Dead ones make room: what has ended stays ended.
		if _, err := s.db.Exec(ctx, `DELETE FROM client_secrets
			WHERE client_id = $1 AND expires_at <> 0 AND expires_at <= $2`, clientID, database.At(now)); err != nil {
			return err
		}
		if overlap != nil {
			if _, err := s.db.Exec(ctx, `UPDATE client_secrets SET expires_at = $1
				WHERE client_id = $2 AND (expires_at = 0 OR expires_at > $1)`, database.At(now.Add(*overlap)), clientID); err != nil {
				return err
			}
		}
		if err := s.insertSecret(ctx, clientID, credential); err != nil {
			return err
		}
		return s.derive(ctx, clientID)
	})
	if err != nil {
		return Credential{}, Secret{}, fmt.Errorf("add a secret to client %s: %w", clientID, err)
	}
	return credential, secret, nil
}

// RevokeSecret ends one secret of a client. It returns ErrSecretNotFound.
func (s *Store) RevokeSecret(ctx context.Context, clientID, secretID string) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `DELETE FROM client_secrets WHERE client_id = $1 AND id = $2`, clientID, secretID)
		if err != nil {
			return fmt.Errorf("revoke a secret of client %s: %w", clientID, err)
		}
		if n == 0 {
			return ErrSecretNotFound
		}
		return s.derive(ctx, clientID)
	})
}
