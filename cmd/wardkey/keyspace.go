package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

var keyspaceKind = kind[adminclient.Keyspace]{
	noun: "keyspace", plural: "keyspaces", example: "email",
	columns: []string{"ID", "NAME", "ACTIONS", "CREATED"},
	row: func(k adminclient.Keyspace, p *printer) row {
		return row{cells: []string{k.ID, k.Name, strings.Join(k.Actions, ","), ago(&k.CreatedAt, p.now)}}
	},
	show: func(k adminclient.Keyspace, p *printer) error {
		return p.fields([2]string{"Id", k.ID}, [2]string{"Name", k.Name}, [2]string{"Actions", strings.Join(k.Actions, " ")},
			[2]string{"Created", stamped(&k.CreatedAt, p.now)})
	},
	id:   func(k adminclient.Keyspace) string { return k.ID },
	name: func(k adminclient.Keyspace) string { return k.Name },
	isID: discriminator.MatchString,

	list: func(ctx context.Context, api *adminclient.API, p *pageParams) (*http.Response, error) {
		return api.ListKeyspaces(ctx, (*adminclient.ListKeyspacesParams)(p))
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadKeyspace(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateKeyspace(ctx, id, &adminclient.UpdateKeyspaceParams{IfMatch: match}, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, p *deleteParams) (*http.Response, error) {
		return api.DeleteKeyspace(ctx, id, (*adminclient.DeleteKeyspaceParams)(p))
	},
}

// keyspaceCommand is `wardkey keyspace`.
func (c *cli) keyspaceCommand() *cobra.Command {
	k := &keyspaceKind
	return c.administering(noun("keyspace", "Keyspaces: namespaces of profile keys, and what can be done through them",
		c.keyspaceCreateCommand(), k.listCommand(c), k.showCommand(c), k.renameCommand(c),
		editActionsCommand(c, k, func(k adminclient.Keyspace) []string { return k.Actions }), k.deleteCommand(c)))
}

func (c *cli) keyspaceCreateCommand() *cobra.Command {
	var name string
	var actions []string
	cmd := &cobra.Command{
		Use: "create ID", Short: "Create a keyspace",
		SuggestFor: []string{"add", "new"},
		Long:       "Create a keyspace. Its id never changes and is never used again; its name and its actions may change.",
		Example:    "  wardkey keyspace create mobile --name \"Mobile number\"\n  wardkey keyspace create orders --action read,write,delete",
		Args:       takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			k, _, err := fetch[adminclient.Keyspace](api.CreateKeyspace(cmd.Context(), nil,
				adminclient.KeyspaceCreate{ID: args[0], Name: orID(name, args[0]), Actions: actions}))
			if err != nil {
				return err
			}
			return created(c.printer(cmd), &keyspaceKind, k)
		},
	}
	nameFlag(cmd, &name)
	cmd.Flags().StringSliceVar(&actions, "action", nil, "what can be done through it; may repeat (default read,write)")
	return cmd
}
