package web

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/sections"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func someCatalog() catalog {
	return catalog{
		Sections:  []adminclient.Section{{ID: "nordic", Name: "Nordic"}, {ID: "benelux", Name: "Benelux"}},
		Keyspaces: []adminclient.Keyspace{{ID: "email", Name: "E-mail", Actions: []string{"read", "write"}}, {ID: "phone", Name: "Phone", Actions: []string{"read"}}},
		Capabilities: []adminclient.Capability{
			{ID: "mailing", Name: "Mailing", Actions: []string{"send"}, Enabled: true}, {ID: "export", Name: "Export", Actions: []string{"start"}},
		},
	}
}

func activeKey(inSections []string, held adminclient.Permissions) adminclient.Client {
	return adminclient.Client{Sections: inSections, Permissions: held, Secrets: []adminclient.Secret{{ID: "one"}}}
}

// The steps say yes just when a token request is granted, whatever the key holds and whatever is
// asked.
func TestJudgeAsTokenRequests(t *testing.T) {
	c := someCatalog()
	places := [][]string{{}, {"nordic"}, {"benelux", "nordic"}, {"*"}}
	holdings := []adminclient.Permissions{
		{},
		{"email": {"read"}},
		{"*": {"read"}},
		{"*": {"write"}, "phone": {"read"}},
		{"mailing": {"send"}},
		{"export": {"start"}},
		{"wardkey": {"read"}},
		{"email": {"read"}, "wardkey": {"write"}, "mailing": {"send"}},
	}
	asked := []sections.Permission{
		{Target: "email", Action: "read"},
		{Target: "email", Action: "write"},
		{Target: "phone", Action: "read"},
		{Target: "phone", Action: "write"},
		{Target: "mailing", Action: "send"},
		{Target: "export", Action: "start"},
		{Target: "wardkey", Action: "read"},
		{Target: "gone", Action: "read"},
	}
	yes := 0
	for _, place := range places {
		for _, held := range holdings {
			for _, p := range asked {
				for _, section := range []string{"", "nordic", "gone"} {
					key := activeKey(place, held)
					v := judge(c, key, section, p, noon)
					if v.Yes {
						yes++
					}
					last := v.Steps[len(v.Steps)-1]
					// A keyspace is of no use without a Section, and no key can be made like that.
					useless := section == "" && len(place) == 0 && !slices.Contains([]string{"mailing", "export", "wardkey"}, p.Target)
					if v.Yes != (v.Granted != "") && !useless || last.What == "Token request" {
						t.Errorf("judge(%v, %v, %q, %s) = %+v; a token request gets %q", place, held, section, p, v.Steps, v.Granted)
					}
				}
			}
		}
	}
	if yes == 0 {
		t.Error("nothing was ever allowed, so nothing was tested")
	}
}

// Each step says why.
func TestJudge(t *testing.T) {
	past := noon.Add(-time.Hour)
	for _, tt := range []struct {
		name, section string
		key           func(*adminclient.Client)
		permission    string
		yes           bool
		why           string
	}{
		{"by name", "nordic", func(*adminclient.Client) {}, "email:read", true, "It holds email:read by name"},
		{"by its star", "nordic", func(k *adminclient.Client) { k.Permissions = adminclient.Permissions{"*": {"read"}} }, "email:read", true, "*:read"},
		{"all Sections", "benelux", func(k *adminclient.Client) { k.Sections = []string{"*"} }, "email:read", true, "It has all Sections"},
		{"no such Section", "gone", func(*adminclient.Client) {}, "email:read", false, "There is no Section gone"},
		{"another Section", "benelux", func(*adminclient.Client) {}, "email:read", false, "It does not have benelux, only: nordic"},
		{"not held", "nordic", func(*adminclient.Client) {}, "email:write", false, "It does not hold email:write, nor *:write"},
		{"disabled", "", func(k *adminclient.Client) { k.Disabled = true }, "email:read", false, "disabled"},
		{"ended", "", func(k *adminclient.Client) { k.ExpiresAt = &past }, "email:read", false, "It ended on 1 March 2026, 11:00:00 UTC"},
		{"no Secret", "", func(k *adminclient.Client) { k.Secrets[0].ExpiresAt = &past }, "email:read", false, "It has none that opens it"},
		{"switched off", "", func(k *adminclient.Client) { k.Permissions = adminclient.Permissions{"export": {"start"}} }, "export:start", false, "Export is switched off"},
		{"switched on", "", func(k *adminclient.Client) { k.Permissions = adminclient.Permissions{"mailing": {"send"}} }, "mailing:send", true, "Mailing is switched on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := activeKey([]string{"nordic"}, adminclient.Permissions{"email": {"read"}})
			tt.key(&key)
			target, action, _ := strings.Cut(tt.permission, ":")
			v := judge(someCatalog(), key, tt.section, sections.Permission{Target: target, Action: action}, noon)
			said := slices.ContainsFunc(v.Steps, func(s step) bool { return strings.Contains(s.Why, tt.why) && s.Right == tt.yes })
			if v.Yes != tt.yes || !said {
				t.Errorf("judge = %t, %+v; want %t because %q", v.Yes, v.Steps, tt.yes, tt.why)
			}
		})
	}
}
