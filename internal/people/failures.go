package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// How wrong passwords slow down those that come after them.
const (
	freeFailures   = 5 // in a row cost no wait; each further one doubles it, from a second on
	longestAccount = time.Minute
	longestAddress = 15 * time.Minute
	forgetAfter    = time.Hour // without a failure
)

// A subject is whose failures in a row are counted.
type subject struct {
	key     string
	longest time.Duration // that it is made to wait
}

// accountSubject is a folded e-mail, whether anybody has it or not, at all addresses where it is
// not known. People type passwords where the e-mail belongs, so the text itself is not kept.
func (p *People) accountSubject(email string) subject {
	return subject{"account " + p.log.Pseudonym(email), longestAccount}
}

// at is an account at a network where it is known: what fails elsewhere does not make it wait.
func (s subject) at(network string) subject {
	return subject{s.key + " at " + network, s.longest}
}

// addressSubject is a network, whatever is tried there.
func addressSubject(network string) subject {
	return subject{"address " + network, longestAddress}
}

// passwordSubject is a person who is signed in and gives the current password. Nobody else can
// make that one wait.
func passwordSubject(id string) subject { return subject{"password " + id, longestAccount} }

// A standing is what a subject has behind it.
type standing struct {
	subject
	failures     int64
	lastAt       time.Time
	blockedUntil time.Time
	recorded     bool // that somebody came too soon
}

// failed is the standing after one more failure.
func (s standing) failed(now time.Time) standing {
	s.failures++
	s.lastAt = now
	s.recorded = false
	if over := s.failures - freeFailures; over > 0 {
		wait := min(time.Second<<min(over-1, 30), s.longest)
		s.blockedUntil = now.Add(wait + time.Second - 1) // the database keeps whole seconds
	}
	return s
}

// standings reads what the subjects have behind them. What is forgotten is not there.
func (p *People) standings(ctx context.Context, subjects []subject, now time.Time) ([]standing, error) {
	all := make([]standing, len(subjects))
	for i, s := range subjects {
		var last, blocked database.Time
		x := standing{subject: s}
		err := p.db.QueryRow(ctx, `SELECT failures, last_at, blocked_until, refusal_recorded FROM sign_in_failures
			WHERE subject = $1 AND last_at > $2`, s.key, database.At(now.Add(-forgetAfter))).
			Scan(&x.failures, &last, &blocked, &x.recorded)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("read failed sign-ins: %w", err)
		}
		x.lastAt, x.blockedUntil = last.Time, blocked.Time
		all[i] = x
	}
	return all, nil
}

// wait returns TooSoon if one of the standings has to wait.
func wait(all []standing, now time.Time) error {
	var longest time.Duration
	for _, s := range all {
		longest = max(longest, s.blockedUntil.Sub(now))
	}
	if longest <= 0 {
		return nil
	}
	return TooSoon{(longest + time.Second - 1).Truncate(time.Second)}
}

// count counts a failure of each subject before it is known whether it is one, so that of many
// tries at once, on whatever servers, none is free. It returns how they stood before, or TooSoon.
func (p *People) count(ctx context.Context, subjects []subject, now time.Time) (before []standing, err error) {
	err = p.db.Transact(ctx, func(ctx context.Context) error {
		before, err = p.standings(ctx, subjects, now)
		if err == nil {
			err = wait(before, now)
		}
		for _, s := range before {
			if err == nil {
				err = p.save(ctx, s.failed(now))
			}
		}
		return err
	})
	return before, err
}

func (p *People) save(ctx context.Context, s standing) error {
	_, err := p.db.Exec(ctx, `INSERT INTO sign_in_failures (subject, failures, last_at, blocked_until, refusal_recorded)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures,
			last_at = excluded.last_at, blocked_until = excluded.blocked_until, refusal_recorded = excluded.refusal_recorded`,
		s.key, s.failures, database.At(s.lastAt), database.At(s.blockedUntil), s.recorded)
	if err != nil {
		return fmt.Errorf("count a failed sign-in: %w", err)
	}
	return nil
}

// forget takes away all failures of a subject.
func (p *People) forget(ctx context.Context, s subject) error {
	if _, err := p.db.Exec(ctx, `DELETE FROM sign_in_failures WHERE subject = $1`, s.key); err != nil {
		return fmt.Errorf("forget failed sign-ins: %w", err)
	}
	return nil
}

// forgetAll takes away all failures of a person's account, wherever it was tried.
func (p *People) forgetAll(ctx context.Context, x *Person) error {
	account := p.accountSubject(x.Email)
	_, err := p.db.Exec(ctx, `DELETE FROM sign_in_failures WHERE subject IN (SELECT $1 || address FROM sign_in_addresses WHERE admin_id = $2)`,
		account.at("").key, x.ID)
	if err != nil {
		return fmt.Errorf("forget failed sign-ins: %w", err)
	}
	return errors.Join(p.forget(ctx, account), p.forget(ctx, passwordSubject(x.ID)))
}

// giveBack takes away the one failure that was counted and was none. Unless others failed since,
// the subject stands as it did before.
func (p *People) giveBack(ctx context.Context, before standing) error {
	if before.failures == 0 {
		_, err := p.db.Exec(ctx, `DELETE FROM sign_in_failures WHERE subject = $1 AND failures = 1`, before.key)
		if err != nil {
			return fmt.Errorf("give back a sign-in: %w", err)
		}
	}
	_, err := p.db.Exec(ctx, `UPDATE sign_in_failures SET failures = failures - 1,
		last_at = CASE failures WHEN $2 THEN $3 ELSE last_at END,
		blocked_until = CASE failures WHEN $2 THEN $4 ELSE blocked_until END
		WHERE subject = $1 AND failures > 0`,
		before.key, before.failures+1, database.At(before.lastAt), database.At(before.blockedUntil))
	if err != nil {
		return fmt.Errorf("give back a sign-in: %w", err)
	}
	return nil
}

// A verdict is what a try came to.
type verdict struct {
	right  bool
	fresh  string     // a new hash, if the one there costs another amount than it should
	before []standing // of the subjects, in which a failure is counted
}

// try says whether the hash is that of the password, unless one of the subjects has to wait: then
// it returns TooSoon, and nothing was computed.
func (p *People) try(ctx context.Context, subjects []subject, hash, password string, now time.Time) (v verdict, err error) {
	standings, err := p.standings(ctx, subjects, now)
	if err == nil {
		err = wait(standings, now) // most of a flood ends here, without a turn and without a write
	}
	if err != nil {
		return v, err
	}
	begin := time.Now()
	done, err := p.hashes.turns.take(ctx)
	if err != nil {
		return v, err
	}
	defer done()
	now = now.Add(time.Since(begin).Truncate(time.Second)) // a wait begins now, not before this one's
	if v.before, err = p.count(ctx, subjects, now); err != nil {
		return v, err
	}
	v.fresh, v.right = p.hashes.check(hash, password)
	return v, nil
}
