package usage

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A Step is how much time one row of an answer stands for.
type Step int64

// The steps, in seconds.
const (
	Hour Step = secondsOfAnHour
	Day  Step = secondsOfAnHour * hoursOfADay
)

// Period is the step in which a time lies, by its number since 1970.
func (s Step) Period(t time.Time) int64 { return t.Unix() / int64(s) }

// Start is when a period began.
func (s Step) Start(period int64) time.Time { return time.Unix(period*int64(s), 0).UTC() }

// A Dimension is what rows are told apart by, besides their time.
type Dimension string

// The dimensions.
const (
	ByOutcome  Dimension = "outcome"
	ByAudience Dimension = "audience"
	ByBlock    Dimension = "block"
)

// ByClient is for [Counter.Totals] of the account alone.
const ByClient Dimension = "client_id"

// Dimensions are those that [Counter.Read] knows.
var Dimensions = []Dimension{ByOutcome, ByAudience, ByBlock}

// A Query says what is wanted.
type Query struct {
	ClientID string // or Account
	Step     Step
	From     int64 // the first period,
	Until    int64 // and the first that is not wanted any more
	By       []Dimension
	Limit    int // of rows
}

// A Row is how many requests there were in one period. Of outcome, audience and block it says
// those that were asked for.
type Row struct {
	At                       time.Time // when the period began
	Outcome, Audience, Block string
	Granted, Refused         int64
}

// Read returns what there is, the oldest first; of periods without requests there are no rows. It
// writes first what this process has not written yet.
func (c *Counter) Read(ctx context.Context, q Query) ([]Row, error) {
	if err := c.flushInTime(ctx); err != nil {
		return nil, err
	}
	rows, err := c.db.Query(ctx, q.statement(), q.args()...)
	if err != nil {
		return nil, fmt.Errorf("read the usage of %s: %w", q.ClientID, err)
	}
	defer rows.Close()
	found := []Row{}
	for rows.Next() {
		var r Row
		var period int64
		if err := rows.Scan(&period, &r.Outcome, &r.Audience, &r.Block, &r.Granted, &r.Refused); err != nil {
			return nil, fmt.Errorf("read the usage of %s: %w", q.ClientID, err)
		}
		r.At = q.Step.Start(period)
		found = append(found, r)
	}
	return found, rows.Err()
}

// statement groups the rows of the source by the dimensions that are wanted. The others are ”.
func (q Query) statement() string {
	columns, group := "period", "period"
	for _, d := range Dimensions {
		if !slices.Contains(q.By, d) {
			columns += ", ''"
			continue
		}
		columns += ", " + string(d)
		group += ", " + string(d)
	}
	return `SELECT ` + columns + `,
			CAST(sum(CASE outcome WHEN 'granted' THEN requests ELSE 0 END) AS BIGINT),
			CAST(sum(CASE outcome WHEN 'granted' THEN 0 ELSE requests END) AS BIGINT)
		FROM (` + q.source() + `) counted
		GROUP BY ` + group + ` ORDER BY ` + group + ` LIMIT $4`
}

// source are the rows of the periods. Days are those that were added up, and of the rest the hours.
func (q Query) source() string {
	client := "client_id = $1"
	if q.accountInParts() {
		client = "client_id <> $1" // the rows of the account have no block, and are the sums of the others
	}
	columns := "client_id, outcome, audience, block, requests"
	if q.Step == Hour {
		return `SELECT hour AS period, ` + columns + ` FROM usage_hours WHERE ` + client + ` AND hour >= $2 AND hour < $3`
	}
	return `SELECT day AS period, ` + columns + ` FROM usage_days WHERE ` + client + ` AND day >= $2 AND day < $3
		UNION ALL SELECT hour / 24, ` + columns + ` FROM usage_hours WHERE ` + client + ` AND hour >= $5 AND hour < $6
			AND hour >= (SELECT rolled_until FROM usage_state WHERE id = 1)`
}

// accountInParts says whether all is wanted by what the rows of the account do not have.
func (q Query) accountInParts() bool {
	return q.ClientID == Account && (slices.Contains(q.By, ByBlock) || slices.Contains(q.By, ByClient))
}

func (q Query) args() []any {
	args := []any{q.ClientID, q.From, q.Until, q.Limit}
	if q.Step == Day {
		args = append(args, q.From*hoursOfADay, q.Until*hoursOfADay)
	}
	return args
}
