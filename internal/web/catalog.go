package web

import (
	"net/http"
	"slices"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A catalog is what there is to give a key.
type catalog struct {
	Sections     []adminclient.Section
	Keyspaces    []adminclient.Keyspace
	Capabilities []adminclient.Capability
}

// Actions are all that some keyspace has, read and write first: the columns of a matrix.
func (c catalog) Actions() []string {
	actions := []string{"read", "write"}
	var others []string
	for _, k := range c.Keyspaces {
		for _, action := range k.Actions {
			if !slices.Contains(actions, action) && !slices.Contains(others, action) {
				others = append(others, action)
			}
		}
	}
	slices.Sort(others)
	return append(actions, others...)
}

// catalog reads all that there is.
func (h *Handler) catalog(r *http.Request) (c catalog, err error) {
	api, ctx := h.api(r), r.Context()
	c.Sections, err = all[adminclient.Section](func(limit *int, cursor *string) (*http.Response, error) {
		return api.ListSections(ctx, &adminclient.ListSectionsParams{Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return c, err
	}
	c.Keyspaces, err = all[adminclient.Keyspace](func(limit *int, cursor *string) (*http.Response, error) {
		return api.ListKeyspaces(ctx, &adminclient.ListKeyspacesParams{Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return c, err
	}
	c.Capabilities, err = all[adminclient.Capability](func(limit *int, cursor *string) (*http.Response, error) {
		return api.ListCapabilities(ctx, &adminclient.ListCapabilitiesParams{Limit: limit, Cursor: cursor})
	})
	return c, err
}

// all reads a list to its end.
func all[T any](page func(limit *int, cursor *string) (*http.Response, error)) ([]T, error) {
	items, cursor := []T{}, (*string)(nil)
	for {
		found, err := read[struct {
			Items []T     `json:"items"`
			Next  *string `json:"next"`
		}](page(new(200), cursor))
		if err != nil {
			return nil, err
		}
		items = append(items, found.Items...)
		if cursor = found.Next; cursor == nil {
			return items, nil
		}
	}
}
