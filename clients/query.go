package clients

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/sections"
)

// A Query says which clients are looked for, and in which order. The zero value of each member
// but Limit asks for nothing.
type Query struct {
	Text          string                // in the name, the description or the id, whatever its case
	SectionID     string                // they hold it, or every Section
	Permissions   []sections.Permission // they hold one of these; "*:read" covers only if it is named
	ExpiresBefore time.Time             // they have an end, and it is before
	UnusedSince   time.Time             // they were made before, and got no token since
	State         State
	Now           time.Time // for State

	Sort       Sort // "": ByAge
	Descending bool
	After      Position // the zero value: from the beginning
	Limit      int
}

// A State is whether a client gets tokens, and if not, why.
type State string

// The states. A client that is disabled and has expired is disabled; one that is suspended and has
// expired is suspended.
const (
	AnyState       State = ""
	StateActive    State = "active"
	StateDisabled  State = "disabled"
	StateSuspended State = "suspended"
	StateExpired   State = "expired"
)

// A Sort is by what a list of clients is in order; those that are equal in it are in order of
// their ids.
type Sort string

// The orders. Clients that were never used come before all that were, and those that never expire
// after all that do.
const (
	ByAge     Sort = "created_at"
	ByName    Sort = "name" // without regard to case
	ByLastUse Sort = "last_used_at"
	ByExpiry  Sort = "expires_at"
)

// ParseSort reads an order as the admin API writes it: "-name" is ByName, descending.
func ParseSort(text string) (by Sort, descending, ok bool) {
	name, descending := strings.CutPrefix(text, "-")
	by = Sort(name)
	return by, descending, slices.Contains([]Sort{ByAge, ByName, ByLastUse, ByExpiry}, by)
}

// A Position is a place in an order of clients: what it is sorted by, and the id.
type Position struct{ Value, ID string }

// by is the order of the query.
func (q Query) by() Sort {
	if q.Sort == "" {
		return ByAge
	}
	return q.Sort
}

// table is where an index has the clients in the order.
func (s Sort) table() string {
	if s == ByLastUse {
		return "client_uses"
	}
	return "client_search"
}

// A finder is a statement that finds clients, while it is being written.
type finder struct {
	Query
	args []any
}

// arg adds an argument and returns its place.
func (f *finder) arg(value any) string {
	f.args = append(f.args, value)
	return "$" + strconv.Itoa(len(f.args))
}

// after is the condition that a row w comes after the query's position in its order.
func (f *finder) after() (string, error) {
	if f.After == (Position{}) {
		return "", nil
	}
	var value any = f.After.Value
	if f.by() != ByName {
		number, err := strconv.ParseInt(f.After.Value, 10, 64)
		if err != nil {
			return "", fmt.Errorf("a position in the order of %s: %w", f.by(), err)
		}
		value = number
	}
	than := ">"
	if f.Descending {
		than = "<"
	}
	return fmt.Sprintf("(w.%s, w.client_id) %s (%s, %s)", f.by(), than, f.arg(value), f.arg(f.After.ID)), nil
}

// within is what the filters say of the column that the order is by, and so where a walk through
// it may begin and end.
func (f *finder) within() (conditions []string) {
	switch {
	case f.by() == ByLastUse && !f.UnusedSince.IsZero():
		conditions = append(conditions, "w.last_used_at < "+f.arg(f.UnusedSince.Unix()))
	case f.by() == ByAge && !f.UnusedSince.IsZero():
		conditions = append(conditions, "w.created_at < "+f.arg(f.UnusedSince.Unix()))
	case f.by() == ByExpiry && !f.ExpiresBefore.IsZero():
		conditions = append(conditions, "w.expires_at < "+f.arg(f.ExpiresBefore.Unix()))
	}
	if f.by() == ByExpiry && f.State == StateExpired {
		conditions = append(conditions, "w.expires_at <= "+f.arg(f.Now.Unix()))
	}
	return conditions
}

// filters are the conditions of the query on a row s of client_search.
func (f *finder) filters() (conditions []string) {
	if f.Text != "" {
		conditions = append(conditions, f.contains())
	}
	if f.SectionID != "" {
		conditions = append(conditions, `(s.all_sections OR EXISTS (SELECT 1 FROM client_sections h
			WHERE h.client_id = s.client_id AND h.section_id = `+f.arg(f.SectionID)+`))`)
	}
	if len(f.Permissions) > 0 {
		held := make([]string, len(f.Permissions))
		for i, p := range f.Permissions {
			held[i] = `EXISTS (SELECT 1 FROM client_permissions h WHERE h.client_id = s.client_id
				AND h.target = ` + f.arg(p.Target) + ` AND h.action = ` + f.arg(p.Action) + `)`
		}
		conditions = append(conditions, "("+strings.Join(held, " OR ")+")")
	}
	if !f.ExpiresBefore.IsZero() {
		conditions = append(conditions, "s.expires_at < "+f.arg(f.ExpiresBefore.Unix()))
	}
	if !f.UnusedSince.IsZero() {
		since := f.arg(f.UnusedSince.Unix())
		conditions = append(conditions, `s.created_at < `+since+` AND NOT EXISTS (SELECT 1 FROM client_uses o
			WHERE o.client_id = s.client_id AND o.last_used_at >= `+since+`)`)
	}
	switch f.State {
	case StateActive:
		conditions = append(conditions, "NOT s.disabled AND NOT s.suspended AND s.expires_at > "+f.arg(f.Now.Unix()))
	case StateDisabled:
		conditions = append(conditions, "s.disabled")
	case StateSuspended:
		conditions = append(conditions, "NOT s.disabled AND s.suspended")
	case StateExpired:
		conditions = append(conditions, "NOT s.disabled AND NOT s.suspended AND s.expires_at <= "+f.arg(f.Now.Unix()))
	}
	return conditions
}

// contains is the condition that the text is in a row s of client_search.
func (f *finder) contains() string {
	pattern := f.arg(containing(f.Text))
	condition := `s.text LIKE ` + pattern + ` ESCAPE '\'`
	if partOfID(fold(f.Text)) {
		condition = `(` + condition + ` OR s.client_id LIKE ` + pattern + ` ESCAPE '\')`
	}
	return condition
}

// mayContain is the condition that the signs of a row s of client_search have those of the text.
func (f *finder) mayContain() string {
	text := fold(f.Text)
	has := func(column string, signs int64) string {
		place := f.arg(signs)
		return "(s." + column + " & " + place + ") = " + place
	}
	all := signs(text)
	condition := has("pair_signs", all[0]) + " AND " + has("triple_signs", all[1]) + " AND " + has("more_signs", all[2])
	if partOfID(text) {
		condition = "(" + condition + " OR " + has("id_signs", idSigns(text)) + ")"
	}
	return condition
}
