package leaks

import (
	"net/netip"
	"sync"
	"time"
)

// How many reports strangers may send to one server in a minute, so that looking for their secrets
// costs the store no more than a few token requests do.
const (
	maxFromOne = 10
	maxFromAll = 300
)

// Strangers counts the reports of the minute by network: an IPv4 address, or 64 bits of IPv6. There
// are at most maxFromAll networks in it.
type strangers struct {
	mu     sync.Mutex
	minute int64
	all    int
	from   map[netip.Prefix]int
}

// wait returns 0 for a report that may come, otherwise after how many seconds to come again.
func (s *strangers) wait(address string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if minute := now.Unix() / 60; minute != s.minute || s.from == nil {
		s.minute, s.all, s.from = minute, 0, map[netip.Prefix]int{}
	}
	network := networkOf(address)
	if s.all >= maxFromAll || s.from[network] >= maxFromOne {
		return int(60 - now.Unix()%60)
	}
	s.all++
	s.from[network]++
	return 0
}

func networkOf(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
