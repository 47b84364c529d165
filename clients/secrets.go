package clients

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Secrets that have ended are remembered, so that whoever still uses one can be told from whoever
// never had it: so many of them, for so long.
const (
	rememberedSecrets = 5
	remembered        = 90 * 24 * time.Hour
)

func (s *Store) insertSecret(ctx context.Context, clientID string, c Credential) error {
	_, err := s.db.Exec(ctx, `INSERT INTO client_secrets (id, client_id, hash, hint, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		c.ID, clientID, c.hash.String(), c.Hint, database.At(c.CreatedAt), database.At(c.ExpiresAt))
	return err
}

// AddSecret gives the client a second secret, which it makes and returns with what is kept of
// it. Expires is zero for one that lives until it is revoked. With an overlap, the older live
// secret ends that long from now, unless it ends sooner. It returns ErrNotFound, and
// ErrTwoSecrets if two are live.
func (s *Store) AddSecret(ctx context.Context, clientID string, expires time.Time, overlap *time.Duration, now time.Time) (Credential, Secret, error) {
	credential, secret := NewCredential(now, expires)
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		client, err := s.Client(ctx, clientID)
		if err != nil {
			return err
		}
		live := client.Live(now)
		if len(live) >= maxSecrets {
			return ErrTwoSecrets
		}
		for _, older := range live {
			if err := s.overlap(ctx, older, overlap, now); err != nil {
				return err
			}
		}
		if err := s.forgetSecrets(ctx, clientID, now); err != nil {
			return err
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

// RevokeSecret ends one secret of a client, and takes it off the lists. Neither a clock that is
// late nor a later change brings it back. It returns ErrSecretNotFound, also for one that was
// revoked before.
func (s *Store) RevokeSecret(ctx context.Context, clientID, secretID, by string, now time.Time) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE client_secrets SET revoked_at = $1, revoked_by = $2,
			expires_at = CASE WHEN expires_at <> 0 AND expires_at < $1 THEN expires_at ELSE $1 END
			WHERE client_id = $3 AND id = $4 AND revoked_at = 0`, database.At(now), by, clientID, secretID)
		if err != nil {
			return fmt.Errorf("revoke a secret of client %s: %w", clientID, err)
		}
		if n == 0 {
			return ErrSecretNotFound
		}
		if err := s.forgetSecrets(ctx, clientID, now); err != nil {
			return err
		}
		return s.derive(ctx, clientID)
	})
}

// EndSecret gives one secret of a client a sooner end than it has, and none that a cancelled
// rotation could bring back. It returns ErrSecretNotFound, also for one that was revoked or ends as
// soon as that.
func (s *Store) EndSecret(ctx context.Context, clientID, secretID string, at time.Time) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE client_secrets SET expires_at = $1, expires_before_overlap = $2
			WHERE client_id = $3 AND id = $4 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $1)`,
			database.At(at), unchanged, clientID, secretID)
		if err != nil {
			return fmt.Errorf("end a secret of client %s: %w", clientID, err)
		}
		if n == 0 {
			return ErrSecretNotFound
		}
		return s.derive(ctx, clientID)
	})
}

// forgetSecrets deletes those of a client's secrets that ended too long ago to be remembered.
func (s *Store) forgetSecrets(ctx context.Context, clientID string, now time.Time) error {
	_, err := s.db.Exec(ctx, `DELETE FROM client_secrets
		WHERE client_id = $1 AND expires_at <> 0 AND expires_at <= $2 AND (expires_at < $3 OR id NOT IN (
			SELECT id FROM client_secrets WHERE client_id = $1 AND expires_at <> 0 AND expires_at <= $2
			ORDER BY expires_at DESC, created_at DESC, id DESC LIMIT $4))`,
		clientID, database.At(now), database.At(now.Add(-remembered)), rememberedSecrets)
	if err != nil {
		return fmt.Errorf("forget secrets of client %s: %w", clientID, err)
	}
	return nil
}

// An EndedSecret is what is known of a secret that opens nothing any more.
type EndedSecret struct {
	ID        string
	Hint      string
	CreatedAt time.Time
	EndedAt   time.Time
	RevokedAt time.Time // zero: it came to its own end
	RevokedBy string
}

// EndedSecret returns what is known of a secret that was revoked, or had an end. It returns
// ErrSecretNotFound for one that has none, or that ended so long ago that it is forgotten.
func (s *Store) EndedSecret(ctx context.Context, clientID, secretID string) (EndedSecret, error) {
	ended := EndedSecret{ID: secretID}
	var created, end, revoked database.Time
	err := s.db.QueryRow(ctx, `SELECT hint, created_at, expires_at, revoked_at, revoked_by FROM client_secrets
		WHERE client_id = $1 AND id = $2 AND expires_at <> 0`, clientID, secretID).
		Scan(&ended.Hint, &created, &end, &revoked, &ended.RevokedBy)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrSecretNotFound
	}
	if err != nil {
		return EndedSecret{}, fmt.Errorf("read a secret of client %s: %w", clientID, err)
	}
	ended.CreatedAt, ended.EndedAt, ended.RevokedAt = created.Time, end.Time, revoked.Time
	return ended, nil
}
