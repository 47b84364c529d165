package main

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/sections"
)

// limitConfig is how often tokens may be asked for.
type limitConfig struct {
	mode              string
	defaultPlan       string
	account           clients.Limits
	failuresPerMinute int
}

func (c *limitConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.mode, "limits", string(limits.Enforce), "what comes of token requests over a limit: enforce, report (they are counted and told, and let through) or off")
	f.StringVar(&c.defaultPlan, "default-plan", "none", "the plan of new clients: none, free or pro")
	f.Int64Var(&c.account.PerMinute, "account-per-minute", 0, "token requests of all clients together in a minute (default no limit)")
	f.Int64Var(&c.account.Burst, "account-burst", 0, "of these at once (default a quarter)")
	f.Int64Var(&c.account.PerDay, "account-per-day", 0, "token requests of all clients together in a day (default no limit)")
	f.IntVar(&c.failuresPerMinute, "failures-per-minute", 600, "failed authentications that one address may have in a minute on this server, and a fifth of them with one client id; 0 is no limit")
}

// plan is the default plan.
func (c *limitConfig) plan() clients.Plan {
	if c.defaultPlan == "none" {
		return clients.NoPlan
	}
	return clients.Plan(c.defaultPlan)
}

func (c *limitConfig) check() error {
	switch {
	case !slices.Contains(limits.Modes, limits.Mode(c.mode)):
		return usagef("--limits must be one of %q, not %q", limits.Modes, c.mode)
	case !slices.Contains([]string{"none", "free", "pro"}, c.defaultPlan):
		return usagef("--default-plan must be none, free or pro, not %q; enterprise has numbers for each client", c.defaultPlan)
	case c.failuresPerMinute < 0:
		return usagef("--failures-per-minute must be 0 or more")
	}
	c.account = c.account.WithBurst()
	if c.account == (clients.Limits{}) {
		return nil
	}
	var wrong sections.Invalid
	c.account.Check(&wrong, "/account")
	if err := wrong.Err(); err != nil {
		return usagef("--account-per-minute, --account-burst and --account-per-day: %w", err)
	}
	return nil
}

// limit makes the parts that count token requests.
func (p *parts) limit() {
	c := &p.config.limits
	p.limits = &limits.Limiter{DB: p.db, Log: p.log, Mode: limits.Mode(c.mode), Account: c.account, Timeout: storeTimeout}
	p.habits = &limits.Habits{DB: p.db, Log: p.log}
	if p.limits.Mode == limits.Enforce {
		p.failures = limits.NewFailures(c.failuresPerMinute)
		p.failures.UsedFrom = clients.NewStore(p.db).UsedFrom
	}
}
