package clients

import (
	"context"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

const (
	// maxStride is how much the watched time grows at most from one look to the next: a process
	// that was stopped meanwhile saw nothing.
	maxStride = time.Hour

	// startled is how far two clocks may be apart, or two looks. More is taken for a clock that was
	// set, or for a time in which nobody could be served.
	startled = day
)

// A watch is for how many seconds servers were there to see uses, until the last look and until
// the last gap that was too large.
type watch struct {
	watched, gapAt int64
	seenAt         time.Time
}

// A look is what this process wrote down when it looked last, and when that was by the clock that
// nobody can set.
type look struct {
	watch
	at time.Time
}

// startled says whether the last gap is so near that no client is told for the first time: whoever
// is in use shows it in the time after which it would be told.
func (w watch) startled(patience time.Duration) bool {
	return w.gapAt > 0 && w.watched-w.gapAt < int64(patience/time.Second)
}

// agree returns an error if this server's clock is not that of the database, of which nobody
// knows which one is wrong.
func (d *Disuse) agree(ctx context.Context, now time.Time) error {
	if d.Clock == nil {
		return nil
	}
	other, err := d.Clock(ctx)
	if err != nil {
		return err
	}
	if ahead := now.Sub(other); ahead.Abs() > startled {
		return fmt.Errorf("the clock of this server says %s, that of the database %s: no unused client is told, suspended or deleted until they agree",
			now.UTC().Format(time.RFC3339), other.UTC().Format(time.RFC3339))
	}
	return nil
}

// watch moves the watched time on, and returns it.
func (d *Disuse) watch(ctx context.Context, now time.Time, transact transact) (w watch, err error) {
	err = transact(ctx, func(ctx context.Context) (err error) {
		w, err = d.moveWatch(ctx, now)
		return err
	})
	if err == nil {
		d.last = look{w, now}
	}
	return w, err
}

func (d *Disuse) moveWatch(ctx context.Context, now time.Time) (w watch, err error) {
	var seen database.Time
	err = d.DB.QueryRow(ctx, `SELECT watched, gap_at, seen_at FROM disuse_clock WHERE id = 1`).Scan(&w.watched, &w.gapAt, &seen)
	if err != nil {
		return w, fmt.Errorf("read the clock of disuse: %w", err)
	}
	w.seenAt = seen.Time
	w.watched += int64(d.lived(w, now) / time.Second)
	if !seen.IsZero() && now.Sub(seen.Time) > startled {
		w.gapAt = max(w.watched, 1) // 0 stands for none
	}
	w.seenAt = database.FromUnix(now.Unix()).Time
	_, err = d.DB.Exec(ctx, `UPDATE disuse_clock SET watched = $1, gap_at = $2, seen_at = $3 WHERE id = 1`, w.watched, w.gapAt, database.At(now))
	if err != nil {
		return w, fmt.Errorf("move the clock of disuse: %w", err)
	}
	return w, nil
}

// lived is how long this process was there since the look that the store has. Where that was by
// another, or is from a backup, nobody knows.
func (d *Disuse) lived(stored watch, now time.Time) time.Duration {
	if d.last.at.IsZero() || stored != d.last.watch {
		return 0
	}
	return min(max(now.Sub(d.last.at), 0), max(maxStride, d.stride))
}
