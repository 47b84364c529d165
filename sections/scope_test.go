package sections

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shop is a catalog with one of everything. "mail" is switched on, "sms" off.
func shop() *Catalog {
	return NewCatalog(
		[]Section{{ID: "nordic"}, {ID: "baltic"}, {ID: "usercreated.sections.heartland_demo_2.0-rppfuhvt6a"}},
		[]Keyspace{
			{ID: "email", Actions: []string{"read", "write"}},
			{ID: "crm-id", Actions: []string{"delete", "read", "write"}},
			{ID: "com.apsis1.keyspaces.mobile", Actions: []string{"read"}},
		},
		[]Capability{
			{ID: "mail", Actions: []string{"send"}, Enabled: true},
			{ID: "sms", Actions: []string{"send"}},
		})
}

// hold makes what a client holds of scope values, in the form that the store has it in.
func hold(values string) Held {
	var held Held
	for value := range strings.FieldsSeq(values) {
		target, action, _ := strings.Cut(value, ":")
		if target == section {
			held.Sections = append(held.Sections, action)
			continue
		}
		held.Permissions = append(held.Permissions, Permission{target, action})
	}
	return held
}

const (
	ordinary = "section:baltic section:nordic crm-id:read email:read email:write"
	wild     = "section:* *:read *:delete email:write"
	mixed    = ordinary + " mail:send sms:send wardkey:introspect wardkey:read"
)

// refused is what a table wants where nothing is granted.
const refused = "(refused)"

func TestGrant(t *testing.T) {
	for _, tt := range []struct {
		name, held, asked string
		own               bool
		want              string
	}{
		{"not asked", ordinary, "", false, ordinary},
		{"all of it", ordinary, ordinary, false, ordinary},
		{"one of each", ordinary, "section:nordic email:read", false, "section:nordic email:read"},
		{"in the order asked", ordinary, "email:write section:nordic email:read section:baltic", false, "email:write section:nordic email:read section:baltic"},
		{"repeated values count once", ordinary, "email:read section:nordic email:read section:nordic", false, "email:read section:nordic"},
		{"no Section named: all of them", ordinary, "email:read", false, "email:read section:baltic section:nordic"},
		{"no permission named: all of them", ordinary, "section:nordic", false, "section:nordic crm-id:read email:read email:write"},
		{"a Section not held", ordinary, "section:usercreated.sections.heartland_demo_2.0-rppfuhvt6a", false, refused},
		{"a permission not held", ordinary, "crm-id:write", false, refused},
		{"one bad value refuses all", ordinary, "email:read section:nordic crm-id:write", false, refused},
		{"every Section, held one by one", ordinary, "section:*", false, refused},
		{"every keyspace, held one by one", ordinary, "*:read", false, refused},
		{"what does not exist", ordinary, "phone:read", false, refused},
		{"long ids", "section:usercreated.sections.heartland_demo_2.0-rppfuhvt6a com.apsis1.keyspaces.mobile:read", "com.apsis1.keyspaces.mobile:read", false, "com.apsis1.keyspaces.mobile:read section:usercreated.sections.heartland_demo_2.0-rppfuhvt6a"},

		{"wildcards as held", wild, "", false, wild},
		{"wildcards as asked", wild, "*:read section:*", false, "*:read section:*"},
		{"section:* covers a Section", wild, "section:nordic *:read", false, "section:nordic *:read"},
		{"section:* covers no unknown Section", wild, "section:atlantis", false, refused},
		{"*:read covers a keyspace", wild, "crm-id:read section:*", false, "crm-id:read section:*"},
		{"*:read covers no unknown keyspace", wild, "phone:read", false, refused},
		{"*:read covers read alone", wild, "crm-id:write", false, refused},
		{"*:delete covers no keyspace without it", wild, "email:delete", false, refused},
		{"*:delete covers a keyspace with it", wild, "crm-id:delete section:nordic", false, "crm-id:delete section:nordic"},
		{"a wildcard and what it covers, both", wild, "*:read email:read section:* section:nordic", false, "*:read email:read section:* section:nordic"},
		{"*:send covers no capability", "section:* *:send *:read", "mail:send", false, refused},

		{"a capability", mixed, "mail:send section:nordic", false, "mail:send section:nordic"},
		{"a capability switched off is left out", mixed, "", false, ordinary + " mail:send"},
		{"a capability switched off, by name", mixed, "sms:send", false, refused},
		{"nothing but one switched off", "sms:send", "", false, refused},
		{"nothing but one switched off, with a Section", "section:nordic sms:send", "section:nordic", false, "section:nordic"},
		{"no Section needed", "mail:send", "", false, "mail:send"},
		{"no Section held, one asked", "mail:send", "section:nordic", false, refused},

		{"own API", mixed, "", true, "wardkey:introspect wardkey:read"},
		{"own API, narrowed", mixed, "wardkey:read", true, "wardkey:read"},
		{"own API, not held", mixed, "wardkey:write", true, refused},
		{"own API holds no Section", mixed, "wardkey:read section:nordic", true, refused},
		{"own API holds no permission", mixed, "wardkey:read email:read", true, refused},
		{"own API, nothing held", ordinary, "", true, refused},
		{"own API, wildcards cover nothing of it", "section:* *:read *:write", "wardkey:read", true, refused},
		{"wardkey elsewhere", mixed, "wardkey:read", false, refused},
		{"wardkey elsewhere, beside others", mixed, "email:read wardkey:read", false, refused},
		{"only wardkey held, elsewhere", "wardkey:read", "", false, refused},

		{"nothing held", "", "", false, refused},
		{"nothing held, asked", "", "email:read", false, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Grant(shop(), hold(tt.held), tt.asked, tt.own)
			if _, no := errors.AsType[*Refusal](err); no != (tt.want == refused) || no != (err != nil) {
				t.Fatalf("Grant(%q of %q) = %q, %v; want %q", tt.asked, tt.held, got, err, tt.want)
			}
			if err == nil && got.String() != tt.want {
				t.Errorf("Grant(%q of %q) = %q; want %q", tt.asked, tt.held, got, tt.want)
			}
		})
	}
}

// Every form that breaks the grammar of the contract's §2 refuses the whole request, also where
// everything that the grammar knows is held.
func TestGrantGrammar(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, bad := range []string{
		" ", "  ", " email:read", "email:read ", "email:read  section:nordic", "\temail:read", "email:read\tsection:nordic",
		"email:read\n", "email:read\r\nsection:nordic", "email:read\x00", "email:read,section:nordic", "email:read\u00a0section:nordic",
		"email", "email:", ":read", ":", "::", "*", "*:", "*:*", "email:*", "section", "section:", "section:nordic:", "section::nordic",
		"email:read:write", "EMAIL:read", "Email:read", "email:READ", "email:1read", "email:-read", "email:re.ad", "email:re ad",
		".email:read", "-email:read", "_email:read", "e*il:read", "em/ail:read", "émail:read", "email:réad",
		"section:Nordic", "section:-nordic", "section:.nordic", "section:nor dic", "section:nor/dic", "section:n*", "section:**",
		"Section:nordic", "*:Read", "*:", "**:read", `"email:read"`, `email:"read"`, `email\:read`, "email=read", "email%3Aread",
		long + "a:read", "section:" + long + "a", "email:" + strings.Repeat("r", 33), "email:read\xff", "\xc3\x28:read", "openid",
		"wardkey", "wardkey:", "wardkey:*", "mail", "+email:read", "-email:read",
	} {
		for _, asked := range []string{bad, "email:read " + bad, bad + " email:read"} {
			if got, err := Grant(shop(), hold(wild+" "+mixed), asked, false); err == nil {
				t.Errorf("Grant(%q) = %q; want it refused", asked, got)
			}
		}
	}
}

// What has the grammar is named in the answer, so that who asked can mend it; anything else is
// not, because it may be anything.
func TestGrantNamesTheValue(t *testing.T) {
	for _, tt := range []struct{ asked, value string }{
		{"email:read crm-id:write section:nordic", "crm-id:write"},
		{"section:atlantis", "section:atlantis"},
		{"sms:send", "sms:send"},
		{"wardkey:read", "wardkey:read"},
		{"email:read <script>", ""},
		{"email:read EMAIL:READ", ""},
		{"email:read \"quoted\"", ""},
		{"email:read  section:nordic", ""},
		{strings.Repeat("x", 10_000), ""},
	} {
		_, err := Grant(shop(), hold(mixed), tt.asked, false)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok {
			t.Fatalf("Grant(%.40q) = %v; want a Refusal", tt.asked, err)
		}
		if refusal.Value != tt.value {
			t.Errorf("Grant(%.40q) blames %q; want %q", tt.asked, refusal.Value, tt.value)
		}
		if tt.value != "" && !strings.Contains(refusal.Reason, tt.value) {
			t.Errorf("Grant(%.40q) says %q; want it to name %s", tt.asked, refusal.Reason, tt.value)
		}
		if tt.value == "" && (len(refusal.Reason) > 200 || strings.ContainsAny(refusal.Reason, `"\<`) && strings.Contains(refusal.Reason, "script")) {
			t.Errorf("Grant(%.40q) says %q: it repeats what was sent", tt.asked, refusal.Reason)
		}
	}
}

// A request cannot make the server work without bound: what is too long is refused, and what is
// refused at its first value costs nothing of the rest.
func TestGrantIsBounded(t *testing.T) {
	const many = maxValues + 1
	var all []Section
	var values []string
	for i := range many {
		id := fmt.Sprintf("s%04d", i)
		all, values = append(all, Section{ID: id}), append(values, "section:"+id)
	}
	catalog := NewCatalog(all, []Keyspace{{ID: "email", Actions: DefaultActions}}, nil)
	held := hold("section:* email:read")
	if got, err := Grant(catalog, held, strings.Join(values[:maxValues], " "), false); err != nil || len(got) != maxValues+1 {
		t.Errorf("Grant of %d values = %d values, %v; want all of them and email:read", maxValues, len(got), err)
	}
	if got, err := Grant(catalog, held, strings.Join(values, " "), false); err == nil {
		t.Errorf("Grant of %d values = %d values; want it refused", many, len(got))
	}
	repeated := strings.TrimSpace(strings.Repeat("email:read ", 10*many))
	if got, err := Grant(catalog, held, repeated, false); err != nil || got.String() != "email:read section:*" {
		t.Errorf("Grant of one value %d times = %q, %v; want it once", 10*many, got, err)
	}
}

func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		held                    string
		onlyWardkey, noSections bool
	}{
		{"", false, false},
		{"section:nordic", false, false},
		{"email:read", false, false},
		{"*:read", false, false},
		{"wardkey:read", true, true},
		{"wardkey:read wardkey:write", true, true},
		{"wardkey:read mail:send", false, true},
		{"mail:send sms:send", false, true},
		{"mail:send email:read", false, false},
		{"wardkey:read email:read", false, false},
	} {
		held := hold(tt.held)
		if got := held.OnlyWardkey(); got != tt.onlyWardkey {
			t.Errorf("OnlyWardkey of %q = %t", tt.held, got)
		}
		if got := shop().NeedsNoSection(held); got != tt.noSections {
			t.Errorf("NeedsNoSection of %q = %t", tt.held, got)
		}
	}
}

func TestCatalogCheck(t *testing.T) {
	for _, tt := range []struct {
		held string
		want []string // fields at fault
	}{
		{"", nil},
		{mixed, []string{"/permissions/sms"}},
		{wild, nil},
		{"section:nordic section:baltic email:read mail:send wardkey:introspect", nil},
		{"section:nordic section:nordic", []string{"/sections/1"}},
		{"section:nordic section:atlantis", []string{"/sections/1"}},
		{"section:* section:nordic", []string{"/sections/0"}},
		{"section:nordic section:*", []string{"/sections/1"}},
		{"email:read email:read", nil},
		{"email:delete", []string{"/permissions/email"}},
		{"phone:read", []string{"/permissions/phone"}},
		{"nordic:read", []string{"/permissions/nordic"}},
		{"*:delete", nil}, // crm-id has it
		{"*:lock", []string{"/permissions/*"}},
		{"*:send", []string{"/permissions/*"}}, // never on a capability
		{"mail:read", []string{"/permissions/mail"}},
		{"wardkey:delete", []string{"/permissions/wardkey"}},
		{"a/b~c:read", []string{"/permissions/a~1b~0c"}},
	} {
		var v Invalid
		shop().Check(&v, hold(tt.held))
		var got []string
		for _, p := range v {
			got = append(got, p.Field)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Check(%q) = %v; want %q", tt.held, v, tt.want)
		}
	}
}
