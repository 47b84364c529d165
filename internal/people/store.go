package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// columns are all of a person's but the password.
const columns = `a.id, a.email, a.role, a.one_time_password, a.one_time_until, a.created_at, a.last_sign_in_at`

type scanner interface{ Scan(dest ...any) error }

// scan reads the columns of a person, and what stands behind them.
func scan(row scanner, more ...any) (*Person, error) {
	var p Person
	var until, created, signedIn database.Time
	err := row.Scan(append([]any{&p.ID, &p.Email, &p.Role, &p.OneTimePassword, &until, &created, &signedIn}, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read an admin: %w", err)
	}
	p.OneTimeUntil, p.CreatedAt, p.LastSignInAt = until.Time, created.Time, signedIn.Time
	return &p, nil
}

// Any says whether there is anybody.
func (p *People) Any(ctx context.Context) (bool, error) {
	var n int
	if err := p.db.QueryRow(ctx, `SELECT count(*) FROM admins`).Scan(&n); err != nil {
		return false, fmt.Errorf("count the admins: %w", err)
	}
	return n > 0, nil
}

// Person returns the person with the given id, or ErrNotFound.
func (p *People) Person(ctx context.Context, id string) (*Person, error) {
	return scan(p.db.QueryRow(ctx, `SELECT `+columns+` FROM admins a WHERE a.id = $1`, id))
}

// ByEmail returns the person with the given e-mail, however it is written, or ErrNotFound.
func (p *People) ByEmail(ctx context.Context, email string) (*Person, error) {
	found, _, err := p.account(ctx, fold(email))
	return found, err
}

// account returns the person with a folded e-mail, and the hash of the password.
func (p *People) account(ctx context.Context, email string) (found *Person, hash string, err error) {
	if checkEmail(email) != nil {
		return nil, "", ErrNotFound // it may hold what PostgreSQL takes for no text
	}
	found, err = scan(p.db.QueryRow(ctx, `SELECT `+columns+`, a.password_hash FROM admins a WHERE a.email = $1`, email), &hash)
	return found, hash, err
}

// List returns a part of the list of people, oldest first.
func (p *People) List(ctx context.Context, page Page) ([]Person, error) {
	rows, err := p.db.Query(ctx, `SELECT `+columns+` FROM admins a
		WHERE a.created_at > $1 OR a.created_at = $1 AND a.id > $2 ORDER BY a.created_at, a.id LIMIT $3`,
		database.At(page.After), page.AfterID, page.Limit)
	if err != nil {
		return nil, fmt.Errorf("list the admins: %w", err)
	}
	defer rows.Close()
	all := []Person{}
	for rows.Next() {
		found, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, *found)
	}
	return all, rows.Err()
}

// Create saves a new person, of whom e-mail and role are given and the rest is set here. It
// returns [Invalid] and ErrEmailTaken.
func (p *People) Create(ctx context.Context, x *Person, password Password, now time.Time) error {
	x.Email = fold(x.Email)
	if err := errors.Join(checkEmail(x.Email), x.Role.check()); err != nil {
		return err
	}
	x.ID, x.CreatedAt = uuid.NewString(), now.UTC().Truncate(time.Second)
	x.OneTimePassword, x.OneTimeUntil = password.oneTime(), password.until(now)
	err := p.db.Transact(ctx, func(ctx context.Context) error {
		_, err := p.db.Exec(ctx, `INSERT INTO admins (id, email, password_hash, role, created_at, one_time_password, one_time_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			x.ID, x.Email, password.hash, string(x.Role), database.At(x.CreatedAt), x.OneTimePassword, database.At(x.OneTimeUntil))
		if err != nil {
			return err
		}
		return p.record(ctx, "admin.create", x, now, map[string]audit.Change{"email": {After: x.Email}, "role": {After: x.Role}})
	})
	if database.IsConflict(err) {
		return ErrEmailTaken
	}
	if err != nil {
		return fmt.Errorf("create an admin: %w", err)
	}
	return nil
}

func (p *People) record(ctx context.Context, action string, x *Person, now time.Time, changes map[string]audit.Change) error {
	return p.log.Record(ctx, audit.Act{Action: action, Target: x.target(), Changes: changes, At: now})
}

// change runs fn in a transaction for the person with the given id, as it is then. It returns
// ErrNotFound.
func (p *People) change(ctx context.Context, id string, fn func(ctx context.Context, x *Person) error) error {
	return p.db.Transact(ctx, func(ctx context.Context) error {
		x, err := p.Person(ctx, id)
		if err != nil {
			return err
		}
		return fn(ctx, x)
	})
}

// SetRole gives a person another role, from the next request on. It returns [Invalid],
// ErrNotFound and ErrLastOwner.
func (p *People) SetRole(ctx context.Context, id string, role Role, now time.Time) error {
	if err := role.check(); err != nil {
		return err
	}
	return p.change(ctx, id, func(ctx context.Context, x *Person) error {
		if x.Role == role {
			return nil
		}
		if err := p.spare(ctx, x); err != nil {
			return err
		}
		if _, err := p.db.Exec(ctx, `UPDATE admins SET role = $1 WHERE id = $2`, string(role), id); err != nil {
			return fmt.Errorf("change the role of an admin: %w", err)
		}
		return p.record(ctx, "admin.update", x, now, map[string]audit.Change{"role": {Before: x.Role, After: role}})
	})
}

// Remove forgets a person and ends the sessions. It returns ErrNotFound and ErrLastOwner.
func (p *People) Remove(ctx context.Context, id string, now time.Time) error {
	return p.change(ctx, id, func(ctx context.Context, x *Person) error {
		if err := p.spare(ctx, x); err != nil {
			return err
		}
		if err := p.endSessions(ctx, id, ""); err != nil {
			return err
		}
		if _, err := p.db.Exec(ctx, `DELETE FROM admins WHERE id = $1`, id); err != nil {
			return fmt.Errorf("remove an admin: %w", err)
		}
		return p.record(ctx, "admin.remove", x, now, map[string]audit.Change{"email": {Before: x.Email}, "role": {Before: x.Role}})
	})
}

// spare returns ErrLastOwner if there is no owner but this one.
func (p *People) spare(ctx context.Context, x *Person) error {
	if x.Role != Owner {
		return nil
	}
	var others int
	err := p.db.QueryRow(ctx, `SELECT count(*) FROM admins WHERE role = $1 AND id <> $2`, string(Owner), x.ID).Scan(&others)
	if err != nil {
		return fmt.Errorf("count the owners: %w", err)
	}
	if others == 0 {
		return ErrLastOwner
	}
	return nil
}

// ResetPassword gives a person another password, as from [People.OneTimePassword], forgets what
// failed for the account and ends the sessions. It returns ErrNotFound.
func (p *People) ResetPassword(ctx context.Context, id string, password Password, now time.Time) error {
	return p.change(ctx, id, func(ctx context.Context, x *Person) error {
		if err := errors.Join(p.forgetAll(ctx, x), p.endSessions(ctx, id, "")); err != nil {
			return err
		}
		_, err := p.db.Exec(ctx, `UPDATE admins SET password_hash = $1, one_time_password = $2, one_time_until = $3 WHERE id = $4`,
			password.hash, password.oneTime(), database.At(password.until(now)), id)
		if err != nil {
			return fmt.Errorf("reset the password of an admin: %w", err)
		}
		return p.record(ctx, "admin.reset_password", x, now, nil)
	})
}

// endSessions ends the sessions of a person, but for the one to keep.
func (p *People) endSessions(ctx context.Context, id, keep string) error {
	if _, err := p.db.Exec(ctx, `DELETE FROM sessions WHERE admin_id = $1 AND id <> $2`, id, keep); err != nil {
		return fmt.Errorf("end the sessions of an admin: %w", err)
	}
	return nil
}

// Purge forgets the sessions that had ended by now, the failures that no longer count, and the
// addresses that are no longer known.
func (p *People) Purge(ctx context.Context, now time.Time) error {
	if _, err := p.db.Exec(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, database.At(now)); err != nil {
		return fmt.Errorf("purge sessions: %w", err)
	}
	if _, err := p.db.Exec(ctx, `DELETE FROM sign_in_failures WHERE last_at <= $1`, database.At(now.Add(-forgetAfter))); err != nil {
		return fmt.Errorf("purge failed sign-ins: %w", err)
	}
	if _, err := p.db.Exec(ctx, `DELETE FROM sign_in_addresses WHERE last_at <= $1`, database.At(now.Add(-knownFor))); err != nil {
		return fmt.Errorf("purge where admins signed in: %w", err)
	}
	return nil
}
