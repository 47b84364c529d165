package sections

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// fields are the members that err, an [Invalid] or nil, blames.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[Invalid](err)
	if !ok {
		t.Fatalf("%v is a %T; want Invalid", err, err)
	}
	var all []string
	for _, p := range invalid {
		if p.Detail == "" || !strings.Contains(err.Error(), p.Detail) {
			t.Errorf("%q says %q of %s", err, p.Detail, p.Field)
		}
		all = append(all, p.Field)
	}
	return all
}

func TestIDs(t *testing.T) {
	for _, tt := range []struct {
		id string
		ok bool
	}{
		{"nordic", true},
		{"0", true},
		{"a.b_c-d", true},
		{"com.apsis1.keyspaces.email", true},
		{"usercreated.sections.heartland_demo_2.0-rppfuhvt6a", true},
		{strings.Repeat("a", 128), true},
		{"sections", true},
		{"wardkeys", true},
		{"", false},
		{"section", false},
		{"wardkey", false},
		{"*", false},
		{strings.Repeat("a", 129), false},
		{"Nordic", false},
		{".nordic", false},
		{"-nordic", false},
		{"_nordic", false},
		{"nor dic", false},
		{"nordic ", false},
		{"nordic\n", false},
		{"nor:dic", false},
		{"nor/dic", false},
		{"nor*", false},
		{"nørdic", false},
		{"nordic\x00", false},
		{"nordic\xff", false},
	} {
		want := []string{"/id"}
		if tt.ok {
			want = nil
		}
		for kind, err := range map[string]error{
			"Section":    (&Section{ID: tt.id, Name: "x"}).normalize(),
			"keyspace":   (&Keyspace{ID: tt.id, Name: "x", Actions: DefaultActions}).normalize(),
			"capability": (&Capability{ID: tt.id, Name: "x", Actions: []string{"send"}}).normalize(),
		} {
			if got := fields(t, err); !slices.Equal(got, want) {
				t.Errorf("a %s with the id %q: %v", kind, tt.id, err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"Nordic", "Nordic", true},
		{"  Nordic \t\n", "Nordic", true},
		{"Норд & Ost – 北", "Норд & Ost – 北", true},
		{strings.Repeat("é", 120), strings.Repeat("é", 120), true},
		{" " + strings.Repeat("é", 120) + " ", strings.Repeat("é", 120), true},
		{strings.Repeat("é", 121), "", false},
		{"", "", false},
		{" \t ", "", false},
		{"Nor\ndic", "", false},
		{"Nor\x00dic", "", false},
		{"Nor\x1bdic", "", false},
		{"Nor\xffdic", "", false},
		{"Nor\u200bdic", "", false}, // zero width space: looks like Nordic
		{"\u202eNordic", "", false}, // right-to-left override
		{"\ufeffNordic", "", false},
		{"Nor\u2028dic", "", false},
	} {
		s := Section{ID: "nordic", Name: tt.name}
		err := s.normalize()
		if (err == nil) != tt.ok || tt.ok && s.Name != tt.want {
			t.Errorf("a Section named %q: named %q, %v; want %q", tt.name, s.Name, err, tt.want)
		}
		if got := fields(t, err); err != nil && got[0] != "/name" {
			t.Errorf("a Section named %q: %v; want /name blamed", tt.name, err)
		}
	}
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		actions, want []string // want: sorted, or the fields at fault
		ok            bool
	}{
		{[]string{"write", "read"}, []string{"read", "write"}, true},
		{[]string{"lock", "a-b_9"}, []string{"a-b_9", "lock"}, true},
		{[]string{strings.Repeat("a", 32)}, []string{strings.Repeat("a", 32)}, true},
		{nil, []string{"/actions"}, false},
		{[]string{}, []string{"/actions"}, false},
		{[]string{"read", ""}, []string{"/actions/1"}, false},
		{[]string{"Read"}, []string{"/actions/0"}, false},
		{[]string{"9read"}, []string{"/actions/0"}, false},
		{[]string{"re.ad"}, []string{"/actions/0"}, false},
		{[]string{"*"}, []string{"/actions/0"}, false},
		{[]string{"read\n"}, []string{"/actions/0"}, false},
		{[]string{strings.Repeat("a", 33)}, []string{"/actions/0"}, false},
		{[]string{"read", "write", "read"}, []string{"/actions/2"}, false},
	} {
		k := Keyspace{ID: "email", Name: "E-mail", Actions: slices.Clone(tt.actions)}
		got := fields(t, k.normalize())
		if tt.ok && (got != nil || !slices.Equal(k.Actions, tt.want)) || !tt.ok && !slices.Equal(got, tt.want) {
			t.Errorf("a keyspace with actions %q: has %q, blames %q; want %q", tt.actions, k.Actions, got, tt.want)
		}
	}
}

func TestEveryProblemIsNamed(t *testing.T) {
	err := (&Capability{ID: "wardkey", Actions: []string{"!"}}).normalize()
	if got, want := fields(t, err), []string{"/id", "/name", "/actions/0"}; !slices.Equal(got, want) {
		t.Errorf("normalize blames %q; want %q", got, want)
	}
}

func TestPointer(t *testing.T) {
	for _, tt := range []struct {
		parts []any
		want  string
	}{
		{nil, ""},
		{[]any{"sections", 3}, "/sections/3"},
		{[]any{"permissions", "a/b~c"}, "/permissions/a~1b~0c"},
		{[]any{"permissions", ""}, "/permissions/"},
	} {
		if got := Pointer(tt.parts...); got != tt.want {
			t.Errorf("Pointer(%v) = %q; want %q", tt.parts, got, tt.want)
		}
	}
}
