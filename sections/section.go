package sections

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrNotFound means that there is no Section, keyspace or capability with that id.
var ErrNotFound = errors.New("sections: no such id")

// ErrTaken means that the id is in use, or was once: ids are never used again.
var ErrTaken = errors.New("sections: the id is taken, now or by something deleted")

// A Section is a data space inside the account: a brand, a country, a location.
type Section struct {
	ID        string // its discriminator
	Name      string
	CreatedAt time.Time
}

// A Keyspace is a namespace of profile keys, with the actions that can be done through it.
type Keyspace struct {
	ID        string
	Name      string
	Actions   []string
	CreatedAt time.Time
}

// A Capability is a right that belongs to no keyspace. While it is not enabled nobody is granted
// it, whoever holds it.
type Capability struct {
	ID        string
	Name      string
	Actions   []string
	Enabled   bool
	CreatedAt time.Time
}

// Ids that name something else in a scope string.
const (
	Wildcard = "*"       // every Section; every keyspace
	section  = "section" // section:<id>
	Wardkey  = "wardkey" // this server's own admin API and introspection
)

// DefaultActions are what can be done through a keyspace that declares nothing else.
var DefaultActions = []string{"read", "write"}

// WardkeyActions are what can be done to this server itself.
var WardkeyActions = []string{"introspect", "read", "write"}

var (
	idGrammar     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)
	actionGrammar = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
)

// A Problem is one member of an object that breaks a rule.
type Problem struct {
	Field  string // JSON pointer (RFC 6901), for example /sections/0
	Detail string // what is wrong and what to do, in a sentence
}

// Invalid is the error for an object that breaks rules: each with the member that does.
type Invalid []Problem

func (v Invalid) Error() string {
	details := make([]string, len(v))
	for i, p := range v {
		details[i] = p.Field + ": " + p.Detail
	}
	return strings.Join(details, "; ")
}

// Add notes that the member at field breaks a rule.
func (v *Invalid) Add(field, format string, args ...any) {
	*v = append(*v, Problem{Field: field, Detail: fmt.Sprintf(format, args...)})
}

// Err returns v as an error, or nil if nothing was added.
func (v Invalid) Err() error {
	if len(v) == 0 {
		return nil
	}
	return v
}

// maxName is how many characters a name may have.
const maxName = 120

// Name returns name without blanks around it, and adds to v what is wrong with it.
func (v *Invalid) Name(field, name string) string {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		v.Add(field, "must not be empty")
	case n > maxName:
		v.Add(field, "has %d characters; at most %d are allowed", n, maxName)
	}
	v.Text(field, name)
	return name
}

// Text adds to v what is wrong with a text that people read: it must be UTF-8 without control
// or invisible formatting characters, which could make one name look like another.
func (v *Invalid) Text(field, text string) {
	bad := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, bad) {
		v.Add(field, "must not contain control or invisible characters")
	}
}

func (v *Invalid) id(id string) {
	switch {
	case id == section || id == Wardkey || id == Wildcard:
		v.Add("/id", "%q is reserved; choose another id", id)
	case !idGrammar.MatchString(id):
		v.Add("/id", "must be 1 to 128 characters of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit")
	}
}

// actions returns the actions in order, and adds to v what is wrong with them.
func (v *Invalid) actions(actions []string) []string {
	if len(actions) == 0 {
		v.Add("/actions", "must name at least one action, for example read")
	}
	for i, a := range actions {
		field := fmt.Sprintf("/actions/%d", i)
		if !actionGrammar.MatchString(a) {
			v.Add(field, "must be 1 to 32 characters of a-z, 0-9, '_' and '-', and begin with a letter")
		}
		if slices.Contains(actions[:i], a) {
			v.Add(field, "repeats %q", a)
		}
	}
	return slices.Sorted(slices.Values(actions))
}

// normalize trims the Section's name and returns an [Invalid] error if a rule is broken.
func (s *Section) normalize() error {
	var v Invalid
	v.id(s.ID)
	s.Name = v.Name("/name", s.Name)
	return v.Err()
}

func (k *Keyspace) normalize() error {
	var v Invalid
	v.id(k.ID)
	k.Name = v.Name("/name", k.Name)
	k.Actions = v.actions(k.Actions)
	return v.Err()
}

func (c *Capability) normalize() error {
	var v Invalid
	v.id(c.ID)
	c.Name = v.Name("/name", c.Name)
	c.Actions = v.actions(c.Actions)
	return v.Err()
}
