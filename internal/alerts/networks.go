package alerts

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// settled is how long a client must have been known before a new network is worth telling of.
	settled = 7 * 24 * time.Hour
	// everywhere is of how many networks a client is at home in all: another tells nothing, and is
	// not remembered. Its country may be new all the same.
	everywhere = 50
	// networkBatch is how many are learnt at a time without a word.
	networkBatch = 200
)

// Networks tells of clients that got tokens, in this hour or the last, from a network that they
// never got one from, if they have been known for a week. A network is an IPv4 /24 or an IPv6 /48.
// One in a country that they never got a token from is told as that.
func (w *Watch) Networks(ctx context.Context, now time.Time) error {
	if err := w.firstNetworks(ctx, now); err != nil {
		return err
	}
	return w.newNetworks(ctx, now)
}

// firstNetworks learns all of clients of which nothing is known yet.
func (w *Watch) firstNetworks(ctx context.Context, now time.Time) error {
	learn := func(page []sighting) error {
		for part := range slices.Chunk(page, networkBatch) {
			var all []sighting
			for _, n := range part {
				all = append(all, n)
				if code, _ := w.country(n.network); code != "" {
					all = append(all, sighting{owner: n.owner, network: code})
				}
			}
			if err := w.remember(ctx, all, now); err != nil {
				return err
			}
		}
		return nil
	}
	return w.sightings(ctx, `SELECT DISTINCT u.client_id, '', u.block FROM usage_hours u
		WHERE (u.client_id, u.block) > ($1, $2) AND u.hour >= $4 AND u.outcome = 'granted' AND u.block <> ''
			AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = u.client_id)
		ORDER BY u.client_id, u.block LIMIT $3`, learn, hourOf(now)-1)
}

// newNetworks tells of clients in networks that are not known to be theirs. Those that are at home
// everywhere matter only where countries are known.
func (w *Watch) newNetworks(ctx context.Context, now time.Time) error {
	enough := everywhere
	if w.Country != nil {
		enough = math.MaxInt32
	}
	return w.sightings(ctx, `SELECT DISTINCT c.id, c.name, u.block FROM usage_hours u JOIN clients c ON c.id = u.client_id
		WHERE (u.client_id, u.block) > ($1, $2) AND u.hour >= $4 AND u.outcome = 'granted' AND u.block <> ''
			AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = c.id AND k.network = u.block)
			AND (SELECT count(*) FROM known_networks k WHERE k.owner = c.id AND k.network LIKE '%/%') < $5
		ORDER BY c.id, u.block LIMIT $3`, func(page []sighting) error { return w.meet(ctx, page, now) }, hourOf(now)-1, enough)
}

// meet learns and tells of clients in networks, which stand together for each. What is no news is
// told from what is without a transaction: a client that is at home everywhere is seen again and again.
func (w *Watch) meet(ctx context.Context, page []sighting, now time.Time) error {
	var h home
	for _, n := range page {
		if h.owner != n.owner {
			var err error
			if h, err = w.home(ctx, n.owner); err != nil {
				return err
			}
		}
		if places, _ := w.newsOfClient(h, n, now); len(places) == 0 {
			continue
		}
		if err := w.learn(ctx, n.owner, now, func(h home) ([]string, *Alert) { return w.newsOfClient(h, n, now) }); err != nil {
			return err
		}
		h = home{}
	}
	return nil
}

// newsOfClient is what a sighting adds to where a client is known to be, and what is to be told of
// it, if anything.
func (w *Watch) newsOfClient(h home, n sighting, now time.Time) (places []string, tell *Alert) {
	code, name := w.country(n.network)
	another := !h.places[n.network] && h.networks < everywhere
	if another {
		places = append(places, n.network)
	}
	if code != "" && !h.places[code] {
		places = append(places, code)
	}
	a := &Alert{Kind: NewNetwork, ClientID: n.owner, ClientName: n.name, At: now}
	switch {
	case !h.before(now.Add(-settled)):
		return places, nil
	case code != "" && len(h.countries) > 0 && !h.countries[code]:
		a.Kind, a.Once = NewCountry, n.owner+" "+code
		a.Text = fmt.Sprintf("It got tokens from %s, from where it never did before: from the network %s. If nobody moved it there, its secret may be known to others.", inFull(code, name), n.network)
	case another:
		a.Once = fmt.Sprintf("%s %s %d", n.owner, n.network, now.Unix())
		a.Text = fmt.Sprintf("It got tokens from the network %s, from which it never did before. If nobody moved it there, its secret may be known to others.", w.located(n.network))
	default:
		return places, nil
	}
	return places, a
}

// A sighting is somebody in a network that was not known to be theirs.
type sighting struct{ owner, name, network string }

// networksPage is how many networks are read at a time.
const networksPage = 20_000

// sightings does something for each page of what a statement finds, in the order of owners and
// networks: those behind $1 and $2, and of them the first $3.
func (w *Watch) sightings(ctx context.Context, statement string, do func(page []sighting) error, args ...any) error {
	size := cmp.Or(w.page, networksPage)
	for behind := (sighting{}); ; {
		page, err := w.querySightings(ctx, statement, append([]any{behind.owner, behind.network, size}, args...)...)
		if err != nil {
			return fmt.Errorf("look for new networks: %w", err)
		}
		if err := do(page); err != nil {
			return err
		}
		if len(page) < size {
			return nil
		}
		behind = page[size-1]
	}
}

func (w *Watch) querySightings(ctx context.Context, statement string, args ...any) (page []sighting, err error) {
	rows, err := w.Store.DB.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n sighting
		if err := rows.Scan(&n.owner, &n.name, &n.network); err != nil {
			return nil, err
		}
		page = append(page, n)
	}
	return page, rows.Err()
}
