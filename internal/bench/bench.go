package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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

// A workload is a server, or several on one store, and what is asked of them.
type workload struct {
	name     string
	servers  []*server
	beside   string  // the workload that it is compared with,
	growth   float64 // and how much more it may cost
	shares   bool    // its servers with the workload before it
	store    string  // the URL of its store in PostgreSQL
	inServer bool    // there it is,
	before   tally   // which had done this for it when the server started,
	writes   writes  // and this when it ended
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

// writes are what a store saw: queries by the token, and rows by the second, since they are gathered
// for a second.
type writes struct {
	Queries float64 `json:"queries_a_token"`
	Rows    float64 `json:"rows_a_second"`
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
	for _, w := range append(b.workloads, b.floor) {
		if w == nil {
			continue
		}
		for _, s := range w.servers {
			_ = s.stop() // its figures are known by now, or an error says why not
		}
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
	s, err := launch(ctx, b.wardkey(ctx, b.binary, dir, store), func() (request, error) { return bootstrapped(dir) })
	if err != nil {
		return err
	}
	b.starts[engine] = append(b.starts[engine], s.start.Seconds())
	return s.stop()
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
	floor, err := dial(ctx, b.floor)
	if err != nil {
		return turn{}, err
	}
	defer floor.close()
	server, err := dial(ctx, w)
	if err != nil {
		return turn{}, err
	}
	defer server.close()
	before, err := b.cpu(w)
	if err != nil {
		return turn{}, err
	}
	var took time.Duration
	begun := time.Now()
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
	w.servers[0].given += tokens + connections*len(w.servers)
	w.servers[0].busy += time.Since(begun)
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
	floor, err := b.floor.cpu()
	if err != nil {
		return cpu{}, err
	}
	server, err := w.cpu()
	if err != nil || !w.inServer {
		return cpu{floor, server, 0}, err
	}
	family, err := familyCPU(b.postgres.postmaster)
	return cpu{floor, server, family}, err
}

// cpu is the CPU time of all its servers.
func (w *workload) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, s := range w.servers {
		stat, err := readStat(s.command.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += stat.cpu
	}
	return sum, nil
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
		for _, s := range w.servers {
			if err := s.finish(); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		if !w.inServer {
			continue
		}
		t, err := b.postgres.tally(ctx, w.store)
		if err != nil {
			return err
		}
		w.writes = writes{
			Queries: float64(t.queries-w.before.queries) / float64(w.servers[0].given),
			Rows:    float64(t.rows-w.before.rows) / w.servers[0].busy.Seconds(),
		}
	}
	return nil
}

func (b *bench) tell(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}
