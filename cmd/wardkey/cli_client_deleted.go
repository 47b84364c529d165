package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func (c *cli) clientDeletedCommand() *cobra.Command {
	var search string
	var limit int
	cmd := &cobra.Command{
		Use: "deleted", Short: "List deleted clients: what they were called, who deleted them and when",
		SuggestFor: []string{"tombstones", "trash"},
		Long:       "List deleted clients, the last deleted first: what is left of them. Nothing brings one back.",
		Example:    "  wardkey client deleted\n  wardkey client deleted --search crm",
		Args:       takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			all, err := api.deletedClients(cmd.Context(), search, limit)
			if err != nil {
				return err
			}
			return printDeleted(c.printer(cmd), all)
		},
	}
	cmd.Flags().StringVar(&search, "search", "", "those with this text in their name or id")
	limitFlag(cmd, &limit)
	return cmd
}

// deletedClients are those with a text in their name or id, newest first.
func (a *adminAPI) deletedClients(ctx context.Context, text string, limit int) (page[adminclient.DeletedClient], error) {
	return pages[adminclient.DeletedClient](limit, func(p *pageParams) (*http.Response, error) {
		return a.ListDeletedClients(ctx, &adminclient.ListDeletedClientsParams{Q: unlessEmpty(text), Limit: p.Limit, Cursor: p.Cursor})
	})
}

func printDeleted(p *printer, all page[adminclient.DeletedClient]) error {
	if p.json {
		return p.value(all)
	}
	if len(all.Items) == 0 {
		return p.say("There are no deleted clients.")
	}
	rows := make([]row, len(all.Items))
	for i, d := range all.Items {
		rows[i] = row{cells: []string{d.ID, shorten(d.Name, 40), stamped(&d.DeletedAt, p.now), d.DeletedBy}}
	}
	if err := p.table([]string{"ID", "NAME", "DELETED", "BY"}, rows); err != nil {
		return err
	}
	return p.sayMore(all.Next)
}

// traceOfClient says who deleted the client that a word means, and when; "" if nothing is known.
func traceOfClient(ctx context.Context, api *adminAPI, word string) string {
	d, ok := api.deletedClient(ctx, word)
	if !ok {
		return ""
	}
	return fmt.Sprintf("client %s (%s) was deleted %s by %s", d.ID, clean(d.Name), stamped(&d.DeletedAt, time.Now()), clean(d.DeletedBy))
}

// deletedClient is the deleted client with this id, or the last deleted of this name. That nothing
// is found is no error: it is only asked for after something else was not found.
func (a *adminAPI) deletedClient(ctx context.Context, word string) (adminclient.DeletedClient, bool) {
	if clientID.MatchString(word) {
		d, _, err := fetch[adminclient.DeletedClient](a.ReadDeletedClient(ctx, word))
		return d, err == nil
	}
	all, err := a.deletedClients(ctx, word, maxPage)
	if err != nil {
		return adminclient.DeletedClient{}, false
	}
	for _, d := range all.Items {
		if d.Name == word {
			return d, true
		}
	}
	return adminclient.DeletedClient{}, false
}
