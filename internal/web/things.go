package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A thing is a Section, a keyspace or a capability, as their pages show it.
type thing struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Actions   []string  `json:"actions"`
	Enabled   bool      `json:"enabled"`
	CreatedAt time.Time `json:"created_at"`
}

// A kind is what the pages of one kind of thing have of their own.
type kind struct {
	Path string // below /admin, and in the menu
	One  string // "Section"
	Many string
	Hint string // what it is, for who sees it first
	Like string // an id, as an example

	HasActions, HasSwitch bool
	Actions               string // those of a new one

	list   func(ctx context.Context, api *adminclient.API, limit *int, cursor *string) (*http.Response, error)
	create func(ctx context.Context, api *adminclient.API, form url.Values) (*http.Response, error)
	read   func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error)
	update func(ctx context.Context, api *adminclient.API, id string, patch adminclient.Patch) (*http.Response, error)
	remove func(ctx context.Context, api *adminclient.API, id string, dry bool) (*http.Response, error)
	reach  func(id string, values url.Values) *adminclient.ListClientsParams // the keys that it is about
}

var sectionKind = kind{
	Path: "sections", One: "Section", Many: "Sections", Like: "nordic",
	Hint: "A Section is a data space inside the account: a brand, a country, a location. A key works only in the Sections that it is given.",
	list: func(ctx context.Context, api *adminclient.API, limit *int, cursor *string) (*http.Response, error) {
		return api.ListSections(ctx, &adminclient.ListSectionsParams{Limit: limit, Cursor: cursor})
	},
	create: func(ctx context.Context, api *adminclient.API, form url.Values) (*http.Response, error) {
		return api.CreateSection(ctx, nil, adminclient.SectionCreate{ID: form.Get("id"), Name: form.Get("name")})
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadSection(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateSection(ctx, id, nil, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, dry bool) (*http.Response, error) {
		return api.DeleteSection(ctx, id, &adminclient.DeleteSectionParams{DryRun: &dry})
	},
	reach: func(id string, values url.Values) *adminclient.ListClientsParams {
		return &adminclient.ListClientsParams{Section: &id, Permission: given(values, "permission")}
	},
}

var keyspaceKind = kind{
	Path: "keyspaces", One: "Keyspace", Many: "Keyspaces", Like: "com.apsis1.keyspaces.email", HasActions: true, Actions: "read, write",
	Hint: "A keyspace is a namespace of profile keys: e-mail addresses, CRM ids, phone numbers. What a key may do, it may do through the keyspaces that it is given.",
	list: func(ctx context.Context, api *adminclient.API, limit *int, cursor *string) (*http.Response, error) {
		return api.ListKeyspaces(ctx, &adminclient.ListKeyspacesParams{Limit: limit, Cursor: cursor})
	},
	create: func(ctx context.Context, api *adminclient.API, form url.Values) (*http.Response, error) {
		return api.CreateKeyspace(ctx, nil, adminclient.KeyspaceCreate{ID: form.Get("id"), Name: form.Get("name"), Actions: words(form.Get("actions"))})
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadKeyspace(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateKeyspace(ctx, id, nil, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, dry bool) (*http.Response, error) {
		return api.DeleteKeyspace(ctx, id, &adminclient.DeleteKeyspaceParams{DryRun: &dry})
	},
	reach: func(id string, values url.Values) *adminclient.ListClientsParams {
		return &adminclient.ListClientsParams{Permission: new(orElse(values.Get("permission"), id+":read"))}
	},
}

var capabilityKind = kind{
	Path: "capabilities", One: "Capability", Many: "Capabilities", Like: "transactional-email", HasActions: true, HasSwitch: true, Actions: "send",
	Hint: "A capability is a right that belongs to no keyspace, such as sending transactional e-mail. While it is off, no token holds it.",
	list: func(ctx context.Context, api *adminclient.API, limit *int, cursor *string) (*http.Response, error) {
		return api.ListCapabilities(ctx, &adminclient.ListCapabilitiesParams{Limit: limit, Cursor: cursor})
	},
	create: func(ctx context.Context, api *adminclient.API, form url.Values) (*http.Response, error) {
		return api.CreateCapability(ctx, nil, adminclient.CapabilityCreate{
			ID: form.Get("id"), Name: form.Get("name"), Actions: words(form.Get("actions")), Enabled: new(form.Get("enabled") != ""),
		})
	},
	read: func(ctx context.Context, api *adminclient.API, id string) (*http.Response, error) {
		return api.ReadCapability(ctx, id, nil)
	},
	update: func(ctx context.Context, api *adminclient.API, id string, patch adminclient.Patch) (*http.Response, error) {
		return api.UpdateCapability(ctx, id, nil, patch)
	},
	remove: func(ctx context.Context, api *adminclient.API, id string, dry bool) (*http.Response, error) {
		return api.DeleteCapability(ctx, id, &adminclient.DeleteCapabilityParams{DryRun: &dry})
	},
	reach: func(id string, values url.Values) *adminclient.ListClientsParams {
		return &adminclient.ListClientsParams{Permission: new(orElse(values.Get("permission"), id+":send"))}
	},
}

// words are the words of a text, however they are parted.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' || r == '\n' || r == '\r' || r == '\t' })
}

// A thingList is all things of a kind, and the form for one more.
type thingList struct {
	Kind  kind
	Items []thing
	Form  url.Values
	Wrong map[string]string
}

func (h *Handler) things(k kind) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		return h.showThings(w, r, http.StatusOK, k, url.Values{"actions": {k.Actions}}, nil)
	}
}

func (h *Handler) showThings(w http.ResponseWriter, r *http.Request, status int, k kind, form url.Values, wrong map[string]string) error {
	items, err := all[thing](func(limit *int, cursor *string) (*http.Response, error) {
		return k.list(r.Context(), h.api(r), limit, cursor)
	})
	if err != nil {
		return err
	}
	slices.SortFunc(items, func(a, b thing) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return h.renderAs(w, r, status, "things", k.Path, k.Many, thingList{k, items, form, wrong})
}

func (h *Handler) addThing(k kind) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := done(k.create(r.Context(), h.api(r), r.PostForm))
		p := asProblem(err)
		switch {
		case err == nil:
			return seeOther(w, r, "/"+k.Path)
		case p != nil && p.is("taken"):
			return h.showThings(w, r, p.Status, k, r.PostForm, map[string]string{"id": p.Error()})
		case p != nil && p.is("invalid"):
			return h.showThings(w, r, p.Status, k, r.PostForm, p.fields())
		}
		return err
	}
}

// A thingPage is one thing, with the keys that it is about.
type thingPage struct {
	Kind        kind
	Thing       thing
	Form        url.Values
	Wrong       map[string]string
	Keys        []adminclient.Client
	More        bool   // there are more keys than are shown
	Permission  string // that the keys were asked for with
	Permissions []string
}

func (h *Handler) thing(k kind) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		return h.showThing(w, r, http.StatusOK, k, nil, nil)
	}
}

func (h *Handler) showThing(w http.ResponseWriter, r *http.Request, status int, k kind, form url.Values, wrong map[string]string) error {
	id := mux.Vars(r)["id"]
	t, err := read[thing](k.read(r.Context(), h.api(r), id))
	if err != nil {
		return err
	}
	page := thingPage{Kind: k, Thing: t, Form: form, Wrong: wrong}
	if form == nil {
		page.Form = url.Values{"name": {t.Name}, "actions": {strings.Join(t.Actions, ", ")}}
	}
	params := k.reach(id, r.URL.Query())
	params.Limit, params.Sort = new(100), new(adminclient.ListClientsParamsSort("name"))
	keys, err := read[adminclient.ClientList](h.api(r).ListClients(r.Context(), params))
	if err != nil {
		return err
	}
	page.Keys, page.More = keys.Items, keys.Next != nil
	if params.Permission != nil {
		page.Permission = *params.Permission
	}
	if page.Permissions, err = h.askable(r, k, t); err != nil {
		return err
	}
	return h.renderAs(w, r, status, "thing", k.Path, t.Name, page)
}

// askable are the permissions that the keys of a thing can be asked for with.
func (h *Handler) askable(r *http.Request, k kind, t thing) (all []string, err error) {
	if k.HasActions {
		for _, action := range t.Actions {
			all = append(all, t.ID+":"+action)
		}
		return all, nil
	}
	c, err := h.catalog(r)
	for _, keyspace := range c.Keyspaces {
		for _, action := range keyspace.Actions {
			all = append(all, keyspace.ID+":"+action)
		}
	}
	return all, err
}

func (h *Handler) saveThing(k kind) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		patch := adminclient.Patch{"name": r.PostForm.Get("name")}
		if k.HasActions {
			patch["actions"] = words(r.PostForm.Get("actions"))
		}
		if r.PostForm.Get("switch") != "" {
			patch = adminclient.Patch{"enabled": r.PostForm.Get("switch") == "on"}
		}
		id := mux.Vars(r)["id"]
		err := done(k.update(r.Context(), h.api(r), id, patch))
		if p := asProblem(err); p != nil && p.is("invalid") {
			return h.showThing(w, r, p.Status, k, r.PostForm, p.fields())
		}
		if err != nil {
			return err
		}
		return seeOther(w, r, "/"+k.Path+"/"+url.PathEscape(id))
	}
}

// A thingDeletion is what deleting a thing would do.
type thingDeletion struct {
	Kind    kind
	Thing   thing
	Preview adminclient.Preview
	Wrong   string
}

func (h *Handler) deleteThing(k kind) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := mux.Vars(r)["id"]
		t, err := read[thing](k.read(r.Context(), h.api(r), id))
		if err != nil {
			return err
		}
		page := thingDeletion{Kind: k, Thing: t}
		if r.Method == http.MethodPost {
			if r.PostForm.Get("id") == t.ID {
				if err := done(k.remove(r.Context(), h.api(r), id, false)); err != nil {
					return err
				}
				return seeOther(w, r, "/"+k.Path)
			}
			page.Wrong = "That is not its id. Nothing was deleted."
		}
		if page.Preview, err = read[adminclient.Preview](k.remove(r.Context(), h.api(r), id, true)); err != nil {
			return err
		}
		status := http.StatusOK
		if page.Wrong != "" {
			status = http.StatusUnprocessableEntity
		}
		return h.renderAs(w, r, status, "thing-delete", k.Path, "Delete "+t.Name, page)
	}
}
