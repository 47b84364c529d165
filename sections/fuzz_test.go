package sections

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Whatever is asked for, Grant does not panic; what it grants is in the grammar of RFC 6749 §3.3,
// once each, covered by what is held, and granted again when asked for.
func FuzzScope(f *testing.F) {
	for _, asked := range []string{
		"", " ", "email:read", "section:nordic email:read", "*:read section:*", "crm-id:delete", "wardkey:read", "sms:send",
		"email:read email:read", "email:read  section:nordic", "section:", ":", "*:*", "section:*:*", "email:read\x00", "é:read",
		strings.Repeat("a", 200) + ":read", strings.Repeat("email:read ", 2000),
	} {
		f.Add(asked, false)
		f.Add(asked, true)
	}
	catalog, values := shop(), wild+" section:nordic mail:send sms:send wardkey:introspect wardkey:read"
	held := hold(values)
	w := world{
		sections:     map[string]bool{"nordic": true, "baltic": true, "usercreated.sections.heartland_demo_2.0-rppfuhvt6a": true},
		keyspaces:    map[string][]string{"email": {"read", "write"}, "crm-id": {"delete", "read", "write"}, "com.apsis1.keyspaces.mobile": {"read"}},
		capabilities: map[string]string{"mail": "send", "sms": "send"},
		on:           map[string]bool{"mail": true},
	}
	f.Fuzz(func(t *testing.T, asked string, own bool) {
		got, err := Grant(catalog, held, asked, own)
		if err != nil {
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok || len(got) > 0 || len(refusal.Reason) > 300 {
				t.Fatalf("Grant(%q) = %q, %v", asked, got, err)
			}
			return
		}
		for i, value := range got {
			if !w.covered(strings.Fields(values), value, own) || slices.Contains(got[:i], value) {
				t.Fatalf("Grant(%q) = %q: %q is not held, or stands twice", asked, got, value)
			}
		}
		for value := range strings.SplitSeq(asked, " ") {
			if asked != "" && !slices.Contains(got, value) {
				t.Fatalf("Grant(%q) = %q: %q is missing", asked, got, value)
			}
		}
		again, err := Grant(catalog, held, got.String(), own)
		if err != nil || !slices.Equal(again, got) {
			t.Fatalf("Grant(%q) = %q, %v; want the same again", got, again, err)
		}
	})
}
