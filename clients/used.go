package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// How long rows about use are read, and kept.
const (
	activityRead = 24 * time.Hour
	activityKept = 48 * time.Hour
	usesGone     = 7 * 24 * time.Hour
)

// An Activity is how much a secret was used in the last day, to the hour in which each use fell.
type Activity struct {
	Uses      int64
	Addresses int
	More      bool // there were more addresses than are told apart
}

// Activity returns the activity of each secret of a client that got a token in the last day, by
// its id.
func (s *Store) Activity(ctx context.Context, clientID string, now time.Time) (map[string]Activity, error) {
	rows, err := s.db.Query(ctx, `SELECT secret_id, CAST(sum(uses) AS BIGINT), count(DISTINCT NULLIF(address, '')),
			max(CASE address WHEN '' THEN 1 ELSE 0 END)
		FROM secret_activity WHERE client_id = $1 AND last_used_at > $2 GROUP BY secret_id`,
		clientID, database.At(now.Add(-activityRead)))
	if err != nil {
		return nil, fmt.Errorf("read the activity of client %s: %w", clientID, err)
	}
	defer rows.Close()
	all := map[string]Activity{}
	for rows.Next() {
		var id string
		var a Activity
		var more int
		if err := rows.Scan(&id, &a.Uses, &a.Addresses, &more); err != nil {
			return nil, fmt.Errorf("read the activity of client %s: %w", clientID, err)
		}
		a.More = more == 1
		all[id] = a
	}
	return all, rows.Err()
}

// An Address is from where a secret was used in the last day.
type Address struct {
	Address    string // '' stands for all that are not told apart
	Uses       int64
	LastUsedAt time.Time
}

// maxAddressList is how many addresses are listed.
const maxAddressList = 200

// Addresses returns from where a secret was used in the last day, newest first.
func (s *Store) Addresses(ctx context.Context, clientID, secretID string, now time.Time) ([]Address, error) {
	rows, err := s.db.Query(ctx, `SELECT address, CAST(sum(uses) AS BIGINT), max(last_used_at)
		FROM secret_activity WHERE client_id = $1 AND secret_id = $2 AND last_used_at > $3
		GROUP BY address ORDER BY max(last_used_at) DESC, address LIMIT $4`,
		clientID, secretID, database.At(now.Add(-activityRead)), maxAddressList)
	if err != nil {
		return nil, fmt.Errorf("read the addresses of a secret of client %s: %w", clientID, err)
	}
	defer rows.Close()
	all := []Address{}
	for rows.Next() {
		var a Address
		var last database.Time
		if err := rows.Scan(&a.Address, &a.Uses, &last); err != nil {
			return nil, fmt.Errorf("read the addresses of a secret of client %s: %w", clientID, err)
		}
		a.LastUsedAt = last.Time
		all = append(all, a)
	}
	return all, rows.Err()
}

// UsedFrom returns from which addresses a client got tokens since the given time, and when from each
// last. Of those beyond the first hundred of a secret in an hour nothing is known.
func (s *Store) UsedFrom(ctx context.Context, clientID string, since time.Time) (map[string]time.Time, error) {
	if !isID(clientID) {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, `SELECT address, max(last_used_at) FROM secret_activity
		WHERE client_id = $1 AND last_used_at > $2 AND address <> '' GROUP BY address`, clientID, database.At(since))
	if err != nil {
		return nil, fmt.Errorf("read from where client %s was used: %w", clientID, err)
	}
	defer rows.Close()
	all := map[string]time.Time{}
	for rows.Next() {
		var address string
		var last database.Time
		if err := rows.Scan(&address, &last); err != nil {
			return nil, fmt.Errorf("read from where client %s was used: %w", clientID, err)
		}
		all[address] = last.Time
	}
	return all, rows.Err()
}

// Purge forgets what is known of uses that are too long ago, and those that were written when
// their client was deleted already, and frees places in the status lists. It must run more often
// than once a week.
func (s *Store) Purge(ctx context.Context, now time.Time) error {
	return errors.Join(s.purgeUses(ctx, now), s.releaseStatus(ctx, now))
}

func (s *Store) purgeUses(ctx context.Context, now time.Time) error {
	gone := database.At(now.Add(-usesGone))
	_, err := s.db.Exec(ctx, `DELETE FROM secret_activity WHERE hour < $1`, now.Add(-activityKept).Unix()/secondsOfAnHour)
	for _, table := range []string{"secret_activity", "secret_uses", "client_uses"} {
		_, orphansErr := s.db.Exec(ctx, `DELETE FROM `+table+` WHERE client_id IN (SELECT id FROM deleted_clients WHERE deleted_at > $1)`, gone)
		err = errors.Join(err, orphansErr)
	}
	if err != nil {
		return fmt.Errorf("purge uses: %w", err)
	}
	return nil
}
