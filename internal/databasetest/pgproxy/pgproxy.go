// Package pgproxy puts a bad network between a server and its PostgreSQL, for tests: one that
// delays, cuts, swallows and half-closes. The network is Toxiproxy's, inside the test.
//
// Begin with [Start]. A network is good until [Proxy.Suffer] or [Proxy.Cut], and good again after
// [Proxy.Mend].
package pgproxy

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// A Fault is something that a network does to what passes, or to what passes one way. Type, Stream
// and Attributes are those of a toxic (github.com/Shopify/toxiproxy), or LostAnswers.
type Fault struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"` // Up or Down
	Attributes map[string]int `json:"attributes"`
}

// The ways to the database and from it.
const (
	Up   = "upstream"
	Down = "downstream"
)

// A Proxy is a way to a database.
type Proxy struct {
	t     testing.TB
	url   url.URL
	proxy *toxiproxy.Proxy
}

// Start opens a way to the database that the URL names, until the test ends.
func Start(t testing.TB, database string) *Proxy {
	t.Helper()
	register()
	u, err := url.Parse(database)
	must(t, err)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{t: t, url: *u, proxy: toxiproxy.NewProxy(server, "postgres", "127.0.0.1:0", u.Host)}
	must(t, p.proxy.Start())
	p.url.Host = p.proxy.Listen
	t.Cleanup(p.proxy.Stop)
	return p
}

// URL names the database by way of the proxy.
func (p *Proxy) URL() string { return p.url.String() }

// Cut closes every connection, and refuses new ones.
func (p *Proxy) Cut() { p.proxy.Stop() }

// Suffer makes all connections have the faults, old and new ones.
func (p *Proxy) Suffer(faults ...Fault) {
	p.t.Helper()
	for _, f := range faults {
		text, err := json.Marshal(f)
		must(p.t, err)
		_, err = p.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
		must(p.t, err)
	}
}

// Mend ends all faults, and the cut. Connections whose bytes got lost are closed.
func (p *Proxy) Mend() {
	p.t.Helper()
	p.proxy.Toxics.ResetToxics(p.t.Context())
	p.Open()
}

// Open ends a cut.
func (p *Proxy) Open() {
	p.t.Helper()
	if p.proxy.Enabled {
		return
	}
	err := p.proxy.Start()
	for began := time.Now(); err != nil && time.Since(began) < 10*time.Second; err = p.proxy.Start() {
		time.Sleep(10 * time.Millisecond) // another has the port for a moment
	}
	must(p.t, err)
}

// LostAnswers is the type of a fault of the way down: of one in so many statements or transactions
// that wrote ("one_in"), the answer is lost, and the connection with it.
const LostAnswers = "lost_answers"

// register makes our own toxic known, and some of the others silent, which log to all the world.
var register = sync.OnceFunc(func() {
	toxics.Register(LostAnswers, new(lostAnswers))
	zerolog.SetGlobalLevel(zerolog.Disabled)
})

// lostAnswers implements [toxics.Toxic].
type lostAnswers struct {
	OneIn int `json:"one_in"`
}

// Pipe implements [toxics.Toxic].
func (l *lostAnswers) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil || wrote.Match(chunk.Data) && rand.IntN(l.OneIn) == 0 {
				stub.Close()
				return
			}
			stub.Output <- chunk
		}
	}
}

// wrote is the answer to a statement or a transaction that changed something and is over: a
// CommandComplete, and a ReadyForQuery outside of any transaction (PostgreSQL's manual, chapter
// "Message Formats").
var wrote = regexp.MustCompile(`(?s)C.{4}(COMMIT|INSERT|UPDATE|DELETE)[ 0-9]*\x00.*Z\x00\x00\x00\x05I`)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
