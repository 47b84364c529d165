package alerts

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A home is where a client or an admin is known to be.
type home struct {
	owner     string
	since     time.Time       // when the first of it was learnt; zero if nothing is known
	places    map[string]bool // networks, addresses and codes of countries, as they are remembered
	networks  int             // how many of them
	countries map[string]bool // codes, also of the networks
}

// before says whether something was known by a time.
func (h home) before(t time.Time) bool { return !h.since.IsZero() && !h.since.After(t) }

// home reads where somebody is known to be.
func (w *Watch) home(ctx context.Context, owner string) (home, error) {
	h := home{owner: owner, places: map[string]bool{}, countries: map[string]bool{}}
	rows, err := w.Store.DB.Query(ctx, `SELECT network, known_at FROM known_networks WHERE owner = $1 ORDER BY known_at DESC`, owner)
	if err != nil {
		return h, fmt.Errorf("read known networks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var place string
		var known database.Time
		if err := rows.Scan(&place, &known); err != nil {
			return h, fmt.Errorf("read known networks: %w", err)
		}
		h.since, h.places[place] = known.Time, true
		if code, _ := w.country(place); code != "" {
			h.countries[code] = true // those that were learnt before there was a database, too
		}
		if isCountry(place) {
			h.countries[place] = true
		} else {
			h.networks++
		}
	}
	return h, rows.Err()
}

// isCountry says whether what is remembered is the code of a country, which has two letters.
func isCountry(place string) bool { return len(place) == 2 }

// learn remembers what somebody makes of where they are known to be, and tells of it, in one
// transaction: if another server was quicker, it is that which tells.
func (w *Watch) learn(ctx context.Context, owner string, now time.Time, news func(home) (places []string, tell *Alert)) error {
	return w.Store.DB.Transact(ctx, func(ctx context.Context) error {
		h, err := w.home(ctx, owner)
		if err != nil {
			return err
		}
		places, tell := news(h)
		var all []sighting
		for _, place := range places {
			all = append(all, sighting{owner: owner, network: place})
		}
		if err := w.remember(ctx, all, now); err != nil || tell == nil {
			return err
		}
		return w.Store.Raise(ctx, *tell)
	})
}

// remember has somebody be at home in networks, or countries.
func (w *Watch) remember(ctx context.Context, all []sighting, now time.Time) error {
	if len(all) == 0 {
		return nil
	}
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

// country says in which country a network or an address is, as far as it is known.
func (w *Watch) country(place string) (code, name string) {
	if w.Country == nil || isCountry(place) {
		return "", ""
	}
	network, err := netip.ParsePrefix(place)
	if !strings.Contains(place, "/") {
		var address netip.Addr
		address, err = netip.ParseAddr(place)
		network = netip.PrefixFrom(address, address.BitLen())
	}
	if err != nil {
		return "", ""
	}
	return w.Country(network)
}

// located is a network or an address in words, with its country if that is known.
func (w *Watch) located(place string) string {
	if code, name := w.country(place); code != "" {
		return place + " in " + inFull(code, name)
	}
	return place
}

// inFull is a country in words.
func inFull(code, name string) string {
	if name == "" {
		return code
	}
	return name + " (" + code + ")"
}
