package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/alerts"
)

// disuseConfig is what becomes of clients that nobody uses.
type disuseConfig struct {
	unusedAfter, deletedAfter string
	rule                      clients.DisuseRule
}

func (c *disuseConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.unusedAfter, "unused-after", "90d", "suspend clients that got no token for so long, 30d or more, with notices 15, 7 and 1 days before; 0 suspends none")
	f.StringVar(&c.deletedAfter, "unused-deleted-after", "14d", "delete them when they were suspended for so long, 14d or more, with notices likewise; 0 deletes none")
}

func (c *disuseConfig) check() error {
	for _, flag := range []struct {
		name, text string
		least      time.Duration
		to         *time.Duration
	}{
		{"--unused-after", c.unusedAfter, clients.MinUnusedAfter, &c.rule.SuspendedAfter},
		{"--unused-deleted-after", c.deletedAfter, clients.MinUnusedDeletedAfter, &c.rule.DeletedAfter},
	} {
		span, err := parseSpan(flag.text)
		if err != nil {
			return usagef("%s %w", flag.name, err)
		}
		if span != 0 && span < flag.least {
			return usagef("%s must be 0, or at least %dd, so that there is time for the notices; not %s", flag.name, flag.least/day, flag.text)
		}
		*flag.to = span
	}
	return nil
}

// disuse applies the rule to clients that nobody uses.
func (p *parts) disuse() *clients.Disuse {
	return &clients.Disuse{DB: p.db, Rule: p.config.disuse.rule, Clock: p.db.Clock, Notify: p.tellOfDisuse, Acted: admin.DisuseActs(p.audit)}
}

// tellOfDisuse lets admins know that a client will be suspended or deleted.
func (p *parts) tellOfDisuse(ctx context.Context, n clients.Notice) error {
	fate := "will be suspended"
	if n.Fate == clients.Deletion {
		fate = "is suspended, and will be deleted"
	}
	return p.alerts.Raise(ctx, alerts.Alert{
		Once: fmt.Sprintf("%s %s %d %d", n.ClientID, n.Fate, n.Days, n.At.Unix()), Kind: alerts.ClientUnused,
		ClientID: n.ClientID, ClientName: n.Name, At: time.Now(),
		Text: fmt.Sprintf("Nobody has used it since %s. It %s on %s. If it is still wanted, use it, resume it on its page, or let it be kept although unused.",
			n.UnusedSince.Format("2 January 2006"), fate, n.At.Format("2 January 2006")),
	})
}
