package clients

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

// crowdSize is how many clients the benchmarks search among.
const crowdSize = 100_000

// A table is rows that are inserted many at once.
type table struct {
	name    string
	columns int
	args    []any
}

func (x *table) add(row ...any) {
	x.columns = len(row)
	x.args = append(x.args, row...)
}

func (x *table) flush(ctx context.Context, db *database.DB) error {
	if len(x.args) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, `INSERT INTO `+x.name+` VALUES `+database.Rows(len(x.args)/x.columns, x.columns), x.args...)
	x.args = x.args[:0]
	return err
}

var (
	customers = strings.Fields("Nordic Baltic Alpine Harbour Meadow Lantern Copper Willow Granite Juniper Maple Orchid Pebble Quartz Raven Saffron Thistle Umber Velvet Walnut")
	systems   = []string{"CRM", "web shop", "newsletter", "loyalty", "billing", "data warehouse", "point of sale", "mobile app", "support desk", "analytics"}
	purposes  = []string{"production", "staging", "nightly import", "export", "sync", "test", "migration"}
)

// populate fills an empty database with clients as an installation of years has them.
func populate(b *testing.B, db *database.DB, n int) {
	b.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	must(b, db.Transact(b.Context(), func(ctx context.Context) error {
		names := []string{
			"sections (id, name, created_at)", "status_entries (position, client_id)",
			`clients (id, name, description, all_sections, audiences, token_lifetime, signing_alg, disabled, expires_at, created_at, created_by, status_index)`,
			"client_sections (client_id, section_id)", "client_permissions (client_id, target, action)",
			"client_secrets (id, client_id, hash, hint, created_at, expires_at)", "secret_uses (client_id, secret_id, last_used_at)",
			"client_uses (client_id, last_used_at)",
			"client_search (client_id, created_at, expires_at, disabled, all_sections, pair_signs, triple_signs, more_signs, id_signs, name, text)",
		}
		tables := make([]*table, len(names))
		for i := range names {
			tables[i] = &table{name: names[i]}
		}
		for i := range 50 {
			tables[0].add(fmt.Sprintf("section-%02d", i), "Section", 1)
		}
		must(b, tables[0].flush(ctx, db))
		for i := range n {
			id, secretID, created := uuid.NewString(), uuid.NewString(), noon.Unix()-int64(n-i)*600
			name := fmt.Sprintf("%s %s - %s %d", pick(random, customers...), pick(random, systems...), pick(random, purposes...), i)
			description := pick(random, "", "", "Ask the integration team before you change it.", "Runs every night at 02:00 on the batch server.")
			expires, used := int64(0), int64(0)
			if random.IntN(5) == 0 {
				expires = noon.Unix() + int64(random.IntN(1<<24))
			}
			if random.IntN(2) == 0 {
				used = created + random.Int64N(noon.Unix()-created)
			}
			all, disabled := i%500 == 0, i%200 == 0
			tables[1].add(i, id)
			tables[2].add(id, name, description, all, "[]", 0, "", disabled, expires, created, "admin@example.com", i)
			for at := range random.IntN(3) + 1 {
				if !all {
					tables[3].add(id, fmt.Sprintf("section-%02d", (i*7+at*13+random.IntN(8))%48/3*3+at))
				}
			}
			for _, p := range random.Perm(12)[:random.IntN(5)+2] {
				tables[4].add(id, fmt.Sprintf("keyspace-%d", p/2), sections.DefaultActions[p%2])
			}
			tables[5].add(secretID, id, hash{}.String(), "abcd", created, 0)
			if used > 0 {
				tables[6].add(id, secretID, used)
			}
			tables[7].add(id, used)
			text := fold(name) + between + fold(description)
			has := signs(text)
			if expires == 0 {
				expires = math.MaxInt64
			}
			tables[8].add(id, created, expires, disabled, all, has[0], has[1], has[2], idSigns(id), fold(name), text)
			for _, x := range tables {
				if i%50 == 0 || i == n-1 { // SQLite looks places up one by one: more rows at once take longer
					must(b, x.flush(ctx, db))
				}
			}
		}
		return nil
	}))
	ids, err := NewStore(db).IDs(b.Context(), Query{})
	must(b, err)
	must(b, NewStore(db).deriveAll(b.Context(), ids))
}

// deriveAll writes the derived columns of many clients in one transaction.
func (s *Store) deriveAll(ctx context.Context, ids []string) error {
	return s.db.Transact(ctx, func(ctx context.Context) error { return s.derive(ctx, ids...) })
}

// benchEach runs bench on each engine, with many clients.
func benchEach(b *testing.B, bench func(b *testing.B, db *database.DB, store *Store)) {
	b.Run("sqlite", func(b *testing.B) {
		db := databasetest.SQLite(b)
		cache := func(kibibytes int) {
			_, err := db.Exec(b.Context(), fmt.Sprintf(`PRAGMA cache_size = -%d`, kibibytes))
			must(b, err)
		}
		cache(1 << 18) // or filling it takes minutes
		populate(b, db, crowdSize)
		cache(2000) // as it was
		bench(b, db, NewStore(db))
	})
	b.Run("postgres", func(b *testing.B) {
		db, err := database.Open(databasetest.PostgresURL(b))
		must(b, err)
		b.Cleanup(func() { must(b, db.Close()) })
		must(b, db.Migrate(b.Context()))
		populate(b, db, crowdSize)
		_, err = db.Exec(b.Context(), `VACUUM ANALYZE`)
		must(b, err)
		bench(b, db, NewStore(db))
	})
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// measure runs do, and reports the processor time of this process beside the time that passes,
// which on PostgreSQL is that of both.
func measure(b *testing.B, name string, do func()) {
	b.Run(name, func(b *testing.B) {
		before := cpu(b)
		for b.Loop() {
			do()
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
		b.ReportMetric(float64(b.Elapsed())/float64(time.Millisecond)/float64(b.N), "ms/op")
		b.ReportMetric(0, "ns/op")
	})
}

// What a page of a list of 100,000 clients costs: the first and the last of each order, and what
// few, many or none match.
func BenchmarkSearch(b *testing.B) {
	benchEach(b, func(b *testing.B, db *database.DB, store *Store) {
		search := func(q Query) Page {
			q.Limit, q.Now = 50, noon
			page, err := store.Search(b.Context(), q)
			must(b, err)
			return page
		}
		for _, by := range []Sort{ByAge, ByName, ByLastUse, ByExpiry} {
			for _, descending := range []bool{false, true} {
				name := map[bool]string{false: "", true: "-"}[descending] + string(by)
				measure(b, "first page by "+name, func() { search(Query{Sort: by, Descending: descending}) })
				from := search(Query{Sort: by, Descending: !descending}).Clients[49]
				at := map[Sort]string{ByName: fold(from.Name), ByAge: unix(from.CreatedAt, 0), ByLastUse: unix(from.LastUsedAt, 0), ByExpiry: unix(from.ExpiresAt, math.MaxInt64)}
				last := Query{Sort: by, Descending: descending, After: Position{at[by], from.ID}}
				measure(b, "last page by "+name, func() { search(last) })
			}
		}
		one := search(Query{Text: "copper billing"}).Clients[0]
		permissions := []sections.Permission{{Target: "keyspace-1", Action: "read"}, {Target: "*", Action: "read"}}
		year := noon.Add(-365 * 24 * time.Hour)
		for _, tt := range []struct {
			name string
			Query
		}{
			{"text of many", Query{Text: "crm"}},
			{"text of many, by name", Query{Text: "production", Sort: ByName}},
			{"text of some", Query{Text: "raven analytics - nightly"}},
			{"text of one", Query{Text: one.Name}},
			{"text of none", Query{Text: "zebra"}},
			{"text of none, common letters", Query{Text: "night production"}},
			{"text of none, by last use", Query{Text: "zebra", Sort: ByLastUse, Descending: true}},
			{"text of one letter", Query{Text: "q"}},
			{"a whole id", Query{Text: one.ID}},
			{"the first group of an id", Query{Text: one.ID[:8]}},
			{"Section", Query{SectionID: "section-03"}},
			{"Section that nobody holds", Query{SectionID: "section-49"}},
			{"permission", Query{Permissions: permissions}},
			{"Section and permission", Query{SectionID: "section-03", Permissions: permissions}},
			{"Section, permission and text", Query{SectionID: "section-03", Permissions: permissions, Text: "raven"}},
			{"unused for a year", Query{UnusedSince: year}},
			{"unused for a year, last use first", Query{UnusedSince: year, Sort: ByLastUse, Descending: true}},
			{"unused, and all were used", Query{UnusedSince: noon.Add(-time.Duration(crowdSize+1) * 10 * time.Minute)}},
			{"expires before tomorrow", Query{ExpiresBefore: noon.Add(24 * time.Hour)}},
			{"expires before next month", Query{ExpiresBefore: noon.Add(30 * 24 * time.Hour), Sort: ByExpiry}},
			{"disabled", Query{State: StateDisabled}},
			{"expired, and none is", Query{State: StateExpired}},
			{"active", Query{State: StateActive}},
			{"active, never used", Query{State: StateActive, UnusedSince: noon, Sort: ByName}},
		} {
			measure(b, tt.name, func() { search(tt.Query) })
		}
		c := &Client{Name: "One more", Description: "As the others.", Held: held("section-01 section-02", "keyspace-1:read", "keyspace-1:write")}
		measure(b, "create", func() {
			_, err := store.Create(b.Context(), c, noon)
			must(b, err)
		})
	})
}

func unix(t time.Time, never int64) string {
	if t.IsZero() {
		return fmt.Sprint(never)
	}
	return fmt.Sprint(t.Unix())
}
