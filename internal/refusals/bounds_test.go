package refusals

import (
	"fmt"
	"testing"
	"time"
)

// made are the rows that were made in the hours that are remembered.
func (t *Tally) made() (rows []*row) {
	for _, h := range t.hours {
		for _, r := range h.rows {
			rows = append(rows, r)
		}
	}
	return rows
}

// with counts the rows of which something holds.
func with(rows []*row, holds func(*row) bool) (n int) {
	for _, r := range rows {
		if holds(r) {
			n++
		}
	}
	return n
}

// What strangers can add is bounded, nothing goes uncounted, and the error_id leads to the row
// that counted it.
func TestBounds(t *testing.T) {
	ended := func(i int) Refusal {
		return Refusal{ClientID: billing, Known: true, Cause: SecretEnded, Detail: fmt.Sprint("secret ", i%3), Address: fmt.Sprint("192.0.2.", i), At: noon}
	}
	for _, tt := range []struct {
		name    string
		n       int
		refusal func(i int) Refusal
		rows    int
		named   int // of these with an id, an address and a detail
		addrs   int
		details int
	}{
		{"one", 100, func(int) Refusal { return wrong("192.0.2.1", noon) }, 1, 1, 1, 0},
		{"ids of one address", 1000, func(i int) Refusal { return stranger(fmt.Sprint("id ", i), "192.0.2.1", noon) }, maxIDs + 1, maxIDs, maxIDs + 1, 1},
		{"ids of one network", 1000, func(i int) Refusal {
			return stranger(fmt.Sprint("id ", i), fmt.Sprintf("2001:db8:0:1::%x", i), noon)
		}, maxIDs + 1, maxIDs, maxIDs + 1, 1},
		{"ids of two networks", 1000, func(i int) Refusal {
			return stranger(fmt.Sprint("id ", i), fmt.Sprintf("2001:db8:0:%d::1", i%2), noon)
		}, 2*maxIDs + 2, 2 * maxIDs, 2*maxIDs + 2, 2}, // NotKept, for each
		{"addresses of a client", 1000, func(i int) Refusal { return wrong(fmt.Sprint("192.0.2.", i), noon) }, maxAddressed + 1, maxAddressed + 1, maxAddressed, 0},
		{"one network of a client", 1000, func(i int) Refusal { return wrong(fmt.Sprintf("2001:db8::%x", i), noon) }, 1, 1, 1, 0},
		{"IPv4 in two ways", 2, func(i int) Refusal { return wrong([]string{"192.0.2.1", "::ffff:192.0.2.1"}[i], noon) }, 1, 1, 1, 0},
		{"few details of many addresses", 1000, ended, maxAddressed + 3, maxAddressed + 3, maxAddressed, maxAddressed + 3},
		{"details of one address", 1000, func(i int) Refusal {
			r := wrong("192.0.2.1", noon)
			r.Cause, r.Detail = ScopeNotHeld, fmt.Sprint("k:", i)
			return r
		}, maxPairs + 1, maxPairs + 1, maxAddressed, maxPairs},
		{"no id, of two addresses", 1000, func(i int) Refusal {
			return Refusal{Cause: Malformed, Detail: fmt.Sprint("fault ", i/2), Address: fmt.Sprint("192.0.2.", i%2), At: noon}
		}, 2*maxAddressed + 2*(maxPairs-maxAddressed) + 1, 0, 2 * maxAddressed, 2 * maxPairs},
		{"ids of many addresses", maxStrangers + 1000, func(i int) Refusal { return stranger(fmt.Sprint("id ", i), fmt.Sprint("address ", i), noon) }, maxStrangers + 1, maxStrangers, maxStrangers, 1},
		{"clients", maxRows + 1000, func(i int) Refusal {
			r := wrong("192.0.2.1", noon)
			r.ClientID = fmt.Sprint("client ", i)
			return r
		}, maxRows + 1, maxRows, maxRows, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tally := newTally(nil)
			for i := range tt.n {
				b, _, ok := tally.open(tally.Record(tt.refusal(i)))
				if p := tally.pending[b]; !ok || p == nil || p.place.cause != tt.refusal(i).Cause {
					t.Fatalf("the error_id leads to %v", p)
				}
			}
			rows := tally.made()
			named := with(rows, func(r *row) bool { return r.place.idHash != "" })
			addrs := with(rows, func(r *row) bool { return r.address != "" })
			details := with(rows, func(r *row) bool { return r.place.detail != "" })
			if len(rows) != tt.rows || named != tt.named || addrs != tt.addrs || details != tt.details {
				t.Errorf("%d refusals made %d rows, %d with an id, %d with an address, %d with a detail; want %d, %d, %d, %d",
					tt.n, len(rows), named, addrs, details, tt.rows, tt.named, tt.addrs, tt.details)
			}
			total := 0
			for _, p := range tally.pending {
				total += int(p.count)
			}
			if total != tt.n {
				t.Errorf("of %d refusals %d are counted", tt.n, total)
			}
		})
	}
}

// Strangers leave room for clients.
func TestStrangersLeaveRoom(t *testing.T) {
	tally := newTally(nil)
	for i := range 2 * maxRows {
		tally.Record(stranger(fmt.Sprint("id ", i), fmt.Sprint("address ", i), noon))
	}
	b, _, _ := tally.open(tally.Record(wrong("192.0.2.1", noon)))
	if p := tally.pending[b]; p.place.clientID != billing || p.address != "192.0.2.1" {
		t.Errorf("a client's refusal is counted in %+v", p.row)
	}
}

// While the store is away for hours, what waits is bounded, and what is remembered of hours too.
func TestBoundsOfDays(t *testing.T) {
	tally := newTally(nil)
	const hours, each = 50, 1000
	for h := range hours {
		for i := range each {
			r := wrong("192.0.2.1", at(h*3600))
			r.ClientID = fmt.Sprint("client ", i)
			tally.Record(r)
		}
	}
	if n := len(tally.pending); n > maxRows+hours || n < maxRows {
		t.Errorf("%d rows wait", n)
	}
	if n := len(tally.hours); n > 3 {
		t.Errorf("%d hours are remembered", n)
	}
}

// An hour that begins, and requests that began in the one before, do not make room anew.
func TestBoundsAtTheHour(t *testing.T) {
	tally := newTally(nil)
	for i := range 1000 {
		tally.Record(stranger(fmt.Sprint("id ", i), "192.0.2.1", noon.Add(time.Duration(i%2)*time.Hour)))
	}
	if n := len(tally.pending); n != 2*(maxIDs+1) {
		t.Errorf("%d rows in two hours, want %d", n, 2*(maxIDs+1))
	}
}
