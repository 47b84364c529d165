package usage

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

func TestBlockOf(t *testing.T) {
	for _, tt := range []struct{ address, want string }{
		{"192.0.2.77", "192.0.2.0/24"},
		{"::ffff:192.0.2.77", "192.0.2.0/24"},
		{"2001:db8:1:2:3::4", "2001:db8:1::/48"},
		{"fe80::1%eth0", "fe80::/48"},
		{"", ""},
		{"@", ""},
		{"192.0.2.77:80", ""},
	} {
		if got := (key{block: blockOf(tt.address)}).row(1).block; got != tt.want {
			t.Errorf("blockOf(%q) = %q, want %q", tt.address, got, tt.want)
		}
	}
}

// Strangers from everywhere cost a client's hour no more than so many rows, and are all counted.
func TestBlocksAreBounded(t *testing.T) {
	c := newCounter(databasetest.SQLite(t))
	for i := range 3 * maxBlocks {
		for _, outcome := range []string{Granted, "wrong_secret"} {
			c.Record(Request{"crm", outcome, api, fmt.Sprintf("192.0.%d.1", i), noon})
			c.Record(Request{"shop", outcome, api, "198.51.100.1", noon})
		}
	}
	rows := read(t, c, "crm", Hour, ByBlock)
	if got, want := total(t, c, "crm", Hour), "192 granted, 192 refused"; got != want || len(rows) != maxBlocks+1 || rows[0].Block != "" || rows[0].Granted != 2*maxBlocks {
		t.Errorf("%s in %d blocks, of which the one for the rest is %+v; want %s in %d", got, len(rows), rows[0], want, maxBlocks+1)
	}
	if rows := read(t, c, "shop", Hour, ByBlock); len(rows) != 1 || rows[0].Block != "198.51.100.0/24" {
		t.Errorf("another client has %+v, want its one block", rows)
	}
	c.Record(Request{"crm", Granted, api, "203.0.113.1", noon.Add(time.Hour)})
	if rows := read(t, c, "crm", Hour, ByBlock); rows[len(rows)-1].Block != "203.0.113.0/24" {
		t.Errorf("the next hour begins with %+v, want its own block", rows[len(rows)-1])
	}
}

// However many strangers were refused before, it is seen from where a client got a token.
func TestStrangersHideNoBlock(t *testing.T) {
	c := newCounter(databasetest.SQLite(t))
	for i := range 2 * maxBlocks {
		c.Record(Request{"crm", "wrong_secret", api, fmt.Sprintf("192.0.%d.1", i), noon})
	}
	c.Record(Request{"crm", Granted, api, "198.51.100.1", noon})
	for _, row := range read(t, c, "crm", Hour, ByBlock) {
		if row.Granted > 0 && row.Block != "198.51.100.0/24" {
			t.Errorf("a token was got from %q, want its own block", row.Block)
		}
	}
}

// That is so however many clients they are refused as.
func TestStrangersOfManyClients(t *testing.T) {
	tally := newTally()
	block := func(i int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 24) }
	for i := range maxSeen {
		tally.distinct(key{clientID: fmt.Sprint(i / maxBlocks), block: block(i % maxBlocks), outcome: "wrong_secret", hour: 1})
	}
	if !tally.distinct(key{clientID: "crm", block: block(0), outcome: Granted, hour: 1}) {
		t.Error("from where a token was got is not told, because strangers were refused as many clients")
	}
	for i := range maxSeen {
		tally.distinct(key{clientID: fmt.Sprint(i / maxBlocks), block: block(i % maxBlocks), outcome: Granted, hour: 1})
	}
	if len(tally.seen) != maxSeen {
		t.Errorf("%d blocks are remembered; want at most %d", len(tally.seen), maxSeen)
	}
}

// The clock jumps ahead and is set right again. Blocks are told apart in each hour as before, within the
// bound; a request that comes late counts in the hour in which it began, and begins no new one.
func TestBlocksAfterClockJump(t *testing.T) {
	tally := newTally()
	hour := int64(1000)
	for step, tt := range []struct {
		name string
		hour int64
		want int // blocks that are told apart, of those of this step
	}{
		{"the first hour", hour, maxBlocks},
		{"a year ahead", hour + 8760, maxBlocks},
		{"back again", hour, maxBlocks},
		{"the next hour", hour + 1, maxBlocks},
		{"late ones of the first", hour, 0},
		{"more of the next", hour + 1, 0},
		{"set back by a day", hour - 23, maxBlocks},
	} {
		told := 0
		for i := range 2 * maxBlocks {
			block := blockOf(fmt.Sprintf("10.%d.%d.1", step, i))
			if tally.distinct(key{clientID: "crm", block: block, hour: tt.hour}) {
				told++
			}
		}
		if told != tt.want || len(tally.seen) > maxBlocks {
			t.Errorf("%s: %d blocks are told apart, and %d remembered; want %d", tt.name, told, len(tally.seen), tt.want)
		}
	}
}

// A batch does not grow without end while the store is away: beyond, whose requests they were is
// lost, but not how many.
func TestRowsAreBounded(t *testing.T) {
	const clients = maxRows + 1000
	tally := newTally()
	for range 2 {
		for i := range clients {
			tally.count(key{clientID: fmt.Sprint(i), outcome: Granted, block: blockOf("192.0.2.1"), hour: 1})
		}
	}
	var sum int64
	for _, n := range tally.counts {
		sum += n
	}
	if rows := len(tally.counts); sum != 2*clients || rows != maxRows+1 || tally.counts[key{outcome: Granted, hour: 1}] != 2*1000 {
		t.Errorf("%d requests in %d rows, %d of them for nobody; want %d in %d, 2000 for nobody",
			sum, rows, tally.counts[key{outcome: Granted, hour: 1}], 2*clients, maxRows+1)
	}
}

// Counting costs no memory while clients come that came before.
func TestRecordDoesNotAllocate(t *testing.T) {
	c := newCounter(nil)
	r := Request{"35779f4a-e7b9-4b61-a57e-4b51d83e2cfb", Granted, api, "192.0.2.1", noon}
	if n := testing.AllocsPerRun(1000, func() { c.Record(r) }); n != 0 {
		t.Errorf("Record allocates %v times, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	c := newCounter(nil)
	requests := make([]Request, 1000)
	for i := range requests {
		requests[i] = Request{fmt.Sprintf("35779f4a-e7b9-4b61-a57e-%012d", i), Granted, api, fmt.Sprintf("192.0.2.%d", i%200), noon}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Record(requests[i%len(requests)])
	}
}
