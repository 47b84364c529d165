package clients

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// Suspend gives a client no tokens until [Store.Resume], as [Disuse] does with one that is not
// used; the time until it is deleted begins now. It returns ErrNotFound.
func (s *Store) Suspend(ctx context.Context, id string, at time.Time) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		if err := s.setSuspended(ctx, []string{id}, at); err != nil {
			return err
		}
		n, err := s.db.Exec(ctx, `INSERT INTO disuse (client_id, unused_since, step, taken_at)
			SELECT c.id, CASE WHEN u.last_used_at > c.created_at THEN u.last_used_at ELSE c.created_at END, $2, (SELECT watched FROM disuse_clock WHERE id = 1)
			FROM clients c JOIN client_uses u ON u.client_id = c.id WHERE c.id = $1
			ON CONFLICT (client_id) DO UPDATE SET step = excluded.step, taken_at = excluded.taken_at`, id, stepsToSuspension)
		if err == nil && n == 0 {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("suspend client %s: %w", id, err)
		}
		return nil
	})
}

// Resume says that a client is wanted, which counts as a use. If it is suspended, it gets tokens
// again. It returns ErrNotFound.
func (s *Store) Resume(ctx context.Context, id string, now time.Time) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE clients SET resumed_at = $1 WHERE id = $2`, database.At(now), id)
		if err == nil && n == 0 {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("resume client %s: %w", id, err)
		}
		if err := s.setSuspended(ctx, []string{id}, time.Time{}); err != nil {
			return err
		}
		return s.leaveDisuse(ctx, []string{id})
	})
}

// setSuspended says since when clients are suspended; zero for not.
func (s *Store) setSuspended(ctx context.Context, ids []string, at time.Time) error {
	for some := range slices.Chunk(ids, chunk) {
		among, args := in(2, some)
		_, err := s.db.Exec(ctx, `UPDATE clients SET suspended_at = $1 WHERE id IN `+among, append([]any{database.At(at)}, args...)...)
		if err == nil {
			_, err = s.db.Exec(ctx, `UPDATE client_search SET suspended = $1 WHERE client_id IN `+among, append([]any{!at.IsZero()}, args...)...)
		}
		if err != nil {
			return fmt.Errorf("suspend or resume clients: %w", err)
		}
	}
	return nil
}

// leaveDisuse takes clients off their way out.
func (s *Store) leaveDisuse(ctx context.Context, ids []string) error {
	for some := range slices.Chunk(ids, chunk) {
		among, args := in(1, some)
		if _, err := s.db.Exec(ctx, `DELETE FROM disuse WHERE client_id IN `+among, args...); err != nil {
			return fmt.Errorf("take clients off their way out: %w", err)
		}
	}
	return nil
}
