package reports

import (
	"context"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/sections"
)

// A State is what is known of the use of a scope value.
type State string

// The states.
const (
	Used   State = "used"
	Unused State = "unused"
	// Recent is a value that the client holds for less than the time in question.
	Recent State = "recent"
	// Unknown is a value that may have been used where nobody reports.
	Unknown State = "unknown"
)

// A Value is a scope value that a client holds.
type Value struct {
	Value    string
	State    State
	LastUsed time.Time // a day; zero: not that anybody knows
}

// A Coverage is since when reports are about an audience without a gap; zero: they are not.
type Coverage struct {
	Audience string
	Since    time.Time
}

// A Use is what is known of the use of all that a client holds.
type Use struct {
	Since    time.Time
	Coverage []Coverage // of the audiences that the client gets tokens for
	Values   []Value
}

// A Question is what a client used since a time.
type Question struct {
	Client    *clients.Client
	Audiences []string        // of the server, for clients without their own
	Given     map[string]bool // scope values that the client was given since, or anew
	Since     time.Time
}

// longestToken is how long a token lives that was given just before.
const longestToken = clients.MaxTokenLifetime

// Use says which of the scope values that a client holds it did not use. Nothing is said to be
// unused unless reports are about all audiences that the client gets tokens for and the whole time,
// or the client had no token.
func (s *Store) Use(ctx context.Context, q Question, now time.Time) (Use, error) {
	c := q.Client
	use := Use{Since: q.Since}
	audiences := c.Audiences
	if len(audiences) == 0 {
		audiences = q.Audiences
	}
	known := true
	for _, audience := range audiences {
		since, err := s.CoveredSince(ctx, audience, now)
		if err != nil {
			return use, err
		}
		use.Coverage = append(use.Coverage, Coverage{audience, since})
		known = known && !since.IsZero() && !since.After(q.Since)
	}
	tokenless := c.LastUsedAt.Before(q.Since.Add(-longestToken))
	last, err := s.LastUsed(ctx, c.ID)
	if err != nil {
		return use, err
	}
	for _, value := range c.Held.Scope() {
		v := Value{Value: value, State: Unknown, LastUsed: last[value]}
		switch {
		case !v.LastUsed.IsZero() && dayOf(v.LastUsed) >= dayOf(q.Since):
			v.State = Used
		case ours(value):
			// It is used at this server, which reports nothing.
		case c.CreatedAt.After(q.Since) || q.Given[value]:
			v.State = Recent
		case known || tokenless:
			v.State = Unused
		}
		use.Values = append(use.Values, v)
	}
	return use, nil
}

// ours says whether a scope value is for this server itself.
func ours(value string) bool {
	return slices.ContainsFunc(sections.WardkeyActions, func(action string) bool {
		return value == sections.Permission{Target: sections.Wardkey, Action: action}.String()
	})
}

// Left is what a client would hold without what it does not use, and what that takes from it. What
// is all unused stays as it is: the Sections, where programs may look into without asking for
// their scope; and everything, as who does not use a key has no use for a smaller one.
func (u Use) Left(held sections.Held) (left sections.Held, taken []string) {
	unused := map[string]bool{}
	for _, v := range u.Values {
		unused[v.Value] = v.State == Unused
	}
	for _, id := range held.Sections {
		if !unused[sectionKind+":"+id] {
			left.Sections = append(left.Sections, id)
		}
	}
	for _, p := range held.Permissions {
		if !unused[p.String()] {
			left.Permissions = append(left.Permissions, p)
		}
	}
	if len(left.Permissions) == 0 {
		return held, nil
	}
	if len(left.Sections) == 0 {
		left.Sections = held.Sections
	}
	for _, value := range held.Scope() {
		if unused[value] && !slices.Contains(left.Scope(), value) {
			taken = append(taken, value)
		}
	}
	return left, taken
}
