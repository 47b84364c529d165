package web

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// Presets of permissions, as buttons name them.
const (
	presetRead      = "read"
	presetReadWrite = "write"
	presetFull      = "full"
	presetCustom    = "custom"
)

// A grants is what a form gives a key: what is checked, and what there is to check.
type grants struct {
	Catalog     catalog
	AllSections bool
	Sections    map[string]bool
	Preset      string
	Permissions map[string]bool // "email:read"
	Wrong       map[string]string
}

// Has says whether a permission is checked.
func (g grants) Has(target, action string) bool { return g.Permissions[target+":"+action] }

// Capabilities are those that can be given, or stay: they are switched on, or held.
func (g grants) Capabilities() []adminclient.Capability {
	return slices.DeleteFunc(slices.Clone(g.Catalog.Capabilities), func(c adminclient.Capability) bool {
		return !c.Enabled && !slices.ContainsFunc(c.Actions, func(action string) bool { return g.Has(c.ID, action) })
	})
}

// grantsIn are those that a form was sent with.
func grantsIn(form url.Values, c catalog) grants {
	g := grants{Catalog: c, Preset: form.Get("preset"), AllSections: form.Get("sections") == "all"}
	g.Sections, g.Permissions = set(form["section"]), set(form["permission"])
	return g
}

func set(words []string) map[string]bool {
	s := map[string]bool{}
	for _, w := range words {
		s[w] = true
	}
	return s
}

// grantsOf are those that a key has.
func grantsOf(key adminclient.Client, c catalog) grants {
	g := grants{
		Catalog: c, AllSections: slices.Equal(key.Sections, []string{"*"}), Sections: set(key.Sections),
		Permissions: map[string]bool{}, Preset: presetCustom,
	}
	for target, actions := range key.Permissions {
		for _, action := range actions {
			g.Permissions[target+":"+action] = true
		}
	}
	return g
}

// sections are the ids that the API is to be told.
func (g grants) sections() []string {
	if g.AllSections {
		return []string{"*"}
	}
	return append([]string{}, slices.Sorted(maps.Keys(g.Sections))...)
}

// permissions are what the API is to be told. A preset is for every keyspace; capabilities and
// what else is no keyspace are as they are checked.
func (g grants) permissions() adminclient.Permissions {
	held := adminclient.Permissions{}
	for permission := range g.Permissions {
		target, action, _ := strings.Cut(permission, ":")
		if g.Preset == presetCustom || !g.keyspace(target) {
			held[target] = append(held[target], action)
		}
	}
	switch g.Preset {
	case presetRead:
		held["*"] = []string{"read"}
	case presetReadWrite:
		held["*"] = []string{"read", "write"}
	case presetFull:
		held["*"] = g.Catalog.Actions()
	}
	for _, actions := range held {
		slices.Sort(actions)
	}
	return held
}

func (g grants) keyspace(target string) bool {
	return target == "*" || slices.ContainsFunc(g.Catalog.Keyspaces, func(k adminclient.Keyspace) bool { return k.ID == target })
}
