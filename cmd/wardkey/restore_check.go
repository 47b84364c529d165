package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// restoreCheckCommand is `wardkey restore-check`.
func restoreCheckCommand(getenv func(string) string) *cobra.Command {
	var config config
	c := &cli{getenv: getenv}
	cmd := &cobra.Command{
		Use:   "restore-check",
		Short: "Say what the next start would revoke again, after a backup was restored",
		Long: `Compare a database that was restored from a backup with the journal of revocations beside it
(<data-dir>/` + journalName + `), and list what was revoked after the backup was made. The next start of
wardkey serve revokes it again before it answers the first request; this command changes nothing.

It also checks that the master key opens the signing keys of this backup, that this program knows
the schema, and that the audit log is whole. An embedded database needs its server stopped.

The journal knows of clients that were deleted, disabled or given an end, of secrets and tokens that
were revoked, of secrets that were given an end, and of signing keys and admins that were removed.
` + notCovered + `

It ends with status 0 if there is nothing to do, and 1 if there is.`,
		Example: `  wardkey restore-check
  wardkey restore-check --data-dir /var/lib/wardkey --json
  wardkey restore-check --database postgres://wardkey@db.example.com/wardkey --master-key-file /run/secrets/master.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.fromEnvironment(cmd.Flags(), getenv); err != nil {
				return usageError{err}
			}
			if err := config.complete(config.listen); err != nil {
				return err
			}
			return restoreCheck(cmd.Context(), &config, c.printer(cmd))
		},
	}
	config.flags(cmd.Flags())
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON, for programs")
	return cmd
}

func restoreCheck(ctx context.Context, c *config, p *printer) error {
	if err := c.findDatabase(); err != nil {
		return err
	}
	db, err := c.openDatabase()
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing was written
	if err := db.Ping(ctx); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	x := &examination{config: c, now: time.Now(), db: db}
	x.masterKey(ctx)
	var again []entry
	if x.schema(ctx) {
		x.auditLog(ctx, true)
		again = x.journal(ctx)
	}
	return x.verdict(p, again)
}

// verdict prints what was found and what is to be revoked, and returns an error if there is
// anything to do.
func (x *examination) verdict(p *printer, again []entry) error {
	toDo := x.faults()
	for _, f := range x.findings {
		if f.Result == warning && (f.Check == "schema" || f.Check == "journal") {
			toDo++
		}
	}
	if p.json {
		if again == nil {
			again = []entry{} // [] in JSON, not null
		}
		if err := p.value(struct {
			Again    []entry   `json:"again"`
			Findings []finding `json:"findings"`
		}{again, x.findings}); err != nil {
			return err
		}
	} else if err := x.printAgain(p, again); err != nil {
		return err
	}
	switch {
	case len(again) > 0:
		return fmt.Errorf("the next start revokes %s again", plural(len(again), "thing"))
	case toDo > 0:
		return fmt.Errorf("restore-check: there is something to do; it stands beside what was found")
	}
	return p.say("Nothing to do: all that the journal says was revoked, ended or disabled is so in this database.\n%s", notCovered)
}

// notCovered is what a journal does not know.
const notCovered = `It does not know of permissions that were narrowed, of Sections, keyspaces and capabilities that
were deleted, nor of passwords and roles of admins that were changed.`

// revoked is what each action took away, in a word.
var revoked = map[string]string{
	deleteClient: "client", revokeSecret: "secret", revokeTokens: "tokens of", deleteKey: "signing key", removeAdmin: "admin",
	updateSecret: "end of secret", suspendClient: "suspended client",
}

// what says what an entry took away.
func (e entry) what() string {
	switch {
	case e.Action != updateClient:
		return revoked[e.Action]
	case e.Disabled != nil:
		return "disabled client"
	}
	return "end of client"
}

func (x *examination) printAgain(p *printer, again []entry) error {
	if err := x.print(p); err != nil || len(again) == 0 {
		return err
	}
	rows := make([]row, len(again))
	for i, e := range again {
		rows[i] = row{cells: []string{e.what(), e.TargetID, shorten(e.TargetName, 40), stamped(&e.At, p.now), e.By}}
	}
	if err := p.say("\nThe next start revokes again:"); err != nil {
		return err
	}
	return p.table([]string{"WHAT", "ID", "NAME", "REVOKED", "BY"}, rows)
}
