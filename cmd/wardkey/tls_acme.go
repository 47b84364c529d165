package main

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/tokens"
)

func (c *config) acmeFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.acmeDomains, "acme-domain", nil, "get a certificate for this name by ACME (RFC 8555), and accept the terms of who issues it; may repeat, off by default")
	f.StringVar(&c.acmeEmail, "acme-email", "", "whom the issuer of certificates may tell of problems")
	f.StringVar(&c.acmeDirectory, "acme-directory", autocert.DefaultACMEDirectory, "directory URL of who issues certificates")
	f.StringVar(&c.acmeListen, "acme-listen", "", "address for its challenges over HTTP, as :80; others are sent to https:// from there (default none: challenges are answered in TLS, on port 443)")
}

// checkACME refuses what cannot work, before anything is asked of an issuer of certificates.
func (c *config) checkACME() error {
	directory, err := url.Parse(c.acmeDirectory)
	switch {
	case len(c.acmeDomains) == 0 && c.acmeListen != "":
		return usagef("--acme-listen needs an --acme-domain")
	case len(c.acmeDomains) == 0:
		return nil
	case c.tlsCert != "":
		return usagef("--acme-domain gets a certificate, and --tls-cert names one; give one of them")
	case err != nil || directory.Scheme != "https" || directory.Host == "":
		return usagef("--acme-directory must be an https:// URL, not %q", c.acmeDirectory)
	}
	for _, domain := range c.acmeDomains {
		if domain != strings.ToLower(domain) || strings.ContainsAny(domain, "*/: ") || !strings.Contains(domain, ".") || net.ParseIP(domain) != nil {
			return usagef("--acme-domain must be a name like auth.example.com, in lower case, not %q", domain)
		}
	}
	if c.acmeListen != "" {
		if _, _, err := net.SplitHostPort(c.acmeListen); err != nil {
			return usagef("--acme-listen must be HOST:PORT, like :80, not %q", c.acmeListen)
		}
	}
	return nil
}

// acmeCertificates get themselves, and are renewed 30 days before their end, when they are asked for. All servers of one
// database share them and the answers to challenges, so that a challenge may reach any of them.
type acmeCertificates struct{ *autocert.Manager }

// newACME returns the certificates that the flags ask for. Nothing is asked of anybody yet.
func (c *config) newACME(db *database.DB, master tokens.MasterKey) acmeCertificates {
	return acmeCertificates{&autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(c.acmeDomains...),
		Email:      c.acmeEmail,
		Cache:      newACMECache(db, master),
		Client:     &acme.Client{DirectoryURL: c.acmeDirectory, UserAgent: "wardkey/" + version},
	}}
}

func (a acmeCertificates) config() *tls.Config {
	config := a.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	return config
}

// challenges answers challenges over HTTP, and leads everybody else to https://.
func (a acmeCertificates) challenges() http.Handler { return a.HTTPHandler(nil) }

// An acmeCache is what servers share for ACME, in the store and sealed.
type acmeCache struct {
	db   *database.DB
	aead cipher.AEAD
}

func newACMECache(db *database.DB, master tokens.MasterKey) acmeCache {
	aead, err := chacha20poly1305.NewX(master.Derive("acme"))
	if err != nil {
		panic(err) // only for a key of another length
	}
	return acmeCache{db, aead}
}

// Get implements [autocert.Cache].
func (c acmeCache) Get(ctx context.Context, name string) ([]byte, error) {
	var text string
	err := c.db.QueryRow(ctx, `SELECT sealed FROM acme_files WHERE name = $1`, name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, autocert.ErrCacheMiss
	}
	if err != nil {
		return nil, fmt.Errorf("read %s for ACME: %w", name, err)
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sealed) < c.aead.NonceSize() {
		return nil, fmt.Errorf("read %s for ACME: it is damaged", name)
	}
	// The name is part of the seal, so that rows cannot be exchanged.
	plain, err := c.aead.Open(nil, sealed[:c.aead.NonceSize()], sealed[c.aead.NonceSize():], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open %s for ACME: %w", name, tokens.ErrMasterKey)
	}
	return plain, nil
}

// Put implements [autocert.Cache].
func (c acmeCache) Put(ctx context.Context, name string, plain []byte) error {
	nonce := make([]byte, c.aead.NonceSize())
	rand.Read(nonce)
	sealed := base64.StdEncoding.EncodeToString(c.aead.Seal(slices.Clone(nonce), nonce, plain, []byte(name)))
	_, err := c.db.Exec(ctx, `INSERT INTO acme_files (name, sealed) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed`, name, sealed)
	if err != nil {
		return fmt.Errorf("keep %s for ACME: %w", name, err)
	}
	return nil
}

// Delete implements [autocert.Cache].
func (c acmeCache) Delete(ctx context.Context, name string) error {
	if _, err := c.db.Exec(ctx, `DELETE FROM acme_files WHERE name = $1`, name); err != nil {
		return fmt.Errorf("forget %s for ACME: %w", name, err)
	}
	return nil
}
