package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// A cli is what the commands that speak to a server share: the environment and the common flags.
type cli struct {
	getenv    func(string) string
	profile   string
	plainHTTP bool
	json      bool
}

// cliCommands are all commands but serve.
func cliCommands(getenv func(string) string) []*cobra.Command {
	c := &cli{getenv: getenv}
	return []*cobra.Command{
		c.loginCommand(), c.logoutCommand(),
		c.clientCommand(), c.secretCommand(),
		c.sectionCommand(), c.keyspaceCommand(), c.capabilityCommand(),
		c.keyCommand(), c.planCommand(), c.adminCommand(),
		c.alertCommand(), c.webhookCommand(),
		c.auditCommand(), c.whyCommand(), c.usageCommand(), c.unusedCommand(), c.leakCommand(),
		c.tokenCommand(), c.verifyCommand(), c.rsCheckCommand(),
		versionCommand(), completionCommand(), manCommand(),
	}
}

// reaching adds the flags of a command that reaches a server.
func (c *cli) reaching(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&c.profile, "profile", "", `which of the profiles that wardkey login saved (default WARDKEY_PROFILE, else "default")`)
	f.BoolVar(&c.plainHTTP, "plain-http", false, "speak http:// to a host that is not loopback, over a network that is yours (or WARDKEY_PLAIN_HTTP=true)")
	return cmd
}

// administering adds the flags of a command that speaks to the admin API.
func (c *cli) administering(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, for programs")
	return c.reaching(cmd)
}

// noun is a command that holds verbs and does nothing itself. Its example is theirs.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownVerb(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	examples := make([]string, len(verbs))
	for i, verb := range verbs {
		examples[i], _, _ = strings.Cut(verb.Example, "\n")
	}
	cmd.Example = strings.Join(examples, "\n")
	cmd.AddCommand(verbs...)
	return cmd
}

// unknownVerb says what was perhaps meant, which cobra does for the first word only.
func unknownVerb(cmd *cobra.Command, word string) error {
	hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
	if meant := slices.Compact(cmd.SuggestionsFor(word)); len(meant) > 0 { // one can be meant for two reasons
		hint = "did you mean " + strings.Join(meant, " or ") + "?"
	}
	return usagef("unknown command %s for %q; %s", quote(word), cmd.CommandPath(), hint)
}

// takes says which arguments a command takes, by their names.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		verb := strings.TrimPrefix(cmd.CommandPath(), "wardkey ")
		switch {
		case len(args) == len(names):
			return nil
		case len(names) == 0:
			return usagef("%s takes flags only, not %s", verb, quote(args[0]))
		case len(args) < len(names):
			return usagef("%s needs %s; see wardkey %s --help", verb, strings.Join(names[len(args):], " "), verb)
		}
		return usagef("%s takes %s and nothing more; put what has blanks in quotes", verb, strings.Join(names, " "))
	}
}

// quote repeats a word of the command line, unless it is a secret that somebody put there.
func quote(word string) string {
	if strings.Contains(word, "wks_") {
		return "a secret (which others can see there)"
	}
	return strconv.Quote(word)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Example: "  wardkey version",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "wardkey %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func completionCommand() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
		"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands in a shell: bash, fish, powershell or zsh",
		Example: `  source <(wardkey completion bash)
  wardkey completion zsh > "${fpath[1]}/_wardkey"
  wardkey completion fish > ~/.config/fish/completions/wardkey.fish`,
		Args:      takes("SHELL"),
		ValidArgs: []string{"bash", "fish", "powershell", "zsh"},
		RunE: func(cmd *cobra.Command, args []string) error {
			generate, ok := shells[args[0]]
			if !ok {
				return usagef("SHELL must be bash, fish, powershell or zsh, not %q", args[0])
			}
			return generate(cmd.Root(), cmd.OutOrStdout())
		},
	}
}

// manCommand is `wardkey man`.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages, one for each command, into a directory",
		Example: "  wardkey man ~/.local/share/man/man1\n  man wardkey-client-rotate",
		Args:    takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // the same pages whenever they are made
			header := &doc.GenManHeader{Section: "1", Source: "Wardkey " + version, Manual: "Wardkey"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Wrote the manual pages to %s\n", args[0])
			return err
		},
	}
}
