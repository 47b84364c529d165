package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A rotation is a client's live secrets, with who uses them. While one is under way there are two.
type rotation struct {
	ClientID   string       `json:"client_id"`
	ClientName string       `json:"client_name"`
	UnderWay   bool         `json:"under_way"`
	Secrets    []usedSecret `json:"secrets"` // oldest first

	now time.Time // by the server's clock
}

type usedSecret struct {
	adminclient.SecretInUse
	Addresses []adminclient.AddressUse `json:"addresses"` // of the last day, the last used first
}

// rotation asks how far the rotation of a client is.
func (a *adminAPI) rotation(ctx context.Context, client adminclient.Client) (*rotation, error) {
	r := &rotation{ClientID: client.ID, ClientName: client.Name, Secrets: []usedSecret{}, now: time.Now()}
	all, err := pages[adminclient.SecretInUse](0, func(p *pageParams) (*http.Response, error) {
		resp, err := a.ListSecrets(ctx, client.ID, (*adminclient.ListSecretsParams)(p))
		if err == nil {
			r.now = dateOf(resp, r.now)
		}
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	for _, s := range all.Items {
		if s.ExpiresAt != nil && !r.now.Before(*s.ExpiresAt) {
			continue
		}
		addresses, _, err := fetch[adminclient.AddressList](a.ListSecretAddresses(ctx, client.ID, s.ID))
		if err != nil {
			return nil, err
		}
		r.Secrets = append(r.Secrets, usedSecret{s, addresses.Items})
	}
	r.UnderWay = len(r.Secrets) == 2
	return r, nil
}

// dateOf is when an answer was made. The clock here may be wrong, and how long a secret has been
// silent is told by the server's.
func dateOf(resp *http.Response, otherwise time.Time) time.Time {
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return at
	}
	return otherwise
}

// older and newer are the two secrets of a rotation that is under way.
func (r *rotation) older() usedSecret { return r.Secrets[0] }
func (r *rotation) newer() usedSecret { return r.Secrets[1] }

// secret is the live secret with the given id.
func (r *rotation) secret(id string) (usedSecret, bool) {
	for _, s := range r.Secrets {
		if s.ID == id {
			return s, true
		}
	}
	return usedSecret{}, false
}

// silence is how long a secret has got no token.
func (s usedSecret) silence(now time.Time) time.Duration {
	if s.LastUsedAt != nil {
		return now.Sub(*s.LastUsedAt)
	}
	return now.Sub(s.CreatedAt)
}

// usage is when and how much a secret was used, as a part of a sentence.
func (s usedSecret) usage(now time.Time) string {
	if s.LastUsedAt == nil {
		return "never used since it was made, " + ago(&s.CreatedAt, now)
	}
	text := lastUsed(s.LastUsedAt, now)
	if s.UsesLastDay > 0 {
		text += fmt.Sprintf(", %s from %s in the last day", times(s.UsesLastDay), places(s.AddressesLastDay))
	}
	return text
}

func times(n int64) string { return plural(int(n), "time") }

func places(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// users are the addresses that used a secret in the last day.
func (s usedSecret) users(now time.Time) []string {
	lines := make([]string, len(s.Addresses))
	for i, a := range s.Addresses {
		lines[i] = fmt.Sprintf("%s, %s, last %s", addressName(a.Address), times(a.Uses), ago(&a.LastUsedAt, now))
	}
	return lines
}

// addressName is an address, or what stands for those that were too many to count apart.
func addressName(address string) string {
	if address == "" {
		return "other addresses"
	}
	return clean(address)
}

var useColumns = []string{"SECRET", "ENDS WITH", "CREATED", "LAST USED", "USES 24H", "ADDRESSES 24H", "EXPIRES"}

func useRows(secrets []adminclient.SecretInUse, now time.Time) []row {
	rows := make([]row, len(secrets))
	for i, s := range secrets {
		rows[i] = row{cells: []string{
			s.ID, "…" + s.Hint, ago(&s.CreatedAt, now), ago(s.LastUsedAt, now),
			fmt.Sprint(s.UsesLastDay), fmt.Sprint(s.AddressesLastDay), ago(s.ExpiresAt, now),
		}}
		if s.ExpiresAt != nil && !now.Before(*s.ExpiresAt) {
			rows[i].style = dim
		}
	}
	return rows
}

// table prints the live secrets, and below them who used them.
func (r *rotation) table(p *printer) error {
	secrets := make([]adminclient.SecretInUse, len(r.Secrets))
	var users []string
	for i, s := range r.Secrets {
		secrets[i] = s.SecretInUse
		for _, user := range s.users(r.now) {
			users = append(users, fmt.Sprintf("  …%s  %s", clean(s.Hint), user))
		}
	}
	if err := p.table(useColumns, useRows(secrets, r.now)); err != nil || len(users) == 0 {
		return err
	}
	return p.say("\nIn the last day:\n%s", strings.Join(users, "\n"))
}
