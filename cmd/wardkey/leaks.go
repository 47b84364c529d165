package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/leaks"
)

// leakConfig is whose reports of leaked secrets are believed to be GitHub's.
type leakConfig struct {
	githubKeys string
}

func (c *leakConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.githubKeys, "github-keys", "", "what GitHub signs its secret-scanning reports with: https://api.github.com/meta/public_keys/secret_scanning, or a file with what is there (default none: reports are taken like anybody's)")
}

// check refuses what can be no place of keys.
func (c *leakConfig) check() error {
	if strings.HasPrefix(c.githubKeys, "http://") {
		return usagef("--github-keys must be an https:// URL or a file, not %q: whoever is on the way could put keys of his own there", c.githubKeys)
	}
	return nil
}

// keys are those that are told to be GitHub's, nil for none.
func (c *leakConfig) keys() (*leaks.GitHubKeys, error) {
	switch {
	case c.githubKeys == "":
		return nil, nil //nolint:nilnil // without keys no report is GitHub's, and that is no error
	case strings.HasPrefix(c.githubKeys, "https://"):
		return leaks.GitHubKeysAt(c.githubKeys), nil
	}
	document, err := os.ReadFile(c.githubKeys)
	if err != nil {
		return nil, fmt.Errorf("--github-keys: %w", err)
	}
	keys, err := leaks.FixedGitHubKeys(document)
	if err != nil {
		return nil, fmt.Errorf("--github-keys %s: %w", c.githubKeys, err)
	}
	return keys, nil
}

// leakReports takes reports of leaked secrets, from admins and from anybody.
func (p *parts) leakReports() *leaks.Reports {
	return &leaks.Reports{DB: p.db, Clients: clients.NewStore(p.db), Audit: p.audit, Leaked: p.tellOfLeak}
}

// tellOfLeak lets admins know that a secret was revoked because others could read it.
func (p *parts) tellOfLeak(ctx context.Context, l leaks.Leak) error {
	where := ""
	if stranger := audit.From(ctx).Actor.Kind == audit.Nobody; l.FoundAt != "" && !stranger {
		where = " at " + l.FoundAt
	}
	return p.alerts.Raise(ctx, alerts.Alert{
		Once: l.SecretID, Kind: alerts.SecretLeaked, ClientID: l.ClientID, ClientName: l.ClientName, At: time.Now(),
		Text: fmt.Sprintf("Its secret that ends in %s was found where others can read it%s, reported by %s, and revoked. Its other secret, if it has one, goes on. Give it a new one, and look whether the old one was used from somewhere strange.",
			l.Hint, where, l.By),
	})
}

// registerLeaks lets anybody report a leaked secret.
func (p *parts) registerLeaks(router *mux.Router) error {
	keys, err := p.config.leaks.keys()
	if err != nil {
		return err
	}
	handler := &leaks.Handler{Reports: p.leakReports(), GitHub: keys, Committed: p.journal.committed}
	router.Handle("/security/leaked-secrets", handler)
	if path := issuerPath(p.config.issuer); path != "" {
		router.Handle(path+"/security/leaked-secrets", handler)
	}
	return nil
}
