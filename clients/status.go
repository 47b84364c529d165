package clients

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// The places of clients in the status lists (Token Status List §4). Package tokens serves the
// lists; here their bits are set and cleared, with the clients they belong to.

const (
	// firstPlaces is how many places in the status lists the first clients are spread over.
	firstPlaces = 1 << 17

	// bitKept is how long a bit stays set: until the last token that carries its place has
	// expired, with an hour for clocks that differ.
	bitKept = MaxTokenLifetime + time.Hour

	// placeRests is how long a place is nobody's after its bit was cleared, so that no resource
	// server still has a list in which it is set. A list lives for tokens.StatusListLifetime.
	placeRests = 24 * time.Hour
)

// claimStatus gives a client a random free place in the status lists. Places are random, so that
// they do not tell how many clients there are. Where the first lists are so full that some tries
// meet only taken places, as many lists again are drawn from.
func (s *Store) claimStatus(ctx context.Context, clientID string, now time.Time) (int64, error) {
	const tries = 8
	for places := int64(firstPlaces); places > 0; places *= 2 {
		for range tries {
			position := rand.Int64N(places)
			if taken, err := s.takePlace(ctx, position, clientID, now); err != nil || taken {
				return position, err
			}
		}
	}
	return 0, errors.New("no free place in the status lists was found")
}

// takePlace gives a client a place, if it is nobody's.
func (s *Store) takePlace(ctx context.Context, position int64, clientID string, now time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO status_entries (position, client_id) VALUES ($1, $2)
		ON CONFLICT (position) DO UPDATE SET client_id = excluded.client_id, free_from = 0
		WHERE status_entries.free_from > 0 AND status_entries.free_from <= $3`, position, clientID, database.At(now))
	if err != nil {
		return false, fmt.Errorf("take a place in the status lists: %w", err)
	}
	return n == 1, nil
}

// revokeStatus sets the bits of the clients with the given ids, in a transaction. It returns how
// many there were.
func (s *Store) revokeStatus(ctx context.Context, now time.Time, ids []string) (int64, error) {
	among, args := in(2, ids)
	return s.changeStatus(ctx, `revoked_at = $1 WHERE position IN (SELECT status_index FROM clients WHERE id IN `+among+`)`,
		append([]any{database.At(now)}, args...)...)
}

// releaseStatus clears the bits that no living token carries, and lets their places rest before
// others get them.
func (s *Store) releaseStatus(ctx context.Context, now time.Time) error {
	return s.db.Transact(ctx, func(ctx context.Context) error {
		_, err := s.changeStatus(ctx, `revoked_at = 0, client_id = '', free_from = $1 WHERE revoked_at > 0 AND revoked_at <= $2`,
			database.At(now.Add(placeRests)), database.At(now.Add(-bitKept)))
		if err != nil {
			return fmt.Errorf("clear old bits of the status lists: %w", err)
		}
		return nil
	})
}

// changeStatus changes entries of the status lists so that every server hears of it. Change is
// what follows SET in an UPDATE. It returns how many entries were changed.
func (s *Store) changeStatus(ctx context.Context, change string, args ...any) (int64, error) {
	n, err := s.db.Exec(ctx, `UPDATE status_entries SET changed = (SELECT version + 1 FROM status_version WHERE id = 1), `+change, args...)
	if err != nil || n == 0 {
		return 0, err
	}
	_, err = s.db.Exec(ctx, `UPDATE status_version SET version = version + 1 WHERE id = 1`)
	return n, err
}
