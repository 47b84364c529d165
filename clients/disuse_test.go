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
			must(w.t, w.Advance(w.t.Context(), w.day()))
		}
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

// Whatever the clock does, a client can be used for 15 days from the first notice, and resumed for
// 14 from its suspension; nobody is told the same twice.
func TestClockSteps(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		deleted := 0
		for seed := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, 1))
			c := named(fmt.Sprintf("client %d", seed))
			create(t, store, c)
			first := map[string]int{} // the true day of what was told of it
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
				must(t, w.Advance(t.Context(), w.day()))
				for _, line := range w.told {
					_, what, _ := strings.Cut(line, ": ")
					what, _, _ = strings.Cut(what, ", on")
					if _, again := first[what]; again {
						t.Errorf("seed %d: %q for the second time", seed, what)
					}
					first[what] = lived
				}
			}
			ended, suspended := first[c.Name+" delete"], first[c.Name+" suspend"]
			if noticed := first[c.Name+" suspension in 15"]; suspended > 0 && suspended-noticed < 15 {
				t.Errorf("seed %d: told on day %d and suspended on day %d", seed, noticed, suspended)
			}
			if ended > 0 && ended-suspended < 14 {
				t.Errorf("seed %d: suspended on day %d and deleted on day %d", seed, suspended, ended)
			}
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
		const many = 2*atOnce + 10
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

// What a look costs where there are 100,000, when it is asked for.
func TestHundredThousandUnused(t *testing.T) {
	if os.Getenv("WARDKEY_HUNDRED_THOUSAND") == "" {
		t.Skip("set WARDKEY_HUNDRED_THOUSAND to measure")
	}
	each(t, func(t *testing.T, db *database.DB, _ *Store) {
		insertMany(t, db, 100_000)
		w := watching(t, db, usualRule)
		w.Notify, w.Acted = nil, nil
		look := func(what string, now time.Time) {
			start := time.Now()
			must(t, w.Advance(t.Context(), now))
			t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
		}
		look("nobody is due", noon.Add(day))
		look("a gap", noon.Add(74*day))
		w.today = 75
		look("1,000 first notices", w.day())
		_, err := db.Exec(t.Context(), `INSERT INTO disuse (client_id, unused_since, step, taken_at)
			SELECT id, created_at, 1, (SELECT watched FROM disuse_clock) FROM clients WHERE TRUE ON CONFLICT DO NOTHING`)
		must(t, err)
		look("all are on their way, nobody is due", w.day().Add(time.Minute))
		_, err = db.Exec(t.Context(), `UPDATE disuse SET step = 3, taken_at = 0`)
		must(t, err)
		w.today = 90
		look("1,000 suspensions", w.day())
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
		insertMany(t, db, atOnce+100)
		w := watching(t, db, usualRule)
		w.until(89)
		for w.today = 89; count(t, db, `SELECT count(*) FROM disuse WHERE step = 3`) < atOnce+101; {
			must(t, w.Advance(t.Context(), w.day()))
		}
		_, err := db.Exec(t.Context(), `UPDATE client_uses SET last_used_at = $1 WHERE client_id <> $2`, database.At(noon.Add(90*day-time.Hour)), spared.ID)
		must(t, err)
		c := read(t, store, spared.ID)
		c.Held.Permissions = []sections.Permission{{Target: sections.Wardkey, Action: "introspect"}}
		must(t, store.Update(t.Context(), c))
		w.today = 90
		must(t, w.Advance(t.Context(), w.day()))
		if n := count(t, db, `SELECT count(*) FROM clients WHERE suspended_at > 0`); n > 0 {
			t.Errorf("%d clients are suspended although they are used, or spared", n)
		}
	})
}
