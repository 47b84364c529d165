package limits

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/wardkey/wardkey/clients"
)

// A full limit is asked for again after a second, because another server may have given something
// back, and a full bucket after a quarter, because that is how long it cannot run over.
const (
	askAgain      = second
	askAgainBurst = second / 4
)

// buy gets a share from the store, and tells those who wait for it.
func (l *Limiter) buy(s *share, p *purchase) {
	runtime.Gosched() // requests that are ready to run join first
	ctx, cancel := context.WithTimeout(context.Background(), l.Timeout)
	defer cancel()
	p.err = l.clock.read(ctx, l)
	if p.err == nil {
		p.err = l.buyMost(ctx, s)
	}
	s.mu.Lock()
	s.buying = nil
	s.mu.Unlock()
	close(p.done)
}

// buyMost gets as much as the share wants, or as there is. When others are quicker again and again,
// it gets nothing, and whoever waits asks once more.
func (l *Limiter) buyMost(ctx context.Context, s *share) error {
	now := l.clock.micros(l)
	s.mu.Lock()
	limits, n := s.limits, s.want(now)
	s.mu.Unlock()
	for range 3 {
		now = l.clock.micros(l)
		p := portion{now / minute, now / day, n, limits.PerMinute}
		r, bought, err := l.reserve(ctx, s.id, limits, p, now)
		if err != nil {
			return err
		}
		if bought {
			s.add(limits, p, r, now)
			return nil
		}
		if r, err = l.row(ctx, s.id); err != nil {
			return err
		}
		if n = s.close(limits, r, n, l.clock.micros(l)); n == 0 {
			return nil
		}
	}
	return nil
}

// add adds what was bought.
func (s *share) add(limits clients.Limits, p portion, r row, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row, s.closedUntil = r, 0
	if s.limits != limits {
		s.back = append(s.back, p) // the limits were changed meanwhile
		return
	}
	s.retire()
	s.taken, s.left, s.boughtAt, s.drawnAt = p, p.requests, now, now
}

// close notes what the store has, and returns how many of n requests fit. If none does, nobody
// asks for a while.
func (s *share) close(limits clients.Limits, r row, n, now int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits != limits {
		return 0 // they were changed meanwhile; whoever waits asks by the new ones
	}
	s.row = r
	full := Standing{}
	for _, standing := range standings(limits, r, 0, now) {
		n = min(n, standing.Left)
		if standing.Left == 0 && standing.Reset >= full.Reset {
			full = standing
		}
	}
	if n == 0 {
		again := askAgain
		if full.Name == "burst" {
			again = askAgainBurst
		}
		s.closed, s.closedUntil = full, min(now+again, now-now%minute+minute)
	}
	return n
}

// Minutes and days never go back, unless a clock did: a server that is a moment behind counts in
// the minute in which the others are. The row of a clock that was ahead is begun anew, and so is a
// bucket with more in it than the limits allow: it was filled under others. See [row.now].
const (
	minuteTaken  = `CASE WHEN limit_counts.minute BETWEEN $2 AND $2 + 1 THEN limit_counts.minute_taken ELSE 0 END + $3`
	dayTaken     = `CASE WHEN limit_counts.day BETWEEN $4 AND $4 + 1 THEN limit_counts.day_taken ELSE 0 END + $3`
	bucketFullAt = `CASE WHEN limit_counts.full_at BETWEEN $5 AND $11 THEN limit_counts.full_at ELSE $5 END + $6`
)

// reserve counts requests in the store, all or none, and returns the row if it did.
func (l *Limiter) reserve(ctx context.Context, id string, limits clients.Limits, p portion, now int64) (r row, bought bool, err error) {
	perMinute, perDay, fullAt := unlimited, unlimited, unlimited
	if limits.PerMinute > 0 {
		perMinute, fullAt = limits.PerMinute, fullest(limits, now)
	}
	if limits.PerDay > 0 {
		perDay = limits.PerDay
	}
	bucket := span(p.requests, limits.PerMinute)
	if p.requests > perMinute || p.requests > perDay || now+bucket > fullAt {
		return row{}, false, nil // more than there ever is; a new row would not be asked
	}
	began := l.time()
	r, bought, err = l.scan(began, l.DB.WriteRow(ctx, `INSERT INTO limit_counts (client_id, minute, minute_taken, day, day_taken, full_at)
		VALUES ($1, $2, $3, $4, $3, $7)
		ON CONFLICT (client_id) DO UPDATE SET
			minute = CASE WHEN limit_counts.minute = $2 + 1 THEN limit_counts.minute ELSE $2 END, minute_taken = `+minuteTaken+`,
			day = CASE WHEN limit_counts.day = $4 + 1 THEN limit_counts.day ELSE $4 END, day_taken = `+dayTaken+`,
			full_at = `+bucketFullAt+`
		WHERE `+minuteTaken+` <= $8 AND `+dayTaken+` <= $9 AND `+bucketFullAt+` <= $10
		RETURNING `+columns,
		id, p.minute, p.requests, p.day, now, bucket, now+bucket, perMinute, perDay, fullAt, fullAt+askew))
	if err != nil {
		return row{}, false, fmt.Errorf("reserve requests of %s: %w", id, err)
	}
	return r, bought, nil
}

// unlimited is more than anything that is counted.
const unlimited = int64(1) << 60

// columns are those of a row, and what time it is in the store.
const columns = `minute, minute_taken, day, day_taken, full_at, CURRENT_TIMESTAMP`

// row reads what the store has of a client; of one that never asked it has nothing.
func (l *Limiter) row(ctx context.Context, id string) (row, error) {
	began := l.time()
	r, _, err := l.scan(began, l.DB.QueryRow(ctx, `SELECT `+columns+` FROM limit_counts WHERE client_id = $1`, id))
	if err != nil {
		return row{}, fmt.Errorf("read what %s took: %w", id, err)
	}
	return r, nil
}

// scan reads a row that was asked for when it began, if there is one.
func (l *Limiter) scan(began time.Time, from *sql.Row) (r row, ok bool, err error) {
	var now any // SQLite's is a text, which nobody needs
	err = from.Scan(&r.minute, &r.minuteTaken, &r.day, &r.dayTaken, &r.fullAt, &now)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, err
	}
	if now, ok := now.(time.Time); ok {
		l.clock.check(l, now, began)
	}
	return r, true, nil
}

// putBack counts requests out again that were not used.
func (l *Limiter) putBack(ctx context.Context, id string, p portion) error {
	_, err := l.DB.Exec(ctx, `UPDATE limit_counts SET
		minute_taken = minute_taken - CASE minute WHEN $2 THEN $3 ELSE 0 END,
		day_taken = day_taken - CASE day WHEN $4 THEN $3 ELSE 0 END,
		full_at = full_at - $5 WHERE client_id = $1`,
		id, p.minute, p.requests, p.day, span(p.requests, p.perMinute))
	return err
}

// Taken returns how a client stands with its limits: what servers have in reserve counts as taken.
func (l *Limiter) Taken(ctx context.Context, clientID string, limits clients.Limits) ([]Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := l.clock.read(ctx, l); err != nil {
		return nil, err
	}
	r, err := l.row(ctx, clientID)
	return standings(limits, r, 0, l.clock.micros(l)), err
}

// AccountTaken returns how all clients together stand with the limits of the account.
func (l *Limiter) AccountTaken(ctx context.Context) ([]Standing, error) {
	return l.Taken(ctx, account, l.Account)
}
