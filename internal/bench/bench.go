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
	if err := b.launchAgainst(ctx, few); err != nil { // first, while the SQLite file can be copied
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
	b.floor = &workload{name: floorCommand, servers: []*server{s}, requests: p.requests[:1]}
	return nil
}

// launchBoth starts a wardkey with the population on each engine that is wanted.
func (b *bench) launchBoth(ctx context.Context, p *population, sqlite, postgres string) error {
	if b.wants(postgres) { // first, because a wardkey keeps its SQLite file to itself
		if err := b.launchOnPostgres(ctx, p, workload{name: postgres}, b.binary); err != nil {
			return err
		}
	}
	if b.wants(sqlite) {
		return b.launch(ctx, p, workload{name: sqlite}, seat{b.binary, "sqlite:" + p.path})
	}
	return nil
}

// launchAgainst starts, each on a store of its own, what is compared with the servers of
// launchBoth: the other wardkey, if there is one, and two servers on one PostgreSQL database. What two
// programs at once cost on few processors is seen from two servers that share nothing.
func (b *bench) launchAgainst(ctx context.Context, p *population) error {
	if b.wants(twoNodes) && b.wants(onPostgres) {
		if err := b.launchOnPostgres(ctx, p, workload{name: twoNodes, beside: twoApart, growth: maxSecondNode}, b.binary, b.binary); err != nil {
			return err
		}
		if err := b.launchApart(ctx, p); err != nil {
			return err
		}
	}
	if b.against == "" {
		return nil
	}
	if b.wants(onPostgres) {
		if err := b.launchOnPostgres(ctx, p, workload{name: onPostgres + other, beside: onPostgres, growth: unlimited}, b.against); err != nil {
			return err
		}
	}
	if b.wants(onSQLite) {
		path := filepath.Join(b.dir, "against.db")
		if err := copyFile(p.path, path); err != nil {
			return err
		}
		return b.launch(ctx, p, workload{name: onSQLite + other, beside: onSQLite, growth: unlimited}, seat{b.against, "sqlite:" + path})
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// launchApart starts two servers on a PostgreSQL database each.
func (b *bench) launchApart(ctx context.Context, p *population) error {
	var seats []seat
	for range 2 {
		store, err := b.filled(ctx, p)
		if err != nil {
			return err
		}
		seats = append(seats, seat{b.binary, store})
	}
	return b.launch(ctx, p, workload{name: twoApart, beside: onPostgres, growth: unlimited}, seats...)
}

// launchOnPostgres starts binaries on a PostgreSQL database of their own with the population in it.
func (b *bench) launchOnPostgres(ctx context.Context, p *population, w workload, binaries ...string) error {
	var err error
	if w.store, err = b.filled(ctx, p); err != nil {
		return err
	}
	w.inServer = true
	if w.before, err = b.postgres.tally(ctx, w.store); err != nil {
		return err
	}
	var seats []seat
	for _, binary := range binaries {
		seats = append(seats, seat{binary, w.store})
	}
	return b.launch(ctx, p, w, seats...)
}

// filled makes a PostgreSQL database with the population in it.
func (b *bench) filled(ctx context.Context, p *population) (url string, err error) {
	if url, err = b.postgres.create(ctx); err == nil {
		err = p.copyTo(ctx, url)
	}
	if err != nil {
		return "", fmt.Errorf("register clients in PostgreSQL: %w", err)
	}
	return url, nil
}

// The workloads of a server: each connection is a client of its own, the same ones all the time.
// And again with one client on all connections, which share each query then; or, where there are
// many clients, with any of them on any connection, which share none. What is compared with
// another has the first of them only.
const (
	alone = ", one client"
	anyOf = ", any client"
	other = ", the other wardkey"
)

// A seat is which wardkey is to be started on which store.
type seat struct{ binary, store string }

func (b *bench) launch(ctx context.Context, p *population, w workload, seats ...seat) error {
	for _, at := range seats {
		dir, err := os.MkdirTemp(b.dir, "server.")
		if err != nil {
			return err
		}
		s, err := launch(ctx, b.wardkey(ctx, at.binary, dir, at.store), p.first)
		if err != nil {
			return err
		}
		w.servers = append(w.servers, s)
	}
	b.workloads = append(b.workloads, b.requests(p, w)...)
	for _, s := range w.servers {
		if err := s.rest(); err != nil {
			return err
		}
		if err := sameSize(b.floor.servers[0].answer, s.answer); err != nil {
			return err
		}
	}
	return nil
}

// requests are the workloads of one kind of server.
func (b *bench) requests(p *population, w workload) []*workload {
	second := w
	second.shares = true
	if len(p.requests) > connections {
		few := map[string]string{manyOnSQLite: onSQLite, manyOnPostgres: onPostgres}[w.name]
		w.requests, w.beside, w.growth = p.some(), few, maxGrowth
		second.name, second.requests, second.beside, second.growth = w.name+anyOf, p.requests, few, maxGrowth
		return []*workload{&w, &second}
	}
	w.requests = p.requests
	if w.beside != "" {
		return []*workload{&w}
	}
	second.name, second.requests = w.name+alone, p.requests[:1]
	return []*workload{&w, &second}
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
