package main

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// webhookID is what the ids of webhooks look like.
var webhookID = regexp.MustCompile(`^[A-Z2-7]{26}$`)

var webhookKind = kind[adminclient.Webhook]{
	noun: "webhook", plural: "webhooks", example: "JBSWY3DPEHPK3PXPJBSWY3DPEH",
	columns: []string{"ID", "ADDRESS", "TOLD OF", "STATE", "CREATED"},
	row: func(w adminclient.Webhook, p *printer) row {
		return row{cells: []string{w.ID, shorten(w.URL, 60), toldOf(w), webhookState(w, p), ago(&w.CreatedAt, p.now)}}
	},
	show: func(w adminclient.Webhook, p *printer) error {
		return p.fields([2]string{"Id", w.ID}, [2]string{"Address", w.URL}, [2]string{"Told of", toldOf(w)}, [2]string{"State", webhookState(w, p)},
			[2]string{"Created", stamped(&w.CreatedAt, p.now)})
	},
	id:   func(w adminclient.Webhook) string { return w.ID },
	name: func(w adminclient.Webhook) string { return w.URL },
	isID: webhookID.MatchString,

	list: func(ctx context.Context, api *adminclient.API, p *pageParams) (*http.Response, error) {
		return api.ListWebhooks(ctx, (*adminclient.ListWebhooksParams)(p))
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadWebhook(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateWebhook(ctx, id, &adminclient.UpdateWebhookParams{IfMatch: match}, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, p *deleteParams) (*http.Response, error) {
		return api.DeleteWebhook(ctx, id, (*adminclient.DeleteWebhookParams)(p))
	},
	effects: func(adminclient.Webhook, *printer, adminclient.Preview) []string {
		return []string{"It is told of nothing any more, and what waits to be sent there is not sent."}
	},
}

func toldOf(w adminclient.Webhook) string {
	if len(w.Kinds) == 0 {
		return "everything"
	}
	names := make([]string, len(w.Kinds))
	for i, k := range w.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

func webhookState(w adminclient.Webhook, p *printer) string {
	switch {
	case !w.Enabled:
		return "off"
	case w.FailingSince != nil:
		return "takes nothing since " + ago(w.FailingSince, p.now)
	}
	return "on"
}

// webhookCommand is `wardkey webhook`.
func (c *cli) webhookCommand() *cobra.Command {
	k := &webhookKind
	return c.administering(noun("webhook", "Webhooks: addresses that are told of alerts",
		c.webhookCreateCommand(), k.listCommand(c), k.showCommand(c), c.webhookTestCommand(), c.webhookDeliveriesCommand(),
		k.changeCommand(c, change{
			use: "enable WEBHOOK", args: []string{"WEBHOOK"}, short: "Switch a webhook on again", example: "  wardkey webhook enable " + k.example,
			patch: func([]string) adminclient.Patch { return adminclient.Patch{"enabled": true} }, said: "Switched on", note: "What it missed is not sent again.",
		}),
		k.changeCommand(c, change{
			use: "disable WEBHOOK", args: []string{"WEBHOOK"}, short: "Switch a webhook off", example: "  wardkey webhook disable " + k.example,
			patch: func([]string) adminclient.Patch { return adminclient.Patch{"enabled": false} }, said: "Switched off",
		}),
		k.deleteCommand(c)))
}

func (c *cli) webhookCreateCommand() *cobra.Command {
	var kinds []string
	cmd := &cobra.Command{
		Use: "create URL", Short: "Create a webhook, and print its secret, this once",
		SuggestFor: []string{"add", "new"},
		Long: `Create a webhook, and print its secret, this once: the receiver checks with it that what comes is from
the server (Standard Webhooks). The address is on the public internet and begins with https://, unless
the server was told of private networks with --webhook-allow-private.`,
		Example: `  wardkey webhook create https://example.com/wardkey
  wardkey webhook create https://example.com/wardkey --kind secret_leaked --kind client_expiring`,
		Args: takes("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			made, _, err := fetch[adminclient.WebhookCreated](api.CreateWebhook(cmd.Context(), nil, adminclient.WebhookCreate{URL: args[0], Kinds: kinds}))
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(made)
			}
			return p.say("Created webhook %s.\n\nSecret  %s\n\nIt is shown this once: store it now. To see whether all is well: wardkey webhook test %s", made.ID, made.Secret, made.ID)
		},
	}
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "tell it of one kind of alerts only; may repeat (default everything)")
	return cmd
}

func (c *cli) webhookTestCommand() *cobra.Command {
	return completeArg(c, &cobra.Command{
		Use: "test WEBHOOK", Short: "Send something to a webhook that is no alert",
		SuggestFor: []string{"ping", "try"},
		Example:    "  wardkey webhook test JBSWY3DPEHPK3PXPJBSWY3DPEH",
		Args:       takes("WEBHOOK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			hook, _, err := webhookKind.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			if _, _, err := fetch[struct{}](api.TestWebhook(cmd.Context(), hook.ID, nil)); err != nil && !isProblem(err, "already-done") {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(map[string]any{"id": hook.ID, "sending": true})
			}
			return p.say("It will be sent within a few seconds. What came of it: wardkey webhook deliveries %s", hook.ID)
		},
	}, &webhookKind)
}

func (c *cli) webhookDeliveriesCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "deliveries [WEBHOOK]", Short: "List what was sent in the last 30 days, newest first, mails too",
		SuggestFor: []string{"log", "sent"},
		Example: `  wardkey webhook deliveries
  wardkey webhook deliveries JBSWY3DPEHPK3PXPJBSWY3DPEH --limit 20`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			var params adminclient.ListAlertDeliveriesParams
			if len(args) > 0 {
				hook, _, err := webhookKind.find(cmd.Context(), api, args[0])
				if err != nil {
					return err
				}
				params.Webhook = &hook.ID
			}
			all, err := pages[adminclient.AlertDelivery](limit, func(p *pageParams) (*http.Response, error) {
				params.Limit, params.Cursor = p.Limit, p.Cursor
				return api.ListAlertDeliveries(cmd.Context(), &params)
			})
			if err != nil {
				return err
			}
			return c.printer(cmd).deliveries(all)
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

func (p *printer) deliveries(all page[adminclient.AlertDelivery]) error {
	if p.json {
		return p.value(all)
	}
	if len(all.Items) == 0 {
		return p.say("Nothing was sent.")
	}
	rows := make([]row, len(all.Items))
	for i, d := range all.Items {
		to, what := "an admin, by e-mail", string(d.State)
		if d.WebhookID != nil {
			to = *d.WebhookID
		}
		if d.NextAttemptAt != nil && d.Attempts > 0 {
			what += ", next " + ago(d.NextAttemptAt, p.now)
		}
		rows[i] = row{cells: []string{d.ID, to, ago(&d.CreatedAt, p.now), what, orElse(shorten(d.Outcome, 70), "-")}}
	}
	if err := p.table([]string{"ID", "TO", "WHEN", "STATE", "OUTCOME"}, rows); err != nil {
		return err
	}
	return p.sayMore(all.Next)
}
