package sections

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Permission is an action through a keyspace, of a capability, or on this server itself.
type Permission struct {
	Target string // a keyspace, a capability, "*" for every keyspace, or "wardkey"
	Action string
}

func (p Permission) String() string { return p.Target + ":" + p.Action }

// Held is what a client holds.
type Held struct {
	Sections    []string // ids, or "*" alone
	Permissions []Permission
}

// Sort brings what is held to the order in which it is kept and granted.
func (h Held) Sort() {
	slices.Sort(h.Sections)
	slices.SortFunc(h.Permissions, func(a, b Permission) int {
		return strings.Compare(a.String(), b.String())
	})
}

// Scope is what is held as scope values, Sections first.
func (h Held) Scope() []string {
	values := make([]string, 0, len(h.Sections)+len(h.Permissions))
	for _, id := range h.Sections {
		values = append(values, section+":"+id)
	}
	for _, p := range h.Permissions {
		values = append(values, p.String())
	}
	return values
}

// OnlyWardkey says whether every permission is for this server itself.
func (h Held) OnlyWardkey() bool {
	return len(h.Permissions) > 0 &&
		!slices.ContainsFunc(h.Permissions, func(p Permission) bool { return p.Target != Wardkey })
}

// NeedsNoSection says whether what is held has a meaning without a Section: capabilities and
// wardkey only.
func (c *Catalog) NeedsNoSection(h Held) bool {
	for _, p := range h.Permissions {
		if _, ok := c.capabilities[p.Target]; !ok && p.Target != Wardkey {
			return false
		}
	}
	return len(h.Permissions) > 0
}

// A Scope is a list of scope values that were granted, each once.
type Scope []string

// String returns the scope as tokens and answers carry it (RFC 6749 §3.3).
func (s Scope) String() string { return strings.Join(s, " ") }

// A Refusal is the error for a scope that is not granted. RFC 6749 §5.2 calls it invalid_scope.
type Refusal struct {
	Value  string // the value at fault; "" if it has not the grammar of a scope value
	Reason string
}

func (r *Refusal) Error() string { return r.Reason }

func refuse(value, format string, args ...any) *Refusal {
	return &Refusal{Value: value, Reason: fmt.Sprintf(format, args...)}
}

// Grant answers a request for a scope. Asked is the scope as it was asked for, "" if it was not.
// Own says that the token is for this server itself (audience <issuer>/admin): such tokens hold
// "wardkey:" values and nothing else, and no other token holds one.
//
// The request gets what it asked for, in the order in which it asked; naming no Section it gets
// all that the client holds besides, and likewise with permissions. One value that is not held,
// does not exist or breaks the grammar refuses the whole request with a [Refusal].
func Grant(catalog *Catalog, held Held, asked string, own bool) (Scope, error) {
	holds := holder{catalog, held, own}
	if asked == "" {
		return notEmpty(holds.permissions(holds.sections(nil)))
	}
	var scope Scope
	var namesSection, namesPermission bool
	for value := range strings.SplitSeq(asked, " ") {
		if slices.Contains(scope, value) {
			continue
		}
		if len(scope) == maxValues {
			return nil, refuse("", "a scope of more than %d values is not accepted", maxValues)
		}
		p, err := parseValue(value)
		if err != nil {
			return nil, err
		}
		if !holds.value(p) {
			return nil, refuse(value, "%s is not held by this client for this audience", value)
		}
		scope = append(scope, value)
		namesSection = namesSection || p.Target == section
		namesPermission = namesPermission || p.Target != section
	}
	if !namesSection {
		scope = holds.sections(scope)
	}
	if !namesPermission {
		scope = holds.permissions(scope)
	}
	return notEmpty(scope)
}

// maxValues bounds the work that one request can ask for.
const maxValues = 1024

func notEmpty(scope Scope) (Scope, error) {
	if len(scope) == 0 {
		return nil, refuse("", "this client holds nothing for this audience")
	}
	return scope, nil
}

// A holder answers what a client holds for one kind of audience.
type holder struct {
	catalog *Catalog
	held    Held
	own     bool
}

// value says whether the client holds what was asked for. "section:*" covers each Section that
// exists, "*:<action>" that action on each keyspace that has it; nothing else covers anything.
func (h holder) value(p Permission) bool {
	switch {
	case (p.Target == Wardkey) != h.own:
		return false
	case p.Target == section:
		return slices.Contains(h.held.Sections, p.Action) ||
			h.catalog.sections[p.Action] && slices.Contains(h.held.Sections, Wildcard)
	case slices.Contains(h.held.Permissions, p):
		return h.catalog.grantable(p)
	}
	return h.catalog.hasKeyspaceAction(p) &&
		slices.Contains(h.held.Permissions, Permission{Wildcard, p.Action})
}

// sections appends all Sections that the client holds for the audience.
func (h holder) sections(scope Scope) Scope {
	if h.own {
		return scope
	}
	for _, id := range h.held.Sections {
		scope = append(scope, section+":"+id)
	}
	return scope
}

// permissions appends all permissions that the client holds for the audience.
func (h holder) permissions(scope Scope) Scope {
	for _, p := range h.held.Permissions {
		if (p.Target == Wardkey) == h.own && h.catalog.grantable(p) {
			scope = append(scope, p.String())
		}
	}
	return scope
}

// parseValue reads one scope value; of a Section, the id stands in Action.
func parseValue(value string) (Permission, error) {
	if !isScopeToken(value) {
		return Permission{}, refuse("", "scope values are separated by one space and have no other blanks, quotes or backslashes")
	}
	target, action, _ := strings.Cut(value, ":")
	ok := actionGrammar.MatchString(action) && (target == Wildcard || idGrammar.MatchString(target))
	if target == section {
		ok = action == Wildcard || idGrammar.MatchString(action)
	}
	if !ok {
		return Permission{}, refuse("", "a scope value is section:<id>, <keyspace>:<action> or <capability>:<action>")
	}
	return Permission{target, action}, nil
}

// isScopeToken is the scope-token of RFC 6749 §3.3.
func isScopeToken(value string) bool {
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return value != ""
}

// Pointer makes a JSON pointer (RFC 6901) from member names and list positions.
func Pointer(parts ...any) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteByte('/')
		switch part := part.(type) {
		case int:
			b.WriteString(strconv.Itoa(part))
		case string:
			b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
		}
	}
	return b.String()
}

func quote(s string) string { return strconv.Quote(s) }
