package web

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A fetcher is a party that fetches the signing keys.
type fetcher struct {
	adminclient.JWKSFetch
	Lacks  []string // how the ids of the keys begin that it does not have: those that sign or will
	Counts bool     // it came within the last day
}

// fetchers are those who fetched last, newest first; more says that there are others.
func (h *Handler) fetchers(r *http.Request, keys []adminclient.SigningKey) (list []fetcher, more bool, err error) {
	found, err := read[adminclient.JWKSFetchList](h.api(r).ListJWKSFetches(r.Context(), &adminclient.ListJWKSFetchesParams{Limit: new(100)}))
	for _, f := range found.Items {
		list = append(list, fetcher{f, lacks(f, keys), time.Since(f.LastFetchedAt) < 24*time.Hour})
	}
	return list, found.Next != nil, err
}

func lacks(f adminclient.JWKSFetch, keys []adminclient.SigningKey) (kids []string) {
	for _, k := range keys {
		if k.State != adminclient.SigningKeyStateRetired && !slices.Contains(f.Kids, k.Kid) {
			kids = append(kids, k.Kid[:min(8, len(k.Kid))]+"…")
		}
	}
	return kids
}

// parties is how many fetched the keys within the last day.
func parties(keys []adminclient.SigningKey) int {
	for _, k := range keys {
		if k.SeenBy != nil && k.UnseenBy != nil {
			return *k.SeenBy + *k.UnseenBy
		}
	}
	return 0
}

// reach says who has a key that will sign or signs, where that is worth a word.
func reach(k adminclient.SigningKey) state {
	if k.SeenBy == nil || k.UnseenBy == nil || *k.SeenBy+*k.UnseenBy == 0 {
		return state{}
	}
	words := reachWords(*k.SeenBy, *k.SeenBy+*k.UnseenBy)
	switch all := *k.UnseenBy == 0; {
	case k.State == adminclient.SigningKeyStatePending && all:
		return state{words + ": safe to rotate.", "right"}
	case k.State == adminclient.SigningKeyStatePending:
		return state{words + "; safe to rotate when all have.", "warn"}
	case all:
		return state{}
	}
	return state{words + ". The others refuse tokens that it signs until they fetch the keys again.", "warn"}
}

func reachWords(have, parties int) string {
	switch {
	case parties == 1:
		return map[bool]string{true: "The only party of the last day has it", false: "The only party of the last day does not have it yet"}[have == 1]
	case have == parties:
		return fmt.Sprintf("All %d parties of the last day have it", parties)
	case have == 1:
		return fmt.Sprintf("1 of %d parties of the last day has it", parties)
	}
	return fmt.Sprintf("%d of %d parties of the last day have it", have, parties)
}

// atOnce says who does not have a key that is made now.
func atOnce(parties int) string {
	switch parties {
	case 0:
		return "Nobody fetched the keys in the last day."
	case 1:
		return "The only party of the last day does not have it then."
	}
	return fmt.Sprintf("None of the %d parties of the last day has it then.", parties)
}
