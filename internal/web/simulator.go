package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/sections"
)

// A question is whether a key may do something somewhere, as it is asked and answered.
type question struct {
	Catalog    catalog
	Query      url.Values
	Key        *adminclient.Client
	Found      []adminclient.Client // several that the name fits
	None       bool                 // no key has the name
	Permission string               // that is asked about, "" for none yet
	Answer     *verdict
}

// A verdict is whether a key may do something somewhere, and why.
type verdict struct {
	Yes     bool
	Steps   []step
	Asked   string // the scope of a token request for just this
	Granted string // what that request gets
	All     string // what a request without a scope gets
	Own     bool   // it is about this server itself, so the token request must name it
}

// A step is one of the things that must be right.
type step struct {
	Right bool
	What  string
	Why   string
}

// simulator answers whether a key may do this or that.
func (h *Handler) simulator(w http.ResponseWriter, r *http.Request) error {
	q := question{Query: r.URL.Query(), Permission: r.URL.Query().Get("permission")}
	var err error
	if q.Catalog, err = h.catalog(r); err != nil {
		return err
	}
	if err := h.findKey(r, &q); err != nil {
		return err
	}
	if target, action, ok := strings.Cut(q.Permission, ":"); ok && q.Key != nil {
		q.Answer = judge(q.Catalog, *q.Key, q.Query.Get("section"), sections.Permission{Target: target, Action: action}, time.Now())
	}
	return h.render(w, r, http.StatusOK, "simulator", "Simulator", "", q)
}

// findKey finds the key that is asked about, by its id or by what its name has in it.
func (h *Handler) findKey(r *http.Request, q *question) error {
	id, text := q.Query.Get("key"), strings.TrimSpace(q.Query.Get("q"))
	if id != "" {
		key, err := read[adminclient.Client](h.api(r).ReadClient(r.Context(), id, nil))
		if p := asProblem(err); p != nil && p.Status == http.StatusNotFound {
			q.None = true
			return nil
		}
		q.Key = &key
		return err
	}
	if text == "" {
		return nil
	}
	found, err := read[adminclient.ClientList](h.api(r).ListClients(r.Context(), &adminclient.ListClientsParams{
		Q: &text, Limit: new(20), Sort: new(adminclient.ListClientsParamsSort("name")),
	}))
	if err != nil {
		return err
	}
	same := slices.IndexFunc(found.Items, func(c adminclient.Client) bool { return strings.EqualFold(c.Name, text) })
	switch {
	case len(found.Items) == 0:
		q.None = true
	case len(found.Items) == 1:
		q.Key = &found.Items[0]
	case same >= 0 && !slices.ContainsFunc(found.Items[same+1:], func(c adminclient.Client) bool { return strings.EqualFold(c.Name, text) }):
		q.Key = &found.Items[same]
	default:
		q.Found = found.Items
	}
	return nil
}

// judge says whether the key may do p in a Section, "" for any that it has. A token request
// decides ([sections.Grant]); the steps say why it decides so.
func judge(c catalog, key adminclient.Client, section string, p sections.Permission, now time.Time) *verdict {
	v := &verdict{Own: p.Target == sections.Wardkey}
	if section != "" && !v.Own {
		v.Asked = "section:" + section + " "
	}
	v.Asked += p.String()
	held, known := heldBy(key), c.known()
	v.Steps = append(v.Steps, stateStep(key, now), secretStep(key, now))
	if !v.Own {
		v.Steps = append(v.Steps, sectionStep(c, key, section, p))
	}
	v.Steps = append(v.Steps, permissionStep(c, key, p))
	if i := slices.IndexFunc(c.Capabilities, func(x adminclient.Capability) bool { return x.ID == p.Target }); i >= 0 {
		v.Steps = append(v.Steps, switchStep(c.Capabilities[i]))
	}
	v.Yes = !slices.ContainsFunc(v.Steps, func(s step) bool { return !s.Right })
	if scope, err := sections.Grant(known, held, v.Asked, v.Own); err == nil {
		v.Granted = scope.String()
	} else if v.Yes {
		v.Yes, v.Steps = false, append(v.Steps, step{false, "Token request", err.Error()})
	}
	if scope, err := sections.Grant(known, held, "", v.Own); err == nil {
		v.All = scope.String()
	}
	return v
}

// known is the catalog as token requests are judged by it.
func (c catalog) known() *sections.Catalog {
	var all []sections.Section
	var keyspaces []sections.Keyspace
	var capabilities []sections.Capability
	for _, s := range c.Sections {
		all = append(all, sections.Section{ID: s.ID})
	}
	for _, k := range c.Keyspaces {
		keyspaces = append(keyspaces, sections.Keyspace{ID: k.ID, Actions: k.Actions})
	}
	for _, x := range c.Capabilities {
		capabilities = append(capabilities, sections.Capability{ID: x.ID, Actions: x.Actions, Enabled: x.Enabled})
	}
	return sections.NewCatalog(all, keyspaces, capabilities)
}

// heldBy is what a key holds.
func heldBy(key adminclient.Client) sections.Held {
	held := sections.Held{Sections: key.Sections}
	for target, actions := range key.Permissions {
		for _, action := range actions {
			held.Permissions = append(held.Permissions, sections.Permission{Target: target, Action: action})
		}
	}
	held.Sort()
	return held
}

func stateStep(key adminclient.Client, now time.Time) step {
	s := step{What: "The key"}
	switch {
	case key.Disabled:
		s.Why = "It is disabled, and gets no tokens. Enable it on its page."
	case key.SuspendedAt != nil:
		s.Why = "It was suspended on " + exact(*key.SuspendedAt) + " because nobody used it, and gets no tokens. Resume it on its page."
	case key.ExpiresAt != nil && !now.Before(*key.ExpiresAt):
		s.Why = "It ended on " + exact(*key.ExpiresAt) + ", and gets no tokens. Give it another end on its page."
	default:
		s.Right, s.Why = true, "It is active."
	}
	return s
}

func secretStep(key adminclient.Client, now time.Time) step {
	live := slices.ContainsFunc(key.Secrets, func(s adminclient.Secret) bool { return s.ExpiresAt == nil || now.Before(*s.ExpiresAt) })
	if !live {
		return step{false, "Its Secret", "It has none that opens it. Add one on its page."}
	}
	return step{true, "Its Secret", "It has one that opens it."}
}

func sectionStep(c catalog, key adminclient.Client, section string, p sections.Permission) step {
	s := step{What: "Section"}
	exists := slices.ContainsFunc(c.Sections, func(x adminclient.Section) bool { return x.ID == section })
	capability := slices.ContainsFunc(c.Capabilities, func(x adminclient.Capability) bool { return x.ID == p.Target })
	switch all := slices.Equal(key.Sections, []string{sections.Wildcard}); {
	case section == "" && len(key.Sections) == 0 && !capability:
		s.Why = "It has no Section, and what is done through a keyspace is done in one."
	case section == "" && len(key.Sections) == 0:
		s.Right, s.Why = true, "A capability belongs to no Section, and it has none."
	case section == "":
		s.Right, s.Why = true, "In those that it has: "+sectionWords(key.Sections)+"."
	case !exists:
		s.Why = "There is no Section " + section + "."
	case slices.Contains(key.Sections, section):
		s.Right, s.Why = true, "It has "+section+" by name."
	case all:
		s.Right, s.Why = true, "It has all Sections (*), and so "+section+"."
	default:
		s.Why = "It does not have " + section + ", only: " + sectionWords(key.Sections) + ". Give it the Section with Edit on its page."
	}
	return s
}

func permissionStep(c catalog, key adminclient.Client, p sections.Permission) step {
	s := step{What: "Permission"}
	every := sections.Permission{Target: sections.Wildcard, Action: p.Action}
	keyspace := slices.ContainsFunc(c.Keyspaces, func(k adminclient.Keyspace) bool { return k.ID == p.Target && slices.Contains(k.Actions, p.Action) })
	switch held := heldBy(key).Permissions; {
	case slices.Contains(held, p):
		s.Right, s.Why = true, "It holds "+p.String()+" by name."
	case keyspace && slices.Contains(held, every):
		s.Right, s.Why = true, "It holds "+every.String()+", which is "+p.Action+" through every keyspace."
	default:
		s.Why = "It does not hold " + p.String()
		if keyspace {
			s.Why += ", nor " + every.String()
		}
		s.Why += ". Give it the permission with Edit on its page."
	}
	return s
}

func switchStep(c adminclient.Capability) step {
	if !c.Enabled {
		return step{false, "Capability", c.Name + " is switched off, and stands in no token. Switch it on on its page."}
	}
	return step{true, "Capability", c.Name + " is switched on."}
}
