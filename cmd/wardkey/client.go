package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// clientID is what the ids of clients look like.
var clientID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

var clientKind = kind[adminclient.Client]{
	noun: "client", plural: "clients", example: `"CRM integration - production"`,
	columns: []string{"ID", "NAME", "SECTIONS", "PERMISSIONS", "STATE", "LAST USED"},
	row: func(c adminclient.Client, p *printer) row {
		state, style := clientState(c, p.now)
		return row{style: style, cells: []string{
			c.ID, shorten(c.Name, 40), shorten(sectionWords(c.Sections), 30), shorten(permissionWords(c.Permissions), 50),
			state, ago(c.LastUsedAt, p.now),
		}}
	},
	show:   showClient,
	id:     func(c adminclient.Client) string { return c.ID },
	name:   func(c adminclient.Client) string { return c.Name },
	isID:   clientID.MatchString,
	byName: true,

	list: func(ctx context.Context, api *adminclient.API, p *pageParams) (*http.Response, error) {
		return api.ListClients(ctx, &adminclient.ListClientsParams{Limit: p.Limit, Cursor: p.Cursor})
	},
	search: func(ctx context.Context, api *adminclient.API, text string, p *pageParams) (*http.Response, error) {
		return api.ListClients(ctx, &adminclient.ListClientsParams{Q: unlessEmpty(text), Limit: p.Limit, Cursor: p.Cursor})
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadClient(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateClient(ctx, id, &adminclient.UpdateClientParams{IfMatch: match}, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, p *deleteParams) (*http.Response, error) {
		return api.DeleteClient(ctx, id, p)
	},
	effects: func(c adminclient.Client, p *printer, preview adminclient.Preview) []string {
		return []string{
			"It was " + lastUsed(c.LastUsedAt, p.now) + ", and has " + plural(len(preview.SecretsEnded), "live secret") + ".",
			"It stops: it gets no more tokens, and those that it has are revoked; an API that asks nobody takes them until they expire.",
		}
	},
	gone: traceOfClient,
}

// clientCommand is `wardkey client`.
func (c *cli) clientCommand() *cobra.Command {
	k := &clientKind
	enable := k.changeCommand(c, change{
		use: "enable CLIENT", args: []string{"CLIENT"}, short: "Let a disabled client get tokens again",
		example: `  wardkey client enable "CRM integration - production"`,
		patch:   func([]string) adminclient.Patch { return adminclient.Patch{"disabled": false} }, said: "Enabled",
	})
	disable := k.changeCommand(c, change{
		use: "disable CLIENT", args: []string{"CLIENT"}, short: "Give a client no tokens until it is enabled again",
		example: `  wardkey client disable "CRM integration - production"`,
		patch:   func([]string) adminclient.Patch { return adminclient.Patch{"disabled": true} }, said: "Disabled",
		note: "It gets no more tokens; those that it has work until they expire.",
	})
	return c.administering(noun("client", "Clients: named integrations that may ask for tokens",
		c.clientCreateCommand(), c.clientListCommand(), k.showCommand(c), k.renameCommand(c), c.clientEditCommand(),
		enable, disable, c.clientResumeCommand(), c.clientRotateCommand(), c.clientRevokeTokensCommand(), c.clientUsageCommand(), c.clientNarrowCommand(), c.clientLimitsCommand(), c.clientWastefulCommand(), c.clientDeleteCommand(), c.clientDeletedCommand()))
}

// clientState is whether a client gets tokens, in a word.
func clientState(c adminclient.Client, now time.Time) (state, style string) {
	switch {
	case c.Disabled:
		return "disabled", dim
	case c.SuspendedAt != nil:
		return "suspended", dim
	case c.ExpiresAt == nil:
		return "active", ""
	case !now.Before(*c.ExpiresAt):
		return "expired", dim
	}
	return "ends " + ago(c.ExpiresAt, now), ""
}

func sectionWords(ids []string) string {
	switch {
	case len(ids) == 0:
		return "none"
	case slices.Equal(ids, []string{"*"}):
		return "all"
	}
	return strings.Join(ids, " ")
}

func permissionWords(held adminclient.Permissions) string {
	words := []string{}
	for _, target := range slices.Sorted(maps.Keys(held)) {
		words = append(words, target+":"+strings.Join(held[target], ","))
	}
	return strings.Join(words, " ")
}

// showClient prints a client with its secrets, of which only the last characters are known.
func showClient(c adminclient.Client, p *printer) error {
	state, _ := clientState(c, p.now)
	fields := [][2]string{
		{"Name", c.Name},
		{"Client ID", c.ID},
		{"State", state},
		{"Sections", sectionWords(c.Sections)},
		{"Permissions", permissionWords(c.Permissions)},
		{"Audiences", "all of the server's"},
		{"Token lifetime", "the server's own"},
		{"Signed with", "the server's own"},
		{"Plan", planWords(c.Plan, c.Limits)},
		{"Expires", stamped(c.ExpiresAt, p.now)},
		{"Created", stamped(&c.CreatedAt, p.now) + ", by " + c.CreatedBy},
		{"Last used", stamped(c.LastUsedAt, p.now)},
	}
	if len(c.Audiences) > 0 {
		fields[5][1] = strings.Join(c.Audiences, " ")
	}
	if c.TokenLifetime != nil {
		fields[6][1] = spanText(time.Duration(*c.TokenLifetime) * time.Second)
	}
	if c.SigningAlg != nil {
		fields[7][1] = *c.SigningAlg
	}
	if c.SuspendedAt != nil {
		fields[2][1] = "suspended " + stamped(c.SuspendedAt, p.now) + ", because nobody used it; see wardkey unused"
	}
	if c.KeepUnused {
		fields = append(fields, [2]string{"Unused", "it is kept, however long nobody uses it"})
	}
	if c.Description != "" {
		fields = slices.Insert(fields, 1, [2]string{"Description", c.Description})
	}
	if err := p.fields(fields...); err != nil {
		return err
	}
	if len(c.Secrets) == 0 {
		return p.say("\nIt has no secret; wardkey secret add gives it one.")
	}
	if err := p.say(""); err != nil {
		return err
	}
	return p.table(secretColumns, secretRows(c.Secrets, p))
}

// A newClient is a client with its secret, which no other answer has.
type newClient struct {
	adminclient.Client
	ClientSecret string `json:"client_secret"`
}

func (c *cli) clientCreateCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Register a client, and print its Client ID and Secret",
		SuggestFor: []string{"add", "new", "register"},
		Long: `Register a client, and print its Client ID and Secret. The secret is shown this once.

What it may do is a list of Sections, and of permissions, each KEYSPACE:ACTION (*:ACTION is that
action on every keyspace, present and future) or CAPABILITY:ACTION.`,
		Example: `  wardkey client create "CRM integration - production" --section nordic --allow email:read,email:write --expires 30d
  wardkey client create "BI export" --all-sections --access read --token-lifetime 2h
  wardkey client create "Mailer" --capability transactional-email:send
  wardkey client create "Terraform" --allow wardkey:read,wardkey:write --json`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.createClient(cmd, args[0], &f)
		},
	}
	f.settings(cmd)
	f.grants(c, cmd)
	return cmd
}

func (c *cli) createClient(cmd *cobra.Command, name string, f *clientFlags) error {
	body, err := f.changes(cmd, time.Now())
	if err != nil {
		return err
	}
	body["name"] = name
	if body["sections"], err = f.givenSections(); err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	permissions, err := f.permissions(cmd.Context(), api)
	if err != nil {
		return err
	}
	body["permissions"] = permissions
	server, err := api.remote.metadata(cmd.Context()) // now, so that nothing can fail once there is a secret
	if err != nil {
		return err
	}
	made, _, err := fetch[newClient](api.CreateClientWithBody(cmd.Context(), nil, "application/json", jsonBody(body)))
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(made)
	}
	return p.say(`Client ID      %s
Client Secret  %s

The secret is shown this once: store it now. If it is lost: wardkey client rotate %s --now

%s`, made.ID, made.ClientSecret, made.ID, curls(made, server))
}

// curls are commands that get the client's tokens, ready to paste.
func curls(made newClient, server *serverMetadata) string {
	line := fmt.Sprintf("  curl -s -u %s:%s -d grant_type=client_credentials %s", made.ID, made.ClientSecret, server.TokenEndpoint)
	text := "Get a token:\n" + line
	var others []string
	if len(made.Audiences) > 1 {
		others = made.Audiences[1:]
	}
	if len(made.Permissions["wardkey"]) > 0 && len(made.Permissions) > 1 {
		others = append(others, server.Issuer+"/admin")
	}
	for _, resource := range others {
		text += "\n\nGet a token for " + clean(resource) + ":\n" + line + " --data-urlencode resource=" + shellQuote(resource)
	}
	return text
}

// shellQuote makes one word of a text for a POSIX shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(clean(text), "'", `'\''`) + "'"
}
