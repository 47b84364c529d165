package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// An Attempt is what somebody signs in with.
type Attempt struct {
	Email, Password string
	Address         string // that the request came from, without a port
	UserAgent       string
}

// signIn checks an attempt, and if it is right runs then in the transaction that says so. It
// returns ErrSignIn, [TooSoon] and ErrBusy. It must not run in a transaction, which could take
// back that a try was counted.
func (p *People) signIn(ctx context.Context, a Attempt, now time.Time, then func(ctx context.Context, x *Person) error) error {
	origin := audit.From(ctx)
	origin.Actor, origin.IP = audit.Actor{Kind: audit.Nobody}, printable(a.Address)
	ctx = audit.With(ctx, origin)

	email := fold(a.Email)
	x, hash, err := p.account(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	from := network(a.Address)
	subjects, err := p.signInSubjects(ctx, email, x, from, now)
	if err != nil {
		return err
	}
	v, err := p.try(ctx, subjects, hash, a.Password, now)
	if _, early := errors.AsType[TooSoon](err); early {
		return cmp.Or(p.refuse(ctx, subjects, x, now), err)
	}
	if err != nil {
		return err
	}
	// Whoever hangs up now is recorded like any other.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if v.right && x.oneTimeEnded(now) {
		return cmp.Or(p.recordFailure(ctx, x, oneTimeEnded, now), ErrSignIn)
	}
	if v.right {
		err := p.admit(ctx, x, hash, v, now, func(ctx context.Context, x *Person) error {
			if err := p.know(ctx, x.ID, from, now); err != nil {
				return err
			}
			return then(ctx, x)
		})
		if !errors.Is(err, ErrSignIn) {
			return err
		}
	}
	return cmp.Or(p.recordFailure(ctx, x, notRight, now), ErrSignIn)
}

// signInSubjects are whose failures count for whoever signs in from the network: the account,
// which person x has or nobody, and the network.
func (p *People) signInSubjects(ctx context.Context, email string, x *Person, network string, now time.Time) ([]subject, error) {
	var id string
	if x != nil {
		id = x.ID
	}
	known, err := p.knownAt(ctx, id, network, now)
	if err != nil {
		return nil, err
	}
	account := p.accountSubject(email)
	if known {
		account = account.at(network)
	}
	return []subject{account, addressSubject(network)}, nil
}

// admit lets a person in whose password is right. It returns ErrSignIn if that was changed while
// it was being checked.
func (p *People) admit(ctx context.Context, x *Person, hash string, v verdict, now time.Time, then func(ctx context.Context, x *Person) error) error {
	return p.db.Transact(ctx, func(ctx context.Context) error {
		n, err := p.db.Exec(ctx, `UPDATE admins SET password_hash = $1, last_sign_in_at = $2 WHERE id = $3 AND password_hash = $4`,
			cmp.Or(v.fresh, hash), database.At(now), x.ID, hash)
		if err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
		if n == 0 {
			return ErrSignIn
		}
		account, address := v.before[0], v.before[1]
		if err := errors.Join(p.forget(ctx, account.subject), p.giveBack(ctx, address)); err != nil {
			return err
		}
		signedIn := *x
		signedIn.LastSignInAt = now.UTC().Truncate(time.Second)
		return then(ctx, &signedIn)
	})
}

// Why a sign-in failed, for the audit log.
const (
	notRight     = "wrong e-mail or password"
	tooSoon      = "too soon after other failures"
	oneTimeEnded = "one-time password has ended"
)

// recordFailure records a sign-in that failed. What was typed as the e-mail of no account may be a
// password, and is not recorded.
func (p *People) recordFailure(ctx context.Context, x *Person, reason string, now time.Time) error {
	act := audit.Act{
		Action: "session.sign_in_failed", Target: audit.Target{Kind: "admin"}, At: now,
		Changes: map[string]audit.Change{"reason": {After: reason}},
	}
	if x != nil {
		act.Target = x.target()
	} else {
		act.Changes["account"] = audit.Change{After: "unknown"}
	}
	return p.log.Record(ctx, act)
}

// refuse records that somebody came too soon, once for each time that a subject is made to wait:
// a flood must not fill the log.
func (p *People) refuse(ctx context.Context, subjects []subject, x *Person, now time.Time) error {
	all, err := p.standings(ctx, subjects, now)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.blockedUntil.After(now) && !s.recorded {
			return p.recordRefusal(ctx, all, x, now)
		}
	}
	return nil
}

func (p *People) recordRefusal(ctx context.Context, all []standing, x *Person, now time.Time) error {
	return p.db.Transact(ctx, func(ctx context.Context) error {
		var first int64
		for _, s := range all {
			n, err := p.db.Exec(ctx, `UPDATE sign_in_failures SET refusal_recorded = TRUE
				WHERE subject = $1 AND blocked_until > $2 AND NOT refusal_recorded`, s.key, database.At(now))
			if err != nil {
				return fmt.Errorf("note a refused sign-in: %w", err)
			}
			first += n
		}
		if first == 0 {
			return nil // another was quicker
		}
		return p.recordFailure(ctx, x, tooSoon, now)
	})
}

const maxPrintable = 200

// printable is what people may see of a text from outside.
func printable(text string) string {
	kept := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text))
	return string(kept[:min(len(kept), maxPrintable)])
}
