package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// keysAndFetches is what wardkey key list prints for programs.
type keysAndFetches struct {
	page[adminclient.SigningKey]
	Fetches []adminclient.JWKSFetch `json:"jwks_fetches"`
}

func allFetches(ctx context.Context, api *adminAPI) ([]adminclient.JWKSFetch, error) {
	all, err := pages[adminclient.JWKSFetch](0, func(p *pageParams) (*http.Response, error) {
		return api.ListJWKSFetches(ctx, (*adminclient.ListJWKSFetchesParams)(p))
	})
	return all.Items, err
}

// seenBy says how many of those who came within the last day have a key: 2 of 5.
func seenBy(k adminclient.SigningKey) string {
	if k.SeenBy == nil || k.UnseenBy == nil {
		return "-"
	}
	return fmt.Sprintf("%d of %d", *k.SeenBy, *k.SeenBy+*k.UnseenBy)
}

// maxFetchRows is how many fetches are shown to people.
const maxFetchRows = 50

// fetches prints who fetched the keys, newest first, and whether a rotation is safe.
func (p *printer) fetches(keys []adminclient.SigningKey, fetches []adminclient.JWKSFetch) error {
	if len(fetches) == 0 {
		return p.say("\nNobody has fetched the keys in the last 30 days.")
	}
	rows := []row{}
	for _, f := range fetches[:min(len(fetches), maxFetchRows)] {
		rows = append(rows, row{cells: []string{orElse(shorten(f.UserAgent, 40), "(none)"), f.Address, ago(&f.LastFetchedAt, p.now), lacks(f, keys)}})
	}
	if err := p.say("\nWho fetched the keys:"); err != nil {
		return err
	}
	if err := p.table([]string{"USER AGENT", "ADDRESS", "FETCHED", "LACKS"}, rows); err != nil {
		return err
	}
	if more := len(fetches) - len(rows); more > 0 {
		if err := p.say("… and %d more; --json has all.", more); err != nil {
			return err
		}
	}
	return p.safety(keys)
}

// lacks says which of the keys that will sign or do sign a fetch did not have, as they begin.
func lacks(f adminclient.JWKSFetch, keys []adminclient.SigningKey) string {
	var missing []string
	for _, k := range keys {
		if k.State != adminclient.SigningKeyStateRetired && !slices.Contains(f.Kids, k.Kid) {
			missing = append(missing, shorten(k.Kid, 9))
		}
	}
	return orElse(strings.Join(missing, " "), "nothing")
}

// safety says of each key that waits to sign whether all have it.
func (p *printer) safety(keys []adminclient.SigningKey) error {
	for _, k := range keys {
		if k.State != adminclient.SigningKeyStatePending || k.SeenBy == nil || k.UnseenBy == nil || *k.SeenBy+*k.UnseenBy == 0 {
			continue
		}
		advice := "all have it: safe to rotate"
		if *k.UnseenBy > 0 {
			advice = "safe to rotate when all have"
		}
		if err := p.say("\n%s parties of the last day have the key %s; %s.", seenBy(k), k.Kid, advice); err != nil {
			return err
		}
	}
	return nil
}
