package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// leakCommand is `wardkey leak`.
func (c *cli) leakCommand() *cobra.Command {
	return c.administering(noun("leak", "Leaks: secrets that others could read", c.leakRevokeCommand()))
}

// A leakFlags is where leaked secrets are read from.
type leakFlags struct {
	file    string // "-": standard input
	foundAt string
	agreed  consent
}

func (c *cli) leakRevokeCommand() *cobra.Command {
	var f leakFlags
	cmd := &cobra.Command{
		Use: "revoke", Short: "Revoke secrets that others could read, whosever they are",
		SuggestFor: []string{"report", "end", "delete"},
		Long: `Revoke secrets that others could read, whosever they are: each at once, and no other, so that a
client goes on with its second one. They are read from a file, in which they may stand among
anything else (the report of a scanner, a log), or asked for without being shown. It may be run
again: what was revoked stays so.`,
		Example: `  wardkey leak revoke --file leaked.txt --dry-run
  wardkey leak revoke --file leaked.txt --found-at https://git.example.com/shop --yes
  gitleaks git --report-format json --report-path - | wardkey leak revoke --file - --yes`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.revokeLeaked(cmd, &f) },
	}
	cmd.Flags().StringVar(&f.file, "file", "", "where they are; - is standard input (default one that is asked for)")
	cmd.Flags().StringVar(&f.foundAt, "found-at", "", "where they were found, for the audit log: a URL, or in words")
	f.agreed.flags(cmd)
	return cmd
}

// revokeLeaked says what would be done, asks, and does it.
func (c *cli) revokeLeaked(cmd *cobra.Command, f *leakFlags) error {
	if err := f.agreed.possible(cmd); err != nil {
		return err
	}
	secrets, err := f.read(cmd)
	if err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	report := leakReport{api: api, foundAt: unlessEmpty(f.foundAt), progress: cmd.ErrOrStderr()}
	p := c.printer(cmd)
	if f.agreed.dryRun || !f.agreed.yes {
		preview, err := report.send(cmd.Context(), secrets, true)
		if err != nil {
			return err
		}
		n := preview.Counts["revoked"]
		if f.agreed.dryRun || n == 0 {
			return p.leaks(preview)
		}
		err = f.agreed.ask(cmd, question{
			text:    fmt.Sprintf("Revoke %s?", plural(n, "secret")),
			effects: []string{"Whoever uses them gets no more tokens; those that they got work until they expire."},
			word:    strconv.Itoa(n), wordIs: "how many",
		})
		if err != nil {
			return err
		}
	}
	done, err := report.send(cmd.Context(), secrets, false)
	if err != nil {
		return fmt.Errorf("%d were looked at, of which %d were revoked; run it again: %w", len(done.Items), done.Counts["revoked"], err)
	}
	return p.leaks(done)
}

// leaked is what looks like a secret within a text. What is cut does too, so that it is counted.
var leaked = regexp.MustCompile(`wks_[0-9A-Za-z]*`)

// read returns what looks like a secret, each once.
func (f *leakFlags) read(cmd *cobra.Command) ([]hidden, error) {
	from := cmd.InOrStdin()
	switch f.file {
	case "":
		if !interactive(cmd) {
			return nil, usagef("say where they are with --file; - is standard input")
		}
		one, err := askSecret(cmd, "Leaked secret: ")
		if err != nil {
			return nil, err
		}
		from = strings.NewReader(string(one))
	case "-":
	default:
		file, err := os.Open(f.file)
		if err != nil {
			return nil, fmt.Errorf("read leaked secrets: %w", err)
		}
		defer file.Close() //nolint:errcheck // nothing was written
		from = file
	}
	found, err := findSecrets(from)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no secret: none begins with wks_")
	}
	return found, err
}

func findSecrets(from io.Reader) (found []hidden, err error) {
	seen := map[string]bool{}
	lines := bufio.NewReader(from)
	for err == nil {
		var line string
		line, err = lines.ReadString('\n')
		for _, text := range leaked.FindAllString(line, -1) {
			if !seen[text] {
				seen[text] = true
				found = append(found, hidden(text))
			}
		}
	}
	if err != io.EOF {
		return nil, fmt.Errorf("read leaked secrets: %w", err)
	}
	return found, nil
}

// A leakReport tells a server of leaked secrets.
type leakReport struct {
	api      *adminAPI
	foundAt  *string
	progress io.Writer
}

// leakBatch is how many secrets one request has: an answer comes soon, and a body is not too large.
const leakBatch = 500

// A leakSummary is what became of leaked secrets.
type leakSummary struct {
	DryRun bool                      `json:"dry_run"`
	Counts map[string]int            `json:"counts"` // by outcome
	Items  []adminclient.LeakOutcome `json:"items"`
}

// send tells of all of them. After an error it returns what became of some.
func (r leakReport) send(ctx context.Context, secrets []hidden, dryRun bool) (leakSummary, error) {
	all := leakSummary{DryRun: dryRun, Counts: map[string]int{"revoked": 0, "ended": 0, "not_ours": 0, "malformed": 0}, Items: []adminclient.LeakOutcome{}}
	for some := range slices.Chunk(secrets, leakBatch) {
		texts := make([]string, len(some))
		for i := range some {
			texts[i] = string(some[i])
		}
		part, _, err := fetch[adminclient.LeakOutcomes](r.api.ReportLeakedSecrets(ctx, nil, adminclient.LeakReport{Secrets: texts, FoundAt: r.foundAt, DryRun: &dryRun}))
		if err != nil {
			return all, err
		}
		for _, item := range part.Items {
			all.Counts[string(item.Outcome)]++
		}
		all.Items = append(all.Items, part.Items...)
		if len(secrets) > leakBatch && isTerminal(r.progress) {
			fmt.Fprintf(r.progress, "\r%d of %d", len(all.Items), len(secrets))
		}
	}
	if len(secrets) > leakBatch && isTerminal(r.progress) {
		fmt.Fprintln(r.progress)
	}
	return all, nil
}

// leaks prints what became of those that clients here have, and how many there were of each kind.
func (p *printer) leaks(all leakSummary) error {
	if p.json {
		return p.value(all)
	}
	var rows []row
	for _, item := range all.Items {
		if item.ClientID != nil {
			rows = append(rows, row{cells: []string{string(item.Outcome), "…" + orDash(item.Hint), *item.ClientID, shorten(orDash(item.ClientName), 60)}})
		}
	}
	if len(rows) > 0 {
		if err := p.table([]string{"OUTCOME", "ENDS WITH", "CLIENT", "NAME"}, rows); err != nil {
			return err
		}
	}
	revoked := "revoked"
	if all.DryRun {
		revoked = "would be revoked"
	}
	return p.say("%s: %d %s, %d ended before, %d not of a client here, %d cut or mistyped.",
		plural(len(all.Items), "secret"), all.Counts["revoked"], revoked, all.Counts["ended"], all.Counts["not_ours"], all.Counts["malformed"])
}
