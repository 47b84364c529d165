package lease

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Job is work that one server does for all, again and again.
type Job struct {
	Name  string // by which the store remembers when it was done last, so it never changes
	Every time.Duration

	// Do does what is due at the given time. It runs in one transaction with the note that it was
	// done, so that no end of a server makes it be skipped or done twice. It may run more than
	// once, so it must change nothing but the database, and that only with its own ctx.
	Do func(ctx context.Context, now time.Time) error

	// Parts stands in place of Do for work that is too much for one transaction. It looks at what is
	// due outside of any, and does it in small ones that it makes with transact, by right of the
	// lease. Each must be whole by itself: after it another server may go on. What is not done is
	// due again soon.
	Parts func(ctx context.Context, now time.Time, transact Transact) (done bool, err error)
}

// Transact is [Held.Transact] of the server that holds the lease.
type Transact = func(ctx context.Context, fn func(ctx context.Context) error) error

const (
	jobsEvery    = 5 * time.Second // so often it is asked what is due
	afterFailure = time.Minute     // so long a job waits that failed
)

// RunJobs does each job when it is due, while this server holds the lease, until ctx ends. A job
// that was never done is due at once.
func (l *Lease) RunJobs(ctx context.Context, jobs []Job) error {
	return l.Run(ctx, func(ctx context.Context, held *Held) error { return held.do(ctx, jobs) })
}

func (h *Held) do(ctx context.Context, jobs []Job) error {
	failedAt := map[string]time.Time{}
	for {
		for _, j := range jobs {
			if time.Since(failedAt[j.Name]) < afterFailure {
				continue
			}
			err := h.doIfDue(ctx, j)
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, ErrLost):
				return err
			case err != nil:
				failedAt[j.Name] = time.Now()
				h.lease.Log.WarnContext(ctx, "periodic work failed, trying again soon", "job", j.Name, "in", afterFailure, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(jobsEvery):
		}
	}
}

// doIfDue does one job and notes when, all or nothing.
func (h *Held) doIfDue(ctx context.Context, j Job) error {
	if due, err := h.due(ctx, j, time.Now()); err != nil || !due {
		return err
	}
	if j.Parts != nil {
		return h.doParts(ctx, j)
	}
	return h.Transact(ctx, func(ctx context.Context) error {
		now := time.Now()
		// Once more, because only here it is sure that nobody else did it.
		if due, err := h.due(ctx, j, now); err != nil || !due {
			return err
		}
		if err := j.Do(ctx, now); err != nil {
			return err
		}
		return h.note(ctx, j, now)
	})
}

// doParts does one job in parts, and notes when, if nothing of it is left.
func (h *Held) doParts(ctx context.Context, j Job) error {
	now := time.Now()
	done, err := j.Parts(ctx, now, h.Transact)
	if err != nil || !done {
		return err
	}
	return h.Transact(ctx, func(ctx context.Context) error { return h.note(ctx, j, now) })
}

func (h *Held) note(ctx context.Context, j Job, now time.Time) error {
	_, err := h.lease.DB.Exec(ctx, `INSERT INTO job_runs (name, last_run_at) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at`, j.Name, database.At(now))
	if err != nil {
		return fmt.Errorf("note that %s was done: %w", j.Name, err)
	}
	return nil
}

// due says whether it is time for a job. A last time that is far in the future is from a clock
// that was wrong, and does not keep the job from being done.
func (h *Held) due(ctx context.Context, j Job, now time.Time) (bool, error) {
	var last database.Time
	err := h.lease.DB.QueryRow(ctx, `SELECT last_run_at FROM job_runs WHERE name = $1`, j.Name).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read when %s was done last: %w", j.Name, err)
	}
	return now.Sub(last.Time).Abs() >= j.Every, nil
}
