package tokens

import (
	"context"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// RevokedTokens are single tokens that their clients revoked (RFC 7009), each remembered until it
// would have expired. Resource servers that check tokens offline do not hear of them.
type RevokedTokens struct{ DB *database.DB }

// Revoke revokes the token with the given claims.
func (r RevokedTokens) Revoke(ctx context.Context, c *Claims) error {
	_, err := r.DB.Exec(ctx, `INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.ID, c.ExpiresAt)
	if err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	return nil
}

// Revoked says whether the token with the given claims was revoked by itself.
func (r RevokedTokens) Revoked(ctx context.Context, c *Claims) (bool, error) {
	var n int
	if err := r.DB.QueryRow(ctx, `SELECT count(*) FROM revoked_tokens WHERE jti = $1`, c.ID).Scan(&n); err != nil {
		return false, fmt.Errorf("read the revoked tokens: %w", err)
	}
	return n > 0, nil
}

// Purge forgets the tokens that have expired by now, with an hour for clocks that differ.
func (r RevokedTokens) Purge(ctx context.Context, now time.Time) error {
	_, err := r.DB.Exec(ctx, `DELETE FROM revoked_tokens WHERE expires_at <= $1`, database.At(now.Add(-time.Hour)))
	if err != nil {
		return fmt.Errorf("purge revoked tokens: %w", err)
	}
	return nil
}
