package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// limitFlags are how often a client may ask for tokens.
type limitFlags struct {
	plan                     string
	perMinute, burst, perDay int64
}

func (f *limitFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.plan, "plan", "", `how often it may ask for tokens: none, free, pro or enterprise; "default" is the server's own`)
	flags.Int64Var(&f.perMinute, "per-minute", 0, "with the plan enterprise: token requests in a minute; 0 is no limit")
	flags.Int64Var(&f.burst, "burst", 0, "with the plan enterprise: of these at once; 0 is a quarter")
	flags.Int64Var(&f.perDay, "per-day", 0, "with the plan enterprise: token requests in a day; 0 is no limit")
	complete(cmd, "plan", "none", "free", "pro", "enterprise", "default")
}

// changes adds the members of a body that were given; null is the default.
func (f *limitFlags) changes(cmd *cobra.Command, patch adminclient.Patch) {
	given := cmd.Flags().Changed
	if given("plan") {
		patch["plan"] = f.plan
		if f.plan == "default" {
			patch["plan"] = nil
		}
	}
	limits := map[string]any{}
	for _, flag := range []struct {
		name, member string
		value        int64
	}{{"per-minute", "per_minute", f.perMinute}, {"burst", "burst", f.burst}, {"per-day", "per_day", f.perDay}} {
		switch {
		case !given(flag.name):
		case flag.value == 0:
			limits[flag.member] = nil
		default:
			limits[flag.member] = flag.value
		}
	}
	if len(limits) > 0 {
		patch["limits"] = limits
	}
}

// planWords say a plan and its numbers: pro: 1000 a minute (250 at once), 1000000 a day.
func planWords(plan string, l adminclient.Limits) string {
	if plan == "none" {
		return "none: no limit of its own"
	}
	words := plan + ":"
	if l.PerMinute != nil && l.Burst != nil {
		words += fmt.Sprintf(" %d a minute (%d at once)", *l.PerMinute, *l.Burst)
	}
	if l.PerMinute != nil && l.PerDay != nil {
		words += ","
	}
	if l.PerDay != nil {
		words += fmt.Sprintf(" %d a day", *l.PerDay)
	}
	return words
}

// planCommand is `wardkey plan`.
func (c *cli) planCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the plans, and how the account stands with its own limits",
		Example: "  wardkey plan list",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			plans, _, err := fetch[adminclient.PlanList](api.ListPlans(cmd.Context()))
			if err != nil {
				return err
			}
			return c.printer(cmd).plans(plans)
		},
	}
	return c.administering(noun("plan", "Plans: how often clients may ask for tokens", list))
}

func (p *printer) plans(plans adminclient.PlanList) error {
	if p.json {
		return p.value(plans)
	}
	rows := []row{}
	for _, plan := range plans.Items {
		name := plan.Plan
		if name == plans.Default {
			name += " (default)"
		}
		rows = append(rows, row{cells: []string{name, limitText(plan.Limits.PerMinute, plan.Plan), limitText(plan.Limits.Burst, plan.Plan), limitText(plan.Limits.PerDay, plan.Plan)}})
	}
	if err := p.table([]string{"PLAN", "A MINUTE", "AT ONCE", "A DAY"}, rows); err != nil {
		return err
	}
	if plans.Mode != "enforce" {
		if err := p.say("\nLimits are not enforced: wardkey serve --limits %s", plans.Mode); err != nil {
			return err
		}
	}
	if len(plans.Account) == 0 {
		return nil
	}
	if err := p.say("\nAll clients together:"); err != nil {
		return err
	}
	return p.standings(plans.Account)
}

// limitText is a limit of a plan in words.
func limitText(n *int64, plan string) string {
	switch {
	case n != nil:
		return strconv.FormatInt(*n, 10)
	case plan == "enterprise":
		return "its own"
	}
	return "no limit"
}

func (p *printer) standings(standings []adminclient.LimitStanding) error {
	rows := []row{}
	for _, s := range standings {
		rows = append(rows, row{cells: []string{s.Name, fmt.Sprint(s.Limit), fmt.Sprint(s.Left), fmt.Sprintf("%d s", s.Reset)}})
	}
	return p.table([]string{"LIMIT", "REQUESTS", "LEFT", "MORE IN"}, rows)
}

// clientLimitsCommand is `wardkey client limits`.
func (c *cli) clientLimitsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "limits CLIENT", Short: "Show how a client stands with its limits, and whether it asks for more tokens than it needs",
		Example: `  wardkey client limits "CRM integration - production"`,
		Args:    takes("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			client, _, err := clientKind.find(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			limits, _, err := fetch[adminclient.ClientLimits](api.ReadClientLimits(cmd.Context(), client.ID))
			if err != nil {
				return err
			}
			return c.printer(cmd).clientLimits(limits)
		},
	}
	return completeArg(c, cmd, &clientKind)
}

func (p *printer) clientLimits(l adminclient.ClientLimits) error {
	if p.json {
		return p.value(l)
	}
	err := p.fields([2]string{"Plan", planWords(l.Plan, l.Limits)}, [2]string{"Limits", l.Mode},
		[2]string{"Over a limit today", fmt.Sprint(l.OverToday)}, [2]string{"Needless tokens today", fmt.Sprint(l.EarlyToday)})
	if err == nil && len(l.Standings) > 0 {
		if err = p.say(""); err == nil {
			err = p.standings(l.Standings)
		}
	}
	if err != nil || l.EarlyToday == 0 {
		return err
	}
	return p.say("\nCache your token: it asked while the last one had more than half its life left, last as %s.\nWith %s:\n\n%s",
		orElse(clean(l.UserAgent), "nobody in particular"), l.Advice.Library, l.Advice.Snippet)
}

// clientWastefulCommand is `wardkey client wasteful`.
func (c *cli) clientWastefulCommand() *cobra.Command {
	return &cobra.Command{
		Use: "wasteful", Short: "List the clients that asked today for tokens which they did not need",
		Long: `List the clients that asked most often today (UTC) for a token while their last one, for the same
audience and scope and to the same address, had more than half its life left.`,
		Example: "  wardkey client wasteful",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.admin()
			if err != nil {
				return err
			}
			list, _, err := fetch[adminclient.WastefulClientList](api.ListWastefulClients(cmd.Context()))
			if err != nil {
				return err
			}
			return c.printer(cmd).wasteful(list)
		},
	}
}

func (p *printer) wasteful(list adminclient.WastefulClientList) error {
	if p.json {
		return p.value(list)
	}
	if len(list.Items) == 0 {
		return p.say("Every client has kept its tokens today.")
	}
	rows := []row{}
	for _, w := range list.Items {
		name := "(deleted)"
		if w.ClientName != nil {
			name = shorten(*w.ClientName, 40)
		}
		rows = append(rows, row{cells: []string{w.ClientID, name, fmt.Sprint(w.EarlyToday), shorten(w.UserAgent, 30), w.Advice.Library}})
	}
	if err := p.table([]string{"ID", "NAME", "NEEDLESS", "USER AGENT", "CACHE WITH"}, rows); err != nil {
		return err
	}
	return p.say("\nwardkey client limits ID says how to keep tokens with what it runs on.")
}
