package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// clientDeleteCommand deletes one client, or with a filter all that it finds.
func (c *cli) clientDeleteCommand() *cobra.Command {
	cmd := clientKind.deleteCommand(c)
	deleteOne := cmd.RunE
	var f clientFilter
	cmd.Use = "delete [CLIENT]"
	cmd.Short = "Delete a client, or all that a filter finds, for ever"
	cmd.Long = `Delete a client, for ever: its secrets end, its tokens are revoked, and its id is never used again.

With a filter instead of CLIENT, delete all that it finds, all or none. They are shown first.`
	cmd.Example = `  wardkey client delete "CRM integration - production"
  wardkey client delete --unused-since 90d --section nordic --dry-run
  wardkey client delete --state expired --yes`
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case f.given(cmd) && len(args) > 0:
			return usagef("client delete takes CLIENT or a filter, not both")
		case f.given(cmd):
			return nil
		case len(args) == 0:
			return usagef("client delete needs CLIENT, or a filter like --unused-since 90d; see wardkey client delete --help")
		}
		return takes("CLIENT")(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return deleteOne(cmd, args)
		}
		return c.deleteClients(cmd, &f)
	}
	f.flags(c, cmd)
	return cmd
}

// deleteClients shows what a filter finds, asks, and deletes just that.
func (c *cli) deleteClients(cmd *cobra.Command, f *clientFilter) error {
	found, err := f.params(cmd, time.Now())
	if err != nil {
		return err
	}
	agreed := consentOf(cmd)
	if err := agreed.possible(cmd); err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	params := &adminclient.DeleteClientsParams{
		Q: found.Q, Section: found.Section, Permission: found.Permission, State: (*adminclient.DeleteClientsParamsState)(found.State),
		ExpiresBefore: found.ExpiresBefore, UnusedSince: found.UnusedSince, DryRun: new(true),
	}
	preview, _, err := fetch[adminclient.BulkPreview](api.DeleteClients(cmd.Context(), params))
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if len(preview.ClientsDeleted) == 0 || agreed.dryRun {
		return p.bulk(preview)
	}
	if !agreed.yes {
		if err := askForAll(cmd, p, agreed, preview); err != nil {
			return err
		}
	}
	params.DryRun, params.Confirm = nil, &preview.Confirm
	_, _, err = fetch[struct{}](api.DeleteClients(cmd.Context(), params))
	if isProblem(err, "changed-since") {
		return fmt.Errorf("the filter no longer finds just what was shown, so nothing was deleted; run it again")
	}
	if err != nil {
		return err
	}
	if p.json {
		preview.DryRun = false // now it is what was done
		return p.value(preview)
	}
	return p.say("Deleted %s.", plural(len(preview.ClientsDeleted), "client"))
}

// consentOf reads the flags of [consent.flags], for a command that another one made.
func consentOf(cmd *cobra.Command) consent {
	yes, _ := cmd.Flags().GetBool("yes")
	dryRun, _ := cmd.Flags().GetBool("dry-run")
	return consent{yes, dryRun}
}

// bulk prints what a filter would delete.
func (p *printer) bulk(preview adminclient.BulkPreview) error {
	n := len(preview.ClientsDeleted)
	switch {
	case p.json:
		return p.value(preview)
	case n == 0:
		return p.say("No client is like that. Nothing was done.")
	}
	if err := p.say("This would delete %s:", plural(n, "client")); err != nil {
		return err
	}
	if err := p.doomed(preview.ClientsDeleted); err != nil {
		return err
	}
	return p.say("Nothing was done.")
}

// doomed prints the clients that go.
func (p *printer) doomed(clients []adminclient.BulkDeleted) error {
	rows := make([]row, len(clients))
	for i, client := range clients {
		rows[i] = row{cells: []string{client.ID, shorten(client.Name, 60), ago(client.LastUsedAt, p.now)}}
	}
	return p.table([]string{"ID", "NAME", "LAST USED"}, rows)
}

// askForAll shows all of them. Who types how many they are has seen it.
func askForAll(cmd *cobra.Command, p *printer, agreed consent, preview adminclient.BulkPreview) error {
	questions := *p
	questions.w, questions.colour = cmd.ErrOrStderr(), p.colour && isTerminal(cmd.ErrOrStderr())
	if err := questions.doomed(preview.ClientsDeleted); err != nil {
		return err
	}
	n := len(preview.ClientsDeleted)
	return agreed.ask(cmd, question{
		text:    fmt.Sprintf("Delete %s?", plural(n, "client")),
		effects: []string{"They stop: they get no more tokens, and those that they have are revoked; an API that asks nobody takes them until they expire."},
		word:    strconv.Itoa(n), wordIs: "how many",
	})
}
