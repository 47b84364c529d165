package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

var capabilityKind = kind[adminclient.Capability]{
	noun: "capability", plural: "capabilities", example: "transactional-email",
	columns: []string{"ID", "NAME", "ACTIONS", "STATE", "CREATED"},
	row: func(k adminclient.Capability, p *printer) row {
		r := row{cells: []string{k.ID, k.Name, strings.Join(k.Actions, ","), onOff(k.Enabled), ago(&k.CreatedAt, p.now)}}
		if !k.Enabled {
			r.style = dim
		}
		return r
	},
	show: func(k adminclient.Capability, p *printer) error {
		return p.fields([2]string{"Id", k.ID}, [2]string{"Name", k.Name}, [2]string{"Actions", strings.Join(k.Actions, " ")},
			[2]string{"State", onOff(k.Enabled)}, [2]string{"Created", stamped(&k.CreatedAt, p.now)})
	},
	id:   func(k adminclient.Capability) string { return k.ID },
	name: func(k adminclient.Capability) string { return k.Name },
	isID: discriminator.MatchString,

	list: func(ctx context.Context, api *adminclient.API, p *pageParams) (*http.Response, error) {
		return api.ListCapabilities(ctx, (*adminclient.ListCapabilitiesParams)(p))
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadCapability(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateCapability(ctx, id, &adminclient.UpdateCapabilityParams{IfMatch: match}, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, p *deleteParams) (*http.Response, error) {
		return api.DeleteCapability(ctx, id, (*adminclient.DeleteCapabilityParams)(p))
	},
}

func onOff(enabled bool) string {
	if enabled {
		return "enabled"
	}
	return "disabled"
}

// capabilityCommand is `wardkey capability`.
func (c *cli) capabilityCommand() *cobra.Command {
	k := &capabilityKind
	enable := k.changeCommand(c, change{
		use: "enable CAPABILITY", args: []string{"CAPABILITY"}, short: "Switch a capability on for the whole account",
		example: "  wardkey capability enable transactional-email",
		patch:   func([]string) adminclient.Patch { return adminclient.Patch{"enabled": true} }, said: "Enabled",
	})
	disable := k.changeCommand(c, change{
		use: "disable CAPABILITY", args: []string{"CAPABILITY"}, short: "Switch a capability off for the whole account",
		example: "  wardkey capability disable transactional-email",
		patch:   func([]string) adminclient.Patch { return adminclient.Patch{"enabled": false} }, said: "Disabled",
		note: "Whoever holds it gets tokens without it; tokens that have it work until they expire.",
	})
	return c.administering(noun("capability", "Capabilities: rights that belong to no keyspace",
		c.capabilityCreateCommand(), k.listCommand(c), k.showCommand(c), k.renameCommand(c),
		editActionsCommand(c, k, func(k adminclient.Capability) []string { return k.Actions }), enable, disable, k.deleteCommand(c)))
}

func (c *cli) capabilityCreateCommand() *cobra.Command {
	var name string
	var actions []string
	var enabled bool
	cmd := &cobra.Command{
		Use: "create ID", Short: "Create a capability",
		SuggestFor: []string{"add", "new"},
		Long:       "Create a capability. It cannot be granted until it is enabled.",
		Example:    "  wardkey capability create transactional-email --action send --enabled",
		Args:       takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(actions) == 0 {
				return usagef("say with --action what can be done, for example --action send")
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			k, _, err := fetch[adminclient.Capability](api.CreateCapability(cmd.Context(), nil,
				adminclient.CapabilityCreate{ID: args[0], Name: orID(name, args[0]), Actions: actions, Enabled: &enabled}))
			if err != nil {
				return err
			}
			return created(c.printer(cmd), &capabilityKind, k)
		},
	}
	nameFlag(cmd, &name)
	cmd.Flags().StringSliceVar(&actions, "action", nil, "what it allows; may repeat")
	cmd.Flags().BoolVar(&enabled, "enabled", false, "switch it on at once")
	return cmd
}
