package reports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

// ErrAudience means that a client reports about an audience that is not its own.
var ErrAudience = errors.New("reports: the audience is not one of the client that reports")

// A clientFinder finds a client as it is now; [clients.Lookup] does.
type clientFinder interface {
	Client(ctx context.Context, id string) (*clients.Client, *sections.Catalog, error)
}

// A Store is the reports in a database.
type Store struct {
	DB      *database.DB
	Clients clientFinder

	pace pace
}

// maxKinds is how many kinds of requests of a client are told apart in a day at one audience: an API
// whose reports are all noise takes no room from others.
const maxKinds = 300

const (
	secondsOfAnHour = 3600
	hoursOfADay     = 24
	minutesOfAnHour = 60
)

func hourOf(t time.Time) int64 { return t.Unix() / secondsOfAnHour }
func dayOf(t time.Time) int64  { return hourOf(t) / hoursOfADay }

// A Receipt is what became of a report.
type Receipt struct {
	Counted   int64 // requests
	Ignored   int64 // those that clients cannot have made which have no tokens for the audience
	Duplicate bool  // the report was counted before
}

// Add counts a report of the resource server that is the given client, unless it was counted
// before. What a report says of a client matters only as far as that could be: its scopes are those
// that the client holds, and its endpoints are so many. Of who sends too many reports, it is [TooSoon].
func (s *Store) Add(ctx context.Context, by *clients.Client, r Report, now time.Time) (Receipt, error) {
	if err := s.pace.take(by.ID, now); err != nil {
		return Receipt{}, err
	}
	if err := r.Check(now); err != nil {
		return Receipt{}, err
	}
	if !slices.Contains(by.Audiences, r.Audience) {
		return Receipt{}, ErrAudience
	}
	b, err := s.batch(ctx, r)
	if err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{Counted: b.counted, Ignored: b.ignored}
	err = s.DB.Transact(ctx, func(ctx context.Context) error {
		fresh, err := s.claim(ctx, by.ID, r.ID, now)
		if receipt.Duplicate = !fresh; err != nil || !fresh {
			return err
		}
		return s.write(ctx, b)
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("count a report: %w", err)
	}
	return receipt, nil
}

// claim says whether the report was not counted yet, and notes that it is.
func (s *Store) claim(ctx context.Context, by, id string, now time.Time) (fresh bool, err error) {
	n, err := s.DB.Exec(ctx, `INSERT INTO report_batches (client_id, id, counted_at) VALUES ($1, $2, $3)
		ON CONFLICT (client_id, id) DO NOTHING`, by, id, database.At(now))
	return n == 1, err
}

// A kind is what is alike in requests that are counted together.
type kind struct{ clientID, audience, endpoint, scope, outcome string }

func compareKinds(a, b kind) int {
	return cmp.Or(strings.Compare(a.clientID, b.clientID), strings.Compare(a.audience, b.audience),
		strings.Compare(a.endpoint, b.endpoint), strings.Compare(a.scope, b.scope), strings.Compare(a.outcome, b.outcome))
}

// unspecified is the kind for requests beyond those that are told apart.
func (k kind) unspecified() kind { k.endpoint, k.scope = "", ""; return k }

type count struct{ requests, sampled int64 }

func (c count) plus(d count) count { return count{c.requests + d.requests, c.sampled + d.sampled} }

// A use is a scope value that a client holds and used.
type use struct{ clientID, value string }

func compareUses(a, b use) int {
	return cmp.Or(strings.Compare(a.clientID, b.clientID), strings.Compare(a.value, b.value))
}

// A batch is what of a report is to be written.
type batch struct {
	report           Report
	kinds            map[kind]count
	uses             map[use]bool
	counted, ignored int64
}

// batch reads a report against what its clients hold now.
func (s *Store) batch(ctx context.Context, r Report) (batch, error) {
	b := batch{report: r, kinds: map[kind]count{}, uses: map[use]bool{}}
	known := map[string]*clients.Client{}
	var catalog *sections.Catalog
	for _, row := range r.Rows {
		if _, ok := known[row.ClientID]; !ok && row.ClientID != "" {
			client, now, err := s.Clients.Client(ctx, row.ClientID)
			if err != nil {
				return b, err
			}
			known[row.ClientID], catalog = client, now
		}
		b.add(row, known[row.ClientID], catalog)
	}
	return b, nil
}

// add adds a row; of a token that nobody knows, the client is nil.
func (b *batch) add(row Row, client *clients.Client, catalog *sections.Catalog) {
	if client != nil && !mayHave(client, b.report.Audience) {
		b.ignored += row.Requests
		return
	}
	scopes := row.Scopes
	if row.Outcome == Allowed || row.Outcome == Held {
		scopes = nil
		if client != nil {
			scopes = covering(client.Held, catalog, row.Scopes)
		}
		for _, value := range scopes {
			b.uses[use{client.ID, value}] = true
		}
	}
	if row.Outcome == Held {
		return // it is no request
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	k := kind{row.ClientID, b.report.Audience, row.Endpoint, strings.Join(scopes, " "), row.Outcome}
	b.kinds[k] = b.kinds[k].plus(count{row.Requests, row.Sampled})
	b.counted += row.Requests
}

// mayHave says whether a client gets tokens for the audience.
func mayHave(c *clients.Client, audience string) bool {
	return c != clients.Nobody && (len(c.Audiences) == 0 || slices.Contains(c.Audiences, audience))
}

// sectionKind begins the scope values that name a Section.
const sectionKind = "section"

// covering are the values that are held of which one or more allow what the given ones do. Of each
// all count, as nobody knows which of them it was.
func covering(held sections.Held, catalog *sections.Catalog, values []string) (by []string) {
	for _, value := range values {
		target, action, _ := strings.Cut(value, ":")
		if target == sectionKind {
			for _, id := range []string{action, sections.Wildcard} {
				if slices.Contains(held.Sections, id) {
					by = append(by, sectionKind+":"+id)
				}
			}
			continue
		}
		for _, p := range catalog.Covering(sections.Permission{Target: target, Action: action}) {
			if slices.Contains(held.Permissions, p) && p.Target != sections.Wardkey {
				by = append(by, p.String())
			}
		}
	}
	return by
}

// write writes a batch. What belongs to a report is written in order, so that two servers do not
// wait for each other in a circle.
func (s *Store) write(ctx context.Context, b batch) error {
	// A report is counted where it ends: it is short, or nothing much happened in it.
	end := b.report.Until.Add(-time.Second)
	kinds, err := s.bounded(ctx, b.kinds, b.report.Audience, dayOf(end))
	if err != nil {
		return err
	}
	if err := s.addKinds(ctx, hours, hourOf(end), kinds); err != nil {
		return err
	}
	if err := s.addKinds(ctx, days, dayOf(end), kinds); err != nil {
		return err
	}
	if err := s.addUses(ctx, b.uses, dayOf(end)); err != nil {
		return err
	}
	return s.cover(ctx, b.report)
}

// bounded gives up telling requests of a client apart that has too many kinds of them in the day, at
// the audience that all the kinds are of.
func (s *Store) bounded(ctx context.Context, kinds map[kind]count, audience string, day int64) (map[kind]count, error) {
	byClient := map[string]int{}
	for k := range kinds {
		byClient[k.clientID]++
	}
	bounded := make(map[kind]count, len(kinds))
	room := map[string]int{}
	stored := map[kind]bool{}
	for id, fresh := range byClient {
		var there int
		err := s.DB.QueryRow(ctx, `SELECT count(*) FROM report_days WHERE client_id = $1 AND day = $2 AND audience = $3`, id, day, audience).Scan(&there)
		if err != nil {
			return nil, err
		}
		if room[id] = maxKinds - there; fresh <= room[id] {
			continue
		}
		if err := s.readKinds(ctx, stored, id, audience, day); err != nil {
			return nil, err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(kinds), compareKinds) {
		n := kinds[k]
		if !stored[k] {
			if room[k.clientID]--; room[k.clientID] < 0 {
				k = k.unspecified()
			}
		}
		bounded[k] = bounded[k].plus(n)
	}
	return bounded, nil
}

// readKinds adds to those known the kinds that a client has in a day at an audience.
func (s *Store) readKinds(ctx context.Context, known map[kind]bool, clientID, audience string, day int64) error {
	rows, err := s.DB.Query(ctx, `SELECT endpoint, scope, outcome FROM report_days WHERE client_id = $1 AND day = $2 AND audience = $3`, clientID, day, audience)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		k := kind{clientID: clientID, audience: audience}
		if err := rows.Scan(&k.endpoint, &k.scope, &k.outcome); err != nil {
			return err
		}
		known[k] = true
	}
	return rows.Err()
}

// A table is one of the two that hold counts.
type table struct{ name, period string }

var (
	hours = table{"report_hours", "hour"}
	days  = table{"report_days", "day"}
)

// rowsAtOnce is how many rows one statement writes.
const rowsAtOnce = 128

// addKinds adds counts to those of the period.
func (s *Store) addKinds(ctx context.Context, to table, period int64, kinds map[kind]count) error {
	const key = "audience, endpoint, scope, outcome"
	for some := range slices.Chunk(slices.SortedFunc(maps.Keys(kinds), compareKinds), rowsAtOnce) {
		args := make([]any, 0, 8*len(some))
		for _, k := range some {
			args = append(args, k.clientID, period, k.audience, k.endpoint, k.scope, k.outcome, kinds[k].requests, kinds[k].sampled)
		}
		_, err := s.DB.Exec(ctx, `INSERT INTO `+to.name+` (client_id, `+to.period+`, `+key+`, requests, sampled)
			VALUES `+database.Rows(len(some), 8)+`
			ON CONFLICT (client_id, `+to.period+`, `+key+`) DO UPDATE
			SET requests = `+to.name+`.requests + excluded.requests, sampled = `+to.name+`.sampled + excluded.sampled`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// addUses notes that scope values were used on a day. Most were used on it already, and are not
// written again.
func (s *Store) addUses(ctx context.Context, uses map[use]bool, day int64) error {
	for some := range slices.Chunk(slices.SortedFunc(maps.Keys(uses), compareUses), rowsAtOnce) {
		args := make([]any, 0, 3*len(some))
		for _, u := range some {
			args = append(args, u.clientID, u.value, day)
		}
		_, err := s.DB.Exec(ctx, `INSERT INTO report_uses (client_id, value, last_day) VALUES `+database.Rows(len(some), 3)+`
			ON CONFLICT (client_id, value) DO UPDATE SET last_day = excluded.last_day WHERE report_uses.last_day < excluded.last_day`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// cover notes which minutes a report is about.
func (s *Store) cover(ctx context.Context, r Report) error {
	minutes := map[int64]int64{}
	for m := r.From.Unix() / 60; m*60 < r.Until.Unix(); m++ {
		minutes[m/minutesOfAnHour] |= 1 << (m % minutesOfAnHour)
	}
	for _, hour := range slices.Sorted(maps.Keys(minutes)) {
		_, err := s.DB.Exec(ctx, `INSERT INTO report_coverage (audience, hour, minutes, partial) VALUES ($1, $2, $3, $4)
			ON CONFLICT (audience, hour) DO UPDATE SET minutes = report_coverage.minutes | excluded.minutes,
				partial = report_coverage.partial OR excluded.partial`, r.Audience, hour, minutes[hour], r.partial())
		if err != nil {
			return err
		}
	}
	return nil
}
