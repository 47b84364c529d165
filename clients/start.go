package clients

import (
	"context"
	"strings"
)

// A start is how a statement begins with the clients that one filter leaves, each once.
type start func(f *finder) string

// enough is where counting what a filter leaves ends: going on would cost more than it tells.
const enough = 2000

// fewest returns how to begin with the filter that leaves the fewest clients, and how many it
// leaves, as far as it was counted. It returns nil if no filter can be begun with.
func (s *Store) fewest(ctx context.Context, q Query) (best start, least int, err error) {
	least = enough
	for _, few := range q.starts() {
		f := &finder{Query: q}
		var n int
		query := `SELECT count(*) FROM (` + few(f) + f.limit(enough) + `) few`
		if err := s.db.QueryRow(ctx, query, f.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
		if best == nil || n < least {
			best, least = few, n
		}
	}
	// The text is not counted: that would cost as much as to find it.
	if q.Text != "" && least == enough {
		best = (*finder).startText
	}
	return best, least, nil
}

// starts are the ways to begin that an index makes quick.
func (q Query) starts() (all []start) {
	if q.SectionID != "" {
		all = append(all, (*finder).startSection)
	}
	if len(q.Permissions) > 0 {
		all = append(all, (*finder).startPermissions)
	}
	if !q.ExpiresBefore.IsZero() || q.State == StateExpired {
		all = append(all, (*finder).startExpiry)
	}
	if !q.UnusedSince.IsZero() {
		all = append(all, (*finder).startUnused, (*finder).startOld)
	}
	if q.State == StateDisabled {
		all = append(all, (*finder).startDisabled)
	}
	if q.State == StateSuspended {
		all = append(all, (*finder).startSuspended)
	}
	return all
}

// Whoever holds every Section has no rows for some, so that nobody comes twice.
func (f *finder) startSection() string {
	return `SELECT client_id FROM client_sections WHERE section_id = ` + f.arg(f.SectionID) + `
		UNION ALL SELECT client_id FROM client_search WHERE all_sections`
}

func (f *finder) startPermissions() string {
	held := make([]string, len(f.Permissions))
	for i, p := range f.Permissions {
		held[i] = `SELECT client_id FROM client_permissions WHERE target = ` + f.arg(p.Target) + ` AND action = ` + f.arg(p.Action)
	}
	return `SELECT DISTINCT client_id FROM (` + strings.Join(held, " UNION ALL ") + `) holders`
}

func (f *finder) startExpiry() string {
	until := f.ExpiresBefore.Unix()
	if f.State == StateExpired && (f.ExpiresBefore.IsZero() || f.Now.Before(f.ExpiresBefore)) {
		until = f.Now.Unix() + 1
	}
	return `SELECT client_id FROM client_search WHERE expires_at < ` + f.arg(until)
}

func (f *finder) startUnused() string {
	return `SELECT client_id FROM client_uses WHERE last_used_at < ` + f.arg(f.UnusedSince.Unix())
}

func (f *finder) startOld() string {
	return `SELECT client_id FROM client_search WHERE created_at < ` + f.arg(f.UnusedSince.Unix())
}

func (f *finder) startDisabled() string { return `SELECT client_id FROM client_search WHERE disabled` }

func (f *finder) startSuspended() string {
	return `SELECT client_id FROM client_search WHERE suspended`
}

func (f *finder) startText() string {
	return `SELECT s.client_id FROM client_search s WHERE ` + f.mayContain()
}
