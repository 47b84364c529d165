package people

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// knownFor is how long an address where a person signed in is known to be theirs, after the last
// time.
const knownFor = 30 * 24 * time.Hour

// network is what of an address is one subscriber: an IPv4 address, or an IPv6 network of 64 bits.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return printable(address)
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}

// knownAt says whether a person signed in from the network lately. For nobody, who has the id "",
// it asks the database all the same.
func (p *People) knownAt(ctx context.Context, id, network string, now time.Time) (bool, error) {
	var n int
	err := p.db.QueryRow(ctx, `SELECT count(*) FROM sign_in_addresses WHERE admin_id = $1 AND address = $2 AND last_at > $3`,
		id, network, database.At(now.Add(-knownFor))).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("ask where an admin signed in: %w", err)
	}
	return n > 0, nil
}

// know notes that a person signed in from the network.
func (p *People) know(ctx context.Context, id, network string, now time.Time) error {
	_, err := p.db.Exec(ctx, `INSERT INTO sign_in_addresses (admin_id, address, last_at) VALUES ($1, $2, $3)
		ON CONFLICT (admin_id, address) DO UPDATE SET last_at = excluded.last_at`, id, network, database.At(now))
	if err != nil {
		return fmt.Errorf("note where an admin signed in: %w", err)
	}
	return nil
}
