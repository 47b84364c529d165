package limits

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
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
