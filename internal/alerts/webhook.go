package alerts

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// A Webhook is an address that is told of alerts.
type Webhook struct {
	ID        string
	URL       string
	Kinds     []Kind // that it is told of; empty for all
	CreatedAt time.Time
	CreatedBy string
	// FailingSince is when the first of the deliveries failed since the last that arrived; zero if
	// that was the last.
	FailingSince time.Time
	DisabledAt   time.Time // zero: it is told
}

// A Secret is what a webhook's receiver checks signatures with. It lives for one answer.
type Secret struct{ text *string } // fmt looks into private fields, but not through such a pointer

// secretPrefix begins every secret (Standard Webhooks).
const secretPrefix = "whsec_"

// newSecret makes one of 256 random bits.
func newSecret() Secret {
	bytes := make([]byte, 32)
	rand.Read(bytes) // never fails: crypto/rand ends the program instead
	text := secretPrefix + base64.StdEncoding.EncodeToString(bytes)
	return Secret{&text}
}

// Reveal is the secret in the clear.
func (s Secret) Reveal() string { return *s.text }

const redacted = "[webhook secret]"

// String implements [fmt.Stringer] without telling the secret.
func (Secret) String() string { return redacted }

// Format implements [fmt.Formatter] without telling the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer] without telling the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, without telling the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// An Invalid is what is wrong with what an admin asked for, and with which member.
type Invalid struct{ Field, Detail string }

func (v Invalid) Error() string { return v.Field + ": " + v.Detail }

// maxURL is how long an address may be.
const maxURL = 2000

// Check says what is wrong with a webhook that an admin wants, as an [Invalid]. Where its name
// leads to is for the delivery to say: it may change.
func (s *Store) Check(w *Webhook) error {
	for i, k := range w.Kinds {
		if !k.known() || slices.Contains(w.Kinds[:i], k) {
			return Invalid{"/kinds", fmt.Sprintf("must be different kinds of alerts; %q is not one, or stands twice", k)}
		}
	}
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || len(w.URL) > maxURL || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsFunc(w.URL, func(c rune) bool { return c <= ' ' || c > '~' }):
		return Invalid{"/url", "must be an address such as https://example.com/hook, in ASCII"}
	case u.User != nil || u.Fragment != "":
		return Invalid{"/url", "must have no user name, no password and no fragment"}
	case u.Scheme == "http" && len(s.Private) == 0:
		return Invalid{"/url", "must begin with https://; http:// is for networks that --webhook-allow-private names"}
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && !s.Private.reach(address, u.Scheme == "http") {
		return Invalid{"/url", "must not be a private address, unless --webhook-allow-private names its network"}
	}
	return nil
}

// maxWebhooks is how many there are at most. Whoever needs more has one of them tell the others.
const maxWebhooks = 100

// CreateWebhook saves a new webhook, whose id, time and secret are given here. It was checked; if
// there are too many, that is an [Invalid].
func (s *Store) CreateWebhook(ctx context.Context, w *Webhook, now time.Time) (Secret, error) {
	var n int
	if err := s.DB.QueryRow(ctx, `SELECT count(*) FROM webhooks`).Scan(&n); err != nil {
		return Secret{}, fmt.Errorf("count the webhooks: %w", err)
	}
	if n >= maxWebhooks {
		return Secret{}, Invalid{"/url", fmt.Sprintf("there are %d webhooks already; delete one first", n)}
	}
	secret := newSecret()
	w.ID, w.CreatedAt = rand.Text(), now.UTC().Truncate(time.Second)
	sealed, err := s.seal(secret, w.ID)
	if err != nil {
		return Secret{}, err
	}
	_, err = s.DB.Exec(ctx, `INSERT INTO webhooks (id, url, kinds, secret, created_at, created_by, failing_since, disabled_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0)`, w.ID, w.URL, kindList(w.Kinds), sealed, database.At(w.CreatedAt), w.CreatedBy)
	if err != nil {
		return Secret{}, fmt.Errorf("create a webhook: %w", err)
	}
	return secret, nil
}

// UpdateWebhook saves what an admin may change of a webhook, which was checked. One that is
// switched on begins anew. It returns ErrNotFound.
func (s *Store) UpdateWebhook(ctx context.Context, w *Webhook) error {
	n, err := s.DB.Exec(ctx, `UPDATE webhooks SET url = $1, kinds = $2, disabled_at = CAST($3 AS BIGINT),
		failing_since = CASE WHEN disabled_at > 0 AND CAST($3 AS BIGINT) = 0 THEN 0 ELSE failing_since END WHERE id = $4`,
		w.URL, kindList(w.Kinds), database.At(w.DisabledAt), w.ID)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("update webhook %s: %w", w.ID, err)
	}
	return nil
}

// DeleteWebhook forgets a webhook and its deliveries. It returns ErrNotFound.
func (s *Store) DeleteWebhook(ctx context.Context, id string) error {
	return s.DB.Transact(ctx, func(ctx context.Context) error {
		n, err := s.DB.Exec(ctx, `DELETE FROM webhooks WHERE id = $1`, id)
		if err == nil && n == 0 {
			return ErrNotFound
		}
		if err == nil {
			_, err = s.DB.Exec(ctx, `DELETE FROM alert_deliveries WHERE webhook_id = $1`, id)
		}
		if err != nil {
			return fmt.Errorf("delete webhook %s: %w", id, err)
		}
		return nil
	})
}

const webhookColumns = `id, url, kinds, created_at, created_by, failing_since, disabled_at`

func scanWebhook(row scanner, more ...any) (Webhook, error) {
	var w Webhook
	var kinds database.List
	var created, failing, disabled database.Time
	err := row.Scan(append([]any{&w.ID, &w.URL, &kinds, &created, &w.CreatedBy, &failing, &disabled}, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return w, ErrNotFound
	}
	if err != nil {
		return w, fmt.Errorf("read a webhook: %w", err)
	}
	for _, k := range kinds {
		w.Kinds = append(w.Kinds, Kind(k))
	}
	w.CreatedAt, w.FailingSince, w.DisabledAt = created.Time, failing.Time, disabled.Time
	return w, nil
}

func kindList(kinds []Kind) database.List {
	list := database.List{}
	for _, k := range kinds {
		list = append(list, string(k))
	}
	return list
}

// wants says whether the webhook is told of a kind.
func (w *Webhook) wants(k Kind) bool {
	return w.DisabledAt.IsZero() && (len(w.Kinds) == 0 || slices.Contains(w.Kinds, k))
}

// Webhook returns the webhook with the given id, or ErrNotFound.
func (s *Store) Webhook(ctx context.Context, id string) (Webhook, error) {
	return scanWebhook(s.DB.QueryRow(ctx, `SELECT `+webhookColumns+` FROM webhooks WHERE id = $1`, id))
}

// Webhooks returns at most limit webhooks behind a position, oldest first.
func (s *Store) Webhooks(ctx context.Context, after Position, limit int) ([]Webhook, error) {
	read := func(row scanner) (Webhook, error) { return scanWebhook(row) }
	return list(ctx, s, read, `SELECT `+webhookColumns+` FROM webhooks
		WHERE created_at > $1 OR created_at = $1 AND id > $2 ORDER BY created_at, id LIMIT $3`, database.At(after.At), after.ID, limit)
}

// secret returns the webhook with the given id and its secret.
func (s *Store) secret(ctx context.Context, id string) (Webhook, Secret, error) {
	var sealed string
	w, err := scanWebhook(s.DB.QueryRow(ctx, `SELECT `+webhookColumns+`, secret FROM webhooks WHERE id = $1`, id), &sealed)
	if err != nil {
		return w, Secret{}, err
	}
	secret, err := s.unseal(sealed, id)
	return w, secret, err
}

func (s *Store) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.Key)
	if err != nil {
		return nil, fmt.Errorf("the key of the webhooks: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts a secret for the store. The id is part of the seal, so that rows cannot be exchanged.
func (s *Store) seal(secret Secret, id string) (string, error) {
	aead, err := s.aead()
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, []byte(secret.Reveal()), []byte("webhook "+id))), nil
}

func (s *Store) unseal(sealed, id string) (Secret, error) {
	aead, err := s.aead()
	if err != nil {
		return Secret{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return Secret{}, fmt.Errorf("the secret of webhook %s is damaged", id)
	}
	plain, err := aead.Open(nil, nil, raw, []byte("webhook "+id))
	if err != nil {
		return Secret{}, fmt.Errorf("the secret of webhook %s was sealed with another master key, or changed", id)
	}
	text := string(plain)
	return Secret{&text}, nil
}
