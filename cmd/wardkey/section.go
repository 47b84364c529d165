package main

import (
	"context"
	"net/http"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// discriminator is what the ids of Sections, keyspaces and capabilities look like.
var discriminator = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)

var sectionKind = kind[adminclient.Section]{
	noun: "section", plural: "Sections", example: "nordic",
	columns: []string{"ID", "NAME", "CREATED"},
	row: func(s adminclient.Section, p *printer) row {
		return row{cells: []string{s.ID, s.Name, ago(&s.CreatedAt, p.now)}}
	},
	show: func(s adminclient.Section, p *printer) error {
		return p.fields([2]string{"Id", s.ID}, [2]string{"Name", s.Name}, [2]string{"Created", stamped(&s.CreatedAt, p.now)})
	},
	id:   func(s adminclient.Section) string { return s.ID },
	name: func(s adminclient.Section) string { return s.Name },
	isID: discriminator.MatchString,

	list: func(ctx context.Context, api *adminclient.API, p *pageParams) (*http.Response, error) {
		return api.ListSections(ctx, p)
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadSection(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateSection(ctx, id, &adminclient.UpdateSectionParams{IfMatch: match}, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, p *deleteParams) (*http.Response, error) {
		return api.DeleteSection(ctx, id, (*adminclient.DeleteSectionParams)(p))
	},
}

// sectionCommand is `wardkey section`.
func (c *cli) sectionCommand() *cobra.Command {
	k := &sectionKind
	return c.administering(noun("section", "Sections: data spaces, such as a brand, a country, a location",
		c.sectionCreateCommand(), k.listCommand(c), k.showCommand(c), k.renameCommand(c), k.deleteCommand(c)))
}

func (c *cli) sectionCreateCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "create ID", Short: "Create a Section",
		SuggestFor: []string{"add", "new"},
		Long:       "Create a Section. Its id never changes and is never used again; its name may change.",
		Example:    "  wardkey section create nordic --name \"Nordic countries\"",
		Args:       takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			s, _, err := fetch[adminclient.Section](api.CreateSection(cmd.Context(), nil, adminclient.SectionCreate{ID: args[0], Name: orID(name, args[0])}))
			if err != nil {
				return err
			}
			return created(c.printer(cmd), &sectionKind, s)
		},
	}
	nameFlag(cmd, &name)
	return cmd
}

// nameFlag adds --name to what is created by its id.
func nameFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "name", "", "what people call it (default its id)")
}

func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

// created tells of a new thing.
func created[T any](p *printer, k *kind[T], thing T) error {
	if p.json {
		return p.value(thing)
	}
	return p.say("Created %s.", k.called(thing))
}
