package verify_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/wardkey/wardkey/verify"
)

func TestAllows(t *testing.T) {
	for _, tt := range []struct {
		scope                     string
		section, keyspace, action string
		want                      bool
	}{
		{"section:nordic email:read", "nordic", "email", "read", true},
		{"email:read section:nordic", "nordic", "email", "read", true},
		{"section:* email:read", "nordic", "email", "read", true},
		{"section:nordic *:read", "nordic", "email", "read", true},
		{"section:* *:read", "nordic", "email", "read", true},
		{"section:nordic email:read email:write", "nordic", "email", "write", true},

		{"", "nordic", "email", "read", false},
		{"section:nordic", "nordic", "email", "read", false},
		{"email:read", "nordic", "email", "read", false},
		{"section:* *:write", "nordic", "email", "read", false},
		{"section:nordic email:read", "baltic", "email", "read", false},
		{"section:nordic email:read", "nordic", "crm-id", "read", false},
		{"section:nordic email:read", "nordic", "email", "write", false},
		{"section:nordic email:read", "Nordic", "email", "read", false},
		{"section:nordic-2 email:read", "nordic", "email", "read", false},
		{"section:nordic email:read", "nordic-2", "email", "read", false},

		// Nothing but section:* and *:action is a wildcard.
		{"* *:*", "nordic", "email", "read", false},
		{"section:* email:*", "nordic", "email", "read", false},
		{"section:* *", "nordic", "email", "read", false},
		{"section:nor* *:read", "nordic", "email", "read", false},
		{"*:nordic *:read", "nordic", "email", "read", false}, // *:action is no Section
		{"section:*", "nordic", "section", "*", false},
		{"section:* section:read", "nordic", "section", "read", false},

		// The reserved ids are no keyspaces.
		{"section:* *:read", "nordic", "wardkey", "read", false},
		{"section:* wardkey:read", "nordic", "wardkey", "read", false},
		{"section:* *:read", "nordic", "section", "read", false},
		{"section:* *:read", "section", "email", "read", false},

		// What breaks the grammar is nothing, whatever wildcards there are.
		{"section:* *:read", "", "email", "read", false},
		{"section:* *:read", "nordic", "", "read", false},
		{"section:* *:", "nordic", "email", "", false},
		{"section: :", "", "", "", false},
		{"section:* *:read", "../nordic", "email", "read", false},
		{"section:* *:read", "nordic", "e mail", "read", false},
		{"section:* *:read", "nordic\n", "email", "read", false},
		{"section:* *:Read", "nordic", "email", "Read", false},
		{"section:* *:*", "nordic", "email", "*", false},
		{"section:* *:read", strings.Repeat("a", 129), "email", "read", false},
		{"section:* *:read", strings.Repeat("a", 128), "email", "read", true},
		{"section:* *:" + strings.Repeat("a", 33), "nordic", "email", strings.Repeat("a", 33), false},
		{"section:nordic\temail:read", "nordic", "email", "read", false},
		{"section:nordic  email:read", "nordic", "email", "read", true},

		// The id * asks for the wildcard itself.
		{"section:* *:read", "*", "*", "read", true},
		{"section:nordic *:read", "*", "*", "read", false},
		{"section:* email:read", "*", "*", "read", false},
	} {
		token := &verify.Token{Scope: tt.scope}
		if got := token.Allows(tt.section, tt.keyspace, tt.action); got != tt.want {
			t.Errorf("scope %q Allows(%q, %q, %q) = %v, want %v", tt.scope, tt.section, tt.keyspace, tt.action, got, tt.want)
		}
	}
}

func TestHolds(t *testing.T) {
	for _, tt := range []struct {
		scope string
		asked verify.Scope
		want  bool
	}{
		{"transactional-email:send", verify.Capability("transactional-email", "send"), true},
		{"*:send", verify.Capability("transactional-email", "send"), false},
		{"section:* *:send", verify.Capability("transactional-email", "send"), false},
		{"transactional-email:send", verify.Capability("transactional-email", "stop"), false},
		{"*:send", verify.Capability("*", "send"), false},
		{"wardkey:read", verify.Capability("wardkey", "read"), false},
		{"section:read", verify.Capability("section", "read"), false},
		{"*:send", verify.Keyspace("transactional-email", "send"), true},
		{"section:*", verify.Section("nordic"), true},
		{"*:nordic", verify.Section("nordic"), false},
		{"", verify.Scope{}, false},
		{"a b", verify.Scope{}, false},
		{" ", verify.Scope{}, false},
	} {
		token := &verify.Token{Scope: tt.scope}
		if got := token.Holds(tt.asked); got != tt.want {
			t.Errorf("scope %q Holds(%q) = %v, want %v", tt.scope, tt.asked, got, tt.want)
		}
	}
}

func TestScopeString(t *testing.T) {
	for want, s := range map[string]verify.Scope{
		"section:nordic": verify.Section("nordic"), "section:*": verify.Section("*"),
		"email:read": verify.Keyspace("email", "read"), "*:read": verify.Keyspace("*", "read"),
		"transactional-email:send": verify.Capability("transactional-email", "send"),
		"":                         verify.Keyspace("wardkey", "read"),
	} {
		if s.String() != want {
			t.Errorf("String = %q, want %q", s, want)
		}
	}
}

// The few ids make it likely that what is held and what is asked meet.
var (
	sections  = rapid.SampledFrom([]string{"nordic", "baltic", "n", "nordic-2", "read"})
	keyspaces = rapid.SampledFrom([]string{"email", "crm-id", "nordic", "com.apsis1.keyspaces.email"})
	actions   = rapid.SampledFrom([]string{"read", "write", "nordic"})
	values    = rapid.OneOf(
		rapid.Map(sections, func(id string) string { return "section:" + id }),
		rapid.Custom(func(t *rapid.T) string { return keyspaces.Draw(t, "id") + ":" + actions.Draw(t, "action") }),
		rapid.Map(actions, func(action string) string { return "*:" + action }),
		rapid.SampledFrom([]string{"section:*", "wardkey:read", "*", "*:*", "email:*", "section", ""}),
	)
)

// TestAllowsProperty compares with the sentence of the contract.
func TestAllowsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scope := rapid.SliceOf(values).Draw(t, "scope")
		section, keyspace, action := sections.Draw(t, "section"), keyspaces.Draw(t, "keyspace"), actions.Draw(t, "action")
		inside := slices.Contains(scope, "section:"+section) || slices.Contains(scope, "section:*")
		through := slices.Contains(scope, keyspace+":"+action) || slices.Contains(scope, "*:"+action)
		got := (&verify.Token{Scope: strings.Join(scope, " ")}).Allows(section, keyspace, action)
		if got != (inside && through) {
			t.Errorf("scope %q Allows(%q, %q, %q) = %v", scope, section, keyspace, action, got)
		}
	})
}

// TestAllowsMore holds that a value more never allows less, and that order and
// repetition mean nothing.
func TestAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scope := rapid.SliceOf(values).Draw(t, "scope")
		section, keyspace, action := sections.Draw(t, "section"), keyspaces.Draw(t, "keyspace"), actions.Draw(t, "action")
		allows := func(scope []string) bool {
			return (&verify.Token{Scope: strings.Join(scope, " ")}).Allows(section, keyspace, action)
		}
		before := allows(scope)
		if before && !allows(append(slices.Clone(scope), values.Draw(t, "more"))) {
			t.Errorf("more than %q allows less", scope)
		}
		shuffled := rapid.Permutation(append(slices.Clone(scope), scope...)).Draw(t, "shuffled")
		if allows(shuffled) != before {
			t.Errorf("%q and %q differ", scope, shuffled)
		}
	})
}

// TestAllowsNothing holds that words that are no ids are never allowed, and that
// nothing panics.
func TestAllowsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		token := &verify.Token{Scope: "section:* *:read " + rapid.String().Draw(t, "scope")}
		want := id == "*" || isID(id) && id != "section" && id != "wardkey"
		if got := token.Allows(id, "email", "read"); got != want {
			t.Errorf("Allows(%q, email, read) = %v", id, got)
		}
		if got := token.Allows("nordic", id, "read"); got != want {
			t.Errorf("Allows(nordic, %q, read) = %v", id, got)
		}
	})
}

// isID is the grammar of ids, said in another way than the package does.
func isID(id string) bool {
	const first = "abcdefghijklmnopqrstuvwxyz0123456789"
	outside := func(r rune) bool { return !strings.ContainsRune(first+"._-", r) }
	return id != "" && len(id) <= 128 && strings.Contains(first, id[:1]) && !strings.ContainsFunc(id, outside)
}
