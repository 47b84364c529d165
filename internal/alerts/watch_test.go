package alerts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
)

// at is a moment in the middle of an hour, a day and a month.
var at = time.Date(2030, 6, 15, 12, 30, 0, 0, time.UTC)

func (w *world) watch() *Watch {
	return &Watch{Store: w.Store, Refusals: Threshold{Percent: 50, Least: 20}, Volume: Threshold{Percent: 500, Least: 1000}}
}

// look looks as two servers at once do, and again a moment later.
func (w *world) look(do func(context.Context, time.Time) error, now time.Time) {
	w.t.Helper()
	for range 2 {
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := do(w.t.Context(), now); err != nil {
					w.t.Error(err)
				}
			})
		}
		both.Wait()
	}
}

// wants says what must have been told, in whatever order.
func (w *world) wants(when string, want ...string) {
	w.t.Helper()
	got := w.told()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("%s, told are %q; want %q", when, got, want)
	}
}

// Each end is told 15, 7 and 1 days before, each once; and anew when it was moved.
func TestExpiring(t *testing.T) {
	each(t, func(w *world) {
		client := func(name string, ends time.Time) *clients.Client {
			c := w.client(name, at.Add(-time.Hour))
			c.ExpiresAt = ends
			must(w.t, clients.NewStore(w.DB).Update(w.t.Context(), c))
			return c
		}
		moved := client("Moved", at.Add(20*24*time.Hour))
		client("Soon", at.Add(5*time.Hour))
		client("Over", at.Add(-5*time.Hour))
		client("Never", time.Time{})
		off := client("Off", at.Add(5*time.Hour))
		off.Disabled = true
		must(w.t, clients.NewStore(w.DB).Update(w.t.Context(), off))
		watch := w.watch()
		var want []string
		for _, tt := range []struct {
			day  int
			more []string
		}{
			{0, []string{"client_expiring Soon"}}, // one day before, and neither seven nor fifteen
			{4, nil},
			{6, []string{"client_expiring Moved"}}, // 14 days before
			{12, nil},
			{14, []string{"client_expiring Moved"}}, // 6 days before
			{20, nil},                               // it is over
		} {
			if tt.day == 20 {
				tt.more = nil
			}
			w.look(watch.Expiring, at.Add(time.Duration(tt.day)*24*time.Hour))
			want = append(want, tt.more...)
			w.wants(fmt.Sprintf("after %d days", tt.day), want...)
		}
		moved.ExpiresAt = at.Add(34 * 24 * time.Hour)
		must(w.t, clients.NewStore(w.DB).Update(w.t.Context(), moved))
		w.look(watch.Expiring, at.Add(20*24*time.Hour))
		w.wants("with another end", append(want, "client_expiring Moved")...)
	})
}

// A secret's end is told, unless there is another that takes its place.
func TestExpiringSecrets(t *testing.T) {
	each(t, func(w *world) {
		store := clients.NewStore(w.DB)
		alone, rotated := w.client("Alone", at.Add(-48*time.Hour)), w.client("Rotated", at.Add(-48*time.Hour))
		w.exec(`UPDATE client_secrets SET expires_at = $1`, at.Add(6*24*time.Hour).Unix())
		if _, _, err := store.AddSecret(w.t.Context(), rotated.ID, time.Time{}, nil, at.Add(-time.Hour)); err != nil {
			w.t.Fatal(err)
		}
		w.look(w.watch().Expiring, at)
		w.wants("with 6 days", "secret_expiring Alone")
		w.look(w.watch().Expiring, at.Add(5*24*time.Hour+time.Hour))
		w.wants("with a day", "secret_expiring Alone", "secret_expiring Alone")
		found, err := w.List(w.t.Context(), Filter{ClientID: alone.ID}, Position{}, 1)
		must(w.t, err)
		if hint := alone.Credentials[0].Hint; !strings.Contains(found[0].Text, "ends in "+hint+" expires within a day, on 2030-06-21 12:30 UTC") {
			w.t.Errorf("it says %q; want how the secret ends, %s, and when", found[0].Text, hint)
		}
	})
}

// An old secret that is used a day after there is a newer one is told, once.
func TestOldSecrets(t *testing.T) {
	each(t, func(w *world) {
		store := clients.NewStore(w.DB)
		use := func(c *clients.Client, secretID string, when time.Time) {
			w.exec(`INSERT INTO secret_uses (client_id, secret_id, last_used_at) VALUES ($1, $2, $3)`, c.ID, secretID, when.Unix())
			w.exec(`INSERT INTO secret_activity (client_id, secret_id, hour, address, uses, last_used_at) VALUES ($1, $2, $3, '', 1, $4)`,
				c.ID, secretID, when.Unix()/3600, when.Unix())
		}
		for _, tt := range []struct {
			name     string
			newer    time.Duration // how long ago it was made; 0 for none
			usedOld  time.Duration // how long ago; 0 for not at all
			usesHere bool          // it is the newer one that is used
		}{
			{"Late", 25 * time.Hour, 10 * time.Minute, false},
			{"In time", 23 * time.Hour, 10 * time.Minute, false},
			{"Just in time", 24*time.Hour + 20*time.Minute, 30 * time.Minute, false},
			{"Stopped", 72 * time.Hour, 50 * time.Hour, false},
			{"Moved", 72 * time.Hour, 10 * time.Minute, true},
			{"Alone", 0, 10 * time.Minute, false},
		} {
			c := w.client(tt.name, at.Add(-1000*time.Hour))
			used := c.Credentials[0].ID
			if tt.newer > 0 {
				newer, _, err := store.AddSecret(w.t.Context(), c.ID, time.Time{}, nil, at.Add(-tt.newer))
				must(w.t, err)
				if tt.usesHere {
					used = newer.ID
				}
			}
			use(c, used, at.Add(-tt.usedOld))
		}
		w.look(w.watch().OldSecrets, at)
		w.wants("now", "old_secret_used Late")
		w.look(w.watch().OldSecrets, at.Add(time.Hour))
		w.wants("an hour later", "old_secret_used Late")
	})
}

// count adds requests of an hour.
func (w *world) count(c *clients.Client, hour int64, outcome, block string, requests int) {
	w.t.Helper()
	w.exec(`INSERT INTO usage_hours (client_id, hour, outcome, audience, block, requests) VALUES ($1, $2, $3, 'a', $4, $5)`, c.ID, hour, outcome, block, requests)
}

func TestRefusals(t *testing.T) {
	each(t, func(w *world) {
		hour := hourOf(at)
		for _, tt := range []struct {
			name             string
			hour             int64
			granted, refused int
		}{
			{"Half", hour, 10, 10},
			{"Few", hour, 5, 14},
			{"Most well", hour, 1001, 1000},
			{"All", hour - 1, 0, 20},
			{"Before", hour - 2, 0, 1000},
		} {
			c := w.client(tt.name, at)
			w.count(c, tt.hour, "granted", "", tt.granted)
			w.count(c, tt.hour, "wrong_secret", "192.0.2.0/24", tt.refused/2)
			w.count(c, tt.hour, "wrong_secret", "", tt.refused-tt.refused/2)
		}
		nobody := &clients.Client{ID: ""}
		w.count(nobody, hour, "unknown_client", "", 5000)
		w.count(&clients.Client{ID: "*"}, hour, "unknown_client", "", 5000)
		w.look(w.watch().Traffic, at)
		w.wants("now", "error_rate Half", "error_rate All")
		w.exec(`UPDATE usage_hours SET hour = hour + 12`)
		w.look(w.watch().Traffic, at.Add(12*time.Hour)) // of another day
		w.wants("the next day", "error_rate Half", "error_rate Half", "error_rate All")
	})
}

func TestVolume(t *testing.T) {
	each(t, func(w *world) {
		hour := hourOf(at)
		for _, tt := range []struct {
			name        string
			age         time.Duration
			now, before int // in all of the seven hours before
		}{
			{"Five times", 30 * 24 * time.Hour, 1000, 1400},
			{"Less", 30 * 24 * time.Hour, 1000, 1407},
			{"New hour", 30 * 24 * time.Hour, 1000, 0},
			{"Few", 30 * 24 * time.Hour, 999, 0},
			{"Young", 6 * 24 * time.Hour, 100_000, 0},
		} {
			c := w.client(tt.name, at.Add(-tt.age))
			w.count(c, hour, "granted", "192.0.2.0/24", tt.now-1)
			w.count(c, hour, "granted", "", 1)
			for day := range int64(sameHours) {
				w.count(c, hour-24*(day+1), "granted", "", tt.before/sameHours)
			}
			w.count(c, hour-25, "granted", "", 1_000_000) // another hour
		}
		w.look(w.watch().Traffic, at)
		w.wants("now", "unusual_volume Five times", "unusual_volume New hour")
	})
}

func TestNetworks(t *testing.T) {
	each(t, func(w *world) {
		c, fresh := w.client("Settled", at), w.client("Fresh", at)
		hour, watch := hourOf(at), w.watch()
		w.count(c, hour, "granted", "192.0.2.0/24", 5)
		w.count(c, hour, "granted", "198.51.100.0/24", 5)
		w.look(watch.Networks, at)
		w.wants("at first")
		later := at.Add(8 * 24 * time.Hour)
		hour = hourOf(later)
		w.count(c, hour, "granted", "192.0.2.0/24", 5)
		w.count(c, hour, "granted", "", 5)
		w.count(c, hour, "wrong_secret", "203.0.113.0/24", 5) // who is refused is not there
		w.count(fresh, hour, "granted", "192.0.2.0/24", 5)
		w.look(watch.Networks, later)
		w.wants("a week later")
		w.count(c, hour, "granted", "2001:db8::/48", 5)
		w.count(fresh, hour, "granted", "2001:db8::/48", 5)
		w.look(watch.Networks, later)
		w.wants("in another network", "new_network Settled")
		w.count(fresh, hour, "granted", "203.0.113.0/24", 5)
		w.look(watch.Networks, later.Add(time.Hour))
		w.wants("an hour later", "new_network Settled") // the other is known for an hour only
		w.exec(`DELETE FROM usage_hours`)
		for i := range everywhere {
			w.count(c, hour, "granted", fmt.Sprintf("10.0.%d.0/24", i), 1)
		}
		w.look(watch.Networks, later)
		w.exec(`DELETE FROM alerts`)
		w.count(c, hour, "granted", "10.1.0.0/24", 1)
		w.look(watch.Networks, later)
		w.wants("when it is at home everywhere")
	})
}

func TestPlaces(t *testing.T) {
	each(t, func(w *world) {
		w.admin("eva", "owner")
		signIn := func(address string) {
			w.exec(`INSERT INTO sign_in_addresses (admin_id, address, last_at) VALUES ('eva', $1, $2)`, address, at.Unix())
		}
		watch := w.watch()
		signIn("192.0.2.1")
		signIn("192.0.2.2")
		w.look(watch.Places, at)
		w.wants("at first")
		signIn("198.51.100.1")
		w.look(watch.Places, at.Add(time.Minute))
		w.wants("elsewhere", "admin_new_place")
		w.exec(`DELETE FROM sign_in_addresses WHERE address = '198.51.100.1'`) // after 30 days
		w.look(watch.Places, at.Add(time.Hour))
		signIn("198.51.100.1")
		w.look(watch.Places, at.Add(2*time.Hour))
		w.wants("there again after long", "admin_new_place", "admin_new_place")
		if found, err := w.List(w.t.Context(), Filter{}, Position{}, 1); err != nil || !strings.HasPrefix(found[0].Text, "eva@example.com signed in from 198.51.100.1, ") {
			w.t.Errorf("it says %q, %v", found[0].Text, err)
		}
	})
}

// Of an admin who did not sign in for long, the last place is still known: a new one is told, and
// the old one is forgotten only then.
func TestDormantAdmin(t *testing.T) {
	each(t, func(w *world) {
		w.admin("eva", "owner")
		w.admin("ben", "admin")
		watch := w.watch()
		watch.page = 1
		signIn := func(id, address string) {
			w.exec(`INSERT INTO sign_in_addresses (admin_id, address, last_at) VALUES ($1, $2, $3)`, id, address, at.Unix())
		}
		known := func(want ...string) {
			w.t.Helper()
			rows, err := w.DB.Query(w.t.Context(), `SELECT owner || ' ' || network FROM known_networks ORDER BY owner, network`)
			must(w.t, err)
			defer rows.Close()
			var got []string
			for rows.Next() {
				var place string
				must(w.t, rows.Scan(&place))
				got = append(got, place)
			}
			must(w.t, rows.Err())
			if !slices.Equal(got, want) {
				w.t.Errorf("known are %q; want %q", got, want)
			}
		}
		signIn("eva", "192.0.2.1")
		signIn("eva", "192.0.2.2")
		signIn("ben", "192.0.2.3")
		w.look(watch.Places, at)
		w.exec(`DELETE FROM sign_in_addresses WHERE address = '192.0.2.1'`)
		w.look(watch.Places, at.Add(20*24*time.Hour))
		known("ben 192.0.2.3", "eva 192.0.2.2")

		w.exec(`DELETE FROM sign_in_addresses`) // nobody signed in for 30 days
		w.look(watch.Places, at.Add(100*24*time.Hour))
		must(w.t, w.Purge(w.t.Context(), at.Add(100*24*time.Hour)))
		known("ben 192.0.2.3", "eva 192.0.2.2")
		signIn("eva", "192.0.2.2")
		w.look(watch.Places, at.Add(101*24*time.Hour))
		w.wants("at home")
		w.exec(`DELETE FROM sign_in_addresses`)
		signIn("eva", "198.51.100.1")
		w.look(watch.Places, at.Add(200*24*time.Hour))
		w.wants("elsewhere", "admin_new_place")
		known("ben 192.0.2.3", "eva 198.51.100.1")
		w.exec(`DELETE FROM admins WHERE id = 'ben'`)
		must(w.t, w.Purge(w.t.Context(), at.Add(200*24*time.Hour)))
		known("eva 198.51.100.1")
	})
}

// However much a look finds, and however little it reads at a time, it goes through all of it: also
// through that which is not told and so is found again each time.
func TestPages(t *testing.T) {
	each(t, func(w *world) {
		const many = 23 // of each kind; a page has 5
		watch := w.watch()
		watch.page = 5
		store, later := clients.NewStore(w.DB), at.Add(10*24*time.Hour)
		var want []string
		for i := range many {
			name := fmt.Sprintf("%02d", i)
			c := w.client(name, at)
			c.Plan, c.Limits, c.ExpiresAt = clients.Enterprise, clients.Limits{PerDay: 100}, later.Add(time.Hour)
			must(w.t, store.Update(w.t.Context(), c))
			w.exec(`INSERT INTO limit_counts (client_id, minute, minute_taken, day, day_taken, full_at) VALUES ($1, 0, 0, $2, $3, 0)`, c.ID, dayOf(later), 60+i)
			w.exec(`UPDATE client_secrets SET expires_at = $1 WHERE client_id = $2`, later.Add(time.Hour).Unix(), c.ID)
			w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, '192.0.2.0/24', 1)`, c.ID)
			w.count(c, hourOf(later), "wrong_secret", "", 1000)
			w.count(c, hourOf(later), "granted", "198.51.100.0/24", 1)
			want = append(want, "client_expiring "+name, "secret_expiring "+name, "error_rate "+name, "unusual_volume "+name, "new_network "+name)
			if 60+i >= 80 {
				want = append(want, "near_limit "+name)
			}
			w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, '192.0.2.0/24', 1)`, "admin "+name)
			w.admin("admin "+name, "owner")
			w.exec(`INSERT INTO sign_in_addresses (admin_id, address, last_at) VALUES ($1, '198.51.100.1', $2)`, "admin "+name, at.Unix())
			want = append(want, "admin_new_place")
		}
		for _, look := range []func(context.Context, time.Time) error{watch.Expiring, watch.Traffic, watch.Networks, watch.Limits, watch.Places} {
			must(w.t, look(w.t.Context(), later))
		}
		w.wants("after one look", want...)
	})
}

func TestLimits(t *testing.T) {
	each(t, func(w *world) {
		client := func(name string, plan clients.Plan, l clients.Limits, taken int64, when time.Time) {
			c := w.client(name, at)
			c.Plan, c.Limits = plan, l
			must(w.t, clients.NewStore(w.DB).Update(w.t.Context(), c))
			w.exec(`INSERT INTO limit_counts (client_id, minute, minute_taken, day, day_taken, full_at) VALUES ($1, 0, 0, $2, $3, 0)`, c.ID, dayOf(when), taken)
		}
		own := clients.Limits{PerDay: 100}
		client("Free", clients.Free, clients.Free.Limits(), 8000, at)
		client("Free less", clients.Free, clients.Free.Limits(), 7999, at)
		client("Pro", clients.Pro, clients.Pro.Limits(), 800_000, at)
		client("Pro less", clients.Pro, clients.Pro.Limits(), 10_000, at)
		client("Own", clients.Enterprise, own, 80, at)
		client("Own less", clients.Enterprise, own, 79, at)
		client("By the minute", clients.Enterprise, clients.Limits{PerMinute: 60, Burst: 10}, 1_000_000, at)
		client("Yesterday", clients.Free, clients.Free.Limits(), 8000, at.Add(-24*time.Hour))
		client("None", clients.NoPlan, clients.Limits{}, 1_000_000, at)
		w.exec(`INSERT INTO limit_counts (client_id, minute, minute_taken, day, day_taken, full_at) VALUES ('*', 0, 0, $1, 900, 0)`, dayOf(at))
		watch := w.watch()
		w.look(watch.Limits, at)
		w.wants("without a limit of the account", "near_limit Free", "near_limit Pro", "near_limit Own")
		watch.AccountPerDay = 1000
		w.look(watch.Limits, at)
		w.wants("with one", "near_limit", "near_limit Free", "near_limit Pro", "near_limit Own")
	})
}

// A purge keeps what is still of use.
func TestPurgeOfNetworks(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("CRM", at)
		for _, owner := range []string{c.ID, "deleted"} {
			w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, '192.0.2.0/24', 1)`, owner)
		}
		must(w.t, w.Purge(w.t.Context(), time.Now()))
		var n int
		must(w.t, w.DB.QueryRow(w.t.Context(), `SELECT count(*) FROM known_networks`).Scan(&n))
		if n != 1 {
			w.t.Errorf("%d networks are known after a purge; want that of the client", n)
		}
	})
}

// Of two servers that see somebody in a new network at different moments, one tells.
func TestNetworkIsLearntOnce(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("CRM", at)
		w.exec(`INSERT INTO known_networks (owner, network, known_at) VALUES ($1, '192.0.2.0/24', 1)`, c.ID)
		for i := range 2 {
			now := at.Add(time.Duration(i) * time.Second)
			must(w.t, w.watch().learn(w.t.Context(), c.ID, now, func(h home) ([]string, *Alert) {
				return w.watch().newsOfClient(h, sighting{c.ID, "CRM", "10.0.0.0/24"}, now)
			}))
		}
		w.wants("after both", "new_network CRM")
	})
}

// A watch looks at once, and again and again.
func TestWatch(t *testing.T) {
	in(t, func(w *world) {
		ends := func(name string, in time.Duration) {
			c := w.client(name, time.Now())
			c.ExpiresAt = time.Now().Add(in)
			must(w.t, clients.NewStore(w.DB).Update(w.t.Context(), c))
		}
		ends("Soon", 5*time.Hour)
		ends("Later", 24*time.Hour+15*time.Minute) // seven days before at once, one day before in a quarter of an hour
		watch := w.watch()
		watch.Log = slog.New(slog.DiscardHandler)
		ctx, stop := context.WithTimeout(w.t.Context(), 25*time.Minute)
		defer stop()
		must(w.t, watch.Run(ctx))
		w.wants("after 25 minutes", "client_expiring Soon", "client_expiring Later", "client_expiring Later")
	})
}
