package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

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
