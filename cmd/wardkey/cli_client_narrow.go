package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// narrowing is what `wardkey client narrow` is asked to do.
type narrowing struct {
	unused      string
	yes, dryRun bool
}

// clientNarrowCommand is `wardkey client narrow`.
func (c *cli) clientNarrowCommand() *cobra.Command {
	var n narrowing
	cmd := &cobra.Command{
		Use: "narrow CLIENT", Short: "Take from a client the Sections and permissions that it does not use",
		SuggestFor: []string{"shrink", "reduce", "minimize"},
		Long: `Take from a client the Sections and permissions that it held and did not use for a time, as far as
that is known: resource servers must have reported what tokens were used for, all that time, for
every audience that the client gets tokens for (docs/guides/reports.md). What is not known stays.

Tokens that the client has keep what they hold until they expire; new ones do without. A client that
asks for one of these scopes by name is refused from then on; wardkey client edit gives them back.`,
		Example: `  wardkey client narrow "CRM integration - production" --dry-run
  wardkey client narrow "CRM integration - production" --unused 30d --yes`,
		Args: takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.narrow(cmd, n, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&n.unused, "unused", "90d", "for how many days it must not have been used, 1d to 365d")
	flags.BoolVar(&n.dryRun, "dry-run", false, "say what would be taken, and do nothing")
	flags.BoolVarP(&n.yes, "yes", "y", false, "do not ask")
	return completeArg(c, cmd, &clientKind)
}

func (c *cli) narrow(cmd *cobra.Command, n narrowing, word string) error {
	span, err := parseSpan(n.unused)
	if err != nil || span < day || span%day != 0 {
		return usagef("--unused must be whole days, as 90d, not %q", n.unused)
	}
	if !n.yes && !n.dryRun && !interactive(cmd) {
		return usagef("nobody is here to ask; add --yes if it is meant, or --dry-run to see what it would do")
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	client, _, err := clientKind.find(cmd.Context(), api, word)
	if err != nil {
		return err
	}
	use, _, err := fetch[adminclient.ScopeUse](api.ReadScopeUse(cmd.Context(), client.ID, &adminclient.ReadScopeUseParams{Days: new(int(span / day))}))
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if n.dryRun || len(use.Taken) == 0 {
		return printUse(p, client, use)
	}
	if !n.yes {
		fmt.Fprintf(cmd.ErrOrStderr(), "Take from %s what it did not use for %s?%s\n", clientKind.called(client), plural(use.Days, "day"), indented(use.Taken))
		if err := confirm(cmd, client.Name, "its name"); err != nil {
			return err
		}
	}
	// As it was when its use was read: what others changed since is not judged.
	client, _, err = fetch[adminclient.Client](api.UpdateClient(cmd.Context(), client.ID, &adminclient.UpdateClientParams{IfMatch: &use.Etag}, adminclient.Patch(use.Narrowed)))
	if err != nil {
		return err
	}
	if p.json {
		return p.value(client)
	}
	return p.say("Took %s from %s.", strings.Join(use.Taken, " "), clientKind.called(client))
}

// printUse prints what is known of the use of what a client holds.
func printUse(p *printer, client adminclient.Client, use adminclient.ScopeUse) error {
	if p.json {
		return p.value(use)
	}
	rows := make([]row, len(use.Values))
	for i, v := range use.Values {
		rows[i] = row{cells: []string{v.Value, useWords[v.State], orDash(v.LastUsedOn)}}
	}
	if err := p.table([]string{"SCOPE", "IN " + strings.ToUpper(plural(use.Days, "day")), "LAST SEEN"}, rows); err != nil {
		return err
	}
	for _, cover := range use.Coverage {
		if err := sayGap(p, cover, use.Since); err != nil {
			return err
		}
	}
	if len(use.Taken) == 0 {
		return p.say("\nThere is nothing to take from %s.", clientKind.called(client))
	}
	return p.say("\nThis would take %s from %s.\nNothing was done.", strings.Join(use.Taken, " "), clientKind.called(client))
}

// useWords are what is known of the use of a scope value.
var useWords = map[adminclient.ScopeValueUseState]string{
	"used": "used", "unused": "not used", "recent": "not held all the time", "unknown": "no data",
}

// sayGap says that it is not known what was used for an audience in all the time since.
func sayGap(p *printer, cover adminclient.AudienceCoverage, since time.Time) error {
	switch {
	case cover.Since == nil:
		return p.say("\nNo data for %s: no resource server reported for it without a gap up to an hour ago.", clean(cover.Audience))
	case cover.Since.After(since):
		return p.say("\nNo data for %s: its resource servers report without a gap only since %s.", clean(cover.Audience), stamped(cover.Since, p.now))
	}
	return nil
}

// seenEndpoints prints where resource servers saw a client, for `wardkey client usage --endpoints`.
func (c *cli) seenEndpoints(cmd *cobra.Command, f *usageFlags) error {
	for _, flag := range []string{"until", "step", "by", "csv"} {
		if cmd.Flags().Changed(flag) {
			return usagef("--%s does not go with --endpoints", flag)
		}
	}
	since, err := momentFlag("since", f.since, time.Now(), parsePast)
	if err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	client, _, err := clientKind.find(cmd.Context(), api, f.client)
	if err != nil {
		return err
	}
	seen, _, err := fetch[adminclient.ClientEndpoints](api.ListClientEndpoints(cmd.Context(), client.ID, &adminclient.ListClientEndpointsParams{Since: since}))
	if err != nil {
		return err
	}
	p := c.printer(cmd)
	if p.json {
		return p.value(seen)
	}
	if len(seen.Items) == 0 {
		return p.say("No resource server reports that it saw a token of %s since %s.", clientKind.called(client), stamped(&seen.Since, p.now))
	}
	rows := []row{}
	for _, e := range seen.Items {
		rows = append(rows, row{cells: []string{cmp.Or(e.Endpoint, "(others)"), e.Audience, strconv.FormatInt(e.Requests, 10), share(e.Refused, e.Requests), whyRefused(e)}})
	}
	rows = append(rows, row{style: bold, cells: []string{"in all", "", strconv.FormatInt(seen.Requests, 10), share(seen.Refused, seen.Requests)}})
	return p.table([]string{"ENDPOINT", "AUDIENCE", "REQUESTS", "REFUSED", "WHY"}, rows)
}

// share is a part of a whole in per cent.
func share(part, whole int64) string {
	return strconv.FormatFloat(100*float64(part)/float64(max(whole, 1)), 'f', 1, 64) + "%"
}

// whyRefused says why requests at an endpoint were refused, and what they lacked.
func whyRefused(e adminclient.ClientEndpoint) string {
	var words []string
	for _, outcome := range slices.Sorted(maps.Keys(e.Outcomes)) {
		if outcome != "allowed" {
			words = append(words, fmt.Sprintf("%d %s", e.Outcomes[outcome], outcome))
		}
	}
	if len(e.Lacked) > 0 {
		words = append(words, "lacked "+strings.Join(e.Lacked, " "))
	}
	return strings.Join(words, ", ")
}
