package alerts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Private are networks that webhooks may lead to although they are no part of the public internet.
// There they may do without TLS.
type Private []netip.Prefix

// reach says whether a webhook may lead to an address, with TLS or in plain text.
func (p Private) reach(a netip.Addr, plainText bool) bool {
	a = a.Unmap().WithZone("")
	if slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(a) }) {
		return true
	}
	return !plainText && public(a)
}

// special are the networks that are not of the public internet, or lead out of it in a roundabout
// way (IANA's registries of special-purpose addresses). Of IPv6 only 2000::/3 is public at all, so
// that NAT64 (64:ff9b::/96, 64:ff9b:1::/48), IPv4-compatible (::/96), unique local, link-local and
// multicast addresses are not.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",                                                          // in no registry: where Azure answers its machines, and nobody else
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", // Teredo and 6to4 among them
)

var publicIPv6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// public says whether an unmapped address is one of the public internet.
func public(a netip.Addr) bool {
	if !a.Is4() && !publicIPv6.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special, func(network netip.Prefix) bool { return network.Contains(a) })
}

// errPrivate means that a name leads where webhooks may not go. It does not say where: who writes
// the address of a webhook need not learn that.
var errPrivate = errors.New("its name leads to a private address; --webhook-allow-private can name the network")

// An outward dialer connects to where webhooks may lead. It looks a name up once, and connects to
// an address that it has looked at, so that a name cannot lead elsewhere the second time.
type outward struct {
	private   Private
	plainText bool
	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

func (o outward) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := o.lookup(ctx, "ip", host)
	if failed, ok := errors.AsType[*net.DNSError](err); ok {
		return nil, fmt.Errorf("its name is not found: %s", failed.Err) // and not by whom
	}
	if err != nil {
		return nil, err
	}
	failed := errPrivate
	for _, a := range addresses {
		if !o.private.reach(a, o.plainText) {
			continue
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(a.Unmap().WithZone("").String(), port))
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}
