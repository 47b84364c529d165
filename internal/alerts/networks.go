package alerts

import (
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
	// manyNetworks is how many are learnt at a time without a word.
	manyNetworks = 20_000
	networkBatch = 200
)

// Networks tells of clients that got tokens, in this hour or the last, from a network that they
// never got one from, if they have been known for a week. A network is an IPv4 /24 or an IPv6 /48.
func (w *Watch) Networks(ctx context.Context, now time.Time) error {
	// Of clients of which nothing is known yet, all is learnt.
	first, err := w.fresh(ctx, `SELECT DISTINCT client_id, '', block FROM usage_hours u
		WHERE hour >= $1 AND outcome = 'granted' AND block <> '' AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = u.client_id)
		ORDER BY client_id, block LIMIT $2`, hourOf(now)-1, manyNetworks)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(first, networkBatch) {
		if err := w.learnAll(ctx, part, now); err != nil {
			return err
		}
	}
	fresh, err := w.fresh(ctx, `SELECT DISTINCT c.id, c.name, u.block FROM usage_hours u JOIN clients c ON c.id = u.client_id
		WHERE u.hour >= $1 AND u.outcome = 'granted' AND u.block <> ''
			AND NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = c.id AND k.network = u.block)
			AND (SELECT count(*) FROM known_networks k WHERE k.owner = c.id) < $2
		ORDER BY c.id, u.block LIMIT $3`, hourOf(now)-1, everywhere, 10*some)
	for _, n := range fresh {
		if err := w.learn(ctx, n, now.Add(-settled), now, Alert{
			Kind: NewNetwork, ClientID: n.owner, ClientName: n.name,
			Text: fmt.Sprintf("It got tokens from the network %s, from which it never did before. If nobody moved it there, its secret may be known to others.", n.network),
		}); err != nil {
			return err
		}
	}
	return err
}

// Places tells of admins who signed in from an address, or an IPv6 network of 64 bits, that was
// not known to be theirs: they were not there in the last 30 days. The first one is not told.
func (w *Watch) Places(ctx context.Context, now time.Time) error {
	// An address that is not known to be theirs any more is new the next time.
	_, err := w.Store.DB.Exec(ctx, `DELETE FROM known_networks WHERE owner IN (SELECT id FROM admins)
		AND NOT EXISTS (SELECT 1 FROM sign_in_addresses s WHERE s.admin_id = owner AND s.address = network)`)
	if err != nil {
		return fmt.Errorf("forget places: %w", err)
	}
	fresh, err := w.fresh(ctx, `SELECT a.id, a.email, s.address FROM sign_in_addresses s JOIN admins a ON a.id = s.admin_id
		WHERE NOT EXISTS (SELECT 1 FROM known_networks k WHERE k.owner = a.id AND k.network = s.address) ORDER BY s.last_at, a.id, s.address LIMIT $1`, some)
	for _, n := range fresh {
		if err := w.learn(ctx, n, now.Add(-time.Second), now, Alert{
			Kind: AdminFromNewPlace,
			Text: fmt.Sprintf("%s signed in from %s, from where they did not in the last 30 days. If it was not them, reset their password.", n.name, n.network),
		}); err != nil {
			return err
		}
	}
	return err
}

// A sighting is somebody in a network that was not known to be theirs.
type sighting struct{ owner, name, network string }

func (w *Watch) fresh(ctx context.Context, statement string, args ...any) (all []sighting, err error) {
	rows, err := w.Store.DB.Query(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("look for new networks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n sighting
		if err := rows.Scan(&n.owner, &n.name, &n.network); err != nil {
			return nil, fmt.Errorf("look for new networks: %w", err)
		}
		all = append(all, n)
	}
	return all, rows.Err()
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
