package limits

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// TestRow holds what a row counts for that was written a while ago, by a server a moment ahead, or
// while a clock was wrong; and that it is told so.
func TestRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		limits := clients.Limits{PerMinute: 60, Burst: 30, PerDay: 110} // the bucket fills in 30 s
		now := time.Now().UnixMicro()
		for i, tt := range []struct {
			what                string
			minute, day, fullAt int64 // from now; 90 requests of the day, 50 of the minute
			want                int
		}{
			{"this minute", 0, 0, 0, 10},
			{"the minute before", -1, 0, 0, 20},
			{"the day before", -1440, -1, 0, 30},
			{"a minute ahead, by a clock that is a moment ahead", 1, 0, 0, 10},
			{"two minutes ahead, by a clock that was wrong", 2, 0, 0, 20},
			{"a day ahead, by a clock that is a moment ahead", -1, 1, 0, 20},
			{"two days ahead, by a clock that was wrong", -1, 2, 0, 30},
			{"half a bucket", -1440, -1, 15 * second, 15},
			{"a bucket that has not been filled for long", -1440, -1, -day, 30},
			{"a full bucket", -1440, -1, 30 * second, 0},
			{"more than a bucket, by a clock a moment ahead", -1440, -1, 32 * second, 0},
			{"more than a bucket, as it is under other limits", -1440, -1, 33 * second, 30},
		} {
			id := fmt.Sprint("client", i)
			if _, err := db.Exec(t.Context(), `INSERT INTO limit_counts (client_id, minute, minute_taken, day, day_taken, full_at) VALUES ($1, $2, 50, $3, 90, $4)`,
				id, now/minute+tt.minute, now/day+tt.day, now+tt.fullAt); err != nil {
				t.Fatal(err)
			}
			l := nodes(db, 1)[0]
			told, err := l.Taken(t.Context(), id, limits)
			if err != nil {
				t.Fatal(err)
			}
			left := limits.PerDay
			for _, standing := range told {
				left = min(left, standing.Left)
			}
			if got := accepted(t, l, id, limits, 40); got != tt.want || left != int64(tt.want) {
				t.Errorf("%s: %d are let through, and %d are said to be left; want %d", tt.what, got, left, tt.want)
			}
		}
	})
}

// TestRaised holds that a client which used up its limits feels larger ones within a few seconds.
func TestRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		for i, tt := range []struct{ from, to clients.Limits }{
			{ofMinute(60), clients.Pro.Limits()},
			{clients.Free.Limits(), clients.Pro.Limits()},
			{clients.Pro.Limits(), clients.Limits{PerMinute: 5000, Burst: 84}},
			{clients.Limits{PerDay: 10}, ofMinute(600)},
			{ofMinute(10), clients.Limits{PerDay: 1000}},
		} {
			id := fmt.Sprint("client", i)
			accepted(t, l, id, tt.from, 2000)
			time.Sleep(3 * time.Second)
			if got := accepted(t, l, id, tt.to, 100); got < 10 {
				t.Errorf("3 s after %+v became %+v, %d of 100 are let through", tt.from, tt.to, got)
			}
		}
	})
}

// TestRaisedMeanwhile holds that what the store said of the old limits keeps nobody from asking by
// the new ones.
func TestRaisedMeanwhile(t *testing.T) {
	s := &share{}
	s.renew(ofMinute(1000), 0)
	if n := s.close(ofMinute(10), row{minuteTaken: 10}, 5, 0); n != 0 || s.closedUntil != 0 {
		t.Errorf("close returns %d, and nobody asks until %d", n, s.closedUntil)
	}
}

// TestShareIsSmall holds that what a busy server has in reserve is too little to matter to another.
func TestShareIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(databasetest.SQLite(t), 4)
		got := 0
		for _, l := range all[:3] {
			got += accepted(t, l, "billing", ofMinute(1000), 150)
		}
		if got += accepted(t, all[3], "billing", ofMinute(1000), 1000); got < 850 {
			t.Errorf("%d of 1000 are let through while three servers keep a twentieth each, want 850", got)
		}
	})
}

// TestForgotten holds that the memory is that of the clients of the last seconds, not of all that
// there are, also when the clock was set back.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nodes(databasetest.SQLite(t), 1)[0]
		for _, set := range []time.Duration{0, -time.Hour} {
			accepted(t, l, "billing", ofMinute(1000), 100)
			l.now = func() time.Time { return time.Now().Add(set) }
			stop := run(t, []*Limiter{l})
			time.Sleep(12 * time.Second)
			stop()
			if len(l.shares) != 0 {
				t.Errorf("the clock set by %s, %d clients are known", set, len(l.shares))
			}
		}
	})
}

// TestPurge holds that what is forgotten goes by the clock by which it was counted, not by that of
// the server that forgets.
func TestPurge(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for i, wrong := range []time.Duration{0, time.Hour, -time.Hour, 72 * time.Hour, -72 * time.Hour} {
			if wrong != 0 && db.Embedded() {
				continue // it has no other clock than the server's
			}
			purging := nodes(db, 1)[0]
			purging.now = func() time.Time { return time.Now().Add(wrong) }
			id, limits := fmt.Sprint("client", i), clients.Limits{PerDay: 10}
			counting := nodes(db, 1)[0]
			awayFromTheEdge(t, counting)
			accepted(t, counting, id, limits, 4)
			if _, err := db.Exec(t.Context(), `INSERT INTO limit_counts (client_id, minute, minute_taken, day, day_taken, full_at) VALUES ('old', 0, 0, $1, 1, 0)`,
				counting.clock.micros(counting)/day-2); err != nil {
				t.Fatal(err)
			}
			if err := purging.Purge(t.Context(), purging.now()); err != nil {
				t.Fatal(err)
			}
			if r, err := counting.row(t.Context(), "old"); err != nil || r != (row{}) {
				t.Errorf("with a clock that is %s ahead, a row of two days ago is kept: %+v, %v", wrong, r, err)
			}
			if got := accepted(t, nodes(db, 1)[0], id, limits, 10); got != 6 {
				t.Errorf("with a clock that is %s ahead, %d more are let through, want 6", wrong, got)
			}
		}
	})
}

// TestDatabaseClockSet holds that servers agree on the time soon after the clock of the database was
// set: as long as they do not, each begins the row of the others anew.
func TestDatabaseClockSet(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		if db.Embedded() {
			t.Skip("it has no other clock than the server's")
		}
		for _, set := range []time.Duration{time.Hour, -time.Hour} {
			id, limits := fmt.Sprint("client", set), ofMinute(100)
			all := nodes(db, 2)
			for _, l := range all {
				awayFromTheEdge(t, l)
				take(t, l, id, limits)
			}
			stale := *all[0].clock.last.Load()
			stale.database = stale.database.Add(-set)
			all[0].clock.last.Store(&stale)
			got := 0
			for range 1000 {
				got += accepted(t, all[0], id, limits, 1) + accepted(t, all[1], id, limits, 1)
			}
			if got > 300 { // once by each of the two clocks, and what flows meanwhile
				t.Errorf("%d of a limit of 100 are let through after the clock was set by %s", got, set)
			}
		}
	})
}
