package main

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// unusedCommand is `wardkey unused`.
func (c *cli) unusedCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "unused", Short: "List the clients that leave because nobody uses them: who, since when, what happens when",
		SuggestFor: []string{"disuse", "stale", "inactive", "idle"},
		Long: `List the clients that leave because nobody uses them, longest unused first. The server suspends a
client that got no token for 90 days (wardkey serve --unused-after), and deletes it 14 days later
(--unused-deleted-after), with notices 15, 7 and 1 days before each. One token ends it; so does:

  wardkey client resume CLIENT              it is wanted, which counts as a use
  wardkey client edit CLIENT --keep-unused  it is never suspended, however long nobody uses it

Clients that hold wardkey:introspect need no tokens, and are left alone.`,
		Example: "  wardkey unused\n  wardkey unused --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			all, err := pages[adminclient.UnusedClient](limit, func(p *pageParams) (*http.Response, error) {
				return api.ListUnusedClients(cmd.Context(), &adminclient.ListUnusedClientsParams{Limit: p.Limit, Cursor: p.Cursor})
			})
			if err != nil {
				return err
			}
			return printUnused(c.printer(cmd), all)
		},
	}
	limitFlag(cmd, &limit)
	return c.administering(cmd)
}

func printUnused(p *printer, all page[adminclient.UnusedClient]) error {
	switch {
	case p.json:
		return p.value(all)
	case len(all.Items) == 0:
		return p.say("No client leaves because nobody uses it.")
	}
	rows := make([]row, len(all.Items))
	for i, c := range all.Items {
		rows[i] = row{cells: []string{c.ClientID, shorten(c.Name, 40), ago(c.LastUsedAt, p.now), ago(&c.UnusedSince, p.now), nextFate(c, p.now)}}
	}
	return p.table([]string{"ID", "NAME", "LAST USED", "UNUSED SINCE", "WHAT HAPPENS"}, rows)
}

// nextFate says what happens to an unused client and when.
func nextFate(c adminclient.UnusedClient, now time.Time) string {
	was := ""
	if c.SuspendedAt != nil {
		was = "suspended " + ago(c.SuspendedAt, now) + ", "
	}
	switch {
	case c.Next == nil && was == "":
		return "nothing, as the rule is now"
	case c.Next == nil:
		return was + "and stays so"
	case *c.Next == "deletion":
		return was + "deleted on " + c.NextAt.UTC().Format(time.DateOnly)
	}
	return "suspended on " + c.NextAt.UTC().Format(time.DateOnly)
}

// clientResumeCommand is `wardkey client resume`.
func (c *cli) clientResumeCommand() *cobra.Command {
	return completeArg(c, &cobra.Command{
		Use: "resume CLIENT", Short: "Let a client get tokens again that was suspended because nobody used it",
		SuggestFor: []string{"unsuspend", "reactivate", "keep"},
		Long: `Say that a client is wanted, which counts as a use: one that was suspended because nobody used it
gets tokens again, and for another the count of days begins anew. See wardkey unused.`,
		Example: `  wardkey client resume "CRM integration - production"`,
		Args:    takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			client, _, err := clientKind.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			client, _, err = fetch[adminclient.Client](api.ResumeClient(cmd.Context(), client.ID, nil))
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(client)
			}
			return p.say("Resumed %s. This counts as a use.", clientKind.called(client))
		},
	}, &clientKind)
}
