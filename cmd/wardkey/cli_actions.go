package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// editActionsCommand is `wardkey keyspace edit` and `wardkey capability edit`.
func editActionsCommand[T any](c *cli, k *kind[T], actions func(T) []string) *cobra.Command {
	var add, remove []string
	var agreed consent
	cmd := &cobra.Command{
		Use: "edit " + k.placeholder(), Short: "Add or remove actions",
		SuggestFor: []string{"update", "set", "change"},
		Long:       "Add or remove actions. One that is removed is taken from every client that holds it.",
		Example: fmt.Sprintf("  wardkey %[1]s edit %[2]s --add-action lock\n  wardkey %[1]s edit %[2]s --remove-action lock --yes",
			k.noun, k.example),
		Args: takes(k.placeholder()),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(add)+len(remove) == 0 {
				return usagef("say what to change: --add-action, --remove-action")
			}
			if len(remove) > 0 {
				if err := agreed.possible(cmd); err != nil {
					return err
				}
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			thing, tag, err := k.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			next, err := edited(actions(thing), add, remove)
			if err != nil {
				return fmt.Errorf("%s: %w", k.called(thing), err)
			}
			if len(remove) > 0 && !agreed.yes {
				fmt.Fprintf(cmd.ErrOrStderr(), "Every client that holds %s of %s loses it.\nThis cannot be undone.\n", strings.Join(remove, ", "), k.called(thing))
				if err := confirm(cmd, k.id(thing), "its id"); err != nil {
					return err
				}
			}
			thing, _, err = fetch[T](k.update(cmd.Context(), api.API, k.id(thing), &tag, adminclient.Patch{"actions": next}))
			if err != nil {
				return err
			}
			return k.print(c.printer(cmd), thing)
		},
	}
	cmd.Flags().StringSliceVar(&add, "add-action", nil, "an action more; may repeat")
	cmd.Flags().StringSliceVar(&remove, "remove-action", nil, "an action less; may repeat")
	agreed.yesFlag(cmd)
	return completeArg(c, cmd, k)
}

// edited is a list with some items more and some less. What is not there cannot be removed: it was
// mistyped, and the removal would seem to have worked.
func edited(list, add, remove []string) ([]string, error) {
	next := slices.Clone(list)
	for _, item := range add {
		if !slices.Contains(next, item) {
			next = append(next, item)
		}
	}
	for _, item := range remove {
		i := slices.Index(next, item)
		if i < 0 {
			return nil, fmt.Errorf("%q is not there to be removed; there is: %s", item, strings.Join(next, ", "))
		}
		next = slices.Delete(next, i, i+1)
	}
	return next, nil
}
