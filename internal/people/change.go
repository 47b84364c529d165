package people

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A PasswordChange is what a person gives who changes the own password.
type PasswordChange struct {
	PersonID     string
	SessionID    string // goes on; the others of the person end
	Current, New string
}

// ChangePassword changes the password of a person who knows the current one. It returns
// [Invalid], ErrWrongPassword, [TooSoon], ErrBusy and ErrNotFound. Like signing in, it must not
// run in a transaction.
func (p *People) ChangePassword(ctx context.Context, c PasswordChange, now time.Time) error {
	var hash string
	x, err := scan(p.db.QueryRow(ctx, `SELECT `+columns+`, a.password_hash FROM admins a WHERE a.id = $1`, c.PersonID), &hash)
	if err != nil {
		return err
	}
	if c.New == c.Current {
		return Invalid{"/password", "is the current one; choose another"}
	}
	if err := checkPassword(x.Email, c.New); err != nil {
		return err
	}
	v, err := p.try(ctx, []subject{passwordSubject(x.ID)}, hash, c.Current, now)
	if err != nil {
		return err
	}
	if !v.right || x.oneTimeEnded(now) {
		return ErrWrongPassword
	}
	password, err := p.NewPassword(ctx, x.Email, c.New)
	if err != nil {
		return err
	}
	return p.replace(ctx, x, hash, password, c.SessionID, now)
}

// replace gives a person a new password in place of the one with the hash.
func (p *People) replace(ctx context.Context, x *Person, hash string, password Password, keep string, now time.Time) error {
	return p.db.Transact(ctx, func(ctx context.Context) error {
		n, err := p.db.Exec(ctx, `UPDATE admins SET password_hash = $1, one_time_password = FALSE, one_time_until = 0 WHERE id = $2 AND password_hash = $3`,
			password.hash, x.ID, hash)
		if err != nil {
			return fmt.Errorf("change a password: %w", err)
		}
		if n == 0 {
			return ErrWrongPassword // it was changed while it was being checked
		}
		if err := errors.Join(p.forget(ctx, passwordSubject(x.ID)), p.endSessions(ctx, x.ID, keep)); err != nil {
			return err
		}
		return p.record(ctx, "admin.change_password", x, now, nil)
	})
}
