package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/lease"
	"github.com/wardkey/wardkey/tokens"
)

// An alertConfig is what admins are told of, and how.
type alertConfig struct {
	smtpURL, mailFrom string
	smtpPassword      string   // WARDKEY_SMTP_PASSWORD; never a flag, because others see those
	private           []string // networks
	refusals, volume  alerts.Threshold
	geoipFile         string

	mailer    *alerts.Mailer // nil: no mails
	countries *countryFile   // nil: no countries
}

func (c *alertConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.smtpURL, "smtp-url", "", "mail server for alerts, smtp://USER@HOST:587 (STARTTLS, which only a loopback host may lack) or smtps://USER@HOST:465; WARDKEY_SMTP_PASSWORD holds the password (default no mails)")
	f.StringVar(&c.mailFrom, "mail-from", "", "sender of mails, as alerts@example.com; goes with --smtp-url")
	f.StringArrayVar(&c.private, "webhook-allow-private", nil, "address or network (CIDR) that is not public and that webhooks may lead to, there also by http://; may repeat")
	f.StringVar(&c.geoipFile, "geoip-file", "", "database of countries by addresses (.mmdb, as GeoLite2-Country or DB-IP's country lite), read again when it changes; tells admins of clients in a new country, and where admins signed in (default none)")
	f.Int64Var(&c.refusals.Percent, "alert-refused-percent", 50, "tell admins of a client when so much of an hour's token requests is refused; 0 for never")
	f.Int64Var(&c.refusals.Least, "alert-refused-least", 50, "but only from so many requests in the hour on")
	f.Int64Var(&c.volume.Percent, "alert-volume-percent", 500, "tell admins of a client that makes so much of what it made in the same hour of the last seven days; 0 for never")
	f.Int64Var(&c.volume.Least, "alert-volume-least", 1000, "but only from so many requests in the hour on")
}

// check reads the mail server and the countries, and says what is wrong with what was given.
func (c *alertConfig) check() error {
	if (c.smtpURL == "") != (c.mailFrom == "") {
		return usagef("--smtp-url and --mail-from go together; give both")
	}
	if c.refusals.Percent < 0 || c.refusals.Percent > 100 || c.volume.Percent < 0 || c.volume.Percent > 0 && c.volume.Percent <= 100 {
		return usagef("--alert-refused-percent is 0 to 100, and --alert-volume-percent 0 or more than 100")
	}
	if c.refusals.Least < 1 || c.volume.Least < 1 {
		return usagef("--alert-refused-least and --alert-volume-least are at least 1")
	}
	if _, err := c.allowed(); err != nil {
		return err
	}
	var err error
	if c.countries, err = openCountries(c.geoipFile); err != nil || c.smtpURL == "" {
		return err
	}
	if c.mailer, err = alerts.NewMailer(c.smtpURL, c.smtpPassword, c.mailFrom); err != nil {
		return usagef("--smtp-url and --mail-from: %w", err)
	}
	return nil
}

// allowed are the networks of --webhook-allow-private.
func (c *alertConfig) allowed() (allowed alerts.Private, err error) {
	for _, text := range c.private {
		prefix, err := netip.ParsePrefix(text)
		if address, failed := netip.ParseAddr(text); failed == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, usagef("--webhook-allow-private %q is neither an address nor a network, as 10.0.0.0/8", text)
		}
		allowed = append(allowed, prefix.Masked())
	}
	return allowed, nil
}

// newAlerts is the store of alerts.
func (p *parts) newAlerts() (*alerts.Store, error) {
	private, err := p.config.alerts.allowed()
	return &alerts.Store{
		DB: p.db, Key: p.master.Derive("webhooks"), Pages: p.config.issuer + "/admin",
		Private: private, Mails: p.config.alerts.mailer != nil,
	}, err
}

// tellAdmins looks for what to tell admins, and sends what is to be sent, while this server is the one
// that does it for all.
func (p *parts) tellAdmins(ctx context.Context) error {
	l := &lease.Lease{DB: p.db, Name: "alerts", Log: p.log, Alone: p.db.Embedded()}
	return l.Run(ctx, func(ctx context.Context, held *lease.Held) error {
		watch := p.watch()
		sender := &alerts.Dispatcher{Store: p.alerts, Mailer: p.config.alerts.mailer, Log: p.log, Transact: held.Transact}
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return watch.Run(ctx) })
		g.Go(func() error { return sender.Run(ctx) })
		return g.Wait()
	})
}

// watch is what looks for what to tell admins.
func (p *parts) watch() *alerts.Watch {
	c := &p.config.alerts
	w := &alerts.Watch{Store: p.alerts, Log: p.log, Refusals: c.refusals, Volume: c.volume, AccountPerDay: p.limits.Account.PerDay}
	if c.countries != nil {
		w.Country = c.countries.country
	}
	return w
}

// keysChanged has changes of the signing keys recorded, and tells of each key that signs from now on
// in place of another.
func (p *parts) keysChanged(record func(ctx context.Context, before, after []*tokens.Key) error) func(ctx context.Context, before, after []*tokens.Key) error {
	return func(ctx context.Context, before, after []*tokens.Key) error {
		if err := record(ctx, before, after); err != nil {
			return err
		}
		signed := map[tokens.Alg]string{}
		for _, k := range before {
			if k.State == tokens.Active {
				signed[k.Alg] = k.ID
			}
		}
		for _, k := range after {
			if k.State != tokens.Active || signed[k.Alg] == "" || signed[k.Alg] == k.ID {
				continue
			}
			err := p.alerts.Raise(ctx, alerts.Alert{
				Kind: alerts.SigningKeyRotated, Once: k.ID, At: time.Now(),
				Text: fmt.Sprintf("Tokens are signed by the %s key %s now. A service that refuses them holds an old copy of the JWKS.", k.Alg, k.ID),
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}
