package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

var secretColumns = []string{"SECRET", "ENDS WITH", "CREATED", "LAST USED", "EXPIRES"}

func secretRows(secrets []adminclient.Secret, p *printer) []row {
	rows := make([]row, len(secrets))
	for i, s := range secrets {
		rows[i] = row{cells: []string{s.ID, "…" + s.Hint, ago(&s.CreatedAt, p.now), ago(s.LastUsedAt, p.now), ago(s.ExpiresAt, p.now)}}
		if s.ExpiresAt != nil && !p.now.Before(*s.ExpiresAt) {
			rows[i].style = dim
		}
	}
	return rows
}

// secretCommand is `wardkey secret`.
func (c *cli) secretCommand() *cobra.Command {
	return c.administering(noun("secret", "Secrets of a client, two of which may live at a time",
		c.secretAddCommand(), c.secretListCommand(), c.secretAddressesCommand(), c.secretRevokeCommand()))
}

// ofClient adds --client to a command and returns what finds the one that it names.
func ofClient(c *cli, cmd *cobra.Command) func(context.Context, *adminAPI) (adminclient.Client, error) {
	var word string
	cmd.Flags().StringVar(&word, "client", "", "whose: a Client ID, or a name that only one has")
	completeIDs(c, cmd, "client", &clientKind)
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if word == "" {
			return usagef("say whose with --client")
		}
		return run(cmd, args)
	}
	return func(ctx context.Context, api *adminAPI) (adminclient.Client, error) {
		client, _, err := clientKind.find(ctx, api, word)
		return client, err
	}
}

func (c *cli) secretAddCommand() *cobra.Command {
	var expires, overlap string
	var find func(context.Context, *adminAPI) (adminclient.Client, error)
	cmd := &cobra.Command{
		Use: "add", Short: "Give a client a second secret, and print it",
		SuggestFor: []string{"create", "new", "rotate"},
		Long: `Give a client a second secret, and print it, this once. The first lives on until it is revoked,
or until --overlap is over.`,
		Example: `  wardkey secret add --client "CRM integration - production" --overlap 7d`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := secretBody(expires, overlap, time.Now())
			if err != nil {
				return err
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			client, err := find(cmd.Context(), api)
			if err != nil {
				return err
			}
			made, _, err := fetch[adminclient.SecretCreated](api.AddSecret(cmd.Context(), client.ID, nil, body))
			if isProblem(err, "two-secrets") {
				return fmt.Errorf("%s has two live secrets; revoke one first, see wardkey secret list --client %s", clientKind.called(client), client.ID)
			}
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(addedSecret{client.ID, made})
			}
			return p.say(`Client ID      %s
Client Secret  %s

The secret is shown this once: store it now. The one before it lives on%s`,
				client.ID, made.ClientSecret, livesOn(client, overlap))
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "", "when the new one ends: in a time (30d), on a date, or at a time of RFC 3339 (default never)")
	cmd.Flags().StringVar(&overlap, "overlap", "", "how long the older one lives on, 0s to 90d (default until it is revoked)")
	find = ofClient(c, cmd)
	return cmd
}

// An addedSecret is a secret with whose it is, so that its JSON is a file for --secret-file.
type addedSecret struct {
	ClientID string `json:"client_id"`
	adminclient.SecretCreated
}

func secretBody(expires, overlap string, now time.Time) (body adminclient.SecretCreate, err error) {
	if expires != "" {
		at, err := parseMoment(expires, now)
		if err != nil {
			return body, usagef("--expires %w", err)
		}
		body.ExpiresAt = &at
	}
	if overlap != "" {
		span, err := parseSpan(overlap)
		if err != nil {
			return body, usagef("--overlap %w", err)
		}
		body.Overlap = new(int(span / time.Second))
	}
	return body, nil
}

// livesOn says how long the secret lives on that a client had before.
func livesOn(client adminclient.Client, overlap string) string {
	switch {
	case overlap != "":
		return " for " + overlap + "."
	case len(client.Secrets) == 1:
		return ";\nonce nobody uses it: wardkey secret revoke " + client.Secrets[0].ID + " --client " + client.ID
	}
	return "."
}

func (c *cli) secretListCommand() *cobra.Command {
	var limit int
	var find func(context.Context, *adminAPI) (adminclient.Client, error)
	cmd := &cobra.Command{
		Use: "list", Short: "List the secrets of a client: when they were made and last used, never what they are",
		SuggestFor: []string{"ls", "show"},
		Long: `List the secrets of a client: when they were made and last used, how often each was used in the
last 24 hours and from how many addresses; never what they are.`,
		Example: `  wardkey secret list --client "CRM integration - production"`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			client, err := find(cmd.Context(), api)
			if err != nil {
				return err
			}
			all, err := pages[adminclient.SecretInUse](limit, func(p *pageParams) (*http.Response, error) {
				return api.ListSecrets(cmd.Context(), client.ID, (*adminclient.ListSecretsParams)(p))
			})
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(all)
			}
			return p.table(useColumns, useRows(all.Items, p.now))
		},
	}
	limitFlag(cmd, &limit)
	find = ofClient(c, cmd)
	return cmd
}

func (c *cli) secretAddressesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "addresses CLIENT SECRET", Short: "List from where a secret was used in the last day",
		SuggestFor: []string{"address", "ips", "usage"},
		Long: `List from where a secret was used in the last 24 hours, the last used address first. The secret is
named by its id, or by the characters that it ends with.`,
		Example: `  wardkey secret addresses "CRM integration - production" x3Fq`,
		Args:    takes("CLIENT", "SECRET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			client, _, err := clientKind.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			secret, err := secretOf(client, args[1])
			if err != nil {
				return err
			}
			all, _, err := fetch[adminclient.AddressList](api.ListSecretAddresses(cmd.Context(), client.ID, secret.ID))
			if err != nil {
				return err
			}
			return printAddresses(c.printer(cmd), secret, all)
		},
	}
	return completeArg(c, cmd, &clientKind)
}

func printAddresses(p *printer, secret adminclient.Secret, all adminclient.AddressList) error {
	switch {
	case p.json:
		return p.value(all)
	case len(all.Items) == 0:
		return p.say("Secret …%s was not used in the last 24 hours; it was %s.", clean(secret.Hint), lastUsed(secret.LastUsedAt, p.now))
	}
	rows := make([]row, len(all.Items))
	for i, a := range all.Items {
		rows[i] = row{cells: []string{addressName(a.Address), fmt.Sprint(a.Uses), ago(&a.LastUsedAt, p.now)}}
	}
	return p.table([]string{"ADDRESS", "USES", "LAST USED"}, rows)
}

func (c *cli) secretRevokeCommand() *cobra.Command {
	var agreed consent
	var find func(context.Context, *adminAPI) (adminclient.Client, error)
	cmd := &cobra.Command{
		Use: "revoke SECRET", Short: "End a secret of a client, for ever",
		SuggestFor: []string{"delete", "remove", "rm", "end"},
		Long:       "End a secret of a client. It is named by its id, or by the characters that it ends with.",
		Example:    `  wardkey secret revoke x3Fq --client "CRM integration - production"`,
		Args:       takes("SECRET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agreed.possible(cmd); err != nil {
				return err
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			client, err := find(cmd.Context(), api)
			if err != nil {
				return err
			}
			secret, err := secretOf(client, args[0])
			if err != nil {
				return err
			}
			warning := c.endingLeft(client, secret, time.Now())
			if agreed.yes && !agreed.dryRun && len(warning) > 0 { // who is asked reads it in the question
				fmt.Fprintf(cmd.ErrOrStderr(), "Warning:%s\n", indented(warning))
			}
			return c.delete(cmd, agreed, deletion{
				what: fmt.Sprintf("secret %s (…%s) of %s", secret.ID, secret.Hint, clientKind.called(client)),
				word: secret.Hint, wordIs: "what it ends with",
				remove: func(ctx context.Context, p *deleteParams) (*http.Response, error) {
					return api.DeleteSecret(ctx, client.ID, secret.ID, (*adminclient.DeleteSecretParams)(p))
				},
				effects: func(context.Context, adminclient.Preview) ([]string, error) {
					p := c.printer(cmd)
					return append([]string{
						"It was " + lastUsed(secret.LastUsedAt, p.now) + "; who uses it gets no more tokens.",
						fmt.Sprintf("The client has %s.", plural(len(client.Secrets)-1, "other secret")),
					}, warning...), nil
				},
			})
		},
	}
	agreed.flags(cmd)
	find = ofClient(c, cmd)
	return cmd
}

// endingLeft warns that without the newer of two live secrets only one is left that ends.
func (c *cli) endingLeft(client adminclient.Client, revoked adminclient.Secret, now time.Time) []string {
	live := slices.DeleteFunc(slices.Clone(client.Secrets), func(s adminclient.Secret) bool {
		return s.ExpiresAt != nil && !now.Before(*s.ExpiresAt)
	})
	if len(live) != 2 || live[1].ID != revoked.ID || live[0].ExpiresAt == nil { // oldest first
		return nil
	}
	return []string{
		fmt.Sprintf("The client is left with secret …%s, which %s.", clean(live[0].Hint), endsBySelf(*live[0].ExpiresAt, now)),
		"To take the rotation back instead, and give that the end that it had before:  " + walk{c: c, client: client}.next(" --cancel"),
	}
}

// secretOf is the one secret with this id, or that begins so, or that ends with this hint.
func secretOf(client adminclient.Client, word string) (adminclient.Secret, error) {
	found := slices.DeleteFunc(slices.Clone(client.Secrets), func(s adminclient.Secret) bool {
		return s.Hint != word && (len(word) < minPrefix || !strings.HasPrefix(s.ID, word))
	})
	switch len(found) {
	case 0:
		return adminclient.Secret{}, fmt.Errorf("%s has no secret %s; see wardkey secret list --client %s", clientKind.called(client), quote(word), client.ID)
	case 1:
		return found[0], nil
	}
	return adminclient.Secret{}, fmt.Errorf("%d secrets are meant by %q; give more of the id", len(found), word)
}
