package main

import (
	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func (c *cli) adminSessionsCommand(s *directStore) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "sessions [EMAIL]", Short: "List where admins are signed in",
		SuggestFor: []string{"session", "logins", "who"},
		Example:    "  wardkey admin sessions\n  wardkey admin sessions ops@example.com --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return takes("EMAIL")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			list := func(from admins, id string) error {
				all, err := from.sessions(cmd.Context(), id, limit)
				if err != nil {
					return err
				}
				return printSessions(c.printer(cmd), all)
			}
			if len(args) == 0 {
				return c.withAdmins(cmd, s, func(from admins) error { return list(from, "") })
			}
			return c.withAdmin(cmd, s, args[0], func(from admins, a adminclient.Admin) error { return list(from, a.ID) })
		},
	}
	limitFlag(cmd, &limit)
	return c.completeEmail(cmd)
}

func printSessions(p *printer, all page[adminclient.Session]) error {
	if p.json {
		return p.value(all)
	}
	if len(all.Items) == 0 {
		return p.say("Nobody is signed in.")
	}
	rows := make([]row, len(all.Items))
	for i, s := range all.Items {
		rows[i] = row{cells: []string{
			s.ID, s.Admin.Email, ago(&s.CreatedAt, p.now), ago(&s.SeenAt, p.now), ago(&s.ExpiresAt, p.now), s.IP, shorten(s.UserAgent, 60),
		}}
	}
	if err := p.table([]string{"SESSION", "ADMIN", "SIGNED IN", "LAST SEEN", "ENDS", "FROM", "BROWSER"}, rows); err != nil {
		return err
	}
	return p.sayMore(all.Next)
}

func (c *cli) adminEndSessionCommand(s *directStore) *cobra.Command {
	return &cobra.Command{
		Use: "end-session SESSION", Short: "Sign an admin out in one place",
		SuggestFor: []string{"revoke-session", "kick", "sign-out"},
		Long:       "Sign an admin out in one place. They may sign in again; to keep them out, remove them or reset their password.",
		Example:    "  wardkey admin end-session KZ5LZ7Q2PXMD3HAV2ICTUW4GNE",
		Args:       takes("SESSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withAdmins(cmd, s, func(from admins) error {
				if err := from.endSession(cmd.Context(), args[0]); err != nil {
					return err
				}
				p := c.printer(cmd)
				if p.json {
					return p.value(map[string]any{"id": args[0], "ended": true})
				}
				return p.say("Ended session %s.", clean(args[0]))
			})
		},
	}
}
