package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) clientRevokeTokensCommand() *cobra.Command {
	var agreed consent
	cmd := &cobra.Command{
		Use: "revoke-tokens CLIENT", Short: "Revoke every token that a client was given so far",
		SuggestFor: []string{"revoke", "invalidate"},
		Long: `Revoke every token that a client was given so far. The client and its secrets stay: it may ask for
new tokens at once. To stop it, disable or delete it.`,
		Example: `  wardkey client revoke-tokens "CRM integration - production"`,
		Args:    takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.revokeTokens(cmd, agreed, args[0])
		},
	}
	agreed.yesFlag(cmd)
	return completeArg(c, cmd, &clientKind)
}

func (c *cli) revokeTokens(cmd *cobra.Command, agreed consent, word string) error {
	if err := agreed.possible(cmd); err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	client, _, err := clientKind.find(cmd.Context(), api, word)
	if err != nil {
		return err
	}
	err = agreed.ask(cmd, question{
		text: "Revoke every token that " + clientKind.called(client) + " was given so far?",
		effects: []string{
			"They are worth nothing at this server at once; an API that asks nobody takes them until they expire.",
			"The client and its secrets stay: it may ask for new tokens at once. To stop it, disable it.",
		},
		word: client.Name, wordIs: "its name",
	})
	if err != nil {
		return err
	}
	_, _, err = fetch[struct{}](api.RevokeTokens(cmd.Context(), client.ID, nil))
	if err != nil && !isProblem(err, "already-done") {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(map[string]any{"id": client.ID, "tokens_revoked": true})
	}
	return p.say("Revoked every token that %s was given so far. It may ask for new ones.", clientKind.called(client))
}
