package lease

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// count is a job that counts how often it was done, in the store.
func count(t *testing.T, db *database.DB) (Job, func() int) {
	_, err := db.Exec(t.Context(), `CREATE TABLE counter (n BIGINT NOT NULL)`)
	must(t, err)
	_, err = db.Exec(t.Context(), `INSERT INTO counter (n) VALUES (0)`)
	must(t, err)
	job := Job{Name: "count", Every: time.Hour, Do: func(ctx context.Context, _ time.Time) error {
		_, err := db.Exec(ctx, `UPDATE counter SET n = n + 1`)
		return err
	}}
	return job, func() (n int) {
		must(t, db.QueryRow(t.Context(), `SELECT n FROM counter`).Scan(&n))
		return n
	}
}

// However often servers end and others go on, a job is done once in each of its periods.
func TestJobsAreDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		job, done := count(t, db)
		job.Every = 20 * time.Minute
		ctx, stop := context.WithTimeout(t.Context(), 59*time.Minute)
		defer stop()
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				for ctx.Err() == nil {
					ctx, end := context.WithTimeout(ctx, time.Duration(7+i)*time.Minute)
					must(t, newLease(db).RunJobs(ctx, []Job{job}))
					end()
				}
			})
		}
		wg.Wait()
		if got := done(); got != 3 {
			t.Errorf("in 59 minutes it was done %d times", got)
		}
	})
}

// A job and the note that it was done happen together or not at all.
func TestJobAndItsNote(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		job, done := count(t, db)
		held, err := newLease(db).look(t.Context(), &watch{}, "one")
		must(t, err)
		broken := errors.New("broken")
		failing := job
		failing.Do = func(ctx context.Context, now time.Time) error { return errors.Join(job.Do(ctx, now), broken) }
		set := func(last time.Time) func() {
			return func() {
				_, err := db.Exec(t.Context(), `UPDATE job_runs SET last_run_at = $1`, database.At(last))
				must(t, err)
			}
		}
		now := time.Now()
		for _, tt := range []struct {
			name   string
			before func()
			job    Job
			err    error
			done   int
		}{
			{"fails the first time", func() {}, failing, broken, 0},
			{"never done", func() {}, job, nil, 1},
			{"done just now", func() {}, job, nil, 1},
			{"done 59 minutes ago", set(now.Add(-59 * time.Minute)), job, nil, 1},
			{"done an hour ago", set(now.Add(-time.Hour)), job, nil, 2},
			{"done on a server whose clock is ahead", set(now.Add(time.Minute)), job, nil, 2},
			{"done when the clock was wrong", set(now.AddDate(1, 0, 0)), job, nil, 3},
			{"fails", set(now.Add(-2 * time.Hour)), failing, broken, 3},
			{"another holds the lease", func() {
				_, err := db.Exec(t.Context(), `UPDATE leases SET fence = fence + 1`)
				must(t, err)
			}, job, ErrLost, 3},
		} {
			tt.before()
			if err := held.doIfDue(t.Context(), tt.job); !errors.Is(err, tt.err) || done() != tt.done {
				t.Errorf("%s: %v, done %d times; want %v, %d", tt.name, err, done(), tt.err, tt.done)
			}
		}
	})
}

// A job that fails keeps no other from being done, and is tried again in a minute.
func TestJobFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		job, done := count(t, db)
		tries := 0
		broken := Job{Name: "broken", Every: time.Hour, Do: func(context.Context, time.Time) error { tries++; return errors.New("broken") }}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		must(t, newLease(db).RunJobs(ctx, []Job{broken, job}))
		if done() != 1 || tries < 9 || tries > 11 {
			t.Errorf("in 10 minutes it was done %d times, and the broken one tried %d times; want 1 and about 10", done(), tries)
		}
	})
}

// Work in parts goes on where it was left, soon, and then waits for its time; no part is done by
// who has lost the lease.
func TestJobInParts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		part, done := count(t, db)
		held, err := newLease(db).look(t.Context(), &watch{}, "one")
		must(t, err)
		calls := 0
		job := Job{Name: "count in parts", Every: time.Hour, Parts: func(ctx context.Context, now time.Time, transact Transact) (bool, error) {
			calls++
			for range 2 {
				if err := transact(ctx, func(ctx context.Context) error { return part.Do(ctx, now) }); err != nil {
					return false, err
				}
			}
			return calls == 2, nil
		}}
		for i, want := range []int{2, 4, 4} {
			if err := held.doIfDue(t.Context(), job); err != nil || done() != want {
				t.Errorf("turn %d: %v, %d parts were done; want %d", i, err, done(), want)
			}
		}
		job.Name = "count in other parts"
		_, err = db.Exec(t.Context(), `UPDATE leases SET fence = fence + 1`)
		must(t, err)
		if err := held.doIfDue(t.Context(), job); !errors.Is(err, ErrLost) || done() != 4 {
			t.Errorf("without the lease: %v, %d parts were done; want %v and 4", err, done(), ErrLost)
		}
	})
}
