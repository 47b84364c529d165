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

	list func(context.Context, *adminclient.API, *pageParams) (*http.Response, error)
	// search lists those that have a text in them, among others; nil if only the whole list can be
	// gone through.
	search func(ctx context.Context, api *adminclient.API, text string, p *pageParams) (*http.Response, error)
	read   func(context.Context, *adminclient.API, string) (*http.Response, error)
	update func(ctx context.Context, api *adminclient.API, id string, match *string, patch adminclient.Patch) (*http.Response, error)
	remove func(context.Context, *adminclient.API, string, *deleteParams) (*http.Response, error)
	// effects says what else a deletion does; nil if nothing.
	effects func(T, *printer, adminclient.Preview) []string
	// gone says what is known of one that was deleted, "" if nothing; nil if nothing ever is.
	gone func(ctx context.Context, api *adminAPI, word string) string
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
	if k.isID(word) {
		thing, tag, err := fetch[T](k.read(ctx, api.API, word))
		if isProblem(err, "not-found") {
			err = k.missing(ctx, api, word)
		}
		return thing, tag, err
	}
	all, err := k.candidates(ctx, api, word, 0)
	if err != nil {
		return none, "", err
	}
	switch found := k.matches(all, word); len(found) {
	case 0:
		return none, "", k.missing(ctx, api, word)
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

// candidates are those that may be meant by a word, at most limit of them unless that is 0.
func (k *kind[T]) candidates(ctx context.Context, api *adminAPI, word string, limit int) ([]T, error) {
	all, err := pages[T](limit, func(p *pageParams) (*http.Response, error) {
		if k.search != nil {
			return k.search(ctx, api.API, word, p)
		}
		return k.list(ctx, api.API, p)
	})
	return all.Items, err
}

// A missing is the error for a word that means nothing.
type missing struct{ text string }

func (m missing) Error() string { return m.text }

func (k *kind[T]) missing(ctx context.Context, api *adminAPI, word string) error {
	text := fmt.Sprintf("there is no %s %s", k.noun, quote(word))
	if k.gone != nil {
		if trace := k.gone(ctx, api, word); trace != "" {
			return missing{text + ": " + trace}
		}
	}
	return missing{text + "; see wardkey " + k.noun + " list"}
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
	if err := p.table(k.columns, rows); err != nil {
		return err
	}
	return p.sayMore(all.Next)
}

// sayMore says below a list whether it goes on.
func (p *printer) sayMore(next *string) error {
	if next == nil {
		return nil
	}
	return p.say("There are more; see them with a higher --limit, or without.")
}

func (k *kind[T]) showCommand(c *cli) *cobra.Command {
	return completeArg(c, &cobra.Command{
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
	}, k)
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
	return completeArg(c, &cobra.Command{
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
	}, k)
}
