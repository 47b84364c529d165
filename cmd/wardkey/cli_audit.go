package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// auditCommand is `wardkey audit`.
func (c *cli) auditCommand() *cobra.Command {
	return c.administering(noun("audit", "The audit log: what was done, by whom, from where",
		c.auditListCommand(), c.auditShowCommand(), c.auditExportCommand(), c.auditVerifyCommand()))
}

// An eventFilter is which events are meant. Only what was given counts.
type eventFilter struct{ client, actor, action, since, until string }

func (f *eventFilter) flags(c *cli, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.client, "client", "", "about this client or by it: its id, or a name that only one has or had")
	flags.StringVar(&f.actor, "actor", "", "by whom: an id, an e-mail, or admin, client, command_line, server, nobody")
	flags.StringVar(&f.action, "action", "", "what was done, for example client.create; or client for all that was done to clients")
	flags.StringVar(&f.since, "since", "", "not before: so long ago (7d), a date, or a time of RFC 3339")
	flags.StringVar(&f.until, "until", "", "before: the same")
	completeIDs(c, cmd, "client", &clientKind)
}

// params is the filter as the API knows it.
func (f *eventFilter) params(ctx context.Context, api *adminAPI, now time.Time) (*adminclient.ExportAuditEventsParams, error) {
	p := &adminclient.ExportAuditEventsParams{Actor: unlessEmpty(f.actor), Action: unlessEmpty(f.action)}
	var err error
	if p.Since, err = momentFlag("since", f.since, now, parsePast); err != nil {
		return nil, err
	}
	if p.Until, err = momentFlag("until", f.until, now, parsePast); err != nil {
		return nil, err
	}
	if f.client != "" {
		var id string
		id, _, err = api.anyClient(ctx, f.client)
		p.Client = &id
	}
	return p, err
}

// anyClient is the id of a client by its id or its name, live or deleted, and how a sentence names
// it. What is neither is taken for the id of none.
func (a *adminAPI) anyClient(ctx context.Context, word string) (id, called string, err error) {
	client, _, err := clientKind.find(ctx, a, word)
	if err == nil {
		return client.ID, clientKind.called(client), nil
	}
	if _, unknown := errors.AsType[missing](err); !unknown {
		return "", "", err
	}
	if d, ok := a.deletedClient(ctx, word); ok {
		return d.ID, fmt.Sprintf("client %s (%s), deleted %s", d.ID, clean(d.Name), stamped(&d.DeletedAt, time.Now())), nil
	}
	return word, "", nil
}

// defaultEvents is how many events are listed unless it is said otherwise.
const defaultEvents = 50

func (c *cli) auditListCommand() *cobra.Command {
	var f eventFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List what was done, the newest first",
		SuggestFor: []string{"ls", "log", "events"},
		Example: `  wardkey audit list
  wardkey audit list --client "CRM integration - production" --since 30d
  wardkey audit list --action client.delete --json
  wardkey audit list --action session.sign_in_failed --since 1d`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			filter, err := f.params(cmd.Context(), api, time.Now())
			if err != nil {
				return err
			}
			all, err := api.events(cmd.Context(), filter, limit)
			if err != nil {
				return err
			}
			return printEvents(c.printer(cmd), all)
		},
	}
	f.flags(c, cmd)
	cmd.Flags().IntVar(&limit, "limit", defaultEvents, "at most so many; 0 for all")
	return cmd
}

func (a *adminAPI) events(ctx context.Context, f *adminclient.ExportAuditEventsParams, limit int) (page[adminclient.AuditEvent], error) {
	return pages[adminclient.AuditEvent](limit, func(p *pageParams) (*http.Response, error) {
		return a.ListAuditEvents(ctx, &adminclient.ListAuditEventsParams{
			Client: f.Client, Actor: f.Actor, Action: f.Action, Since: f.Since, Until: f.Until, Limit: p.Limit, Cursor: p.Cursor,
		})
	})
}

func printEvents(p *printer, all page[adminclient.AuditEvent]) error {
	if p.json {
		return p.value(all)
	}
	if len(all.Items) == 0 {
		return p.say("Nothing like that was done.")
	}
	rows := make([]row, len(all.Items))
	for i, e := range all.Items {
		rows[i] = row{cells: []string{
			strconv.FormatInt(e.Seq, 10), clockTime(e.At), shorten(actorWords(e.Actor), 50), e.Action, shorten(targetWords(e), 110), orDash(e.IP),
		}}
	}
	if err := p.table([]string{"EVENT", "TIME", "WHO", "WHAT", "TARGET", "FROM"}, rows); err != nil {
		return err
	}
	return p.sayMore(all.Next)
}

// actorWords is who did something: persons by their e-mail, all others by their id.
func actorWords(a adminclient.AuditActor) string {
	name := a.ID
	if a.Kind == adminclient.AuditActorKindAdmin && a.Name != nil {
		name = *a.Name
	}
	return strings.TrimSpace(strings.ReplaceAll(string(a.Kind), "_", " ") + " " + name)
}

// targetWords is what something was done to, and whose that is.
func targetWords(e adminclient.AuditEvent) string {
	t := e.Target
	text := strings.TrimSpace(strings.ReplaceAll(t.Kind, "_", " ") + " " + t.ID)
	if t.Name != nil && *t.Name != t.ID {
		text += " (" + *t.Name + ")"
	}
	if e.ClientID != nil && *e.ClientID != t.ID {
		text += " of client " + *e.ClientID
	}
	return text
}

func orDash(text *string) string {
	if text == nil || *text == "" {
		return "-"
	}
	return *text
}
