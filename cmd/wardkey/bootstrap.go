package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/sections"
)

// firstCredentials are shown once, by the first start on an empty store.
type firstCredentials struct {
	AdminEmail    string `json:"admin_email"`
	AdminPassword string `json:"admin_password"`
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`

	demoID, demoSecret string
}

const bootstrapActor = "bootstrap"

// bootstrap makes the first admin and the first client on an empty store, all or nothing. It
// returns nil on any other store: of the servers that start at once on one, one makes them. After an
// error it may be called again.
func (p *parts) bootstrap(ctx context.Context) (*firstCredentials, error) {
	admins := people.New(p.db, p.audit)
	if any, err := admins.Any(ctx); err != nil {
		return nil, err
	} else if any {
		return p.madeAfterAll(ctx)
	}
	password, err := admins.OneTimePassword(ctx)
	if err != nil {
		return nil, err
	}
	first := &firstCredentials{AdminEmail: "admin@localhost", AdminPassword: password.Reveal()}
	var made bool
	err = p.db.Transact(ctx, func(ctx context.Context) error {
		made = false
		if any, err := admins.Any(ctx); err != nil || any {
			return err
		}
		now := time.Now()
		owner := &people.Person{Email: first.AdminEmail, Role: people.Owner}
		if err := admins.Create(ctx, owner, password, now); err != nil {
			return err
		}
		if err := p.firstClients(ctx, first, now); err != nil {
			return err
		}
		made = true
		return p.writeBootstrap(first)
	})
	if err == nil && made {
		return first, nil
	}
	p.uncertain = append(p.uncertain, first)
	if err == nil || errors.Is(err, people.ErrEmailTaken) || database.IsConflict(err) {
		return p.madeAfterAll(ctx)
	}
	err = fmt.Errorf("make the first credentials: %w", err)
	if !database.IsUnavailable(err) { // so that they are not in the store
		err = errors.Join(err, p.withdraw(first))
	}
	return nil, err
}

// madeAfterAll returns the credentials of an earlier try, if they are in the store although it did
// not say so, as when a connection is cut before the answer. Otherwise another server was quicker,
// and it returns nil.
func (p *parts) madeAfterAll(ctx context.Context) (*firstCredentials, error) {
	for _, first := range p.uncertain {
		_, err := clients.NewStore(p.db).Client(ctx, first.ClientID)
		if err == nil {
			return first, p.writeBootstrap(first)
		}
		if !errors.Is(err, clients.ErrNotFound) {
			return nil, err
		}
		if err := p.withdraw(first); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// withdraw removes the file if it has these credentials, which never became valid.
func (p *parts) withdraw(first *firstCredentials) error {
	text, err := os.ReadFile(p.config.bootstrapFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil // also if there is to be no file
	}
	if err != nil {
		return err
	}
	var written firstCredentials
	if json.Unmarshal(text, &written) != nil || written.ClientID != first.ClientID {
		return nil // another server's
	}
	return os.Remove(p.config.bootstrapFile)
}

// writeBootstrap writes the file before the credentials are committed: they are never valid
// and lost.
func (p *parts) writeBootstrap(first *firstCredentials) error {
	if p.config.bootstrapFile == "" {
		return nil
	}
	text, err := json.MarshalIndent(first, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(p.config.bootstrapFile, append(text, '\n'))
}

func (p *parts) firstClients(ctx context.Context, first *firstCredentials, now time.Time) error {
	store := clients.NewStore(p.db)
	c := &clients.Client{
		Name:        "First admin client",
		Description: "Made by the first start, for the admin API and the command line.",
		CreatedBy:   bootstrapActor,
		Held: sections.Held{Permissions: []sections.Permission{
			{Target: sections.Wardkey, Action: "read"}, {Target: sections.Wardkey, Action: "write"},
		}},
	}
	secret, err := store.Create(ctx, c, now)
	if err != nil {
		return err
	}
	first.ClientID, first.ClientSecret = c.ID, secret.Reveal()
	if err := p.recordFirst(ctx, "client", c.ID, c.Name, now); err != nil || !p.config.demo {
		return err
	}
	demo, secret, err := p.makeDemo(ctx, sections.NewStore(p.db), store, now)
	if err != nil {
		return err
	}
	first.demoID, first.demoSecret = demo.ID, secret.Reveal()
	return p.recordFirst(ctx, "client", demo.ID, demo.Name, now)
}

// recordFirst records what the first start makes, which is an act of the server itself.
func (p *parts) recordFirst(ctx context.Context, kind, id, name string, now time.Time) error {
	act := audit.Act{
		Action: kind + ".create", Target: audit.Target{Kind: kind, ID: id, Name: name}, At: now,
		Changes: map[string]audit.Change{"name": {After: name}},
	}
	if kind == "client" {
		act.ClientID = id
	}
	return p.audit.Record(ctx, act)
}

// makeDemo makes Sections, keyspaces and a client to play with.
func (p *parts) makeDemo(ctx context.Context, things *sections.Store, store *clients.Store, now time.Time) (*clients.Client, clients.Secret, error) {
	for _, s := range []sections.Section{{ID: "nordic", Name: "Nordic"}, {ID: "baltic", Name: "Baltic"}} {
		s.CreatedAt = now
		if err := errors.Join(things.CreateSection(ctx, &s), p.recordFirst(ctx, "section", s.ID, s.Name, now)); err != nil {
			return nil, clients.Secret{}, err
		}
	}
	for _, k := range []sections.Keyspace{{ID: "email", Name: "E-mail"}, {ID: "crm-id", Name: "CRM id"}} {
		k.CreatedAt, k.Actions = now, sections.DefaultActions
		if err := errors.Join(things.CreateKeyspace(ctx, &k), p.recordFirst(ctx, "keyspace", k.ID, k.Name, now)); err != nil {
			return nil, clients.Secret{}, err
		}
	}
	c := &clients.Client{
		Name:        "Demo CRM integration",
		Description: "Made by --demo.",
		CreatedBy:   bootstrapActor,
		Held: sections.Held{
			Sections: []string{"baltic", "nordic"},
			Permissions: []sections.Permission{
				{Target: "crm-id", Action: "read"}, {Target: "email", Action: "read"}, {Target: "email", Action: "write"},
			},
		},
	}
	secret, err := store.Create(ctx, c, now)
	return c, secret, err
}

// print shows the credentials to who started the server, for the first and last time.
func (f *firstCredentials) print(w io.Writer, c *config) {
	if c.bootstrapFile != "" {
		fmt.Fprintf(w, "\nFirst start: the first credentials are in %s\n", c.bootstrapFile)
	} else {
		fmt.Fprintf(w, `
First start. These are shown once; store them now:
  Admin          %s
  Password       %s
  Client ID      %s
  Client Secret  %s

Sign in at %s/admin/ within seven days, and choose your own password.
`, f.AdminEmail, f.AdminPassword, f.ClientID, f.ClientSecret, c.issuer)
	}
	if f.demoID != "" {
		fmt.Fprintf(w, `
A client to play with. Get its token:
  curl -s -u %s:%s -d grant_type=client_credentials %s/oauth/token
`, f.demoID, f.demoSecret, c.issuer)
	}
}
