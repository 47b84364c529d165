package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func (c *cli) adminRoleCommand(s *directStore) *cobra.Command {
	cmd := &cobra.Command{
		Use: "role EMAIL ROLE", Short: "Give an admin another role: owner, admin or viewer",
		SuggestFor: []string{"edit", "update", "set-role", "promote"},
		Long:       "Give an admin another role, from the next request on. The last owner must stay one.",
		Example:    "  wardkey admin role ops@example.com owner",
		Args:       takes("EMAIL", "ROLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := parseRole(args[1])
			if err != nil {
				return err
			}
			return c.withAdmin(cmd, s, args[0], func(from admins, a adminclient.Admin) error {
				a, err := from.setRole(cmd.Context(), a.ID, role)
				if err != nil {
					return err
				}
				p := c.printer(cmd)
				if p.json {
					return p.value(a)
				}
				return p.say("Admin %s is %s now.", clean(a.Email), a.Role)
			})
		},
	}
	return c.completeEmail(cmd)
}

func (c *cli) adminResetCommand(s *directStore) *cobra.Command {
	var agreed consent
	cmd := &cobra.Command{
		Use: "reset-password EMAIL", Short: "Give an admin a one-time password, and end their sessions",
		SuggestFor: []string{"password", "reset"},
		Example: `  wardkey admin reset-password ops@example.com
  wardkey admin reset-password ops@example.com --data-dir ./data --yes`,
		Args: takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agreed.possible(cmd); err != nil {
				return err
			}
			return c.withAdmin(cmd, s, args[0], func(from admins, a adminclient.Admin) error {
				return c.resetPassword(cmd, agreed, from, a)
			})
		},
	}
	agreed.yesFlag(cmd)
	return c.completeEmail(cmd)
}

func (c *cli) resetPassword(cmd *cobra.Command, agreed consent, from admins, a adminclient.Admin) error {
	err := agreed.ask(cmd, question{
		text:    fmt.Sprintf("Give admin %s (%s) a one-time password?", clean(a.Email), a.Role),
		effects: []string{"Their password opens nothing any more, and they are signed out everywhere."},
		word:    a.Email, wordIs: "their e-mail",
	})
	if err != nil {
		return err
	}
	password, err := from.resetPassword(cmd.Context(), a.ID)
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(map[string]string{"id": a.ID, "email": a.Email, "password": password})
	}
	return errors.Join(p.say("Reset the password of admin %s.", clean(a.Email)), printOneTime(p, password))
}

func (c *cli) adminRemoveCommand(s *directStore) *cobra.Command {
	var agreed consent
	cmd := &cobra.Command{
		Use: "remove EMAIL", Short: "Remove an admin, for ever",
		SuggestFor: []string{"delete", "rm"},
		Long:       "Remove an admin, who is signed out everywhere. The last owner cannot be removed.",
		Example:    "  wardkey admin remove ops@example.com",
		Args:       takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agreed.possible(cmd); err != nil {
				return err
			}
			return c.withAdmin(cmd, s, args[0], func(from admins, a adminclient.Admin) error {
				return c.removeAdmin(cmd, agreed, from, a)
			})
		},
	}
	agreed.yesFlag(cmd)
	return c.completeEmail(cmd)
}

func (c *cli) removeAdmin(cmd *cobra.Command, agreed consent, from admins, a adminclient.Admin) error {
	err := agreed.ask(cmd, question{
		text: fmt.Sprintf("Remove admin %s (%s)?", clean(a.Email), a.Role),
		effects: []string{
			"They signed in last: " + stamped(a.LastSignInAt, time.Now()) + ". They are signed out everywhere.",
			"What they made stays; the clients that they registered go on.",
		},
		word: a.Email, wordIs: "their e-mail",
	})
	if err != nil {
		return err
	}
	if err := from.remove(cmd.Context(), a.ID); err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(a)
	}
	return p.say("Removed admin %s.", clean(a.Email))
}
