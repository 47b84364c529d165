package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/internal/database"
)

// migrateCommand is `wardkey migrate`.
func migrateCommand(getenv func(string) string) *cobra.Command {
	var config config
	var status, dryRun bool
	c := &cli{getenv: getenv}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of the database up to date",
		Long: `Bring the schema of the database up to date, and say from which version to which. wardkey serve
does so by itself when it starts; this is for who wants to do it before, or to see what would be
done. An embedded database needs its server stopped; PostgreSQL does not.`,
		Example: `  wardkey migrate
  wardkey migrate --status --database postgres://wardkey@db.example.com/wardkey
  wardkey migrate --dry-run`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status && dryRun {
				return usagef("--status and --dry-run do not go together; give one")
			}
			if err := config.fromEnvironment(cmd.Flags(), getenv); err != nil {
				return usageError{err}
			}
			if err := config.complete(config.listen); err != nil {
				return err
			}
			return migrate(cmd.Context(), &config, c.printer(cmd), status, dryRun)
		},
	}
	chosen(cmd.Flags(), &config, "data-dir", "database")
	f := cmd.Flags()
	f.BoolVar(&status, "status", false, "list the steps of the schema, and whether the database has them; change nothing")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be done; change nothing")
	f.BoolVar(&c.json, "json", false, "print JSON, for programs")
	return cmd
}

// chosen declares some of the flags of serve.
func chosen(f *pflag.FlagSet, c *config, names ...string) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.flags(all)
	for _, name := range names {
		f.AddFlag(all.Lookup(name))
	}
}

func migrate(ctx context.Context, c *config, p *printer, status, dryRun bool) (err error) {
	if !status && !dryRun {
		if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
			return fmt.Errorf("make --data-dir: %w", err)
		}
	} else if err := c.findDatabase(); err != nil {
		return err
	}
	db, err := c.openDatabase()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	before, err := db.Schema(ctx)
	if err != nil {
		return err
	}
	if status {
		return printSteps(p, before)
	}
	after := before
	if !dryRun {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		if after, err = db.Schema(ctx); err != nil {
			return err
		}
	}
	return printMigration(p, before, after, dryRun)
}

func (c *config) openDatabase() (*database.DB, error) {
	db, err := database.Open(c.database)
	if errors.Is(err, database.ErrBadURL) {
		return nil, usagef("--database: %w", err)
	}
	return db, err
}

// findDatabase returns an error that wraps os.ErrNotExist if the embedded database is not there;
// who only looks must not make one.
func (c *config) findDatabase() error {
	path, embedded := strings.CutPrefix(c.database, "sqlite:")
	if !embedded || path == "" {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no database to look at: %w; say where it is with --data-dir or --database", err)
	}
	return nil
}

type stepShown struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

func showSteps(steps []database.Step) []stepShown {
	shown := make([]stepShown, len(steps))
	for i, s := range steps {
		shown[i] = stepShown(s)
	}
	return shown
}

// printSteps answers --status.
func printSteps(p *printer, schema database.Schema) error {
	if p.json {
		return p.value(struct {
			Version int64       `json:"version"`
			Latest  int64       `json:"latest"`
			Steps   []stepShown `json:"steps"`
		}{schema.Version, schema.Latest(), showSteps(schema.Steps)})
	}
	var rows []row
	for _, s := range schema.Steps {
		state := "applied"
		if !s.Applied {
			state = "not yet"
		}
		rows = append(rows, row{cells: []string{strconv.FormatInt(s.Version, 10), s.Name, state}})
	}
	if err := p.table([]string{"VERSION", "NAME", "STATE"}, rows); err != nil || schema.Version <= schema.Latest() {
		return err
	}
	return p.say("The database has version %d, which is newer than this program.", schema.Version)
}

func printMigration(p *printer, before, after database.Schema, dryRun bool) error {
	steps := before.Pending()
	to := max(before.Version, before.Latest())
	if p.json {
		return p.value(struct {
			From   int64       `json:"from"`
			To     int64       `json:"to"`
			DryRun bool        `json:"dry_run"`
			Steps  []stepShown `json:"steps"`
		}{before.Version, to, dryRun, showSteps(steps)})
	}
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.Name
	}
	switch {
	case before.Version > before.Latest():
		return p.say("Nothing to do: the schema has version %d, which is newer than this program (%d).", before.Version, before.Latest())
	case len(steps) == 0:
		return p.say("Nothing to do: the schema has version %d, the newest.", before.Version)
	case dryRun:
		return p.say("The schema would go from version %d to version %d: %s. Nothing was changed.", before.Version, to, strings.Join(names, ", "))
	}
	return p.say("The schema went from version %d to version %d: %s.", before.Version, after.Version, strings.Join(names, ", "))
}
