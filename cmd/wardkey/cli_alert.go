package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/alerts"
)

// alertCommand is `wardkey alert`.
func (c *cli) alertCommand() *cobra.Command {
	return c.administering(noun("alert", "Alerts: what may go wrong soon, or is out of the ordinary",
		c.alertListCommand(), c.alertAckCommand(), c.alertMuteCommand(), c.alertMutesCommand(), c.alertUnmuteCommand()))
}

// alertFlags say which alerts are meant.
type alertFlags struct{ kind, client string }

func (f *alertFlags) flags(c *cli, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kind, "kind", "", "those of one kind, such as "+string(alerts.ErrorRate))
	cmd.Flags().StringVar(&f.client, "client", "", "those about one client: its id or its name")
	var kinds []string
	for _, k := range alerts.Kinds {
		kinds = append(kinds, string(k))
	}
	complete(cmd, "kind", kinds...)
	completeIDs(c, cmd, "client", &clientKind)
}

// of returns the kind and the id of the client, nil where none was said.
func (f *alertFlags) of(ctx context.Context, api *adminAPI) (kind, clientID *string, err error) {
	if f.kind != "" {
		kind = &f.kind
	}
	if f.client == "" {
		return kind, nil, nil
	}
	client, _, err := clientKind.find(ctx, api, f.client)
	return kind, &client.ID, err
}

func (c *cli) alertListCommand() *cobra.Command {
	var f alertFlags
	var limit int
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List alerts, newest first",
		SuggestFor: []string{"ls", "show"},
		Long: `List alerts, newest first: those that are open, unless --state says others. Each tells of one thing
once, and is kept for a year.`,
		Example: `  wardkey alert list
  wardkey alert list --state all --kind secret_leaked
  wardkey alert list --client "CRM integration - production" --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			params := adminclient.ListAlertsParams{}
			switch state {
			case "open", "acknowledged", "muted":
				params.State = new(adminclient.ListAlertsParamsState(state))
			case "all":
			default:
				return usagef("--state must be open, acknowledged, muted or all, not %q", state)
			}
			return c.listAlerts(cmd, &f, params, limit)
		},
	}
	f.flags(c, cmd)
	cmd.Flags().StringVar(&state, "state", "open", "open, acknowledged, muted or all")
	complete(cmd, "state", "open", "acknowledged", "muted", "all")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) listAlerts(cmd *cobra.Command, f *alertFlags, params adminclient.ListAlertsParams, limit int) error {
	api, err := c.admin()
	if err != nil {
		return err
	}
	if params.Kind, params.Client, err = f.of(cmd.Context(), api); err != nil {
		return err
	}
	all, err := pages[adminclient.Alert](limit, func(p *pageParams) (*http.Response, error) {
		params.Limit, params.Cursor = p.Limit, p.Cursor
		return api.ListAlerts(cmd.Context(), &params)
	})
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(all)
	}
	if len(all.Items) == 0 {
		return p.say("There are no such alerts.")
	}
	for i, a := range all.Items {
		if i > 0 {
			_ = p.say("") // the next line would fail too
		}
		if err := p.alert(a); err != nil {
			return err
		}
	}
	return p.sayMore(all.Next)
}

// alert prints one in some lines: what it says is too long for a table.
func (p *printer) alert(a adminclient.Alert) error {
	about := ""
	if a.ClientName != nil {
		about = ": " + clean(*a.ClientName)
	}
	what := fmt.Sprintf("%s%s", a.Title, about)
	if err := p.say("%s  (%s, %s)", p.paint(bold, what), a.State, ago(&a.RaisedAt, p.now)); err != nil {
		return err
	}
	if err := p.say("  %s", clean(a.Text)); err != nil {
		return err
	}
	if a.AcknowledgedBy != nil {
		if err := p.say("  acknowledged by %s %s", clean(*a.AcknowledgedBy), ago(a.AcknowledgedAt, p.now)); err != nil {
			return err
		}
	}
	return p.say("%s", p.paint(dim, "  "+string(a.Kind)+" "+a.ID))
}

func (c *cli) alertAckCommand() *cobra.Command {
	var f alertFlags
	var all bool
	cmd := &cobra.Command{
		Use: "ack [ALERT]", Short: "Acknowledge an alert, or all that are open",
		SuggestFor: []string{"acknowledge", "close", "done"},
		Example: `  wardkey alert ack JBSWY3DPEHPK3PXPJBSWY3DPEH
  wardkey alert ack --all --kind error_rate`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) == 0:
				return c.acknowledgeAll(cmd, &f)
			case len(args) != 1 || all || f != alertFlags{}:
				return usagef("give the id of one alert, or --all with --kind or --client if not all are meant")
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			a, _, err := fetch[adminclient.Alert](api.AcknowledgeAlert(cmd.Context(), args[0], nil))
			if err != nil && !isProblem(err, "already-done") {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(a)
			}
			return p.say("Acknowledged.")
		},
	}
	f.flags(c, cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all that are open")
	return cmd
}

func (c *cli) acknowledgeAll(cmd *cobra.Command, f *alertFlags) error {
	api, err := c.admin()
	if err != nil {
		return err
	}
	var body adminclient.AlertAcknowledge
	if body.Kind, body.ClientID, err = f.of(cmd.Context(), api); err != nil {
		return err
	}
	done, _, err := fetch[adminclient.AlertsAcknowledged](api.AcknowledgeAlerts(cmd.Context(), nil, body))
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(done)
	}
	return p.say("Acknowledged %s.", plural(int(done.Acknowledged), "alert"))
}

func (c *cli) alertMuteCommand() *cobra.Command {
	var f alertFlags
	cmd := &cobra.Command{
		Use: "mute", Short: "Mute a kind of alerts, the alerts of a client, or both",
		SuggestFor: []string{"silence", "ignore"},
		Long: `Mute a kind of alerts, the alerts of a client, or a kind of one client: from now on they go to nobody,
and are not open. To get no mails oneself, see Alerts on the pages.`,
		Example: `  wardkey alert mute --kind unusual_volume
  wardkey alert mute --kind error_rate --client "Shop checkout - test"`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f == (alertFlags{}) {
				return usagef("give --kind, --client or both")
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			var body adminclient.AlertMuteCreate
			if body.Kind, body.ClientID, err = f.of(cmd.Context(), api); err != nil {
				return err
			}
			m, _, err := fetch[adminclient.AlertMute](api.CreateAlertMute(cmd.Context(), nil, body))
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(m)
			}
			return p.say("Muted %s. To hear of it again: wardkey alert unmute %s", muteWords(m), m.ID)
		},
	}
	f.flags(c, cmd)
	return cmd
}

// muteWords say what is muted.
func muteWords(m adminclient.AlertMute) string {
	what, whose := "all alerts", "of all clients"
	if m.Kind != nil {
		what = clean(*m.Kind)
	}
	if m.ClientID != nil {
		whose = "of client " + clean(*m.ClientID)
	}
	return what + " " + whose
}

func (c *cli) alertMutesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "mutes", Short: "List what is muted",
		SuggestFor: []string{"muted"},
		Example:    "  wardkey alert mutes",
		Args:       takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			all, err := pages[adminclient.AlertMute](0, func(p *pageParams) (*http.Response, error) {
				return api.ListAlertMutes(cmd.Context(), (*adminclient.ListAlertMutesParams)(p))
			})
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(all)
			}
			if len(all.Items) == 0 {
				return p.say("Nothing is muted.")
			}
			rows := []row{}
			for _, m := range all.Items {
				whom := "everybody"
				if m.Mail {
					whom = "mails to " + m.CreatedBy
				}
				rows = append(rows, row{cells: []string{orDash(m.Kind), orDash(m.ClientID), whom, ago(&m.CreatedAt, p.now), m.ID}})
			}
			return p.table([]string{"KIND", "CLIENT", "FOR", "SINCE", "ID"}, rows)
		},
	}
}

func (c *cli) alertUnmuteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unmute MUTE", Short: "Mute something no longer",
		SuggestFor: []string{"delete", "rm"},
		Example:    "  wardkey alert unmute JBSWY3DPEHPK3PXPJBSWY3DPEH",
		Args:       takes("MUTE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			if _, _, err := fetch[struct{}](api.DeleteAlertMute(cmd.Context(), args[0])); err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(map[string]any{"id": args[0], "muted": false})
			}
			return p.say("It is not muted any more.")
		},
	}
}
