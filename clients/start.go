package clients

import (
	"context"
	"strings"
)

// fewest returns how to begin with the filter that leaves the fewest clients, nil if none can be
// begun with. Each count stops where going on would cost more than it tells.
func (s *Store) fewest(ctx context.Context, q Query) (start, error) {
	const enough = 2000
	var best start
	least := enough
	for _, few := range q.starts() {
		f := &finder{Query: q}
		var n int
		query := `SELECT count(*) FROM (` + few(f)
		if err := s.db.QueryRow(ctx, query+f.limit(enough)+`) few`, f.args...).Scan(&n); err != nil {
			return nil, err
		}
		if best == nil || n < least {
			best, least = few, n
		}
	}
	// The text is not counted: that would cost as much as to find it.
	if q.Text != "" && least == enough {
		best = (*finder).startText
	}
	return best, nil
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
		all = append(all, (*finder).startUnused)
	}
	if q.State == StateDisabled {
		all = append(all, (*finder).startDisabled)
	}
	return all
}

func (f *finder) startSection() string {
	return `SELECT client_id FROM client_sections WHERE section_id = ` + f.arg(f.SectionID) + `
		UNION ALL SELECT client_id FROM client_search WHERE all_sections`
}

func (f *finder) startPermissions() string {
	held := make([]string, len(f.Permissions))
	for i, p := range f.Permissions {
		held[i] = `SELECT client_id FROM client_permissions WHERE target = ` + f.arg(p.Target) + ` AND action = ` + f.arg(p.Action)
	}
	return strings.Join(held, " UNION ALL ")
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

func (f *finder) startDisabled() string { return `SELECT client_id FROM client_search WHERE disabled` }

func (f *finder) startText() string {
	return `SELECT s.client_id FROM client_search s WHERE ` + f.mayContain()
}
