package refusals

import (
	"math"
	"net/netip"
	"strings"
)

// How many rows strangers can cause. Beyond each bound, refusals are counted in a row that tells
// less: without the address, without the detail, without the id.
const (
	maxIDs       = 100    // ids that no client has, for each address and hour
	maxPairs     = 50     // pairs of detail and address, for each client, cause and hour;
	maxAddressed = 40     // of these with an address, so that the last details leave only that out
	maxRows      = 20_000 // for each process and hour, and waiting to be written;
	maxStrangers = 10_000 // of these for ids that no client has, so that they leave room for clients
)

// limits are how many pairs there may be before a row that tells all is made, one without the
// address, and one with neither address nor detail.
var limits = [...]int{maxAddressed, maxPairs, math.MaxInt}

// An hour is the rows that this process has made in one hour. The lists beside them grow only
// with a row, so that they are bounded with it.
type hour struct {
	number    int64
	rows      map[place]*row
	strangers int                            // rows of ids that no client has
	pairs     map[group]int                  // pairs of detail and address
	ids       map[string]map[string]struct{} // hashes of ids that no client has, by network
}

func newHour(number int64) *hour {
	return &hour{number: number, rows: map[place]*row{}, pairs: map[group]int{}, ids: map[string]map[string]struct{}{}}
}

// A place is what is alike in the refusals of one row.
type place struct {
	clientID, idHash string
	cause            Cause
	detail, network  string
}

// A group is places among which the number of pairs of detail and address is bounded: those of one
// client or id; where there is no id, of one network.
type group struct {
	clientID, idHash string
	cause            Cause
	network          string
}

// A row is what is known of a Row from its first refusal on.
type row struct {
	bucket  bucket
	hour    int64
	place   place
	address string // the first of the network
	claimed string // an id that no client has, but a deleted one may have had; "" for none
}

// row returns the row that the refusal belongs to, and makes it if there is room.
func (h *hour) row(r Refusal) *row {
	network := networkOf(r.Address)
	p := place{idHash: hashOf(r.ClientID), cause: r.Cause, detail: r.Detail, network: network}
	switch {
	case r.Known:
		p.clientID = r.ClientID
	case !h.mayName(network, p.idHash):
		p.idHash, r.ClientID = "", ""
		p.detail = unnamed(r.Cause, p.detail)
	}
	g := group{p.clientID, p.idHash, p.cause, ""}
	if p.idHash == "" {
		g.network = network
	}
	withoutAddress := p
	withoutAddress.network = ""
	withoutDetail := withoutAddress
	withoutDetail.detail = ""
	for i, p := range [...]place{p, withoutAddress, withoutDetail} {
		if found := h.rows[p]; found != nil {
			return found
		}
		if h.room(g, limits[i], r.Known) {
			h.count(p, g, network, r.Known)
			return h.add(p, r)
		}
	}
	return h.last(r.Cause)
}

// last is the row of a cause for which there is always room.
func (h *hour) last(cause Cause) *row {
	p := place{cause: cause, detail: unnamed(cause, "")}
	if found := h.rows[p]; found != nil {
		return found
	}
	return h.add(p, Refusal{})
}

// unnamed is the detail of a row that stands for ids which were too many to keep.
func unnamed(cause Cause, detail string) string {
	if cause == UnknownClient && detail == "" {
		return NotKept
	}
	return detail
}

// mayName says whether a network may cause rows for this id, which no client has.
func (h *hour) mayName(network, idHash string) bool {
	ids := h.ids[network]
	_, named := ids[idHash]
	return named || len(ids) < maxIDs
}

// room says whether a row may be made.
func (h *hour) room(g group, limit int, known bool) bool {
	return h.pairs[g] < limit && len(h.rows) < maxRows && (known || h.strangers < maxStrangers)
}

// count notes what a new row takes of the bounds.
func (h *hour) count(p place, g group, network string, known bool) {
	h.pairs[g]++
	if known {
		return
	}
	h.strangers++
	if p.idHash == "" {
		return
	}
	if h.ids[network] == nil {
		h.ids[network] = map[string]struct{}{}
	}
	h.ids[network][p.idHash] = struct{}{}
}

func (h *hour) add(p place, r Refusal) *row {
	made := &row{hour: h.number, place: p}
	if p.network != "" {
		made.address = r.Address
	}
	if !r.Known && isClientID(r.ClientID) {
		made.claimed = r.ClientID
	}
	made.bucket = bucketOf(h.number, p.clientID, p.idHash, string(p.cause), p.detail, made.address)
	h.rows[p] = made
	return made
}

// networkOf is what counts as one address: of IPv6, a /64, which one party commonly has to itself.
func networkOf(address string) string {
	if !strings.Contains(address, ":") {
		return address
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
}
