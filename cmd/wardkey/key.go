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

// keyCommand is `wardkey key`.
func (c *cli) keyCommand() *cobra.Command {
	return c.administering(noun("key", "Signing keys: what tokens are signed with",
		c.keyListCommand(), c.keyRotateCommand(), c.keyRemoveCommand()))
}

// signs says when a key signs, in words.
func signs(k adminclient.SigningKey, p *printer) string {
	switch {
	case k.State == adminclient.SigningKeyStatePending:
		return ago(&k.ActivatesAt, p.now)
	case k.State == adminclient.SigningKeyStateActive:
		return "now"
	case k.RemovesAt == nil:
		return "no more"
	}
	return "no more; leaves the JWKS " + ago(k.RemovesAt, p.now)
}

func allKeys(ctx context.Context, api *adminAPI, limit int) (page[adminclient.SigningKey], error) {
	return pages[adminclient.SigningKey](limit, func(p *pageParams) (*http.Response, error) {
		return api.ListSigningKeys(ctx, (*adminclient.ListSigningKeysParams)(p))
	})
}

func (c *cli) keyListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List signing keys, and who has them",
		SuggestFor: []string{"ls", "show"},
		Long: `List signing keys, and below them who fetched them: each party, by its user agent and address, and when
it last did. SEEN BY says how many of the parties of the last day have a key. A rotation is safe when
all have the new one.`,
		Example: "  wardkey key list",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			all, err := allKeys(cmd.Context(), api, limit)
			if err != nil {
				return err
			}
			fetches, err := allFetches(cmd.Context(), api)
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(keysAndFetches{all, fetches})
			}
			if err := p.keys(all.Items); err != nil {
				return err
			}
			return p.fetches(all.Items, fetches)
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

// keys prints signing keys.
func (p *printer) keys(keys []adminclient.SigningKey) error {
	rows := make([]row, len(keys))
	for i, k := range keys {
		rows[i] = row{cells: []string{k.Kid, string(k.Alg), string(k.State), signs(k, p), seenBy(k), ago(&k.CreatedAt, p.now)}}
		if k.State == adminclient.SigningKeyStateRetired {
			rows[i].style = dim
		}
	}
	return p.table([]string{"KID", "ALG", "STATE", "SIGNS", "SEEN BY", "CREATED"}, rows)
}

func (c *cli) keyRotateCommand() *cobra.Command {
	var alg string
	var now bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Make a new signing key",
		SuggestFor: []string{"create", "new", "add"},
		Long: `Make a new signing key. It signs once it has been in the JWKS for as long as others may keep a
copy. The one before it stays there until its last token has expired.

With --now it signs at once: APIs that do not ask again for a key that they do not know refuse new
tokens for some minutes. wardkey key list says who would have to ask.`,
		Example: "  wardkey key rotate\n  wardkey key rotate --alg RS256",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body := adminclient.SigningKeyRotate{Now: &now}
			if alg != "" {
				body.Alg = &alg
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			k, _, err := fetch[adminclient.SigningKey](api.RotateSigningKey(cmd.Context(), nil, body))
			if err != nil {
				return err
			}
			p := c.printer(cmd)
			if p.json {
				return p.value(k)
			}
			if err := p.say("Made key %s (%s). It signs %s.", k.Kid, k.Alg, signs(k, p)); err != nil || !now || k.UnseenBy == nil || *k.UnseenBy == 0 {
				return err
			}
			return p.say("Parties that fetched the keys in the last day and do not have it yet: %d. See wardkey key list.", *k.UnseenBy)
		},
	}
	cmd.Flags().StringVar(&alg, "alg", "", "ES256, RS256 or EdDSA (default the server's own)")
	cmd.Flags().BoolVar(&now, "now", false, "let it sign at once")
	complete(cmd, "alg", "ES256", "RS256", "EdDSA")
	return cmd
}

func (c *cli) keyRemoveCommand() *cobra.Command {
	var agreed consent
	cmd := &cobra.Command{
		Use: "remove KID", Short: "Remove a signing key that leaked, for ever",
		SuggestFor: []string{"delete", "revoke", "rm"},
		Long: `Remove a signing key that leaked. It leaves the JWKS at once, and every token that it signed is
worth nothing. KID may be the beginning of one; after -- it may begin with a dash.`,
		Example: "  wardkey key remove ap1VuJfz\n  wardkey key remove --yes -- -p1VuJfz",
		Args:    takes("KID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agreed.possible(cmd); err != nil {
				return err
			}
			api, err := c.admin()
			if err != nil {
				return err
			}
			k, err := findKey(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			return c.delete(cmd, agreed, deletion{
				what: fmt.Sprintf("signing key %s (%s, %s)", k.Kid, k.Alg, k.State),
				word: k.Kid[:min(len(k.Kid), 6)], wordIs: "how it begins",
				remove: func(ctx context.Context, p *deleteParams) (*http.Response, error) {
					return api.DeleteSigningKey(ctx, k.Kid, (*adminclient.DeleteSigningKeyParams)(p))
				},
				effects: func(context.Context, adminclient.Preview) ([]string, error) { return keyEffects(k), nil },
			})
		},
	}
	agreed.flags(cmd)
	return cmd
}

func keyEffects(k adminclient.SigningKey) []string {
	effects := []string{"It leaves the JWKS at once, and every token that it signed is worth nothing."}
	if k.State == adminclient.SigningKeyStateActive {
		effects = append(effects, "It is the one that signs now; a new one takes over at once.")
	}
	return effects
}

// findKey is the one key with this kid, or whose kid begins so.
func findKey(ctx context.Context, api *adminAPI, word string) (adminclient.SigningKey, error) {
	all, err := allKeys(ctx, api, 0)
	if err != nil {
		return adminclient.SigningKey{}, err
	}
	found := slices.DeleteFunc(all.Items, func(k adminclient.SigningKey) bool {
		return k.Kid != word && (len(word) < minPrefix || !strings.HasPrefix(k.Kid, word))
	})
	switch len(found) {
	case 0:
		return adminclient.SigningKey{}, fmt.Errorf("there is no signing key %q; see wardkey key list", word)
	case 1:
		return found[0], nil
	}
	return adminclient.SigningKey{}, fmt.Errorf("%d keys begin with %q; give more of the kid", len(found), word)
}
