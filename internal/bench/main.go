// Command bench measures what a token costs, what a server needs to start, and what it takes to
// stand there. It is run by
//
//	make bench
//
// CPU time is measured, not time, because other work on the machine changes the one less than the
// other; and it is compared, within one run, with a floor: a bare handler that signs the same
// claims and does nothing else that could be left out (floor.go). The servers take turns, so that
// what changes on the machine changes for all of them. Each is measured from outside, as it is
// shipped: by what /proc and PostgreSQL's own statistics say, while one loader with 32 keep-alive
// connections asks for tokens (load.go).
//
// Begin with bench.go, which holds the order of things; launch.go says what is started. The figures
// and what is demanded of them are in figures.go. Timing is not a test: a figure over its limit is
// printed as such, and the program fails only if it could not measure.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, progress io.Writer) error {
	if len(args) > 0 && args[0] == floorCommand {
		return serveFloor(ctx, args[1:], stdout)
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	b := &bench{options: o, postgresURL: getenv("WARDKEY_TEST_POSTGRES"), progress: progress}
	if b.dir, err = os.MkdirTemp("", "wardkey-bench."); err != nil {
		return err
	}
	defer b.tearDown()
	if err := b.measure(ctx); err != nil {
		return err
	}
	return b.report(stdout)
}

// What can be measured, as -only names it.
const (
	onSQLite       = "sqlite"
	onPostgres     = "postgres"
	manyOnSQLite   = "sqlite-many"
	manyOnPostgres = "postgres-many"
	twoNodes       = "postgres-two-nodes"
	twoApart       = "postgres-two-apart" // goes with twoNodes
	starting       = "start"
)

var all = []string{onSQLite, onPostgres, manyOnSQLite, manyOnPostgres, twoNodes, starting}

// options are how to measure.
type options struct {
	binary  string
	against string // another, or ""
	rounds  int
	tokens  int // in a round, from each server
	clients int // that many are many
	only    []string
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.binary, "binary", "bin/wardkey", "the `wardkey` to measure")
	f.StringVar(&o.against, "against", "", "another `wardkey` of the same schema, as before a change, which takes turns with it")
	f.IntVar(&o.rounds, "rounds", 10, "how often each server has its turn")
	f.IntVar(&o.tokens, "tokens", 10_000, "tokens from a server at each turn")
	f.IntVar(&o.clients, "clients", 100_000, "how many registered clients are many")
	only := f.String("only", strings.Join(all, ","), "what to measure, a `list`; postgres and postgres-many need WARDKEY_TEST_POSTGRES")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.only = strings.Split(*only, ",")
	for _, name := range o.only {
		if !slices.Contains(all, name) {
			return o, fmt.Errorf("-only %s: choose from %s", name, strings.Join(all, ","))
		}
	}
	if o.rounds < 1 || o.tokens < connections || o.clients <= connections {
		return o, fmt.Errorf("there must be a round, %d tokens and more clients than that", connections)
	}
	return o, nil
}

func (o options) wants(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(o.only, name) })
}
