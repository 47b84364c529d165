package request

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// BehindProxies returns next with the address of whoever sent the request to the trusted proxies,
// as they say in X-Forwarded-For, in the place of their own. What stands in front of the last
// address that is not trusted was written by a stranger, and is not read. Nobody else is believed.
func BehindProxies(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddr(Address(r))
		if err == nil && contains(trusted, peer) {
			if sender := sender(trusted, r.Header.Values("X-Forwarded-For")); sender.IsValid() {
				r = r.WithContext(r.Context())
				r.RemoteAddr = net.JoinHostPort(sender.String(), "0")
			}
		}
		next.ServeHTTP(w, r)
	})
}

// sender is the last address of the list that is none of a trusted proxy, or the first of all
// that are. It is not valid if there is none.
func sender(trusted []netip.Prefix, headers []string) (found netip.Addr) {
	for _, text := range slices.Backward(strings.Split(strings.Join(headers, ","), ",")) {
		address, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return found
		}
		if found = address.Unmap().WithZone(""); !contains(trusted, found) {
			return found
		}
	}
	return found
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}
