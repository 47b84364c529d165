package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// admins is where the persons are kept who sign in: behind the admin API of a server, or in a
// store whose server is stopped.
type admins interface {
	all(ctx context.Context, limit int) (page[adminclient.Admin], error)
	create(ctx context.Context, in adminclient.AdminCreate) (adminclient.AdminCreated, error)
	setRole(ctx context.Context, id string, role adminclient.Role) (adminclient.Admin, error)
	resetPassword(ctx context.Context, id string) (oneTime string, err error)
	remove(ctx context.Context, id string) error
	sessions(ctx context.Context, adminID string, limit int) (page[adminclient.Session], error)
	endSession(ctx context.Context, id string) error
}

// findAdmin is the one with an e-mail, however it is written, or with an id.
func findAdmin(ctx context.Context, from admins, word string) (adminclient.Admin, error) {
	all, err := from.all(ctx, 0)
	if err != nil {
		return adminclient.Admin{}, err
	}
	email := strings.ToLower(strings.TrimSpace(word))
	i := slices.IndexFunc(all.Items, func(a adminclient.Admin) bool { return a.Email == email || a.ID == word })
	if i < 0 {
		return adminclient.Admin{}, fmt.Errorf("there is no admin %s; see wardkey admin list", quote(word))
	}
	return all.Items[i], nil
}

// adminKind is how admins are shown; where they come from, admins says.
var adminKind = kind[adminclient.Admin]{
	noun: "admin", plural: "admins",
	columns: []string{"E-MAIL", "ROLE", "LAST SIGN-IN", "CREATED", "ID"},
	row: func(a adminclient.Admin, p *printer) row {
		return row{cells: []string{a.Email, string(a.Role), signedIn(a, p.now), ago(&a.CreatedAt, p.now), a.ID}}
	},
	show: func(a adminclient.Admin, p *printer) error {
		password := "their own"
		if a.OneTimePassword {
			password = "for one time; they must choose another when they sign in"
		}
		return p.fields([2]string{"E-mail", a.Email}, [2]string{"Role", string(a.Role)}, [2]string{"Id", a.ID}, [2]string{"Password", password},
			[2]string{"Last sign-in", stamped(a.LastSignInAt, p.now)}, [2]string{"Created", stamped(&a.CreatedAt, p.now)})
	},
	id:   func(a adminclient.Admin) string { return a.Email },
	name: func(a adminclient.Admin) string { return a.Email },
}

func signedIn(a adminclient.Admin, now time.Time) string {
	text := ago(a.LastSignInAt, now)
	if a.OneTimePassword {
		text += ", one-time password"
	}
	return text
}

// roles are what an admin can be.
var roles = []string{string(adminclient.RoleOwner), string(adminclient.RoleAdmin), string(adminclient.RoleViewer)}

func parseRole(text string) (adminclient.Role, error) {
	if !slices.Contains(roles, text) {
		return "", usagef("the role must be owner (everything), admin (everything but admins) or viewer (reads), not %q", text)
	}
	return adminclient.Role(text), nil
}

// adminCommand is `wardkey admin`.
func (c *cli) adminCommand() *cobra.Command {
	var s directStore
	cmd := noun("admin", "Admins: persons who sign in to the pages, and their sessions",
		c.adminCreateCommand(&s), c.adminListCommand(&s), c.adminShowCommand(&s), c.adminRoleCommand(&s),
		c.adminResetCommand(&s), c.adminRemoveCommand(&s), c.adminSessionsCommand(&s), c.adminEndSessionCommand(&s))
	cmd.Long = `Admins: persons who sign in to the pages, and their sessions.

The commands speak to a running server, like all others. If it is stopped, as when nobody can sign
in any more, they work on its store: say where that is with the flags of wardkey serve, --data-dir,
--database and --master-key-file (or WARDKEY_MASTER_KEY).`
	s.flags(cmd)
	return c.administering(cmd)
}

// withAdmins runs fn with the persons of a server, or of a store if the flags say where it is.
func (c *cli) withAdmins(cmd *cobra.Command, s *directStore, fn func(admins) error) error {
	if s.given(cmd) && c.profile != "" {
		return usagef("--profile is a running server; --data-dir, --database and --master-key-file are a stopped one; give one")
	}
	if s.given(cmd) {
		return s.open(cmd, c.getenv, fn)
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	return fn(remoteAdmins{api})
}

func (c *cli) adminCreateCommand(s *directStore) *cobra.Command {
	var role string
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "create EMAIL", Short: "Create an admin",
		SuggestFor: []string{"add", "new", "invite"},
		Long: `Create an admin. Without --password-stdin a one-time password is made and printed, this once; with
it they sign in and choose their own.`,
		Example: `  wardkey admin create ops@example.com
  wardkey admin create audit@example.com --role viewer
  wardkey admin create ops@example.com --role owner --data-dir ./data`,
		Args: takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := adminclient.AdminCreate{Email: args[0]}
			var err error
			if in.Role, err = parseRole(role); err != nil {
				return err
			}
			if fromStdin {
				if in.Password, err = passwordFrom(cmd.InOrStdin()); err != nil {
					return err
				}
			}
			return c.withAdmins(cmd, s, func(all admins) error {
				made, err := all.create(cmd.Context(), in)
				if err != nil {
					return err
				}
				return printNewAdmin(c.printer(cmd), made)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", string(adminclient.RoleAdmin), "owner (everything), admin (everything but admins) or viewer (reads)")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input: at least 12 characters")
	complete(cmd, "role", roles...)
	return cmd
}

// passwordFrom reads a password, which may have blanks in it and around it, but no line break.
func passwordFrom(r io.Reader) (*string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxCredentials))
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case password == "":
		return nil, usagef("there is no password on standard input")
	case strings.ContainsAny(password, "\r\n"):
		return nil, usagef("there is more than one line on standard input; a password is one")
	}
	return &password, nil
}

func printNewAdmin(p *printer, made adminclient.AdminCreated) error {
	if p.json {
		return p.value(made)
	}
	if err := p.say("Created admin %s (%s).", clean(made.Email), made.Role); err != nil || made.Password == nil {
		return err
	}
	return printOneTime(p, *made.Password)
}

func printOneTime(p *printer, password string) error {
	return p.say("\nOne-time password  %s\n\nIt is shown this once: hand it over now. Whoever signs in with it must choose another.\nAfter seven days it opens nothing any more: wardkey admin reset-password makes another.", password)
}

func (c *cli) adminListCommand(s *directStore) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List admins",
		SuggestFor: []string{"ls"},
		Example:    "  wardkey admin list\n  wardkey admin list --json",
		Args:       takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmins(cmd, s, func(from admins) error {
				all, err := from.all(cmd.Context(), limit)
				if err != nil {
					return err
				}
				return adminKind.printList(c.printer(cmd), all)
			})
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) adminShowCommand(s *directStore) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show EMAIL", Short: "Show an admin",
		SuggestFor: []string{"get", "read", "describe", "info"},
		Example:    "  wardkey admin show ops@example.com",
		Args:       takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withAdmin(cmd, s, args[0], func(_ admins, a adminclient.Admin) error {
				return adminKind.print(c.printer(cmd), a)
			})
		},
	}
	return c.completeEmail(cmd)
}

// withAdmin runs fn with one of them.
func (c *cli) withAdmin(cmd *cobra.Command, s *directStore, email string, fn func(admins, adminclient.Admin) error) error {
	return c.withAdmins(cmd, s, func(from admins) error {
		a, err := findAdmin(cmd.Context(), from, email)
		if err != nil {
			return err
		}
		return fn(from, a)
	})
}

// completeEmail lets shells complete the first argument of a command by asking the server.
func (c *cli) completeEmail(cmd *cobra.Command) *cobra.Command {
	k := adminKind
	k.list = func(ctx context.Context, api *adminclient.API, p *pageParams) (*http.Response, error) {
		return api.ListAdmins(ctx, (*adminclient.ListAdminsParams)(p))
	}
	return completeArg(c, cmd, &k)
}
