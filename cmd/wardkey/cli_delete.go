package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// deleteParams are the same for every DELETE of the API.
type deleteParams = adminclient.DeleteClientParams

// A consent is how somebody agrees to what cannot be undone.
type consent struct{ yes, dryRun bool }

func (y *consent) flags(cmd *cobra.Command) {
	y.yesFlag(cmd)
	cmd.Flags().BoolVar(&y.dryRun, "dry-run", false, "say what would be done, and do nothing")
}

// yesFlag is for what has no dry run.
func (y *consent) yesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&y.yes, "yes", "y", false, "do not ask")
}

// possible says before anything else whether there is a way to agree.
func (y *consent) possible(cmd *cobra.Command) error {
	if y.yes || y.dryRun || interactive(cmd) {
		return nil
	}
	hint := ""
	if cmd.Flags().Lookup("dry-run") != nil {
		hint = ", or --dry-run to see what it would do"
	}
	return usagef("this cannot be undone, and nobody is here to ask; add --yes if it is meant%s", hint)
}

// A deletion is an act that cannot be undone. What it does is said first.
type deletion struct {
	what   string // "client 3577… (CRM)"
	word   string // to type as consent
	wordIs string // "its name"
	remove func(context.Context, *deleteParams) (*http.Response, error)
	match  *string // what was looked at, if that has an entity tag
	// effects are sentences about what else it does.
	effects func(context.Context, adminclient.Preview) ([]string, error)
}

// delete says what a deletion does, asks, and does it.
func (c *cli) delete(cmd *cobra.Command, agreed consent, d deletion) error {
	preview, _, err := fetch[adminclient.Preview](d.remove(cmd.Context(), &deleteParams{DryRun: new(true), IfMatch: d.match}))
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if agreed.dryRun && p.json {
		return p.value(preview)
	}
	if agreed.dryRun || !agreed.yes {
		effects, err := d.effects(cmd.Context(), preview)
		if err != nil {
			return err
		}
		if agreed.dryRun {
			return p.say("This would delete %s.%s\nNothing was done.", d.what, indented(effects))
		}
		if err := agreed.ask(cmd, question{"Delete " + d.what + "?", effects, d.word, d.wordIs}); err != nil {
			return err
		}
	}
	if _, _, err := fetch[struct{}](d.remove(cmd.Context(), &deleteParams{IfMatch: d.match})); err != nil {
		return err
	}
	if p.json {
		preview.DryRun = false // now it is what was done
		return p.value(preview)
	}
	return p.say("Deleted %s.", d.what)
}

// A question is what somebody must agree to.
type question struct {
	text    string
	effects []string // sentences about what it does
	word    string   // to type as consent
	wordIs  string   // "its name"
}

// ask says what will be done, and lets only those pass who agree.
func (y *consent) ask(cmd *cobra.Command, q question) error {
	if y.yes {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s%s\nThis cannot be undone.\n", q.text, indented(q.effects))
	return confirm(cmd, q.word, q.wordIs)
}

// indented are sentences, each on a line of its own below another.
func indented(sentences []string) string {
	return strings.Join(append([]string{""}, sentences...), "\n  ")
}

// confirm lets only those pass who type the word.
func confirm(cmd *cobra.Command, word, wordIs string) error {
	typed, err := ask(cmd, fmt.Sprintf("Type %s (%s) to go on: ", wordIs, clean(word)))
	if err != nil {
		return err
	}
	if typed != word {
		return errors.New("that is something else; nothing was done")
	}
	return nil
}

func (k *kind[T]) deleteCommand(c *cli) *cobra.Command {
	var agreed consent
	cmd := &cobra.Command{
		Use: "delete " + k.placeholder(), Short: "Delete one of the " + k.plural + ", for ever",
		SuggestFor: []string{"remove", "rm", "revoke", "destroy"},
		Example:    fmt.Sprintf("  wardkey %s delete %s\n  wardkey %s delete %s --dry-run", k.noun, k.example, k.noun, k.example),
		Args:       takes(k.placeholder()),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agreed.possible(cmd); err != nil {
				return err
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			thing, tag, err := k.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			word, wordIs := k.id(thing), "its id"
			if k.byName {
				word, wordIs = k.name(thing), "its name"
			}
			return c.delete(cmd, agreed, deletion{
				what: k.called(thing), word: word, wordIs: wordIs, match: &tag,
				remove: func(ctx context.Context, p *deleteParams) (*http.Response, error) {
					return k.remove(ctx, api.API, k.id(thing), p)
				},
				effects: func(ctx context.Context, preview adminclient.Preview) ([]string, error) {
					if k.effects != nil {
						return k.effects(thing, c.printer(cmd), preview), nil
					}
					return c.clientsOf(ctx, cmd, api, preview)
				},
			})
		},
	}
	agreed.flags(cmd)
	return completeArg(c, cmd, k)
}

// maxNamed is how many clients a question names.
const maxNamed = 10

// clientsOf says which clients lose something by a deletion, and when they were last used.
func (c *cli) clientsOf(ctx context.Context, cmd *cobra.Command, api *adminAPI, preview adminclient.Preview) ([]string, error) {
	if len(preview.ClientsNarrowed)+len(preview.ClientsDeleted) == 0 {
		return []string{"No client holds it."}, nil
	}
	p := c.printer(cmd)
	var effects []string
	for _, group := range []struct {
		ids  []string
		what string
	}{
		{preview.ClientsNarrowed, "%s loses it and lives on:"},
		{preview.ClientsDeleted, "%s is left with no Section, and is deleted with it:"},
	} {
		if len(group.ids) == 0 {
			continue
		}
		sentence := fmt.Sprintf(group.what, plural(len(group.ids), "client"))
		if len(group.ids) > 1 {
			sentence = strings.NewReplacer("loses", "lose", "lives", "live", " is ", " are ").Replace(sentence)
		}
		effects = append(effects, sentence)
		for _, id := range group.ids[:min(len(group.ids), maxNamed)] {
			client, _, err := fetch[adminclient.Client](api.ReadClient(ctx, id, nil))
			if err != nil {
				return nil, err
			}
			effects = append(effects, fmt.Sprintf("  %s  %s, %s", id, clean(client.Name), lastUsed(client.LastUsedAt, p.now)))
		}
		if more := len(group.ids) - maxNamed; more > 0 {
			effects = append(effects, fmt.Sprintf("  and %d more", more))
		}
	}
	return effects, nil
}
