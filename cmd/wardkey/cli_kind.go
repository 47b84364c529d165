package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A kind is one of the kinds of things that have an id and a name, for the verbs that are alike
// for all of them.
type kind[T any] struct {
	noun    string // as in `wardkey section list`
	plural  string
	example string // an id or a name, as examples have it
	columns []string
	row     func(T, *printer) row
	show    func(T, *printer) error
	id      func(T) string
	name    func(T) string
	isID    func(string) bool // whether a word can be an id; what cannot is a name
	byName  bool              // whether ids are random, so that people know it by its name

	list   func(context.Context, *adminclient.API, *pageParams) (*http.Response, error)
	read   func(context.Context, *adminclient.API, string) (*http.Response, error)
	update func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error)
	remove func(context.Context, *adminclient.API, string, *deleteParams) (*http.Response, error)
	// effects says what else a deletion does; nil if nothing.
	effects func(T, *printer, adminclient.Preview) []string
}

// placeholder is what usage lines call one of them.
func (k *kind[T]) placeholder() string { return strings.ToUpper(k.noun) }

// all reads the list to its end, or until it has limit items, unless that is 0.
func (k *kind[T]) all(ctx context.Context, api *adminAPI, limit int) (page[T], error) {
	return pages[T](limit, func(p *pageParams) (*http.Response, error) { return k.list(ctx, api.API, p) })
}

// find returns one thing with its entity tag, by its id or by a name that only one has. What can
// be an id is one and never a name: `delete nordic`, run twice, must not find something else.
func (k *kind[T]) find(ctx context.Context, api *adminAPI, word string) (T, string, error) {
	var none T
	missing := fmt.Errorf("there is no %s %s; see wardkey %s list", k.noun, quote(word), k.noun)
	if k.isID(word) {
		thing, tag, err := fetch[T](k.read(ctx, api.API, word))
		if isProblem(err, "not-found") {
			err = missing
		}
		return thing, tag, err
	}
	all, err := k.all(ctx, api, 0)
	if err != nil {
		return none, "", err
	}
	switch found := k.matches(all.Items, word); len(found) {
	case 0:
		return none, "", missing
	case 1:
		return fetch[T](k.read(ctx, api.API, k.id(found[0])))
	default:
		ids := make([]string, len(found))
		for i, thing := range found {
			ids[i] = k.id(thing)
		}
		return none, "", fmt.Errorf("%d %s are meant by %s; say which by its id: %s", len(found), k.plural, quote(word), strings.Join(ids, ", "))
	}
}

// minPrefix is how much of a random id is enough.
const minPrefix = 6

// matches are those of this name; if there are none and ids are random, those whose id begins so.
func (k *kind[T]) matches(all []T, word string) []T {
	keep := func(like func(T) bool) []T {
		return slices.DeleteFunc(slices.Clone(all), func(thing T) bool { return !like(thing) })
	}
	found := keep(func(thing T) bool { return k.name(thing) == word })
	if len(found) == 0 && k.byName && len(word) >= minPrefix {
		found = keep(func(thing T) bool { return strings.HasPrefix(k.id(thing), word) })
	}
	return found
}

func (k *kind[T]) listCommand(c *cli) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List " + k.plural,
		SuggestFor: []string{"ls"},
		Example:    fmt.Sprintf("  wardkey %s list\n  wardkey %s list --limit 10 --json", k.noun, k.noun),
		Args:       takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			all, err := k.all(cmd.Context(), api, limit)
			if err != nil {
				return err
			}
			return k.printList(c.printer(cmd), all)
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

func (k *kind[T]) printList(p *printer, all page[T]) error {
	if p.json {
		return p.value(all)
	}
	if len(all.Items) == 0 {
		return p.say("There are no %s.", k.plural)
	}
	rows := make([]row, len(all.Items))
	for i, thing := range all.Items {
		rows[i] = k.row(thing, p)
	}
	if err := p.table(k.columns, rows); err != nil || all.Next == nil {
		return err
	}
	return p.say("There are more; see them with a higher --limit, or without.")
}

func (k *kind[T]) showCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "show " + k.placeholder(), Short: "Show one of the " + k.plural + ", by its id or its name",
		SuggestFor: []string{"get", "read", "describe", "info"},
		Example:    fmt.Sprintf("  wardkey %s show %s", k.noun, k.example),
		Args:       takes(k.placeholder()),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			thing, _, err := k.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			return k.print(c.printer(cmd), thing)
		},
	}
}

// print shows one thing.
func (k *kind[T]) print(p *printer, thing T) error {
	if p.json {
		return p.value(thing)
	}
	return k.show(thing, p)
}

// called is how a sentence names a thing.
func (k *kind[T]) called(thing T) string {
	if k.name(thing) == k.id(thing) {
		return k.noun + " " + k.id(thing)
	}
	return fmt.Sprintf("%s %s (%s)", k.noun, k.id(thing), clean(k.name(thing)))
}

func (k *kind[T]) renameCommand(c *cli) *cobra.Command {
	return k.changeCommand(c, change{
		use: "rename " + k.placeholder() + " NAME", args: []string{k.placeholder(), "NAME"},
		short:   "Give one of the " + k.plural + " another name; its id stays",
		example: fmt.Sprintf("  wardkey %s rename %s \"Another name\"", k.noun, k.example),
		patch:   func(args []string) adminclient.Patch { return adminclient.Patch{"name": args[1]} },
		said:    "Renamed",
	})
}

// A change is a verb that sets something, whatever it was before.
type change struct {
	use, short, example string
	args                []string
	patch               func(args []string) adminclient.Patch
	said                string // of what was done
	note                string // what to know of it
}

func (k *kind[T]) changeCommand(c *cli, what change) *cobra.Command {
	return &cobra.Command{
		Use: what.use, Short: what.short, Example: what.example, Args: takes(what.args...),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			thing, _, err := k.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			thing, _, err = fetch[T](k.update(cmd.Context(), api.API, k.id(thing), nil, what.patch(args)))
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(thing)
			}
			return p.say("%s", strings.TrimSpace(what.said+" "+k.called(thing)+". "+what.note))
		},
	}
}
