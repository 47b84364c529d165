package reports

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/sections"
)

const api, files = "https://api.example", "https://files.example"

// noon is when most tests play.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// A world has Sections and keyspaces, a client that uses them, and two resource servers.
type world struct {
	*Store
	t            *testing.T
	crm          *clients.Client
	apiRS, allRS *clients.Client
	sent         int
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := &world{t: t, Store: &Store{DB: db, Clients: clients.NewLookup(db, 10*time.Second)}}
		catalog := sections.NewStore(db)
		for _, id := range []string{"nordic", "baltic"} {
			w.must(catalog.CreateSection(t.Context(), &sections.Section{ID: id, Name: id, CreatedAt: noon}))
		}
		for _, id := range []string{"email", "crm-id"} {
			w.must(catalog.CreateKeyspace(t.Context(), &sections.Keyspace{ID: id, Name: id, Actions: []string{"read", "write"}, CreatedAt: noon}))
		}
		w.crm = w.client("crm", nil, "section:nordic section:baltic email:read email:write *:read")
		w.apiRS = w.client("api", []string{api}, "wardkey:introspect")
		w.allRS = w.client("all", []string{files, api}, "wardkey:introspect")
		test(t, w)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// client registers one that holds what the scope says.
func (w *world) client(name string, audiences []string, scope string) *clients.Client {
	w.t.Helper()
	c := &clients.Client{Name: name, Audiences: audiences, CreatedBy: "the test", Held: heldOf(scope)}
	_, err := clients.NewStore(w.DB).Create(w.t.Context(), c, noon.AddDate(-1, 0, 0))
	w.must(err)
	return c
}

// minute is a report about the minute before a time, from rows like "email:read GET /x allowed 3".
func (w *world) minute(at time.Time, rows ...Row) Report {
	w.sent++
	return Report{ID: fmt.Sprintf("report-%010d", w.sent), Audience: api, From: at.Add(-time.Minute), Until: at, Rows: rows}
}

func (w *world) seen(endpoint, scopes, outcome string, requests int64) Row {
	return Row{ClientID: w.crm.ID, Endpoint: endpoint, Scopes: strings.Fields(scopes), Outcome: outcome, Requests: requests, Sampled: requests}
}

func (w *world) add(r Report) Receipt {
	w.t.Helper()
	receipt, err := w.Add(w.t.Context(), w.apiRS, r, r.Until)
	w.must(err)
	return receipt
}

// endpoints is where a client was seen, in words.
func (w *world) endpoints(clientID string, since, now time.Time) string {
	w.t.Helper()
	all, _, err := w.Endpoints(w.t.Context(), clientID, since, now)
	w.must(err)
	var text []string
	for _, e := range all {
		text = append(text, strings.TrimSpace(fmt.Sprintf("%s %d/%d %s", e.Endpoint, e.Refused(), e.Requests(), strings.Join(e.Lacked, "+"))))
	}
	return strings.Join(text, ", ")
}

// Two resource servers report about one client, each again and again, and every request is
// counted once.
func TestAdd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		now := noon
		for i := range 3 {
			now = now.Add(time.Minute)
			r := w.minute(now,
				w.seen("GET /profiles", "section:nordic email:read", Allowed, 10),
				w.seen("POST /profiles", "email:delete", "insufficient_scope", 2),
				w.seen("", "section:baltic", Held, 1),
				Row{Endpoint: "GET /profiles", Outcome: "malformed", Requests: 5, Sampled: 5})
			for again := range 3 {
				receipt, err := w.Add(t.Context(), w.apiRS, r, now)
				w.must(err)
				if receipt.Counted != 17 || receipt.Ignored != 0 || receipt.Duplicate != (again > 0) {
					t.Errorf("report %d for time %d: %+v", i, again, receipt)
				}
			}
			// The id is one of each resource server's.
			r.Rows = r.Rows[:1]
			if receipt, err := w.Add(t.Context(), w.allRS, r, now); err != nil || receipt.Duplicate {
				t.Errorf("another resource server's report: %+v, %v", receipt, err)
			}
		}
		for _, since := range []time.Time{noon, noon.AddDate(0, 0, -30)} { // by the hour and by the day
			if got, want := w.endpoints(w.crm.ID, since, now), "GET /profiles 0/60, POST /profiles 6/6 email:delete"; got != want {
				t.Errorf("since %v: %s; want %s", since, got, want)
			}
			if got, want := w.endpoints("", since, now), "GET /profiles 15/15"; got != want {
				t.Errorf("of nobody, since %v: %s; want %s", since, got, want)
			}
		}
		last, err := w.LastUsed(t.Context(), w.crm.ID)
		w.must(err)
		if got, want := fmt.Sprint(last), "map[*:read:2026-03-04 00:00:00 +0000 UTC email:read:2026-03-04 00:00:00 +0000 UTC "+
			"section:baltic:2026-03-04 00:00:00 +0000 UTC section:nordic:2026-03-04 00:00:00 +0000 UTC]"; got != want {
			t.Errorf("used are %s; want %s", got, want)
		}
	})
}

// A resource server reports about its own audiences and the clients that have tokens for them, and
// what it says is no larger than it may be.
func TestHostileReports(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.client("other", []string{files}, "section:nordic email:read")
		foreign := w.minute(noon)
		foreign.Audience = files
		if _, err := w.Add(t.Context(), w.apiRS, foreign, noon); !errors.Is(err, ErrAudience) {
			t.Errorf("a report about another's audience = %v", err)
		}
		if _, err := w.Add(t.Context(), w.client("none", nil, "wardkey:introspect"), w.minute(noon), noon); !errors.Is(err, ErrAudience) {
			t.Errorf("a report of who has no audience = %v", err)
		}
		row := func(change func(r *Row)) Row {
			r := w.seen("GET /", "email:read", Allowed, 7)
			change(&r)
			return r
		}
		receipt := w.add(w.minute(noon,
			row(func(r *Row) { r.ClientID = other.ID }),
			row(func(r *Row) { r.ClientID = "unheard-of" }),
			row(func(r *Row) {
				r.Scopes = []string{"nothing:read", "section:atlantis", "email:delete", "wardkey:write", "crm-id:write"}
			})))
		if receipt.Counted != 7 || receipt.Ignored != 14 {
			t.Errorf("of clients without the audience: %+v", receipt)
		}
		for _, c := range []*clients.Client{w.crm, other} {
			if last, err := w.LastUsed(t.Context(), c.ID); err != nil || len(last) != 0 {
				t.Errorf("%s used %v, %v; want nothing", c.Name, last, err)
			}
		}
		for _, tt := range []struct {
			field  string
			change func(r *Report)
		}{
			{"/id", func(r *Report) { r.ID = "short" }},
			{"/id", func(r *Report) { r.ID = strings.Repeat("x", 65) }},
			{"/id", func(r *Report) { r.ID = "0123456789 123456789" }},
			{"/until", func(r *Report) { r.Until = r.From }},
			{"/until", func(r *Report) { r.From = noon.Add(-24*time.Hour - time.Second) }},
			{"/until", func(r *Report) { r.Until = noon.Add(6 * time.Minute) }},
			{"/from", func(r *Report) { r.From, r.Until = noon.Add(-26*time.Hour), noon.Add(-25*time.Hour) }},
			{"/dropped", func(r *Report) { r.Dropped = -1 }},
			{"/dropped", func(r *Report) { r.Dropped = 1 << 62 }},
			{"/rows", func(r *Report) { r.Rows = slices.Repeat(r.Rows, 201) }},
			{"/rows/0/client_id", func(r *Report) { r.Rows[0].ClientID = "a b" }},
			{"/rows/0/endpoint", func(r *Report) { r.Rows[0].Endpoint = strings.Repeat("x", 201) }},
			{"/rows/0/endpoint", func(r *Report) { r.Rows[0].Endpoint = "GET /\x00" }},
			{"/rows/0/endpoint", func(r *Report) { r.Rows[0].Endpoint = "GET /é" }},
			{"/rows/0/scopes", func(r *Report) { r.Rows[0].Scopes = []string{"no value"} }},
			{"/rows/0/scopes", func(r *Report) { r.Rows[0].Scopes = []string{"a:" + strings.Repeat("x", 160)} }},
			{"/rows/0/scopes", func(r *Report) { r.Rows[0].Scopes = slices.Repeat([]string{"email:read"}, 17) }},
			{"/rows/0/outcome", func(r *Report) { r.Rows[0].Outcome = "splendid" }},
			{"/rows/0/requests", func(r *Report) { r.Rows[0].Requests = 1 << 62 }},
			{"/rows/0/requests", func(r *Report) { r.Rows[0].Requests = -1; r.Rows[0].Sampled = -1 }},
			{"/rows/0/sampled", func(r *Report) { r.Rows[0].Sampled = 8 }},
		} {
			r := w.minute(noon, row(func(*Row) {}))
			tt.change(&r)
			_, err := w.Add(t.Context(), w.apiRS, r, noon)
			rules, ok := errors.AsType[sections.Invalid](err)
			if !ok || rules[0].Field != tt.field {
				t.Errorf("%+v = %v, want something wrong with %s", r, err, tt.field)
			}
		}
	})
}

// A million endpoints are so many rows, and as many requests.
func TestEndpointsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const reports = 8 // of 200; the rest of the million is alike
		for n := range reports {
			r := w.minute(noon.Add(time.Duration(n) * time.Minute))
			for i := range MaxRows {
				r.Rows = append(r.Rows, w.seen(fmt.Sprintf("GET /%d", n*MaxRows+i), "", Allowed, 1))
			}
			w.add(r)
		}
		w.add(w.minute(noon.Add(reports*time.Minute), w.seen("GET /0", "", Allowed, 5), w.seen("GET /late", "", Allowed, 3)))
		all, _, err := w.Endpoints(t.Context(), w.crm.ID, noon.AddDate(0, 0, -7), noon.Add(time.Hour))
		w.must(err)
		var sum int64
		for _, e := range all {
			sum += e.Requests()
		}
		if len(all) != maxKinds+1 || all[0].Endpoint != "" || sum != reports*MaxRows+8 {
			t.Errorf("%d endpoints with %d requests, the busiest %q; want %d with %d, the busiest those that are not told apart", len(all), sum, all[0].Endpoint, maxKinds+1, reports*MaxRows+8)
		}
		if i := slices.IndexFunc(all, func(e Endpoint) bool { return e.Endpoint == "GET /0" }); i < 0 || all[i].Requests() != 6 {
			t.Errorf("one that was there has not 6 requests: %v", i)
		}
		// Another API has room of its own.
		r := w.minute(noon.Add(reports*time.Minute), w.seen("GET /files", "", Allowed, 2))
		r.Audience = files
		_, err = w.Add(t.Context(), w.allRS, r, r.Until)
		w.must(err)
		all, _, err = w.Endpoints(t.Context(), w.crm.ID, noon.AddDate(0, 0, -7), noon.Add(time.Hour))
		w.must(err)
		if i := slices.IndexFunc(all, func(e Endpoint) bool { return e.Audience == files }); i < 0 || all[i].Endpoint != "GET /files" {
			t.Errorf("where one API takes all its room, of the other there is %v of %d", i, len(all))
		}
	})
}

// Of more kinds of requests than are read, those are left out of which there are least.
func TestBusyEndpointsAreRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, err := w.DB.Exec(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= $1)
			INSERT INTO report_days (client_id, day, audience, endpoint, scope, outcome, requests, sampled)
			SELECT $2, $3, $4, 'GET /' || CAST(i AS TEXT), '', $5, 1, 0 FROM n`, maxLines, w.crm.ID, dayOf(noon), "https://another.example", Allowed)
		w.must(err)
		w.add(w.minute(noon, w.seen("PUT /last", "", Allowed, 2)))
		all, _, err := w.Endpoints(t.Context(), w.crm.ID, noon.AddDate(0, 0, -7), noon.Add(time.Hour))
		w.must(err)
		if len(all) != maxLines || all[0].Endpoint != "PUT /last" {
			t.Errorf("of %d endpoints the first is %q; want %d, the busiest first", len(all), all[0].Endpoint, maxLines)
		}
	})
}

// Scope values that a resource server makes up are no answer of any length.
func TestLackedIsBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.minute(noon)
		for i := range MaxRows {
			r.Rows = append(r.Rows, w.seen("GET /", fmt.Sprintf("crm-id:a%d email:b%d", i, i), "insufficient_scope", 1))
		}
		w.add(r)
		all, _, err := w.Endpoints(t.Context(), w.crm.ID, noon.AddDate(0, 0, -7), noon.Add(time.Hour))
		w.must(err)
		if len(all) != 1 || all[0].Requests() != MaxRows || len(all[0].Lacked) != maxLacked {
			t.Errorf("%d endpoints, the first with %d requests that lacked %d values; want 1, %d, %d", len(all), all[0].Requests(), len(all[0].Lacked), MaxRows, maxLacked)
		}
	})
}

// covered makes the store know that reports are about each minute from one time until another.
func (w *world) covered(audience string, from, until time.Time) {
	w.t.Helper()
	for hour := hourOf(from); hour < hourOf(until); hour++ {
		_, err := w.DB.Exec(w.t.Context(), `INSERT INTO report_coverage (audience, hour, minutes, partial) VALUES ($1, $2, $3, FALSE)
			ON CONFLICT (audience, hour) DO UPDATE SET minutes = excluded.minutes, partial = FALSE`, audience, hour, int64(1)<<60-1)
		w.must(err)
	}
}

// What reports are about begins after the last gap.
func TestCoveredSince(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		since := func() string {
			t.Helper()
			at, err := w.CoveredSince(t.Context(), api, noon)
			w.must(err)
			if at.IsZero() {
				return "never"
			}
			return at.Format("15:04")
		}
		expect := func(what, want string) {
			t.Helper()
			if got := since(); got != want {
				t.Errorf("%s: covered since %s, want %s", what, got, want)
			}
		}
		expect("nothing", "never")
		send := func(from time.Time, minutes int, change func(*Report)) {
			for m := range minutes {
				r := w.minute(from.Add(time.Duration(m+1) * time.Minute))
				if change != nil && m == 0 {
					change(&r)
				}
				w.add(r)
			}
		}
		hour := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
		send(hour(-1), 60, nil)
		expect("the hour that may have more reports on their way", "never")
		send(hour(-2), 54, nil)
		expect("too few minutes", "never")
		send(hour(-2).Add(54*time.Minute), 2, nil)
		expect("one whole hour", "10:00")
		r := w.minute(hour(-2)) // one long report, from before to the middle of the hour
		r.From = hour(-4).Add(2 * time.Minute)
		w.add(r)
		expect("three hours", "08:00")
		send(hour(-3), 1, func(r *Report) { r.Dropped = 1 })
		expect("requests are missing", "10:00")
		w.covered(api, hour(-3), hour(-2))
		expect("none are", "08:00")
		send(hour(-4), 1, func(r *Report) {
			r.Rows = []Row{{ClientID: w.crm.ID, Endpoint: "GET /", Outcome: Allowed, Requests: 10, Sampled: 1}}
		})
		expect("a sample", "09:00")
		_, err := w.DB.Exec(t.Context(), `DELETE FROM report_coverage WHERE hour = $1`, hourOf(hour(-3)))
		w.must(err)
		w.covered(api, hour(-4), hour(-3))
		expect("an hour without a report", "10:00")
	})
}

// A permission is called unused only if nobody can have used it.
func TestUse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		since := noon.AddDate(0, 0, -90)
		w.add(w.minute(noon, w.seen("GET /", "section:nordic email:read", Allowed, 1)))
		old := w.minute(since.AddDate(0, 0, -2), w.seen("POST /", "email:write", Allowed, 1))
		w.add(old)
		const used = "section:nordic used, email:read used, *:read used"
		unused := "section:baltic unused, email:write unused"
		for _, tt := range []struct {
			name   string
			change func(q *Question)
			before func()
			want   string
		}{
			{"nobody reported", nil, nil, "section:baltic unknown, email:write unknown"},
			{"one of two audiences", nil, func() { w.covered(api, since, noon) }, "section:baltic unknown, email:write unknown"},
			{"both", nil, func() { w.covered(files, since, noon) }, unused},
			{"one is enough", func(q *Question) { c := *q.Client; c.Audiences = []string{api}; q.Client = &c }, nil, unused},
			{"a third", func(q *Question) { q.Audiences = append(q.Audiences, "https://new.example") }, nil, "section:baltic unknown, email:write unknown"},
			{"given since", func(q *Question) { q.Given = map[string]bool{"email:write": true, "email:read": true} }, nil, "section:baltic unused, email:write recent"},
			{"a new client", func(q *Question) { c := *q.Client; c.CreatedAt = noon; q.Client = &c }, nil, "section:baltic recent, email:write recent"},
			{"more than is covered", func(q *Question) { q.Since = since.Add(-time.Hour) }, nil, "section:baltic unknown, email:write unknown"},
			{"no token since", func(q *Question) {
				q.Since = since.Add(-time.Hour)
				c := *q.Client
				c.LastUsedAt = since.AddDate(0, 0, -3)
				q.Client = &c
			}, nil, unused},
		} {
			if tt.before != nil {
				tt.before()
			}
			c := *w.crm
			c.LastUsedAt = noon
			q := Question{Client: &c, Audiences: []string{api, files}, Since: since}
			if tt.change != nil {
				tt.change(&q)
			}
			use, err := w.Use(t.Context(), q, noon)
			w.must(err)
			var text []string
			for _, v := range use.Values {
				text = append(text, v.Value+" "+string(v.State))
			}
			got := strings.Join(text, ", ")
			for part := range strings.SplitSeq(used+", "+tt.want, ", ") {
				if !slices.Contains(text, part) {
					t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
				}
			}
		}
	})
}

// What is left is enough for what was used, and never nothing.
func TestLeft(t *testing.T) {
	for _, tt := range []struct{ held, unused, left, taken string }{
		{"section:a section:b x:read x:write", "section:b x:write", "section:a x:read", "section:b x:write"},
		{"section:a section:b x:read x:write", "", "section:a section:b x:read x:write", ""},
		{"section:a section:b x:read x:write", "section:a section:b x:write", "section:a section:b x:read", "x:write"},
		{"section:a x:read", "section:a x:read", "section:a x:read", ""},
		{"section:* x:read *:read", "x:read", "section:* *:read", "x:read"},
	} {
		held := heldOf(tt.held)
		var use Use
		for _, value := range held.Scope() {
			state := Used
			if slices.Contains(strings.Fields(tt.unused), value) {
				state = Unused
			}
			use.Values = append(use.Values, Value{Value: value, State: state})
		}
		left, taken := use.Left(held)
		if got := strings.Join(left.Scope(), " "); got != tt.left || strings.Join(taken, " ") != tt.taken {
			t.Errorf("%s without %s is %s, which takes %q; want %s and %q", tt.held, tt.unused, got, taken, tt.left, tt.taken)
		}
	}
}

func heldOf(scope string) (held sections.Held) {
	for value := range strings.FieldsSeq(scope) {
		target, action, _ := strings.Cut(value, ":")
		if target == "section" {
			held.Sections = append(held.Sections, action)
		} else {
			held.Permissions = append(held.Permissions, sections.Permission{Target: target, Action: action})
		}
	}
	return held
}

// What is old enough is forgotten, and nothing else.
func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, ago := range []int{800, 100, 80, 3, 0} {
			w.add(w.minute(noon.AddDate(0, 0, -ago), w.seen(fmt.Sprintf("GET /%d", ago), "email:write", Allowed, 1)))
		}
		rows := func(table string) (n int) {
			w.must(w.DB.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
			return n
		}
		for range 2 {
			w.must(w.Purge(t.Context(), noon))
			for table, want := range map[string]int{"report_hours": 1, "report_days": 3, "report_uses": 1, "report_coverage": 4, "report_batches": 1} {
				if got := rows(table); got != want {
					t.Errorf("%s has %d rows, want %d", table, got, want)
				}
			}
		}
		w.must(w.Purge(t.Context(), noon.AddDate(3, 0, 0)))
		if n := rows("report_hours") + rows("report_days") + rows("report_uses") + rows("report_coverage") + rows("report_batches"); n != 0 {
			t.Errorf("%d rows are left of what was three years ago", n)
		}
	})
}

// Reports of several resource servers that come at once are all counted, each once.
func TestAddAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const senders, each = 6, 5
		var sending sync.WaitGroup
		for n := range senders {
			by := []*clients.Client{w.apiRS, w.allRS}[n%2]
			sending.Go(func() {
				for i := range each {
					r := Report{ID: fmt.Sprintf("report-%d-of-%d-padded", i, n), Audience: api, From: noon.Add(-time.Minute), Until: noon, Rows: []Row{
						w.seen("GET /", "section:nordic email:read", Allowed, 1), w.seen(fmt.Sprint("GET /", n), "", Allowed, 10),
					}}
					for tries := 0; ; tries++ { // as a resource server does
						if _, err := w.Add(t.Context(), by, r, noon); err == nil {
							break
						} else if tries == 20 {
							t.Errorf("sender %d: %v", n, err)
							return
						}
					}
				}
			})
		}
		sending.Wait()
		all, _, err := w.Endpoints(t.Context(), w.crm.ID, noon.Add(-time.Hour), noon)
		w.must(err)
		var sum int64
		for _, e := range all {
			sum += e.Requests()
		}
		if len(all) != senders+1 || sum != 11*senders*each {
			t.Errorf("%d endpoints with %d requests, want %d with %d", len(all), sum, senders+1, 11*senders*each)
		}
	})
}

// A resource server that floods us is told to wait, others are not, and nothing of what it was
// refused counts.
func TestPace(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		send := func(by *clients.Client, r Report, now time.Time) string {
			t.Helper()
			_, err := w.Add(t.Context(), by, r, now)
			if wait, ok := errors.AsType[TooSoon](err); ok {
				return "wait " + wait.RetryAfter.String()
			}
			w.must(err)
			return "taken"
		}
		expect := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		last := w.minute(noon, w.seen("GET /", "", Allowed, 1))
		for range atOnce {
			expect("at once", send(w.apiRS, last, noon), "taken")
		}
		last.ID = "the-last-of-them-all"
		expect("one more", send(w.apiRS, last, noon), "wait 1s")
		expect("of another", send(w.allRS, last, noon), "taken")
		expect("when the clock was set back", send(w.apiRS, last, noon.Add(-time.Minute)), "wait 1s")
		for range perSecond {
			expect("a second later", send(w.apiRS, last, noon.Add(time.Second)), "taken")
		}
		expect("one more", send(w.apiRS, last, noon.Add(time.Second)), "wait 1s")
		if got, want := w.endpoints(w.crm.ID, noon.Add(-time.Hour), noon), "GET / 0/3"; got != want {
			t.Errorf("seen are %s; want %s, each report once", got, want)
		}
	})
}

// What is remembered of who reports is bounded by those who do it now.
func TestPaceForgets(t *testing.T) {
	var p pace
	for i := range 10 * maxAllowances {
		if err := p.take(fmt.Sprint("server ", i), noon.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatalf("the first report of server %d: %v", i, err)
		}
	}
	if len(p.allowed) > maxAllowances {
		t.Errorf("%d are remembered, want %d at most", len(p.allowed), maxAllowances)
	}
}
