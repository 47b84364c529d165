package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
)

// The limits of the figures.
const (
	maxSQLite     = 1.35            // CPU per token, in floors
	maxPostgres   = 1.45            // the same with PostgreSQL,
	maxDatabase   = 0.30            // and of PostgreSQL itself
	maxQueries    = 0.2             // per token
	maxRows       = 4 * connections // written a second by a server: for each client in use, when it was last used, how often, and from where
	maxStart      = 1               // s
	maxIdle       = 40              // MB
	maxLoaded     = 60              // MB
	maxMany       = 100             // MB, with many clients
	maxGrowth     = 1.10            // with many clients, against few
	maxSecondNode = 1 / 0.95        // with two servers, against one
	unlimited     = 0
)

// A figure is something that was measured, with the most that it may be.
type figure struct {
	name   string
	values []float64 // of each round, or only one
	unit   string
	limit  float64
}

// figures makes the figures of what was measured.
func (b *bench) figures() []figure {
	var all []figure
	for _, engine := range []string{onSQLite, onPostgres} {
		if seconds := b.starts[engine]; seconds != nil {
			all = append(all, figure{engine + ": from start on nothing to the first token", seconds, "s", maxStart})
		}
	}
	for _, w := range b.workloads {
		all = append(all, b.costs(w)...)
		if !w.shares {
			all = append(all, w.standing()...)
		}
	}
	if b.workloads != nil {
		all = append(all, figure{"the floor itself", b.floors(), "µs of CPU", unlimited})
	}
	return all
}

// costs are what a token costs, in floors; and also in what it costs the workload that this one is
// compared with.
func (b *bench) costs(w *workload) []figure {
	server := figure{w.name + ": CPU per token / floor", each(w.turns, turn.server), "", maxSQLite}
	if w.inServer || w.name == twoApart {
		server.limit = maxPostgres
	}
	all := []figure{server}
	if w.inServer {
		all = append(all, figure{w.name + ": PostgreSQL's CPU per token / floor", each(w.turns, turn.postgres), "", maxDatabase})
	}
	base := b.workload(w.beside)
	if base == nil {
		return all
	}
	all = append(all, figure{w.name + ": CPU per token / " + base.name, ratios(w.turns, base.turns, turn.server), "", w.growth})
	if w.inServer && base.inServer {
		all = append(all, figure{w.name + ": PostgreSQL's CPU per token / " + base.name, ratios(w.turns, base.turns, turn.postgres), "", w.growth})
	}
	return all
}

// standing is what a server takes beside the CPU, with all of its workloads.
func (w *workload) standing() []figure {
	var all []figure
	if w.inServer {
		all = append(all,
			figure{w.name + ": queries per token", []float64{w.writes.Queries}, "", maxQueries},
			figure{w.name + ": rows written a second by a server", []float64{w.writes.Rows / float64(len(w.servers))}, "", maxRows})
	}
	var idle, after []float64 // of each server
	for _, s := range w.servers {
		idle, after = append(idle, s.idle), append(after, s.after)
	}
	mostIdle, mostAfter := float64(maxIdle), float64(maxLoaded)
	if w.name == manyOnSQLite || w.name == manyOnPostgres {
		mostIdle, mostAfter = maxMany, maxMany
	}
	return append(all,
		figure{w.name + ": memory, idle", idle, "MB", mostIdle},
		figure{fmt.Sprintf("%s: memory after %d tokens", w.name, w.servers[0].given), after, "MB", mostAfter})
}

func (b *bench) workload(name string) *workload {
	for _, w := range b.workloads {
		if w.name == name {
			return w
		}
	}
	return nil
}

func (b *bench) floors() []float64 {
	var all []float64
	for _, w := range b.workloads {
		all = append(all, each(w.turns, func(t turn) float64 { return t.Floor })...)
	}
	return all
}

// server and postgres are a turn's costs in the floors of the same turn.
func (t turn) server() float64   { return t.Server / t.Floor }
func (t turn) postgres() float64 { return t.Postgres / t.Floor }

func each(turns []turn, of func(turn) float64) []float64 {
	all := make([]float64, len(turns))
	for i, t := range turns {
		all[i] = of(t)
	}
	return all
}

// ratios divides round by round.
func ratios(a, b []turn, of func(turn) float64) []float64 {
	all := each(a, of)
	for i := range all {
		all[i] /= of(b[i])
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// report writes the figures as a table for people, and everything that was measured as one line
// of JSON for programs.
func (b *bench) report(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "figure\tat most\tmeasured\tmin\tmax\t\t\n")
	for _, f := range b.figures() {
		fmt.Fprintln(table, f.row())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(b.raw())
}

func (f figure) row() string {
	limit, verdict := fmt.Sprintf("%.4g %s", f.limit, f.unit), "ok"
	switch m := median(f.values); {
	case f.limit == unlimited:
		limit, verdict = "", ""
	case m > f.limit:
		verdict = "OVER"
	}
	measured := fmt.Sprintf("%.3f %s", median(f.values), f.unit)
	if len(f.values) == 1 {
		return fmt.Sprintf("%s\t%s\t%s\t\t\t%s\t", f.name, limit, measured, verdict)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%.3f\t%.3f\t%s\t", f.name, limit, measured, slices.Min(f.values), slices.Max(f.values), verdict)
}

// raw is everything that was measured.
func (b *bench) raw() any {
	type workload struct {
		Name   string  `json:"name"`
		Idle   float64 `json:"idle_mb"`
		After  float64 `json:"after_mb"`
		Peak   float64 `json:"peak_mb"`
		Given  int     `json:"tokens"`
		Writes *writes `json:"writes,omitempty"`
		Turns  []turn  `json:"turns"`
	}
	all := []workload{}
	for _, w := range b.workloads {
		s := w.servers[0]
		row := workload{Name: w.name, Idle: s.idle, After: s.after, Peak: s.peak, Given: s.given, Turns: w.turns}
		if w.inServer && !w.shares {
			row.Writes = &w.writes
		}
		all = append(all, row)
	}
	return map[string]any{
		"go": runtime.Version(), "cpus": runtime.NumCPU(), "tokens_a_turn": b.tokens, "clients": b.clients,
		"starts_s": b.starts, "workloads": all,
	}
}
