package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// clientEdits are what of a client can be changed.
type clientEdits struct {
	clientFlags
	addSections, removeSections []string
	deny                        []string
}

func (c *cli) clientEditCommand() *cobra.Command {
	var f clientEdits
	cmd := &cobra.Command{
		Use: "edit CLIENT", Short: "Change what a client is and may do",
		SuggestFor: []string{"update", "set", "change", "modify"},
		Long: `Change what a client is and may do. Its Client ID and Secret stay. Tokens that it has keep what
they hold until they expire; new ones hold what it holds then.

--section and --all-sections replace all its Sections; --allow, --capability and --access add to
its permissions, and --deny takes some away.`,
		Example: `  wardkey client edit "CRM integration - production" --add-section baltic --allow crm-id:read
  wardkey client edit "CRM integration - production" --deny email:write --expires never
  wardkey client edit "BI export" --token-lifetime 1h --audience https://api.example.com`,
		Args: takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.editClient(cmd, args[0], &f)
		},
	}
	f.settings(cmd)
	f.grants(c, cmd)
	cmd.Flags().StringSliceVar(&f.addSections, "add-section", nil, "a Section more; may repeat")
	cmd.Flags().StringSliceVar(&f.removeSections, "remove-section", nil, "a Section less; may repeat")
	cmd.Flags().StringSliceVar(&f.deny, "deny", nil, "KEYSPACE:ACTION or CAPABILITY:ACTION that it loses; may repeat")
	return completeArg(c, cmd, &clientKind)
}

// editClient changes a client as it was read: what others change in the meantime is not lost.
func (c *cli) editClient(cmd *cobra.Command, word string, f *clientEdits) error {
	patch, err := f.changes(cmd, time.Now())
	if err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	client, tag, err := clientKind.find(cmd.Context(), api, word)
	if err != nil {
		return err
	}
	if err := f.patchSections(patch, client); err != nil {
		return err
	}
	if err := f.patchPermissions(cmd, api, patch, client); err != nil {
		return err
	}
	if len(patch) == 0 {
		return usagef("say what to change; see %s --help", cmd.CommandPath())
	}
	client, _, err = fetch[adminclient.Client](api.UpdateClient(cmd.Context(), client.ID, &adminclient.UpdateClientParams{IfMatch: &tag}, patch))
	if err != nil {
		return err
	}
	return clientKind.print(c.printer(cmd), client)
}

func (f *clientEdits) patchSections(patch adminclient.Patch, client adminclient.Client) error {
	replaced, err := f.givenSections()
	if err != nil {
		return err
	}
	if len(replaced)+len(f.addSections)+len(f.removeSections) == 0 {
		return nil
	}
	if len(replaced) == 0 {
		replaced = client.Sections
	}
	if slices.Equal(replaced, []string{"*"}) && len(f.addSections)+len(f.removeSections) > 0 {
		return fmt.Errorf("it has every Section, so none can be added or removed; name those that it keeps with --section")
	}
	sections, err := edited(replaced, f.addSections, f.removeSections)
	if err != nil {
		return fmt.Errorf("--remove-section: %w", err)
	}
	patch["sections"] = sections
	return nil
}

// patchPermissions sends only the keyspaces and capabilities that change, each whole.
func (f *clientEdits) patchPermissions(cmd *cobra.Command, api *adminAPI, patch adminclient.Patch, client adminclient.Client) error {
	add, remove := adminclient.Permissions{}, adminclient.Permissions{}
	if len(f.allow)+len(f.capability) > 0 || f.access != "" {
		var err error
		if add, err = f.permissions(cmd.Context(), api); err != nil {
			return err
		}
	}
	if err := addPermissions(remove, f.deny, nil); err != nil {
		return err
	}
	changes := map[string]any{}
	for _, target := range slices.Compact(slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(add)), slices.Collect(maps.Keys(remove))...)))) {
		actions, err := edited(client.Permissions[target], add[target], remove[target])
		if err != nil {
			return fmt.Errorf("--deny %s: %w", target, err)
		}
		changes[target] = actions
		if len(actions) == 0 {
			changes[target] = nil
		}
	}
	if len(changes) > 0 {
		patch["permissions"] = changes
	}
	return nil
}
