package usage

import (
	"context"
	"fmt"
)

// A Total is how many requests there were in all periods of one client, outcome, audience or block.
type Total struct {
	Of               string
	Granted, Refused int64
}

// An Order says of what the most come first.
type Order string

// The orders.
const (
	MostRequests Order = "requests"
	MostRefused  Order = "refused"
)

// Totals adds up the periods by the one dimension that the query has, and returns so many sums as
// it says. It writes first what this process has not written yet.
func (c *Counter) Totals(ctx context.Context, q Query, order Order) ([]Total, error) {
	if err := c.flushInTime(ctx); err != nil {
		return nil, err
	}
	rows, err := c.db.Query(ctx, q.totals(order), q.args()...)
	if err != nil {
		return nil, fmt.Errorf("add up usage by %s: %w", q.By[0], err)
	}
	defer rows.Close()
	found := []Total{}
	for rows.Next() {
		var t Total
		if err := rows.Scan(&t.Of, &t.Granted, &t.Refused); err != nil {
			return nil, fmt.Errorf("add up usage by %s: %w", q.By[0], err)
		}
		found = append(found, t)
	}
	return found, rows.Err()
}

// totals is the statement for [Counter.Totals].
func (q Query) totals(order Order) string {
	const granted, refused = `sum(CASE outcome WHEN 'granted' THEN requests ELSE 0 END)`, `sum(CASE outcome WHEN 'granted' THEN 0 ELSE requests END)`
	by, first := string(q.By[0]), `sum(requests)`
	if order == MostRefused {
		first = refused + ` DESC, ` + first
	}
	return `SELECT ` + by + `, CAST(` + granted + ` AS BIGINT), CAST(` + refused + ` AS BIGINT)
		FROM (` + q.source() + `) counted
		GROUP BY ` + by + ` ORDER BY ` + first + ` DESC, ` + by + ` LIMIT $4`
}
