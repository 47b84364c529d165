package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/tokens"
)

// operatorCommands are those of who looks after a server, beside serve.
func operatorCommands(getenv func(string) string) []*cobra.Command {
	return []*cobra.Command{migrateCommand(getenv), doctorCommand(getenv), restoreCheckCommand(getenv)}
}

// doctorCommand is `wardkey doctor`.
func doctorCommand(getenv func(string) string) *cobra.Command {
	var config config
	var full bool
	c := &cli{getenv: getenv}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check how a server is set up, and say what to do about it",
		Long: `Check configuration, data directory, master key, database, clocks, signing keys, disk, the journal
of revocations, the audit log, and what ends soon. Give it the flags and the environment of wardkey
serve. The server may be running or not; nothing is changed, and nothing secret is printed.

It ends with status 1 if there is a fault.`,
		Example: `  wardkey doctor
  wardkey doctor --full --json
  wardkey doctor --database postgres://wardkey@db.example.com/wardkey --master-key-file /run/secrets/master.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.fromEnvironment(cmd.Flags(), getenv); err != nil {
				return usageError{err}
			}
			x := &examination{config: &config, now: time.Now()}
			x.everything(cmd.Context(), full)
			return x.report(c.printer(cmd))
		},
	}
	config.flags(cmd.Flags())
	cmd.Flags().BoolVar(&full, "full", false, "check every event of the audit log too")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON, for programs")
	return cmd
}

// A finding is what a check found, and what to do about it.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail"`
}

// What a check may find, beside ok and what was skipped.
const (
	warning = "warning"
	fault   = "fault"
)

// yellow is one more style of text on a terminal.
const yellow = "33"

// An examination looks at the store of a server, and changes nothing.
type examination struct {
	config   *config
	now      time.Time
	findings []finding

	// What is there once it was found: the database with the schema of this program, and the keys.
	db     *database.DB
	master tokens.MasterKey
	keys   *tokens.Keys
}

func (x *examination) found(check, result, format string, args ...any) {
	x.findings = append(x.findings, finding{check, result, fmt.Sprintf(format, args...)})
}

func (x *examination) faults() int {
	return len(slices.DeleteFunc(slices.Clone(x.findings), func(f finding) bool { return f.Result != fault }))
}

// everything is what wardkey doctor looks at.
func (x *examination) everything(ctx context.Context, full bool) {
	x.configuration()
	x.certificate()
	x.dataDirectory()
	x.disk()
	inUse, err := x.open(ctx)
	switch {
	case inUse:
		x.journalFile()
		x.runningServer(ctx)
		return
	case err != nil || x.db == nil:
		return
	}
	defer x.db.Close() //nolint:errcheck // nothing was written
	x.clock(ctx)
	x.failover(ctx)
	x.masterKey(ctx)
	if x.schema(ctx) {
		x.signingKeys(ctx)
		x.journal(ctx)
		x.auditLog(ctx, full)
		x.endings(ctx)
	}
}

// open opens the database; in use means that a running server has it to itself. Neither the file
// nor the master key is made.
func (x *examination) open(ctx context.Context) (inUse bool, err error) {
	if err := x.config.findDatabase(); err != nil {
		x.found("store", warning, "%s is not there yet; the first start of wardkey serve makes it, or say where it is with --data-dir or --database", x.config.database)
		return false, err
	}
	db, err := x.config.openDatabase()
	if errors.Is(err, database.ErrInUse) {
		x.found("store", passed, "a running server has it to itself; stop the server to look inside")
		return true, nil
	}
	if err != nil {
		x.found("store", fault, "%v", err)
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := db.Ping(limited); err != nil {
		x.found("store", fault, "the database does not answer: %v; see that it runs, and that --database names it", err)
		return false, errors.Join(err, db.Close())
	}
	began := time.Now()
	if err := db.Ping(limited); err == nil {
		x.found("store", passed, "%s answers in %s", engine(db), time.Since(began).Round(10*time.Microsecond))
	}
	x.db = db
	return false, nil
}

func engine(db *database.DB) string {
	if db.Embedded() {
		return "SQLite"
	}
	return "PostgreSQL"
}

// report prints a line for each finding, or JSON, and returns an error if there is a fault.
func (x *examination) report(p *printer) error {
	var err error
	if p.json {
		err = p.value(struct {
			Healthy  bool      `json:"healthy"`
			Findings []finding `json:"findings"`
		}{x.faults() == 0, x.findings})
	} else {
		err = x.print(p)
	}
	if n := x.faults(); err == nil && n > 0 {
		err = fmt.Errorf("doctor: %s found; what to do stands beside each", plural(n, "fault"))
	}
	return err
}

func (x *examination) print(p *printer) error {
	marks := map[string][2]string{passed: {"ok", green}, warning: {"WARNING", yellow}, fault: {"FAULT", red}, skipped: {"--", dim}}
	rows := make([]row, len(x.findings))
	for i, f := range x.findings {
		rows[i] = row{cells: []string{marks[f.Result][0], f.Check, f.Detail}, style: marks[f.Result][1]}
	}
	return p.aligned(rows)
}
