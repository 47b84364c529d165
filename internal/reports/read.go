package reports

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// How long what is reported is kept.
const (
	HoursKept = 2 * 24 * time.Hour
	DaysKept  = 90 * 24 * time.Hour
	UsesKept  = 2 * 365 * 24 * time.Hour

	batchesKept = 2 * oldest // a report that is older is refused for its age
)

// An Endpoint is how often a client was seen at one.
type Endpoint struct {
	Audience, Endpoint string           // an empty endpoint is all that are not told apart
	Outcomes           map[string]int64 // requests
	Lacked             []string         // scope values for want of which requests were refused, at most so many
	Sampled            bool             // the numbers were reckoned from samples
}

// Requests are all that were seen.
func (e *Endpoint) Requests() (n int64) {
	for _, requests := range e.Outcomes {
		n += requests
	}
	return n
}

// Refused are those that were not allowed.
func (e *Endpoint) Refused() int64 { return e.Requests() - e.Outcomes[Allowed] }

// Bounds of an answer, whatever was reported: how many kinds of requests are read, those with the
// most requests first, and of how many scope values an endpoint says that they were lacking.
const (
	maxLines  = 10_000
	maxLacked = 16
)

// insufficientScope is the outcome with which a scope is what was lacking.
const insufficientScope = "insufficient_scope"

// Endpoints returns where a client was seen since a time, the busiest first: to the hour if those
// hours are kept still, otherwise to the day. Begun is when what was added up begins.
func (s *Store) Endpoints(ctx context.Context, clientID string, since, now time.Time) (all []Endpoint, begun time.Time, err error) {
	from, period := days, dayOf(since)
	begun = time.Unix(period*hoursOfADay*secondsOfAnHour, 0).UTC()
	if now.Sub(since) < HoursKept {
		from, period = hours, hourOf(since)
		begun = time.Unix(period*secondsOfAnHour, 0).UTC()
	}
	rows, err := s.DB.Query(ctx, `SELECT audience, endpoint, scope, outcome, CAST(sum(requests) AS BIGINT), CAST(sum(sampled) AS BIGINT)
		FROM `+from.name+` WHERE client_id = $1 AND `+from.period+` >= $2
		GROUP BY audience, endpoint, scope, outcome ORDER BY sum(requests) DESC, audience, endpoint, scope, outcome LIMIT $3`, clientID, period, maxLines)
	if err != nil {
		return nil, begun, fmt.Errorf("read where client %s was seen: %w", clientID, err)
	}
	defer rows.Close()
	places := map[[2]string]int{}
	for rows.Next() {
		var audience, endpoint, scope, outcome string
		var n count
		if err := rows.Scan(&audience, &endpoint, &scope, &outcome, &n.requests, &n.sampled); err != nil {
			return nil, begun, fmt.Errorf("read where client %s was seen: %w", clientID, err)
		}
		place, known := places[[2]string{audience, endpoint}]
		if !known {
			place = len(all)
			places[[2]string{audience, endpoint}] = place
			all = append(all, Endpoint{Audience: audience, Endpoint: endpoint, Outcomes: map[string]int64{}})
		}
		all[place].add(scope, outcome, n)
	}
	slices.SortFunc(all, compareEndpoints)
	return all, begun, rows.Err()
}

func (e *Endpoint) add(scope, outcome string, n count) {
	e.Outcomes[outcome] += n.requests
	e.Sampled = e.Sampled || n.sampled < n.requests
	if outcome != insufficientScope {
		return
	}
	for _, value := range strings.Fields(scope) {
		if len(e.Lacked) < maxLacked && !slices.Contains(e.Lacked, value) {
			e.Lacked = append(e.Lacked, value)
		}
	}
}

// compareEndpoints puts the busiest first.
func compareEndpoints(a, b Endpoint) int {
	return cmp.Or(cmp.Compare(b.Requests(), a.Requests()), strings.Compare(a.Audience, b.Audience), strings.Compare(a.Endpoint, b.Endpoint))
}

// LastUsed returns the day on which each scope value of a client was last seen used, of those that
// were in the last two years.
func (s *Store) LastUsed(ctx context.Context, clientID string) (map[string]time.Time, error) {
	rows, err := s.DB.Query(ctx, `SELECT value, last_day FROM report_uses WHERE client_id = $1`, clientID)
	if err != nil {
		return nil, fmt.Errorf("read what client %s used: %w", clientID, err)
	}
	defer rows.Close()
	last := map[string]time.Time{}
	for rows.Next() {
		var value string
		var day int64
		if err := rows.Scan(&value, &day); err != nil {
			return nil, fmt.Errorf("read what client %s used: %w", clientID, err)
		}
		last[value] = time.Unix(day*hoursOfADay*secondsOfAnHour, 0).UTC()
	}
	return last, rows.Err()
}

// enough is how many minutes of an hour reports must be about: a resource server that was started
// again is not there for some of them, and then nobody uses it.
const enough = 55

// late is how much time a report has to arrive, counting the hour that is under way.
const late = time.Hour

// CoveredSince returns since when reports are about an audience without a gap, and nothing of them
// is missing; the zero time if they are not. The last hour does not count: its reports may be on
// their way.
func (s *Store) CoveredSince(ctx context.Context, audience string, now time.Time) (time.Time, error) {
	rows, err := s.DB.Query(ctx, `SELECT hour, minutes, partial FROM report_coverage
		WHERE audience = $1 AND hour < $2 ORDER BY hour DESC`, audience, hourOf(now.Add(-late)))
	if err != nil {
		return time.Time{}, fmt.Errorf("read what reports are about: %w", err)
	}
	defer rows.Close()
	since := hourOf(now.Add(-late))
	for rows.Next() {
		var hour, minutes int64
		var partial bool
		if err := rows.Scan(&hour, &minutes, &partial); err != nil {
			return time.Time{}, fmt.Errorf("read what reports are about: %w", err)
		}
		if hour != since-1 || partial || bits.OnesCount64(uint64(minutes)) < enough {
			break
		}
		since = hour
	}
	if since == hourOf(now.Add(-late)) {
		return time.Time{}, rows.Err()
	}
	return time.Unix(since*secondsOfAnHour, 0).UTC(), rows.Err()
}

// Purge takes away what was kept long enough.
func (s *Store) Purge(ctx context.Context, now time.Time) error {
	for _, old := range []struct {
		statement string
		before    int64
	}{
		{`DELETE FROM report_hours WHERE hour < $1`, hourOf(now.Add(-HoursKept))},
		{`DELETE FROM report_days WHERE day < $1`, dayOf(now.Add(-DaysKept))},
		{`DELETE FROM report_uses WHERE last_day < $1`, dayOf(now.Add(-UsesKept))},
		{`DELETE FROM report_coverage WHERE hour < $1`, hourOf(now.Add(-UsesKept))},
		{`DELETE FROM report_batches WHERE counted_at < $1`, now.Add(-batchesKept).Unix()},
	} {
		if _, err := s.DB.Exec(ctx, old.statement, old.before); err != nil {
			return fmt.Errorf("forget old reports: %w", err)
		}
	}
	return nil
}
