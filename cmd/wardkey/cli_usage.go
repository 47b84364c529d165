package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// usageFlags are which usage is asked for, and how it is printed.
type usageFlags struct {
	client, since, until, step string
	by                         []string
	csv                        bool
}

// groups are what requests can be told apart by.
var groups = []string{"outcome", "audience", "block"}

func (f *usageFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "from then on: so long ago (7d), a date, or a time of RFC 3339 (default 2d of hours, 30d of days)")
	flags.StringVar(&f.until, "until", "", "up to then: the same (default now)")
	flags.StringVar(&f.step, "step", "", "hour or day (default day, if --since is longer ago than 3d)")
	flags.StringSliceVar(&f.by, "by", nil, "told apart by outcome, audience or block (of addresses); may repeat")
	flags.BoolVar(&f.csv, "csv", false, "print CSV")
}

const usageLong = `By the hour, which a server keeps for 90 days, or by the day, which it keeps for two years; days
are those of UTC. Hours and days without requests are left out. A block is an IPv4 network of 24
bits or an IPv6 network of 48. A token for several audiences is counted once.`

// usageCommand is `wardkey usage`.
func (c *cli) usageCommand() *cobra.Command {
	var f usageFlags
	var top topFlags
	cmd := &cobra.Command{
		Use: "usage", Short: "Say how many token requests were granted and refused",
		SuggestFor: []string{"stats", "statistics", "metrics"},
		Long: `Say how many token requests were granted and refused, of all clients together or of one. All
together are those that were deleted too, and requests that named no client or one that nobody has.
` + usageLong + `

With --top, which clients, outcomes, audiences or blocks had the most requests in all that time.`,
		Example: `  wardkey usage
  wardkey usage --since 30d --by outcome
  wardkey usage --client "CRM integration - production" --since 7d --by block
  wardkey usage --top client --since 7d --sort refused
  wardkey usage --since 2030-01-01 --until 2030-02-01 --step day --csv > january.csv`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if top.by != "" || cmd.Flags().Changed("sort") || cmd.Flags().Changed("limit") {
				return c.topUsage(cmd, &f, &top)
			}
			return c.usage(cmd, &f)
		},
	}
	top.flags(cmd)
	cmd.Flags().StringVar(&f.client, "client", "", "of one client alone: its id or its name")
	completeIDs(c, cmd, "client", &clientKind)
	c.administering(cmd)
	f.flags(cmd)
	return cmd
}

// clientUsageCommand is `wardkey client usage`.
func (c *cli) clientUsageCommand() *cobra.Command {
	var f usageFlags
	var endpoints bool
	cmd := &cobra.Command{
		Use: "usage CLIENT", Short: "Say how many token requests of a client were granted and refused",
		SuggestFor: []string{"stats", "statistics"},
		Long: "Say how many token requests of a client were granted and refused.\n" + usageLong + `

With --endpoints, where resource servers saw its tokens, and how often they were refused there: those
that report it, in the last seven days or since another time in the last 90 days.`,
		Example: `  wardkey client usage "CRM integration - production"
  wardkey client usage "CRM integration - production" --since 90d --by outcome,audience
  wardkey client usage "CRM integration - production" --endpoints --since 30d`,
		Args: takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.client = args[0]
			if endpoints {
				return c.seenEndpoints(cmd, &f)
			}
			return c.usage(cmd, &f)
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&endpoints, "endpoints", false, "where resource servers saw its tokens, and how often they were refused")
	return completeArg(c, cmd, &clientKind)
}

func (c *cli) usage(cmd *cobra.Command, f *usageFlags) error {
	if f.csv && c.json {
		return usagef("give --csv or --json, not both")
	}
	params, err := f.params(time.Now())
	if err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	ask, called, err := f.of(cmd.Context(), api, params)
	if err != nil {
		return err
	}
	if f.csv {
		return copyCSV(cmd.OutOrStdout(), ask)
	}
	u, _, err := fetch[adminclient.Usage](ask())
	if err != nil {
		return err
	}
	return printUsage(c.printer(cmd), u, called, params.Group)
}

// of returns how to ask for the usage of the client that is meant, or of the account, and how a
// sentence names it.
func (f *usageFlags) of(ctx context.Context, api *adminAPI, p *adminclient.ReadUsageParams) (ask func(...adminclient.RequestEditorFn) (*http.Response, error), called string, err error) {
	if f.client == "" {
		all := adminclient.ReadAccountUsageParams{Since: p.Since, Until: p.Until, Step: (*adminclient.ReadAccountUsageParamsStep)(p.Step), Group: p.Group}
		return func(edit ...adminclient.RequestEditorFn) (*http.Response, error) {
			return api.ReadAccountUsage(ctx, &all, edit...)
		}, "", nil
	}
	client, _, err := clientKind.find(ctx, api, f.client)
	return func(edit ...adminclient.RequestEditorFn) (*http.Response, error) {
		return api.ReadUsage(ctx, client.ID, p, edit...)
	}, " of " + clientKind.called(client), err
}

// manyHours is from when on days are wanted rather than hours.
const manyHours = 3 * day

// params are the flags as the API knows them.
func (f *usageFlags) params(now time.Time) (*adminclient.ReadUsageParams, error) {
	p := &adminclient.ReadUsageParams{Group: f.by}
	var err error
	if p.Since, err = momentFlag("since", f.since, now, parsePast); err != nil {
		return nil, err
	}
	if p.Until, err = momentFlag("until", f.until, now, parsePast); err != nil {
		return nil, err
	}
	switch {
	case f.step == "hour" || f.step == "day":
		p.Step = (*adminclient.ReadUsageParamsStep)(&f.step)
	case f.step != "":
		return nil, usagef("--step must be hour or day, not %q", f.step)
	case p.Since != nil && now.Sub(*p.Since) > manyHours:
		p.Step = new(adminclient.ReadUsageParamsStep("day"))
	}
	for _, by := range f.by {
		if !slices.Contains(groups, by) {
			return nil, usagef("--by must be outcome, audience or block, not %q", by)
		}
	}
	return p, nil
}

// copyCSV copies what the server has. A connection that breaks is an error, so that nobody takes a
// part for the whole.
func copyCSV(w io.Writer, ask func(...adminclient.RequestEditorFn) (*http.Response, error)) error {
	resp, err := ask(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", "text/csv")
		return nil
	})
	if err != nil {
		return err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/csv" {
		_, _, err := fetch[adminclient.Usage](resp, nil)
		return cmp.Or(err, fmt.Errorf("what the server answers is no CSV, but %s", clean(kind)))
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the answer broke off and is not whole: %w", err)
	}
	return nil
}

// printUsage prints a line for each hour or day with requests, and their sum.
func printUsage(p *printer, u adminclient.Usage, called string, by []string) error {
	if p.json {
		return p.value(u)
	}
	if len(u.Items) == 0 {
		return p.say("Nobody asked for a token%s from %s to %s.", called, clockTime(u.Since), clockTime(u.Until))
	}
	layout, columns := "2006-01-02 15:04 UTC", []string{strings.ToUpper(string(u.Step))}
	if u.Step == "day" {
		layout = time.DateOnly
	}
	for _, name := range groups {
		if slices.Contains(by, name) {
			columns = append(columns, strings.ToUpper(name))
		}
	}
	rows := make([]row, 0, len(u.Items)+1)
	for _, item := range u.Items {
		cells := []string{item.At.UTC().Format(layout)}
		for _, value := range []*string{item.Outcome, item.Audience, item.Block} {
			if value != nil {
				cells = append(cells, orDash(value))
			}
		}
		rows = append(rows, row{cells: append(cells, strconv.FormatInt(item.Granted, 10), strconv.FormatInt(item.Refused, 10))})
	}
	total := append([]string{"in all"}, make([]string, len(columns)-1)...)
	rows = append(rows, row{cells: append(total, strconv.FormatInt(u.Granted, 10), strconv.FormatInt(u.Refused, 10)), style: bold})
	return p.table(append(columns, "GRANTED", "REFUSED"), rows)
}
