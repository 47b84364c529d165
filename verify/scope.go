package verify

import (
	"regexp"
	"strings"
)

// A Scope is one right that a token may hold. The zero Scope, and one made of
// what cannot be an id or an action, is held by no token.
type Scope struct {
	value    string // as it stands in a token
	wildcard string // the one other value that covers it, if any
}

// Section is the right to work inside the Section with the given id. A token with
// section:* holds it for every id. The id * asks for section:* itself.
func Section(id string) Scope {
	if !isID(id) && id != "*" {
		return Scope{}
	}
	return Scope{value: "section:" + id, wildcard: "section:*"}
}

// Keyspace is the right to an action through the keyspace with the given id. A
// token with *:action holds it for every id. The id * asks for *:action itself.
func Keyspace(id, action string) Scope {
	if !isID(id) && id != "*" || !isAction(action) {
		return Scope{}
	}
	return Scope{value: id + ":" + action, wildcard: "*:" + action}
}

// Capability is the right to an action that belongs to no keyspace. Only a token
// that names the capability holds it.
func Capability(id, action string) Scope {
	if !isID(id) || !isAction(action) {
		return Scope{}
	}
	return Scope{value: id + ":" + action}
}

// String returns the scope as it stands in a token, or "" if it cannot.
func (s Scope) String() string { return s.value }

// lacking returns those of the scopes that t does not hold.
func (t *Token) lacking(scopes []Scope) []Scope {
	var lacking []Scope
	for _, s := range scopes {
		if !s.coveredBy(t.Scope) {
			lacking = append(lacking, s)
		}
	}
	return lacking
}

// values lists those of the scopes that a token may hold, as it would.
func values(scopes []Scope) string {
	var values []string
	for _, s := range scopes {
		if s.value != "" {
			values = append(values, s.value)
		}
	}
	return strings.Join(values, " ")
}

func (s Scope) coveredBy(scope string) bool { return s.coveredAs(scope) != "" }

// coveredAs returns the first value of a token's scope that covers s, "" if none does.
func (s Scope) coveredAs(scope string) string {
	for scope != "" {
		var value string
		value, scope, _ = strings.Cut(scope, " ")
		if value != "" && (value == s.value || value == s.wildcard) {
			return value
		}
	}
	return ""
}

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)
	actionPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
)

// isID says whether id can be that of a Section, keyspace or capability. The two
// reserved words open other doors: *:read must not cover wardkey:read.
func isID(id string) bool {
	return id != "section" && id != "wardkey" && idPattern.MatchString(id)
}

func isAction(action string) bool { return actionPattern.MatchString(action) }
