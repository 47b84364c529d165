package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// ErrNoRotation means that a client has not two live secrets, so that none is on its way out.
var ErrNoRotation = errors.New("clients: there are not two live secrets")

// overlap gives a secret that is older than a new one its end, unless it ends sooner, and
// remembers the end that it had for [Store.CancelRotation]. Without an overlap all stays.
func (s *Store) overlap(ctx context.Context, older Credential, overlap *time.Duration, now time.Time) error {
	had, ends := int64(unchanged), older.ExpiresAt
	if overlap != nil {
		if end := now.Add(*overlap).Truncate(time.Second); older.liveAt(end) {
			had, ends = seconds(older.ExpiresAt), end
		}
	}
	_, err := s.db.Exec(ctx, `UPDATE client_secrets SET expires_at = $1, expires_before_overlap = $2 WHERE id = $3`,
		database.At(ends), had, older.ID)
	if err != nil {
		return fmt.Errorf("end the older secret: %w", err)
	}
	return nil
}

// unchanged stands in expires_before_overlap for a secret that no overlap gave another end.
const unchanged = -1

// seconds is a time as the store keeps it.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// A Cancelled rotation is what [Store.CancelRotation] did.
type Cancelled struct {
	Ended Credential // the newer secret, as it was before
	Kept  Credential // the older secret, as it is now
	Was   time.Time  // the end that the overlap had given it; zero: never
}

// CancelRotation ends the newer of a client's two live secrets, as revoked, and gives the older
// one the end that it had before the newer was added. It returns ErrNotFound and ErrNoRotation.
func (s *Store) CancelRotation(ctx context.Context, clientID, by string, now time.Time) (Cancelled, error) {
	var done Cancelled
	err := s.db.Transact(ctx, func(ctx context.Context) error {
		client, err := s.Client(ctx, clientID)
		if err != nil {
			return err
		}
		live := client.Live(now) // oldest first
		if len(live) != maxSecrets {
			return ErrNoRotation
		}
		done = Cancelled{Ended: live[1], Kept: live[0], Was: live[0].ExpiresAt}
		if _, err := s.db.Exec(ctx, `UPDATE client_secrets SET expires_at = expires_before_overlap, expires_before_overlap = $1
			WHERE id = $2 AND expires_before_overlap <> $1`, unchanged, done.Kept.ID); err != nil {
			return err
		}
		if err := s.RevokeSecret(ctx, clientID, done.Ended.ID, by, now); err != nil {
			return err
		}
		var end database.Time
		err = s.db.QueryRow(ctx, `SELECT expires_at FROM client_secrets WHERE id = $1`, done.Kept.ID).Scan(&end)
		done.Kept.ExpiresAt = end.Time
		return err
	})
	if err != nil {
		return Cancelled{}, fmt.Errorf("cancel the rotation of client %s: %w", clientID, err)
	}
	return done, nil
}

// RevokeTokens revokes every token that the client got so far: the bit of its place in the
// status lists is set, and tokens that it gets from now on carry another. It returns ErrNotFound.
func (s *Store) RevokeTokens(ctx context.Context, clientID string, now time.Time) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		n, err := s.revokeStatus(ctx, now, []string{clientID})
		if err == nil && n == 0 {
			return ErrNotFound
		}
		var position int64
		if err == nil {
			position, err = s.claimStatus(ctx, clientID, now)
		}
		if err == nil {
			_, err = s.db.Exec(ctx, `UPDATE clients SET status_index = $1 WHERE id = $2`, position, clientID)
		}
		if err != nil {
			return fmt.Errorf("revoke the tokens of client %s: %w", clientID, err)
		}
		return nil
	})
}
