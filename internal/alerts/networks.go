package alerts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

const (
	// settled is how long a client must have been known before a new network is worth telling of.
	settled = 7 * 24 * time.Hour
	// everywhere is of how many networks a client is at home in all: another tells nothing, and is
	// not remembered.
	everywhere = 50
	// networkBatch is how many are learnt at a time without a word.
	networkBatch = 200
)

// Networks tells of clients that got tokens, in this hour or the last, from a network that they
// never got one from, if they have been known for a week. A network is an IPv4 /24 or an IPv6 /48.
func (w *Watch) Networks(ctx context.Context, now time.Time) error {
	// Of clients of which nothing is known yet, all is learnt.
	learn := func(page []sighting) error {
		for part := range slices.Chunk(page, networkBatch) {
			if err := w.learnAll(ctx, part, now); err != nil {
				return err
			}
		}
		return nil
	}
	err := w.sightings(ctx, `SELECT DISTINCT u.client_id, '', u.block FROM usage_hours u
		WHERE (u.client_id, u.block) > ($1, $2) AND u.hour >= $4 AND u.outcome = 'granted' AND u.block <> ''
			AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = u.client_id)
		ORDER BY u.client_id, u.block LIMIT $3`, learn, hourOf(now)-1)
	if err != nil {
		return err
	}
	meet := func(page []sighting) error {
		for _, n := range page {
			if err := w.learn(ctx, n, now.Add(-settled), now, Alert{
				Kind: NewNetwork, ClientID: n.owner, ClientName: n.name,
				Text: fmt.Sprintf("It got tokens from the network %s, from which it never did before. If nobody moved it there, its secret may be known to others.", n.network),
			}); err != nil {
				return err
			}
		}
		return nil
	}
	return w.sightings(ctx, `SELECT DISTINCT c.id, c.name, u.block FROM usage_hours u JOIN clients c ON c.id = u.client_id
		WHERE (u.client_id, u.block) > ($1, $2) AND u.hour >= $4 AND u.outcome = 'granted' AND u.block <> ''
			AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = c.id AND k.network = u.block)
			AND (SELECT count(*) FROM known_networks k WHERE k.owner = c.id) < $5
		ORDER BY c.id, u.block LIMIT $3`, meet, hourOf(now)-1, everywhere)
}

// Places tells of admins who signed in from an address, or an IPv6 network of 64 bits, that was
// not known to be theirs: they were not there in the last 30 days. The first one ever is not told.
func (w *Watch) Places(ctx context.Context, now time.Time) error {
	meet := func(page []sighting) error {
		for _, n := range page {
			if err := w.learn(ctx, n, now.Add(-time.Second), now, Alert{
				Kind: AdminFromNewPlace,
				Text: fmt.Sprintf("%s signed in from %s, from where they did not in the last 30 days. If it was not them, reset their password.", n.name, n.network),
			}); err != nil {
				return err
			}
		}
		return nil
	}
	err := w.sightings(ctx, `SELECT a.id, a.email, s.address FROM sign_in_addresses s JOIN admins a ON a.id = s.admin_id
		WHERE (a.id, s.address) > ($1, $2) AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = a.id AND k.network = s.address)
		ORDER BY a.id, s.address LIMIT $3`, meet)
	if err != nil {
		return err
	}
	return w.forgetPlaces(ctx)
}

// forgetPlaces has an address be new again from where an admin has not signed in for 30 days, once
// there is another that is known. Until then it stays: of who signs in after long, from wherever,
// nothing else would be known.
func (w *Watch) forgetPlaces(ctx context.Context) error {
	_, err := w.Store.DB.Exec(ctx, `DELETE FROM known_networks WHERE owner IN (SELECT id FROM admins)
		AND NOT EXISTS (SELECT 1 FROM sign_in_addresses s WHERE s.admin_id = known_networks.owner AND s.address = known_networks.network)
		AND EXISTS (SELECT 1 FROM sign_in_addresses s JOIN known_networks k ON k.owner = s.admin_id AND k.network = s.address WHERE s.admin_id = known_networks.owner)`)
	if err != nil {
		return fmt.Errorf("forget places: %w", err)
	}
	return nil
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

// learnAll remembers networks.
func (w *Watch) learnAll(ctx context.Context, all []sighting, now time.Time) error {
	var args []any
	for _, n := range all {
		args = append(args, n.owner, n.network, database.At(now))
	}
	_, err := w.Store.DB.Exec(ctx, `INSERT INTO known_networks (owner, network, known_at) VALUES `+database.Rows(len(all), 3)+` ON CONFLICT DO NOTHING`, args...)
	if err != nil {
		return fmt.Errorf("learn networks: %w", err)
	}
	return nil
}

// learn remembers a network, and tells of it if another was known by a time. If another server was
// quicker, it is that which tells.
func (w *Watch) learn(ctx context.Context, n sighting, by, now time.Time, a Alert) error {
	a.Once, a.At = fmt.Sprintf("%s %s %d", n.owner, n.network, now.Unix()), now
	return w.Store.DB.Transact(ctx, func(ctx context.Context) error {
		var known int
		err := w.Store.DB.QueryRow(ctx, `SELECT count(*) FROM known_networks WHERE owner = $1 AND known_at <= $2`, n.owner, database.At(by)).Scan(&known)
		var added int64
		if err == nil {
			added, err = w.Store.DB.Exec(ctx, `INSERT INTO known_networks (owner, network, known_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
				n.owner, n.network, database.At(now))
		}
		if err != nil {
			return fmt.Errorf("learn a network: %w", err)
		}
		if known == 0 || added == 0 {
			return nil
		}
		return w.Store.Raise(ctx, a)
	})
}
