package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/tokens"
)

// ListJWKSFetches answers GET /jwks-fetches.
func (h endpoints) ListJWKSFetches(ctx context.Context, req wire.ListJWKSFetchesRequestObject) (wire.ListJWKSFetchesResponseObject, error) {
	const list = "jwks-fetches"
	page, err := pageParams(req.Params).page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	after := tokens.FetchPosition{At: page.After}
	after.Address, after.UserAgent, _ = strings.Cut(page.AfterID, " ")
	found, err := h.Fetches.List(ctx, after, page.Limit+1)
	if err != nil {
		return nil, err
	}
	answer := wire.ListJWKSFetches200JSONResponse{}
	if len(found) > page.Limit {
		found = found[:page.Limit]
		last := found[len(found)-1]
		answer.Next = new(cursor(h.CursorKey, list, last.At, last.Address+" "+last.UserAgent))
	}
	answer.Items = h.showFetches(found)
	return answer, nil
}

func (h *Handler) showFetches(found []tokens.Fetch) []wire.JWKSFetch {
	published := []string{}
	for _, k := range h.Keys.All() {
		published = append(published, k.ID)
	}
	shown := make([]wire.JWKSFetch, len(found))
	for i, f := range found {
		shown[i] = wire.JWKSFetch{
			UserAgent: f.UserAgent, Address: f.Address, LastFetchedAt: stamp(f.At), Kids: f.KIDs,
			Current: slices.Equal(f.KIDs, published),
		}
	}
	return shown
}

// reached is a key as it is shown, with how many have it. What changes by itself is no part of
// showKey, which the audit log compares.
func reached(k wire.SigningKey, reach tokens.Reach) wire.SigningKey {
	if k.State != wire.SigningKeyStateRetired {
		have := reach.Have(k.Kid)
		k.SeenBy, k.UnseenBy = new(have), new(reach.Parties-have)
	}
	return k
}
