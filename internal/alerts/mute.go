package alerts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Mute says what somebody does not want to hear of, from when it was made: a kind, a client, or
// a kind of one client.
type Mute struct {
	ID        string
	Kind      Kind   // "" for every kind
	ClientID  string // "" for every client
	AdminID   string // whom it spares e-mails; "" for everybody, and everywhere
	CreatedAt time.Time
	CreatedBy string
}

// Mute saves a mute, of which id and time are given here. If there is one like it, that is
// returned instead, and fresh is false.
func (s *Store) Mute(ctx context.Context, m *Mute, now time.Time) (fresh bool, err error) {
	err = s.DB.Transact(ctx, func(ctx context.Context) error {
		id := rand.Text()
		n, err := s.DB.Exec(ctx, `INSERT INTO alert_mutes (id, admin_id, kind, client_id, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (admin_id, kind, client_id) DO NOTHING`, id, m.AdminID, string(m.Kind), m.ClientID, database.At(now), m.CreatedBy)
		if err != nil {
			return err
		}
		fresh = n > 0
		*m, err = scanMute(s.DB.QueryRow(ctx, `SELECT `+muteColumns+` FROM alert_mutes WHERE admin_id = $1 AND kind = $2 AND client_id = $3`,
			m.AdminID, string(m.Kind), m.ClientID))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("mute alerts: %w", err)
	}
	return fresh, nil
}

// Unmute forgets a mute. It returns ErrNotFound.
func (s *Store) Unmute(ctx context.Context, id string) error {
	n, err := s.DB.Exec(ctx, `DELETE FROM alert_mutes WHERE id = $1`, id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("unmute alerts: %w", err)
	}
	return nil
}

const muteColumns = `id, admin_id, kind, client_id, created_at, created_by`

func scanMute(row scanner) (Mute, error) {
	var m Mute
	var created database.Time
	err := row.Scan(&m.ID, &m.AdminID, &m.Kind, &m.ClientID, &created, &m.CreatedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return m, ErrNotFound
	}
	if err != nil {
		return m, fmt.Errorf("read a mute: %w", err)
	}
	m.CreatedAt = created.Time
	return m, nil
}

// MuteByID returns the mute with the given id, or ErrNotFound.
func (s *Store) MuteByID(ctx context.Context, id string) (Mute, error) {
	return scanMute(s.DB.QueryRow(ctx, `SELECT `+muteColumns+` FROM alert_mutes WHERE id = $1`, id))
}

// Mutes returns at most limit mutes behind a position, oldest first.
func (s *Store) Mutes(ctx context.Context, after Position, limit int) ([]Mute, error) {
	return list(ctx, s, scanMute, `SELECT `+muteColumns+` FROM alert_mutes
		WHERE created_at > $1 OR created_at = $1 AND id > $2 ORDER BY created_at, id LIMIT $3`, database.At(after.At), after.ID, limit)
}
