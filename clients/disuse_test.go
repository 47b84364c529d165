package clients

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// A watcher applies a rule on each day, twice, and keeps what it was told.
type watcher struct {
	*Disuse
	t     *testing.T
	store *Store
	today int // days since noon
	told  []string
}

var usualRule = DisuseRule{SuspendedAfter: 90 * day, DeletedAfter: 14 * day}

func watching(t *testing.T, db *database.DB, rule DisuseRule) *watcher {
	w := &watcher{t: t, store: NewStore(db), Disuse: &Disuse{DB: db, Rule: rule, stride: day}}
	w.Notify = func(_ context.Context, n Notice) error {
		w.tell(n.Name, fmt.Sprintf("%s in %d, on day %d", n.Fate, n.Days, int(n.At.Sub(noon)/day)))
		return nil
	}
	w.Acted = func(_ context.Context, acts ...DisuseAct) error {
		for _, a := range acts {
			w.tell(a.Name, string(a.Kind))
		}
		return nil
	}
	return w
}

func (w *watcher) tell(name, what string) {
	w.told = append(w.told, fmt.Sprintf("day %d: %s %s", w.today, name, what))
}

func (w *watcher) day() time.Time { return noon.Add(time.Duration(w.today) * day) }

// until lets days go by.
func (w *watcher) until(last int) {
	w.t.Helper()
	for ; w.today <= last; w.today++ {
		for range 2 {
			w.look()
		}
	}
}

// look lets the rule do all that is due.
func (w *watcher) look() {
	w.t.Helper()
	for done := false; !done; {
		var err error
		done, err = w.Advance(w.t.Context(), w.day(), w.DB.Transact)
		must(w.t, err)
	}
}

func (w *watcher) wants(what string, want ...string) {
	w.t.Helper()
	if !slices.Equal(w.told, want) {
		w.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(w.told, "\n"), strings.Join(want, "\n"))
	}
}

func setUsed(t *testing.T, store *Store, c *Client, at time.Time) {
	t.Helper()
	_, err := store.db.Exec(t.Context(), `UPDATE client_uses SET last_used_at = $1 WHERE client_id = $2`, database.At(at), c.ID)
	must(t, err)
}

func named(name string) *Client {
	c := billing()
	c.Name = name
	return c
}

// A client that nobody uses is told of, suspended and deleted, each once, and its neighbours stay.
func TestUnusedClientLeaves(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		idle, kept, introspector, busy := named("idle"), named("kept"), named("introspector"), named("busy")
		kept.KeepUnused = true
		introspector.Held.Permissions = []sections.Permission{{Target: sections.Wardkey, Action: "introspect"}}
		for _, c := range []*Client{idle, kept, introspector, busy} {
			create(t, store, c)
		}
		w := watching(t, db, usualRule)
		for w.today < 80 {
			setUsed(t, store, busy, w.day())
			w.until(w.today)
		}
		w.until(90)
		if c := read(t, store, idle.ID); c.usable(w.day()) != IsSuspended || !c.SuspendedAt.Equal(noon.Add(90*day)) {
			t.Errorf("suspended, it is %q since %v", c.usable(w.day()), c.SuspendedAt)
		}
		found, err := store.Search(t.Context(), Query{State: StateSuspended, Now: w.day(), Limit: 9})
		must(t, err)
		if len(found.Clients) != 1 || found.Clients[0].ID != idle.ID {
			t.Errorf("%d clients are suspended; want the idle one", len(found.Clients))
		}
		w.until(120)
		w.wants("one idle client",
			"day 75: idle suspension in 15, on day 90", "day 83: idle suspension in 7, on day 90", "day 89: idle suspension in 1, on day 90",
			"day 90: idle suspend",
			"day 90: idle deletion in 15, on day 104", "day 97: idle deletion in 7, on day 104", "day 103: idle deletion in 1, on day 104",
			"day 104: idle delete")
		if left, err := store.Deleted(t.Context(), idle.ID); err != nil || left.DeletedBy != "server" {
			t.Errorf("deleted by %q, %v; want the server", left.DeletedBy, err)
		}
	})
}

// Any use, and an admin who wants the client, begin the count anew.
func TestUseEndsDisuse(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := named("crm")
		create(t, store, c)
		w := watching(t, db, usualRule)
		w.until(89)
		setUsed(t, store, c, w.day().Add(-time.Hour))
		w.until(164)
		if n := count(t, db, `SELECT count(*) FROM disuse`); n != 0 || len(w.told) != 3 {
			t.Errorf("after a use %d clients are on their way out, told: %q", n, w.told)
		}
		w.told = nil
		w.until(180)
		w.wants("a use on day 90", "day 165: crm suspension in 15, on day 180", "day 173: crm suspension in 7, on day 180",
			"day 179: crm suspension in 1, on day 180", "day 180: crm suspend", "day 180: crm deletion in 15, on day 194")
		must(t, store.Resume(t.Context(), c.ID, w.day()))
		if got := read(t, store, c.ID).usable(w.day()); got != Authenticated {
			t.Errorf("resumed, it is %q", got)
		}
		w.told = nil
		w.until(w.today + 75)
		w.wants("resumed on day 181", "day 256: crm suspension in 15, on day 271")
		if err := store.Resume(t.Context(), "none", w.day()); !errors.Is(err, ErrNotFound) {
			t.Errorf("Resume of no client = %v; want ErrNotFound", err)
		}
	})
}

// A use that was written when its client was just suspended brings it back.
func TestUseInTheMomentOfSuspension(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := named("crm")
		create(t, store, c)
		w := watching(t, db, usualRule)
		w.until(90)
		setUsed(t, store, c, noon.Add(90*day))
		w.told = nil
		w.until(120)
		w.wants("a late use", "day 91: crm resume")
		if got := read(t, store, c.ID).usable(w.day()); got != Authenticated {
			t.Errorf("used, it is %q", got)
		}
	})
}

// A new rule suspends nobody before all notices were given in their time.
func TestNewRuleGivesNotice(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := named("old")
		create(t, store, c)
		w := watching(t, db, DisuseRule{})
		w.until(399)
		w.wants("without a rule")
		w.Rule = usualRule
		w.until(410)
		w.wants("the rule of day 400", "day 400: old suspension in 15, on day 415", "day 408: old suspension in 7, on day 415")
		w.Rule, w.told = DisuseRule{}, nil
		w.until(420)
		w.Rule = usualRule
		w.until(500)
		w.wants("the rule, switched off and on",
			"day 421: old suspension in 15, on day 436", "day 429: old suspension in 7, on day 436", "day 435: old suspension in 1, on day 436",
			"day 436: old suspend", "day 436: old deletion in 15, on day 450", "day 443: old deletion in 7, on day 450",
			"day 449: old deletion in 1, on day 450", "day 450: old delete")
	})
}

// Whatever the clock does, the notices come 15, 7 and 1 days before the suspension, and 14, 7 and 1
// before the deletion, in which the client can be used or resumed; nobody is told the same twice.
func TestClockSteps(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		deleted := 0
		for seed := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, 1))
			c := named(fmt.Sprintf("client %d", seed))
			create(t, store, c)
			told := map[string]bool{}
			last := map[string]int{} // the true day of what was told of it
			w := watching(t, db, usualRule)
			drift := 0
			for lived := range 600 {
				switch random.IntN(12 + lived) { // a clock that is always set lets nobody end
				case 0:
					drift += 365
				case 1:
					drift -= 365
				case 2:
					drift += random.IntN(60) - 30
				}
				w.today, w.told = lived+drift, nil
				w.look()
				for _, line := range w.told {
					_, what, _ := strings.Cut(line, ": ")
					if told[what] {
						t.Errorf("seed %d: %q for the second time", seed, what)
					}
					told[what] = true
					what, _, _ = strings.Cut(strings.TrimPrefix(what, c.Name+" "), ", on")
					last[what] = lived
				}
			}
			for _, tt := range []struct {
				what, before string
				days         int
			}{
				{"suspension in 15", "suspend", 15},
				{"suspension in 7", "suspend", 7},
				{"suspension in 1", "suspend", 1},
				{"suspend", "delete", 14},
				{"deletion in 15", "delete", 14},
				{"deletion in 7", "delete", 7},
				{"deletion in 1", "delete", 1},
			} {
				if ended := last[tt.before]; ended > 0 && ended-last[tt.what] < tt.days {
					t.Errorf("seed %d: %s on day %d and %s on day %d", seed, tt.what, last[tt.what], tt.before, ended)
				}
			}
			ended := last["delete"]
			if ended > 0 {
				deleted++
				continue
			}
			must(t, store.Delete(t.Context(), c.ID, "the test", noon))
		}
		if deleted == 0 {
			t.Error("nobody was ever deleted; the steps leave no time for it")
		}
	})
}

// Of a clock that is a year ahead nobody hears who is used within a day.
func TestClockSetForward(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		used, idle := named("used"), named("idle")
		create(t, store, used)
		create(t, store, idle)
		w := watching(t, db, usualRule)
		w.until(10)
		w.today = 376
		w.until(376)
		setUsed(t, store, used, w.day())
		w.until(378)
		w.wants("a year ahead")
		w.today, w.told = 15, nil
		w.until(90)
		w.wants("back again", "day 88: idle suspension in 15, on day 103")
	})
}

// A server that ended before its second look, and is back after a long time in which nobody could
// be served, tells nobody before it has watched for as long as the rule waits.
func TestLongGapAfterTheFirstLook(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		create(t, store, named("crm"))
		watching(t, db, usualRule).look()
		w := watching(t, db, usualRule)
		w.today = 100
		w.until(174)
		w.wants("for 74 days after the gap")
		w.until(176)
		w.wants("then", "day 176: crm suspension in 15, on day 191")
	})
}

// What was told while the clock was ahead does not stand for what is told when it is right.
func TestNoticesOfAClockAhead(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := named("crm")
		create(t, store, c)
		w := watching(t, db, usualRule)
		w.today = 200
		w.until(208)
		w.wants("on day 1 of the world", "day 200: crm suspension in 15, on day 215", "day 208: crm suspension in 7, on day 215")
		w.today, w.told = 9, nil
		w.until(90)
		w.wants("the clock set right", "day 75: crm suspension in 15, on day 90", "day 83: crm suspension in 7, on day 90",
			"day 89: crm suspension in 1, on day 90", "day 90: crm suspend", "day 90: crm deletion in 15, on day 104")
		w.today, w.told = 290, nil
		w.until(298)
		w.wants("ahead once more", "day 296: crm deletion in 7, on day 303")
		w.today, w.told = 99, nil
		w.until(113)
		w.wants("and right", "day 99: crm deletion in 15, on day 113", "day 106: crm deletion in 7, on day 113",
			"day 112: crm deletion in 1, on day 113", "day 113: crm delete")
	})
}

// A clock that is an hour ahead for a moment makes nobody hear the same twice, nor later.
func TestNoticesOfAClockALittleAhead(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := named("crm")
		create(t, store, c)
		w := watching(t, db, usualRule)
		w.until(74)
		for _, at := range []time.Time{noon.Add(75 * day), noon.Add(75*day - time.Hour), noon.Add(75*day + time.Minute)} {
			_, err := w.Advance(t.Context(), at, db.Transact)
			must(t, err)
		}
		if len(w.told) != 1 {
			t.Errorf("told: %q; want one notice", w.told)
		}
	})
}

// While this server's clock is far from that of the database, nothing is done.
func TestClocksApart(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		create(t, store, named("crm"))
		w := watching(t, db, usualRule)
		w.until(74)
		away := errors.New("away")
		for _, tt := range []struct {
			ahead time.Duration
			err   error
			told  int
		}{
			{200 * day, nil, 0}, {-25 * time.Hour, nil, 0}, {0, away, 0}, {23 * time.Hour, nil, 1},
		} {
			w.Clock = func(context.Context) (time.Time, error) { return noon.Add(75*day - tt.ahead), tt.err }
			_, err := w.Advance(t.Context(), noon.Add(75*day), db.Transact)
			if (err == nil) != (tt.told > 0) || tt.err != nil && !errors.Is(err, tt.err) || len(w.told) != tt.told {
				t.Errorf("a clock %v ahead: %v, told %q", tt.ahead, err, w.told)
			}
		}
	})
}

// The watched time grows by what one process lived through from look to look, whatever clocks show.
func TestWatchedTime(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, _ *Store) {
		one, other := &Disuse{DB: db, Rule: usualRule}, &Disuse{DB: db, Rule: usualRule}
		watched := 0
		for i, tt := range []struct {
			by   *Disuse
			at   time.Duration
			grow time.Duration
		}{
			{one, 0, 0},
			{one, 5 * time.Minute, 5 * time.Minute},
			{other, 10 * time.Hour, 0}, // its clock is ahead
			{one, 10 * time.Minute, 0},
			{other, 11 * time.Hour, 0},
			{other, 11*time.Hour + time.Minute, time.Minute},
			{other, 20 * time.Hour, maxStride},
			{other, 15 * time.Hour, 0},
		} {
			_, err := tt.by.Advance(t.Context(), noon.Add(tt.at), db.Transact)
			must(t, err)
			watched += int(tt.grow / time.Second)
			if got := count(t, db, `SELECT watched FROM disuse_clock`); got != watched {
				t.Errorf("look %d: watched for %d s, want %d", i, got, watched)
			}
		}
		lost := errors.New("lost")
		_, err := other.Advance(t.Context(), noon.Add(15*time.Hour+time.Minute), func(context.Context, func(context.Context) error) error { return lost })
		if !errors.Is(err, lost) {
			t.Errorf("Advance = %v; want %v", err, lost)
		}
		_, err = other.Advance(t.Context(), noon.Add(15*time.Hour+2*time.Minute), db.Transact)
		must(t, err)
		if got := count(t, db, `SELECT watched FROM disuse_clock`); got != watched+120 {
			t.Errorf("after a look that was lost: watched for %d s, want %d", got, watched+120)
		}
	})
}

// Who is spared while it is on its way leaves that, and comes back to its beginning; who is
// suspended by then stays so, and goes on when it is not spared any more.
func TestSparedOnTheWay(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		spare := map[string]func(c *Client, spared bool){
			"kept": func(c *Client, spared bool) { c.KeepUnused = spared },
			"introspector": func(c *Client, spared bool) {
				c.Held.Permissions = billing().Held.Permissions
				if spared {
					c.Held.Permissions = []sections.Permission{{Target: sections.Wardkey, Action: "introspect"}}
				}
			},
		}
		for name, set := range spare {
			c := named(name)
			create(t, store, c)
			change := func(spared bool) {
				c := read(t, store, c.ID)
				set(c, spared)
				must(t, store.Update(t.Context(), c))
			}
			w := watching(t, db, usualRule)
			w.until(84)
			w.told = nil
			change(true)
			w.until(85)
			if n := count(t, db, `SELECT count(*) FROM disuse`); n != 0 {
				t.Errorf("%s: %d clients are on their way", name, n)
			}
			w.until(99)
			w.wants("spared from day 85 to 99")
			change(false)
			w.until(115)
			w.wants("not spared any more", "day 100: "+name+" suspension in 15, on day 115", "day 108: "+name+" suspension in 7, on day 115",
				"day 114: "+name+" suspension in 1, on day 115", "day 115: "+name+" suspend", "day 115: "+name+" deletion in 15, on day 129")
			w.told = nil
			change(true)
			w.until(140)
			w.wants("spared from day 116 to 140")
			if read(t, store, c.ID).SuspendedAt.IsZero() {
				t.Errorf("%s: spared, it is not suspended any more", name)
			}
			change(false)
			w.until(150)
			w.wants("not spared any more, and suspended", "day 141: "+name+" deletion in 7, on day 148",
				"day 147: "+name+" deletion in 1, on day 148", "day 148: "+name+" delete")
		}
	})
}

// Whoever is used after it was found to be due, and before its turn, takes no step.
func TestUsedBeforeItsTurn(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c := named("crm")
		create(t, store, c)
		w := watching(t, db, usualRule)
		w.until(89)
		w.told = nil
		transactions := 0
		_, err := w.Advance(t.Context(), noon.Add(90*day), func(ctx context.Context, fn func(context.Context) error) error {
			if transactions++; transactions == 2 { // the first moves the clock
				setUsed(t, store, c, noon.Add(90*day-time.Second))
			}
			return db.Transact(ctx, fn)
		})
		must(t, err)
		if !read(t, store, c.ID).SuspendedAt.IsZero() || len(w.told) > 0 || transactions != 2 {
			t.Errorf("told %q in %d transactions; want nothing in 2", w.told, transactions)
		}
	})
}

// Those on their way out are listed, with what happens to them when.
func TestListOfUnused(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		older, younger := named("older"), named("younger")
		create(t, store, older)
		create(t, store, younger)
		setUsed(t, store, younger, noon.Add(10*day))
		w := watching(t, db, usualRule)
		w.until(92)
		list := func(page sections.Page) []Unused {
			found, err := store.Unused(t.Context(), usualRule, page, w.day())
			must(t, err)
			return found
		}
		want := []Unused{
			{ClientID: older.ID, Name: "older", UnusedSince: noon, SuspendedAt: noon.Add(90 * day), NoticedAt: noon.Add(90 * day), Next: Deletion, NextAt: noon.Add(105 * day)},
			{ClientID: younger.ID, Name: "younger", LastUsedAt: noon.Add(10 * day), UnusedSince: noon.Add(10 * day), NoticedAt: noon.Add(85 * day), Next: Suspension, NextAt: noon.Add(101 * day)},
		}
		if got := list(sections.Page{Limit: 9}); !slices.Equal(got, want) {
			t.Errorf("Unused = %+v\nwant %+v", got, want)
		}
		if got := list(sections.Page{Limit: 9, After: noon, AfterID: older.ID}); !slices.Equal(got, want[1:]) {
			t.Errorf("Unused after the first = %+v", got)
		}
		kept := read(t, store, older.ID)
		kept.KeepUnused = true
		must(t, store.Update(t.Context(), kept))
		if got := list(sections.Page{Limit: 1}); got[0].Next != "" {
			t.Errorf("kept, it waits for %s", got[0].Next)
		}
	})
}

// Many take their steps in parts, none twice.
func TestManyUnused(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		const many = inARow + atOnce + 10
		insertMany(t, db, many)
		w := watching(t, db, usualRule)
		w.until(97)
		if n := count(t, db, `SELECT count(*) FROM clients WHERE suspended_at > 0`); n != many {
			t.Errorf("%d are suspended; want %d", n, many)
		}
		heard := map[string]bool{}
		for _, line := range w.told {
			_, what, _ := strings.Cut(line, ": ")
			what, _, _ = strings.Cut(what, ", on")
			if heard[what] {
				t.Fatalf("%q was said twice", what)
			}
			heard[what] = true
		}
		if len(heard) < 4*many {
			t.Errorf("%d things were said; want four of each client at least", len(heard))
		}
	})
}

// One call is about few clients, a transaction about fewer, and it says that more are left.
func TestPartsAreSmall(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, _ *Store) {
		insertMany(t, db, 510)
		w := watching(t, db, usualRule)
		w.today = 75
		largest := 0
		measured := func(ctx context.Context, fn func(context.Context) error) error {
			before := len(w.told)
			err := db.Transact(ctx, fn)
			largest = max(largest, len(w.told)-before)
			return err
		}
		for i, told := range []int{500, 510} {
			done, err := w.Advance(t.Context(), w.day(), measured)
			must(t, err)
			if done != (i == 1) || len(w.told) != told || largest != 50 {
				t.Errorf("call %d: done: %t, %d are told, at most %d at once; want %d and 50", i, done, len(w.told), largest, told)
			}
		}
	})
}

// What a look costs where there are 100,000, when it is asked for.
func TestHundredThousandUnused(t *testing.T) {
	if os.Getenv("WARDKEY_HUNDRED_THOUSAND") == "" {
		t.Skip("set WARDKEY_HUNDRED_THOUSAND to measure")
	}
	each(t, func(t *testing.T, db *database.DB, _ *Store) {
		insertMany(t, db, 100_000)
		w := watching(t, db, usualRule)
		w.Notify, w.Acted = nil, nil
		var longest time.Duration
		measured := func(ctx context.Context, fn func(ctx context.Context) error) error {
			start := time.Now()
			defer func() { longest = max(longest, time.Since(start)) }()
			return db.Transact(ctx, fn)
		}
		look := func(what string) {
			start := time.Now()
			longest = 0
			_, err := w.Advance(t.Context(), w.day(), measured)
			must(t, err)
			t.Logf("%s: %v, longest transaction %v", what, time.Since(start).Round(time.Millisecond), longest.Round(time.Millisecond))
		}
		set := func(query string) {
			_, err := db.Exec(t.Context(), query)
			must(t, err)
		}
		look("nobody is due")
		for _, step := range stepsTo(Suspension, usualRule.SuspendedAfter) {
			w.today = int(step.after / day)
			set(fmt.Sprintf(`UPDATE disuse_clock SET gap_at = 0, watched = %d, seen_at = %d`, w.today*86400, w.day().Unix()))
			look(fmt.Sprintf("%d notices of %d days", inARow, step.days))
			if step.days == 15 {
				set(`INSERT INTO disuse (client_id, unused_since, step, taken_at) SELECT id, created_at, 1, 75 * 86400 FROM clients WHERE TRUE ON CONFLICT DO NOTHING`)
				set(`INSERT INTO disuse_notices (client_id, fate, planned_at, days, at) SELECT id, 'suspension', 0, 15, 0 FROM clients`)
				look("all are on their way, nobody is due")
			}
			set(fmt.Sprintf(`UPDATE disuse SET step = %d`, slices.Index(noticeDays, step.days)+1))
		}
		set(`UPDATE disuse SET step = 7, taken_at = 0`)
		set(fmt.Sprintf(`UPDATE clients SET suspended_at = %d`, noon.Add(90*day).Unix()))
		w.today = 104
		look(fmt.Sprintf("%d deletions", inARow))
	})
}

// insertMany makes clients without anything else.
func insertMany(t *testing.T, db *database.DB, n int) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO status_entries (position, client_id) SELECT i, 'client ' || i FROM numbers`,
		`INSERT INTO clients (id, name, description, all_sections, audiences, token_lifetime, signing_alg, disabled, expires_at, created_at, created_by, status_index)
			SELECT 'client ' || i, 'client ' || i, '', TRUE, '[]', 0, '', FALSE, 0, ` + fmt.Sprint(noon.Unix()) + `, 'the test', i FROM numbers`,
		`INSERT INTO client_uses (client_id, last_used_at) SELECT 'client ' || i, 0 FROM numbers`,
	} {
		_, err := db.Exec(t.Context(), fmt.Sprintf(`WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %d) %s`, n, statement))
		must(t, err)
	}
}

// Those who are used while they are on their way out are not suspended, however many they are;
// nor is anybody deleted whom the rule spares by then.
func TestManyUsedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		spared := named("resource server")
		create(t, store, spared)
		insertMany(t, db, inARow+10)
		w := watching(t, db, usualRule)
		w.until(89)
		_, err := db.Exec(t.Context(), `UPDATE client_uses SET last_used_at = $1 WHERE client_id <> $2`, database.At(noon.Add(90*day-time.Hour)), spared.ID)
		must(t, err)
		c := read(t, store, spared.ID)
		c.Held.Permissions = []sections.Permission{{Target: sections.Wardkey, Action: "introspect"}}
		must(t, store.Update(t.Context(), c))
		w.until(90)
		if n := count(t, db, `SELECT count(*) FROM clients WHERE suspended_at > 0`); n > 0 {
			t.Errorf("%d clients are suspended although they are used, or spared", n)
		}
	})
}
