package sections

import "slices"

// A Catalog is all that exists at one moment: ids of Sections, keyspaces and capabilities, and
// their actions. It is never changed once made, so any number of requests may share one.
type Catalog struct {
	version      int64
	sections     map[string]bool
	keyspaces    map[string][]string
	capabilities map[string]Capability
}

// NewCatalog returns the catalog of the given things.
func NewCatalog(sections []Section, keyspaces []Keyspace, capabilities []Capability) *Catalog {
	c := &Catalog{
		sections:     make(map[string]bool, len(sections)),
		keyspaces:    make(map[string][]string, len(keyspaces)),
		capabilities: make(map[string]Capability, len(capabilities)),
	}
	for _, s := range sections {
		c.sections[s.ID] = true
	}
	for _, k := range keyspaces {
		c.keyspaces[k.ID] = k.Actions
	}
	for _, cap := range capabilities {
		c.capabilities[cap.ID] = cap
	}
	return c
}

// Version is the number of changes that the catalog had seen, at least, when it was read.
func (c *Catalog) Version() int64 { return c.version }

// grantable says whether a client that holds p gets it now: a capability must be enabled.
func (c *Catalog) grantable(p Permission) bool {
	capability, ok := c.capabilities[p.Target]
	return !ok || capability.Enabled
}

// Covering returns the permissions of which each allows what p does: p itself and, on a keyspace,
// the action on every keyspace.
func (c *Catalog) Covering(p Permission) []Permission {
	if c.hasKeyspaceAction(p) {
		return []Permission{p, {Target: Wildcard, Action: p.Action}}
	}
	return []Permission{p}
}

// hasKeyspaceAction says whether the action is one of an existing keyspace.
func (c *Catalog) hasKeyspaceAction(p Permission) bool {
	return slices.Contains(c.keyspaces[p.Target], p.Action)
}

// Check adds to v what of the Sections and permissions does not exist or may not be held, with
// pointers below /sections and /permissions.
func (c *Catalog) Check(v *Invalid, held Held) {
	for i, id := range held.Sections {
		field := Pointer("sections", i)
		switch {
		case slices.Contains(held.Sections[:i], id):
			v.Add(field, "repeats %q", id)
		case id == Wildcard && len(held.Sections) > 1:
			v.Add(field, "stands for every Section, so it must stand alone")
		case id != Wildcard && !c.sections[id]:
			v.Add(field, "there is no Section %q", id)
		}
	}
	for i, p := range held.Permissions {
		if slices.Contains(held.Permissions[:i], p) {
			continue // a set: the same twice is the same
		}
		if detail := c.refuse(p); detail != "" {
			v.Add(Pointer("permissions", p.Target), "%s", detail)
		}
	}
}

// refuse says why a client may not be given p, or "" if it may.
func (c *Catalog) refuse(p Permission) string {
	capability, isCapability := c.capabilities[p.Target]
	actions, isKeyspace := c.keyspaces[p.Target]
	switch {
	case p.Target == Wildcard && !c.anyKeyspaceHas(p.Action):
		return "no keyspace has the action " + quote(p.Action)
	case p.Target == Wildcard:
		return ""
	case p.Target == Wardkey && !slices.Contains(WardkeyActions, p.Action):
		return "wardkey has no action " + quote(p.Action) + "; it has introspect, read and write"
	case p.Target == Wardkey:
		return ""
	case isKeyspace && !slices.Contains(actions, p.Action):
		return "the keyspace has no action " + quote(p.Action)
	case isCapability && !slices.Contains(capability.Actions, p.Action):
		return "the capability has no action " + quote(p.Action)
	case isCapability && !capability.Enabled:
		return "the capability is switched off; enable it first"
	case !isKeyspace && !isCapability:
		return "there is no keyspace or capability " + quote(p.Target)
	}
	return ""
}

func (c *Catalog) anyKeyspaceHas(action string) bool {
	if slices.Contains(DefaultActions, action) {
		return true
	}
	for _, actions := range c.keyspaces {
		if slices.Contains(actions, action) {
			return true
		}
	}
	return false
}
