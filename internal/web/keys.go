package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A keyList is a page of the list of API keys.
type keyList struct {
	Items    []adminclient.Client
	Next     string     // the cursor of the next page, "" at the end
	Query    url.Values // that the list was asked for with
	Filtered bool       // by anything
	Sections []adminclient.Section
	Later    bool // it is not the first page
}

// filters are the parameters of the list, as the API knows them.
var filters = []string{"q", "section", "permission", "state", "unused", "ending"}

func (h *Handler) keys(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	list := keyList{Query: values, Later: values.Get("cursor") != ""}
	for _, name := range filters {
		list.Filtered = list.Filtered || values.Get(name) != ""
	}
	found, err := read[adminclient.ClientList](h.api(r).ListClients(r.Context(), listParams(values, time.Now())))
	if err != nil {
		return err
	}
	all, err := read[adminclient.SectionList](h.api(r).ListSections(r.Context(), &adminclient.ListSectionsParams{Limit: new(200)}))
	if err != nil {
		return err
	}
	list.Items, list.Sections = found.Items, all.Items
	if found.Next != nil {
		list.Next = *found.Next
	}
	return h.render(w, r, http.StatusOK, "keys", "API keys", "key-list", list)
}

// listParams are what the list of keys is asked for with.
func listParams(values url.Values, now time.Time) *adminclient.ListClientsParams {
	p := &adminclient.ListClientsParams{
		Q: given(values, "q"), Section: given(values, "section"), Permission: given(values, "permission"),
		State: (*adminclient.ListClientsParamsState)(given(values, "state")), Sort: (*adminclient.ListClientsParamsSort)(given(values, "sort")),
		Cursor: given(values, "cursor"),
	}
	if days := spans[values.Get("unused")]; days > 0 {
		p.UnusedSince = new(now.Add(-days))
	}
	if days := spans[values.Get("ending")]; days > 0 {
		p.ExpiresBefore = new(now.Add(days))
	}
	return p
}

// spans are the times that a filter may ask for.
var spans = map[string]time.Duration{"7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "365d": 365 * 24 * time.Hour}

// given is a value that was given, nil if it is empty.
func given(values url.Values, name string) *string {
	if text := values.Get(name); text != "" {
		return &text
	}
	return nil
}
