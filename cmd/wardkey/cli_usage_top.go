package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// topFlags are what is to be added up, for `wardkey usage --top`.
type topFlags struct {
	by, sort string
	limit    int
}

func (t *topFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&t.by, "top", "", "which client, outcome, audience or block had the most, in all the time")
	flags.StringVar(&t.sort, "sort", "requests", "with --top: what the most come first of, requests or refused")
	flags.IntVar(&t.limit, "limit", 20, "with --top: how many, 1 to 200")
}

// params are the flags as the API knows them.
func (t *topFlags) params(of *adminclient.ReadUsageParams) (*adminclient.ReadUsageTotalsParams, error) {
	switch {
	case !slices.Contains(append([]string{"client"}, groups...), t.by):
		return nil, usagef("--top must be client, outcome, audience or block, not %q", t.by)
	case t.sort != "requests" && t.sort != "refused":
		return nil, usagef("--sort must be requests or refused, not %q", t.sort)
	case t.limit < 1 || t.limit > 200:
		return nil, usagef("--limit must be 1 to 200, not %d", t.limit)
	}
	return &adminclient.ReadUsageTotalsParams{
		By: adminclient.ReadUsageTotalsParamsBy(t.by), Sort: new(adminclient.ReadUsageTotalsParamsSort(t.sort)), Limit: &t.limit,
		Since: of.Since, Until: of.Until, Step: (*adminclient.ReadUsageTotalsParamsStep)(of.Step),
	}, nil
}

func (c *cli) topUsage(cmd *cobra.Command, f *usageFlags, t *topFlags) error {
	for _, flag := range []string{"client", "by"} {
		if cmd.Flags().Changed(flag) {
			return usagef("--%s does not go with --top", flag)
		}
	}
	if f.csv && c.json {
		return usagef("give --csv or --json, not both")
	}
	of, err := f.params(time.Now())
	if err != nil {
		return err
	}
	params, err := t.params(of)
	if err != nil {
		return err
	}
	api, err := c.admin()
	if err != nil {
		return err
	}
	ask := func(edit ...adminclient.RequestEditorFn) (*http.Response, error) {
		return api.ReadUsageTotals(cmd.Context(), params, edit...)
	}
	if f.csv {
		return copyCSV(cmd.OutOrStdout(), ask)
	}
	totals, _, err := fetch[adminclient.UsageTotals](ask())
	if err != nil {
		return err
	}
	return c.printer(cmd).usageTotals(totals, t.by)
}

// usageTotals prints a line for each sum, and all together.
func (p *printer) usageTotals(totals adminclient.UsageTotals, by string) error {
	if p.json {
		return p.value(totals)
	}
	if len(totals.Items) == 0 {
		return p.say("Nobody asked for a token from %s to %s.", clockTime(totals.Since), clockTime(totals.Until))
	}
	columns, blank := []string{strings.ToUpper(by)}, []string{"in all"}
	if by == "client" {
		columns, blank = append(columns, "NAME"), append(blank, "")
	}
	rows := make([]row, 0, len(totals.Items)+1)
	for _, item := range totals.Items {
		rows = append(rows, row{cells: append(topCells(item), strconv.FormatInt(item.Granted, 10), strconv.FormatInt(item.Refused, 10), share(item.Refused, item.Granted+item.Refused))})
	}
	all := append(blank, strconv.FormatInt(totals.Granted, 10), strconv.FormatInt(totals.Refused, 10), share(totals.Refused, totals.Granted+totals.Refused))
	rows = append(rows, row{cells: all, style: bold})
	return p.table(append(columns, "GRANTED", "REFUSED", "SHARE"), rows)
}

// topCells are what a sum is of.
func topCells(item adminclient.UsageTotal) (cells []string) {
	for _, of := range []*string{item.ClientID, item.Outcome, item.Audience, item.Block} {
		if of != nil {
			cells = append(cells, orDash(of))
		}
	}
	if item.ClientID == nil {
		return cells
	}
	name := orDash(item.ClientName)
	if item.ClientDeleted != nil && *item.ClientDeleted {
		name += " (deleted)"
	}
	return append(cells, name)
}
