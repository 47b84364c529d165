package clients

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/sections"
)

func rules() Rules {
	return Rules{
		Catalog: sections.NewCatalog(
			[]sections.Section{{ID: "baltic"}, {ID: "nordic"}},
			[]sections.Keyspace{{ID: "email", Actions: []string{"read", "write"}}},
			[]sections.Capability{{ID: "mail", Actions: []string{"send"}, Enabled: true}, {ID: "sms", Actions: []string{"send"}}},
		),
		Audiences: []string{"https://api.example.com", "https://crm.example.com"},
		Algs:      []string{"ES256", "RS256", "EdDSA"},
		Now:       noon,
	}
}

func permission(text string) sections.Permission {
	target, action, _ := strings.Cut(text, ":")
	return sections.Permission{Target: target, Action: action}
}

func held(sectionIDs string, permissions ...string) sections.Held {
	h := sections.Held{Sections: strings.Fields(sectionIDs)}
	for _, p := range permissions {
		h.Permissions = append(h.Permissions, permission(p))
	}
	return h
}

// billing is a client that breaks no rule.
func billing() *Client {
	return &Client{Name: "Billing", Held: held("nordic", "email:read")}
}

// Each rule of the contract's §5, and which member is blamed if it is broken.
func TestNormalize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *Client)
		want   []string // the members that are blamed
	}{
		{"nothing", func(*Client) {}, nil},
		{"a name of 120", func(c *Client) { c.Name = strings.Repeat("å", 120) }, nil},
		{"a name of 121", func(c *Client) { c.Name = strings.Repeat("å", 121) }, []string{"/name"}},
		{"no name", func(c *Client) { c.Name = "" }, []string{"/name"}},
		{"a blank name", func(c *Client) { c.Name = " \t\u00a0" }, []string{"/name"}},
		{"a line in a name", func(c *Client) { c.Name = "a\nb" }, []string{"/name"}},
		{"an invisible name", func(c *Client) { c.Name = "a\u200b" }, []string{"/name"}},
		{"a name that is no text", func(c *Client) { c.Name = "a\xff" }, []string{"/name"}},

		{"a description with lines", func(c *Client) { c.Description = "one\r\n\ttwo" }, nil},
		{"a description of 1000", func(c *Client) { c.Description = strings.Repeat("å", 1000) }, nil},
		{"a description of 1001", func(c *Client) { c.Description = strings.Repeat("å", 1001) }, []string{"/description"}},
		{"a NUL in a description", func(c *Client) { c.Description = "a\x00b" }, []string{"/description"}},
		{"a bell in a description", func(c *Client) { c.Description = "a\x07b" }, []string{"/description"}},
		{"a description that is no text", func(c *Client) { c.Description = "a\xffb" }, []string{"/description"}},

		{"a secret for a name", func(c *Client) { c.Name = NewSecret().Reveal() }, []string{"/name"}},
		{"a secret in a description", func(c *Client) { c.Description = "its secret is " + NewSecret().Reveal() + "!" }, []string{"/description"}},
		{"what looks a little like one", func(c *Client) { c.Name = "wks_ and its like" }, nil},

		{"every Section", func(c *Client) { c.Held = held("*", "email:read") }, nil},
		{"every Section and one", func(c *Client) { c.Held = held("* nordic", "email:read") }, []string{"/sections/0"}},
		{"a Section twice", func(c *Client) { c.Held = held("nordic nordic", "email:read") }, []string{"/sections/1"}},
		{"an unknown Section", func(c *Client) { c.Held = held("nordic atlantis", "email:read") }, []string{"/sections/1"}},
		{"no Section", func(c *Client) { c.Held = held("", "email:read") }, []string{"/sections"}},
		{"nothing at all", func(c *Client) { c.Held = held("") }, []string{"/sections"}},
		{"no permission", func(c *Client) { c.Held = held("nordic") }, nil},
		{"a capability alone", func(c *Client) { c.Held = held("", "mail:send") }, nil},
		{"wardkey alone", func(c *Client) { c.Held = held("", "wardkey:read", "wardkey:write") }, nil},
		{"wardkey and a capability", func(c *Client) { c.Held = held("", "wardkey:read", "mail:send") }, nil},
		{"a capability and a keyspace without Section", func(c *Client) { c.Held = held("", "mail:send", "email:read") }, []string{"/sections"}},
		{"an unknown keyspace", func(c *Client) { c.Held = held("nordic", "phone:read") }, []string{"/permissions/phone"}},
		{"an unknown action", func(c *Client) { c.Held = held("nordic", "email:lock") }, []string{"/permissions/email"}},
		{"every keyspace", func(c *Client) { c.Held = held("nordic", "*:read") }, nil},
		{"every keyspace, unknown action", func(c *Client) { c.Held = held("nordic", "*:lock") }, []string{"/permissions/*"}},
		{"a capability that is off", func(c *Client) { c.Held = held("nordic", "sms:send") }, []string{"/permissions/sms"}},
		{"an unknown wardkey action", func(c *Client) { c.Held = held("", "wardkey:delete") }, []string{"/permissions/wardkey"}},

		{"a lifetime of a minute", func(c *Client) { c.TokenLifetime = time.Minute }, nil},
		{"a lifetime of a day", func(c *Client) { c.TokenLifetime = 24 * time.Hour }, nil},
		{"too short a lifetime", func(c *Client) { c.TokenLifetime = time.Minute - time.Second }, []string{"/token_lifetime"}},
		{"too long a lifetime", func(c *Client) { c.TokenLifetime = 24*time.Hour + time.Second }, []string{"/token_lifetime"}},
		{"a lifetime below zero", func(c *Client) { c.TokenLifetime = -time.Hour }, []string{"/token_lifetime"}},

		{"an algorithm", func(c *Client) { c.SigningAlg = "EdDSA" }, nil},
		{"another algorithm", func(c *Client) { c.SigningAlg = "HS256" }, []string{"/signing_alg"}},
		{"no algorithm at all", func(c *Client) { c.SigningAlg = "none" }, []string{"/signing_alg"}},

		{"both audiences", func(c *Client) { c.Audiences = rules().Audiences }, nil},
		{"an unknown audience", func(c *Client) { c.Audiences = []string{"https://api.example.com/"} }, []string{"/audiences/0"}},
		{"an audience twice", func(c *Client) { c.Audiences = []string{"https://crm.example.com", "https://crm.example.com"} }, []string{"/audiences/1"}},

		{"an end", func(c *Client) { c.ExpiresAt = noon.Add(time.Second) }, nil},
		{"an end that is now", func(c *Client) { c.ExpiresAt = noon }, []string{"/expires_at"}},
		{"an end in the past", func(c *Client) { c.ExpiresAt = noon.Add(-time.Second) }, []string{"/expires_at"}},

		{"everything at once", func(c *Client) {
			*c = Client{Held: held("atlantis", "phone:read"), TokenLifetime: 1, SigningAlg: "none", Audiences: []string{"x"}, ExpiresAt: noon}
		}, []string{"/name", "/sections/0", "/permissions/phone", "/token_lifetime", "/signing_alg", "/audiences/0", "/expires_at"}},
	} {
		c := billing()
		tt.change(c)
		if got := blamed(t, c.Normalize(rules(), nil)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Normalize blames %q; want %q", tt.name, got, tt.want)
		}
	}
}

func blamed(t *testing.T, err error) (fields []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[sections.Invalid](err)
	if !ok {
		t.Fatalf("Normalize = %v, a %T; want Invalid", err, err)
	}
	for _, p := range invalid {
		fields = append(fields, p.Field)
	}
	return fields
}

// A client that was valid once can be changed in other ways, though the world moved on.
func TestNormalizeLetsWhatWasThereStay(t *testing.T) {
	before := &Client{Name: "Billing", Held: held("nordic", "sms:send"), ExpiresAt: noon.Add(-time.Hour)}
	after := *before
	after.Name = "Billing, old"
	if err := after.Normalize(rules(), before); err != nil {
		t.Errorf("renamed: Normalize = %v", err)
	}
	after.ExpiresAt = noon.Add(-time.Minute)
	if got, want := blamed(t, after.Normalize(rules(), before)), []string{"/expires_at"}; !slices.Equal(got, want) {
		t.Errorf("given another end in the past: Normalize blames %q; want %q", got, want)
	}
	after = *before
	after.Held = held("nordic", "sms:send", "phone:read")
	if got, want := blamed(t, after.Normalize(rules(), before)), []string{"/permissions/phone"}; !slices.Equal(got, want) {
		t.Errorf("given what does not exist: Normalize blames %q; want %q", got, want)
	}
}

// What is saved is in one form, however it was written.
func TestNormalizeIsStable(t *testing.T) {
	c := &Client{Name: "  Billing ", Held: held("nordic baltic", "mail:send", "email:write", "email:read"), ExpiresAt: noon.Add(1500 * time.Millisecond)}
	if err := c.Normalize(rules(), nil); err != nil {
		t.Fatalf("Normalize: %v", err)
	}
	want := Client{Name: "Billing", Held: held("baltic nordic", "email:read", "email:write", "mail:send"), ExpiresAt: noon.Add(time.Second)}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("Normalize makes %+v; want %+v", *c, want)
	}
	if err := c.Normalize(rules(), nil); err != nil || !reflect.DeepEqual(*c, want) {
		t.Errorf("Normalize twice makes %+v, %v", *c, err)
	}
}
