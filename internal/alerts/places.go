package alerts

import (
	"context"
	"fmt"
	"time"
)

// Places tells of admins who signed in from an address, or an IPv6 network of 64 bits, that was
// not known to be theirs: they were not there in the last 30 days. The first one ever is not told.
func (w *Watch) Places(ctx context.Context, now time.Time) error {
	meet := func(page []sighting) error {
		for _, n := range page {
			if err := w.learn(ctx, n.owner, now, func(h home) ([]string, *Alert) { return w.newsOfAdmin(h, n, now) }); err != nil {
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

// newsOfAdmin is what a sign-in adds to where an admin is known to sign in, and what is to be told
// of it, if anything.
func (w *Watch) newsOfAdmin(h home, n sighting, now time.Time) (places []string, tell *Alert) {
	if h.places[n.network] {
		return nil, nil
	}
	if !h.before(now.Add(-time.Second)) {
		return []string{n.network}, nil
	}
	return []string{n.network}, &Alert{
		Kind: AdminFromNewPlace, Once: fmt.Sprintf("%s %s %d", n.owner, n.network, now.Unix()), At: now,
		Text: fmt.Sprintf("%s signed in from %s, from where they did not in the last 30 days. If it was not them, reset their password.", n.name, w.located(n.network)),
	}
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
