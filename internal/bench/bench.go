package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A bench is one run: what is measured, and with what.
type bench struct {
	options
	postgresURL string
	progress    io.Writer

	dir       string // for everything; removed at the end
	postgres  *postgres
	floor     *workload
	workloads []*workload
	starts    map[string][]float64 // seconds, by engine
}

// A workload is a server and what is asked of it.
type workload struct {
	name     string
	server   *server
	shares   bool     // its server with the workload before it
	store    string   // the URL of its store
	inServer bool     // the store is in PostgreSQL,
	before   tally    // which had done this for it when the server started,
	perToken perToken // and this for each token when it ended
	requests []request
	turns    []turn
}

// A turn is what tokens cost when a workload had its turn, in µs of CPU per token.
type turn struct {
	Floor    float64 `json:"floor_us"`
	Server   float64 `json:"server_us"`
	Postgres float64 `json:"postgres_us"`
	Rate     float64 `json:"tokens_per_s"`
	Refused  int64   `json:"refused,omitempty"`
}

// perToken is a tally divided by tokens.
type perToken struct {
	Queries float64 `json:"queries"`
	Rows    float64 `json:"rows_written"`
}

// measure takes all measurements.
func (b *bench) measure(ctx context.Context) error {
	if b.wants(onPostgres, manyOnPostgres) {
		var err error
		if b.postgres, err = connectPostgres(ctx, b.postgresURL); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{b.measureStarts, b.launchAll, b.takeTurns, b.finish} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) tearDown() {
	if b.floor != nil {
		_ = b.floor.server.stop()
	}
	for _, w := range b.workloads {
		_ = w.server.stop() // its figures are known by now, or an error says why not
	}
	if b.postgres != nil {
		b.postgres.close()
	}
	_ = os.RemoveAll(b.dir) // it is in the directory for temporary files
}

// startRounds is how often the start on nothing is measured.
const startRounds = 5

// measureStarts starts wardkeys on nothing, on each engine.
func (b *bench) measureStarts(ctx context.Context) error {
	b.starts = map[string][]float64{}
	if !b.wants(starting) {
		return nil
	}
	b.tell("start on nothing")
	for range startRounds {
		if err := b.measureStart(ctx, onSQLite, ""); err != nil {
			return err
		}
		if b.postgres == nil {
			continue
		}
		url, err := b.postgres.create(ctx)
		if err != nil {
			return err
		}
		if err := b.measureStart(ctx, onPostgres, url); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureStart(ctx context.Context, engine, store string) error {
	dir, err := os.MkdirTemp(b.dir, "empty.")
	if err != nil {
		return err
	}
	s, err := launch(ctx, b.wardkey(ctx, dir, store), func() (request, error) { return bootstrapped(dir) })
	if err != nil {
		return err
	}
	b.starts[engine] = append(b.starts[engine], s.start.Seconds())
	return s.stop()
}

// launchAll fills the stores and starts the servers.
func (b *bench) launchAll(ctx context.Context) error {
	if !b.wants(onSQLite, onPostgres, manyOnSQLite, manyOnPostgres) {
		return nil
	}
	few, err := populate(ctx, filepath.Join(b.dir, "few.db"), connections)
	if err != nil {
		return fmt.Errorf("register a few clients: %w", err)
	}
	if err := b.launchFloor(ctx, few); err != nil {
		return err
	}
	if err := b.launchBoth(ctx, few, onSQLite, onPostgres); err != nil {
		return err
	}
	if !b.wants(manyOnSQLite, manyOnPostgres) {
		return nil
	}
	b.tell("register %d clients", b.clients)
	many, err := populate(ctx, filepath.Join(b.dir, "many.db"), b.clients)
	if err != nil {
		return fmt.Errorf("register many clients: %w", err)
	}
	return b.launchBoth(ctx, many, manyOnSQLite, manyOnPostgres)
}

func (b *bench) launchFloor(ctx context.Context, p *population) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, self, floorCommand, "-id", p.credentials[0].id, "-secret", p.credentials[0].secret, "-scope", scope)
	s, err := launch(ctx, command, p.first)
	if err != nil {
		return err
	}
	b.floor = &workload{name: floorCommand, server: s, requests: p.requests[:1]}
	return nil
}

// launchBoth starts a wardkey with the population on each engine that is wanted.
func (b *bench) launchBoth(ctx context.Context, p *population, sqlite, postgres string) error {
	if b.wants(postgres) { // first, because a wardkey keeps its SQLite file to itself
		url, err := b.postgres.create(ctx)
		if err == nil {
			err = p.copyTo(ctx, url)
		}
		if err != nil {
			return fmt.Errorf("register clients in PostgreSQL: %w", err)
		}
		before, err := b.postgres.tally(ctx, url)
		if err != nil {
			return err
		}
		if err := b.launch(ctx, p, workload{name: postgres, store: url, inServer: true, before: before}); err != nil {
			return err
		}
	}
	if b.wants(sqlite) {
		return b.launch(ctx, p, workload{name: sqlite, store: "sqlite:" + p.path})
	}
	return nil
}

// The workloads of a server: each connection is a client of its own, the same ones all the time.
// And again with one client on all connections, which share each query then; or, where there are
// many clients, with any of them on any connection, which share none.
const (
	alone = ", one client"
	anyOf = ", any client"
)

func (b *bench) launch(ctx context.Context, p *population, w workload) error {
	dir, err := os.MkdirTemp(b.dir, "server.")
	if err != nil {
		return err
	}
	if w.server, err = launch(ctx, b.wardkey(ctx, dir, w.store), p.first); err != nil {
		return err
	}
	other := w
	other.shares = true
	if len(p.requests) == connections {
		w.requests = p.requests
		other.name, other.requests = w.name+alone, p.requests[:1]
	} else {
		w.requests = p.some()
		other.name, other.requests = w.name+anyOf, p.requests
	}
	b.workloads = append(b.workloads, &w, &other)
	if err := w.server.rest(); err != nil {
		return err
	}
	return sameSize(b.floor.server.answer, w.server.answer)
}

// takeTurns gives each workload its turns, after a first one that does not count.
func (b *bench) takeTurns(ctx context.Context) error {
	for round := range b.rounds + 1 {
		b.tell("round %d of %d", round, b.rounds)
		for _, w := range b.workloads {
			t, err := b.takeTurn(ctx, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 {
				w.turns = append(w.turns, t)
			}
		}
	}
	return nil
}

// shifts is how often the floor and a workload take over from each other in one turn, so that
// both see the same minute of the machine.
const shifts = 5

// takeTurn measures one turn.
func (b *bench) takeTurn(ctx context.Context, w *workload) (turn, error) {
	floor, err := dial(ctx, b.floor.server.address, b.floor.requests)
	if err != nil {
		return turn{}, err
	}
	defer floor.close()
	server, err := dial(ctx, w.server.address, w.requests)
	if err != nil {
		return turn{}, err
	}
	defer server.close()
	before, err := b.cpu(w)
	if err != nil {
		return turn{}, err
	}
	var took time.Duration
	for range shifts {
		if err := floor.get(ctx, b.tokens/shifts); err != nil {
			return turn{}, err
		}
		start := time.Now()
		if err := server.get(ctx, b.tokens/shifts); err != nil {
			return turn{}, err
		}
		took += time.Since(start)
	}
	tokens := b.tokens / shifts * shifts
	w.server.given += tokens + connections
	after, err := b.settled(w)
	return turn{
		Floor:    perEach(after.floor-before.floor, tokens),
		Server:   perEach(after.server-before.server, tokens),
		Postgres: perEach(after.postgres-before.postgres, tokens),
		Rate:     float64(tokens) / took.Seconds(),
		Refused:  server.refused.Load(),
	}, err
}

func perEach(d time.Duration, tokens int) float64 {
	return float64(d.Microseconds()) / float64(tokens)
}

// A cpu is CPU time that was used so far.
type cpu struct{ floor, server, postgres time.Duration }

func (c cpu) since(before cpu) time.Duration {
	return max(c.floor-before.floor, c.server-before.server, c.postgres-before.postgres)
}

func (b *bench) cpu(w *workload) (cpu, error) {
	floor, err := readStat(b.floor.server.command.Process.Pid)
	if err != nil {
		return cpu{}, err
	}
	server, err := readStat(w.server.command.Process.Pid)
	if err != nil || !w.inServer {
		return cpu{floor.cpu, server.cpu, 0}, err
	}
	family, err := familyCPU(b.postgres.postmaster)
	return cpu{floor.cpu, server.cpu, family}, err
}

// settled is the CPU time once all are at rest: what a server puts off, like writing when clients
// were last used, is part of what a token costs.
func (b *bench) settled(w *workload) (cpu, error) {
	const deferred = 1200 * time.Millisecond // it writes once a second
	time.Sleep(deferred)
	last, err := b.cpu(w)
	for range 100 {
		if err != nil {
			return cpu{}, err
		}
		time.Sleep(deferred / 4)
		var now cpu
		if now, err = b.cpu(w); err == nil && now.since(last) <= tick {
			return now, nil
		}
		last = now
	}
	return cpu{}, errors.New("the servers never come to rest")
}

// finish notes the memory of the servers, stops them, and reads what their stores saw.
func (b *bench) finish(ctx context.Context) error {
	for _, w := range b.workloads {
		if w.shares {
			continue
		}
		if err := w.server.finish(); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if !w.inServer {
			continue
		}
		t, err := b.postgres.tally(ctx, w.store)
		if err != nil {
			return err
		}
		w.perToken = perToken{
			Queries: float64(t.queries-w.before.queries) / float64(w.server.given),
			Rows:    float64(t.rows-w.before.rows) / float64(w.server.given),
		}
	}
	return nil
}

func (b *bench) tell(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}
