package people

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/wardkey/wardkey/internal/database"
)

// A sessionStore keeps for scs what it knows of sessions, by the hashes of their tokens.
type sessionStore struct {
	db *database.DB
}

var _ scs.CtxStore = sessionStore{}

// beginKey is where a session that begins is found in the context of its commit. No other commit
// makes a row: one that is late must not bring back a session that was revoked.
type beginKey struct{}

// FindCtx implements [scs.CtxStore].
func (s sessionStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	var data string
	err := s.db.QueryRow(ctx, `SELECT data FROM sessions WHERE token = $1 AND expires_at > $2`, token, database.At(time.Now())).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	b, err := base64.RawStdEncoding.DecodeString(data)
	return b, err == nil, err
}

// CommitCtx implements [scs.CtxStore]. It returns ErrNotFound if the session has ended.
func (s sessionStore) CommitCtx(ctx context.Context, token string, b []byte, expires time.Time) error {
	data := base64.RawStdEncoding.EncodeToString(b)
	if x, ok := ctx.Value(beginKey{}).(*Session); ok {
		_, err := s.db.Exec(ctx, `INSERT INTO sessions (token, id, admin_id, created_at, seen_at, ip, user_agent, data, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			token, x.ID, x.Person.ID, database.At(x.CreatedAt), database.At(x.SeenAt), x.IP, x.UserAgent, data, database.At(expires))
		if err != nil {
			return fmt.Errorf("begin a session: %w", err)
		}
		return nil
	}
	n, err := s.db.Exec(ctx, `UPDATE sessions SET seen_at = $1, data = $2, expires_at = $3 WHERE token = $4`,
		database.At(time.Now()), data, database.At(expires), token)
	if err != nil {
		return fmt.Errorf("note that a session was seen: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

// DeleteCtx implements [scs.CtxStore].
func (s sessionStore) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.db.Exec(ctx, `DELETE FROM sessions WHERE token = $1`, token)
	return err
}

// Find, Commit and Delete are for stores that know no context; scs does not call them on this one.

// Find implements [scs.Store].
func (s sessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit implements [scs.Store].
func (s sessionStore) Commit(token string, b []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expires)
}

// Delete implements [scs.Store].
func (s sessionStore) Delete(token string) error {
	return s.DeleteCtx(context.Background(), token)
}
