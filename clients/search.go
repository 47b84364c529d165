package clients

import (
	"context"
	"fmt"
	"strings"
)

// A Page is a part of what a query finds.
type Page struct {
	Clients []*Client
	Next    Position // after the last one of them; the zero value where nothing follows
}

// Search returns the first clients that the query finds after its position, in its order.
func (s *Store) Search(ctx context.Context, q Query) (Page, error) {
	found, err := s.find(ctx, q, q.Limit+1) // one more says whether there is more
	if err != nil {
		return Page{}, fmt.Errorf("search clients: %w", err)
	}
	var page Page
	if len(found) > q.Limit {
		found = found[:q.Limit]
		page.Next = found[q.Limit-1]
	}
	page.Clients, err = s.inOrder(ctx, found)
	return page, err
}

// IDs returns the ids of all clients that the query finds, whatever its limit.
func (s *Store) IDs(ctx context.Context, q Query) ([]string, error) {
	q.After = Position{}
	if !findable(q.Text) {
		return nil, nil
	}
	found, err := s.walk(ctx, q, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("search clients: %w", err)
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	return ids, nil
}

// find returns the positions of the first clients that the query finds. Which way is quick depends
// on how many there are: where many match, the first of them are found by walking through the
// clients in order, and where few do, by beginning with those few. So it walks a little, goes on
// if what it met promises enough, and else begins with the filter that leaves the fewest.
func (s *Store) find(ctx context.Context, q Query, limit int) ([]Position, error) {
	if !findable(q.Text) {
		return nil, nil
	}
	if len((&finder{Query: q}).filters()) == 0 {
		return s.walk(ctx, q, 0, limit)
	}
	steps := max(firstSteps, 2*limit)
	found, err := s.walk(ctx, q, steps, limit)
	if n := len(found); err == nil && 0 < n && n < limit && steps*(limit-n) < maxSteps*n {
		more, moreErr := s.walk(ctx, q.from(found), 3*steps*(limit-n)/(2*n), limit-n)
		found, err = append(found, more...), moreErr
	}
	if err != nil || len(found) == limit {
		return found, err
	}
	rest, err := s.begin(ctx, q.from(found), limit-len(found))
	return append(found, rest...), err
}

// How many clients are looked at in order before anything else is tried, and how many may be
// where enough of those match.
const (
	firstSteps = 400
	maxSteps   = 4000
)

// from is the query for what follows what was found.
func (q Query) from(found []Position) Query {
	if len(found) > 0 {
		q.After = found[len(found)-1]
	}
	return q
}

// walk goes through the clients in the order of the query, for so many steps, and returns the
// positions of those that match. 0 stands for no limit.
func (s *Store) walk(ctx context.Context, q Query, steps, limit int) ([]Position, error) {
	f := &finder{Query: q}
	after, err := f.after()
	if err != nil {
		return nil, err
	}
	from := fmt.Sprintf(`SELECT w.client_id, w.%s FROM %s w %s`, q.by(), q.by().table(), where(append(f.within(), after)))
	if steps > 0 {
		from += f.order() + f.limit(steps)
	}
	conditions := append(f.filters(), "s.client_id = w.client_id")
	return s.positions(ctx, fmt.Sprintf(`SELECT w.%s, w.client_id FROM (%s) w CROSS JOIN client_search s %s %s %s`,
		q.by(), from, where(conditions), f.order(), f.limit(limit)), f.args)
}

// begin returns the positions of the first clients that match, beginning with those that one
// filter leaves.
func (s *Store) begin(ctx context.Context, q Query, limit int) ([]Position, error) {
	few, n, err := s.fewest(ctx, q)
	switch {
	case err != nil || n == 0:
		return nil, err
	case few == nil:
		return s.walk(ctx, q, 0, limit)
	}
	f := &finder{Query: q}
	after, err := f.after()
	if err != nil {
		return nil, err
	}
	first := few(f)
	conditions := append(f.filters(), "s.client_id = few.client_id", "w.client_id = few.client_id", after)
	// Without MATERIALIZED, PostgreSQL begins with what it takes for fewer.
	return s.positions(ctx, fmt.Sprintf(`WITH few AS MATERIALIZED (%s) SELECT w.%s, w.client_id
		FROM few CROSS JOIN client_search s CROSS JOIN %s w %s %s %s`,
		first, q.by(), q.by().table(), where(conditions), f.order(), f.limit(limit)), f.args)
}

// order is the order of the query on rows w.
func (f *finder) order() string {
	way := ""
	if f.Descending {
		way = " DESC"
	}
	return fmt.Sprintf(" ORDER BY w.%s%s, w.client_id%s", f.by(), way, way)
}

func (f *finder) limit(n int) string {
	if n == 0 {
		return ""
	}
	return " LIMIT " + f.arg(n)
}

func where(conditions []string) string {
	var all []string
	for _, c := range conditions {
		if c != "" {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(all, " AND ")
}

func (s *Store) positions(ctx context.Context, query string, args []any) ([]Position, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Position
	for rows.Next() {
		var p Position
		if err := rows.Scan(&p.Value, &p.ID); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// inOrder reads the clients at the positions. One that was deleted meanwhile is left out.
func (s *Store) inOrder(ctx context.Context, positions []Position) ([]*Client, error) {
	if len(positions) == 0 {
		return []*Client{}, nil
	}
	ids := make([]string, len(positions))
	for i := range positions {
		ids[i] = positions[i].ID
	}
	among, args := in(1, ids)
	found, err := s.list(ctx, `SELECT `+columns+` FROM clients c WHERE c.id IN `+among, args...)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*Client, len(found))
	for _, c := range found {
		byID[c.ID] = c
	}
	ordered := make([]*Client, 0, len(found))
	for _, id := range ids {
		if c, ok := byID[id]; ok {
			ordered = append(ordered, c)
		}
	}
	return ordered, nil
}
