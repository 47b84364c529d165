package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// The generated client does with each of the three simple resources all that can be done.
func TestSections(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		api := w.api()
		made, err := api.CreateSectionWithResponse(t.Context(), nil, adminclient.SectionCreate{ID: "nordic", Name: "  Nordic "})
		if err != nil || made.StatusCode() != 201 {
			t.Fatalf("CreateSection = %v, %s", err, made.Body)
		}
		s := made.JSON201
		if s.ID != "nordic" || s.Name != "Nordic" || time.Since(s.CreatedAt) > time.Minute {
			t.Errorf("CreateSection = %+v, want nordic, Nordic, now", s)
		}
		if got := made.HTTPResponse.Header.Get("Location"); got != "/admin/v1/sections/nordic" {
			t.Errorf("Location = %q", got)
		}
		renamed, err := api.UpdateSectionWithResponse(t.Context(), "nordic", nil, adminclient.Patch{"name": "The North"})
		if err != nil || renamed.StatusCode() != 200 || renamed.JSON200.Name != "The North" || !renamed.JSON200.CreatedAt.Equal(s.CreatedAt) {
			t.Fatalf("UpdateSection = %v, %s", err, renamed.Body)
		}
		got, err := api.ReadSectionWithResponse(t.Context(), "nordic", nil)
		if err != nil || got.StatusCode() != 200 || *got.JSON200 != *renamed.JSON200 {
			t.Fatalf("ReadSection = %v, %s; want what UpdateSection said, %s", err, got.Body, renamed.Body)
		}
		list, err := api.ListSectionsWithResponse(t.Context(), nil)
		if err != nil || list.StatusCode() != 200 || len(list.JSON200.Items) != 1 || list.JSON200.Items[0] != *got.JSON200 || list.JSON200.Next != nil {
			t.Fatalf("ListSections = %v, %s", err, list.Body)
		}
		gone, err := api.DeleteSectionWithResponse(t.Context(), "nordic", nil)
		if err != nil || gone.StatusCode() != 204 || len(gone.Body) != 0 {
			t.Fatalf("DeleteSection = %v, %d %s, want 204", err, gone.StatusCode(), gone.Body)
		}
		missing, err := api.ReadSectionWithResponse(t.Context(), "nordic", nil)
		if err != nil || missing.StatusCode() != 404 || missing.ApplicationProblemJSONDefault.Status != 404 {
			t.Fatalf("ReadSection of a deleted one = %v, %d %s, want 404", err, missing.StatusCode(), missing.Body)
		}
	})
}

func TestKeyspaces(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var k adminclient.Keyspace
		a := w.do("POST", "/keyspaces", `{"id":"com.apsis1.keyspaces.email","name":"E-mail"}`).is(201).into(&k)
		if got := strings.Join(k.Actions, " "); got != "read write" {
			t.Errorf("actions that were not given = %q, want read write", got)
		}
		if got := a.header.Get("Location"); got != "/admin/v1/keyspaces/com.apsis1.keyspaces.email" {
			t.Errorf("Location = %q", got)
		}
		path := "/keyspaces/" + k.ID
		w.do("PATCH", path, `{"actions":["write","lock","delete"]}`).is(200).into(&k)
		if got := strings.Join(k.Actions, " "); got != "delete lock write" || k.Name != "E-mail" {
			t.Errorf("after a patch of the actions: %+v, want the actions delete lock write in order and the old name", k)
		}
		w.do("PATCH", path, `{"actions":null}`).is(200).into(&k)
		if got := strings.Join(k.Actions, " "); got != "read write" {
			t.Errorf("actions after null = %q, want the default", got)
		}
		var read adminclient.Keyspace
		w.do("GET", path, "").is(200).into(&read)
		if strings.Join(read.Actions, " ") != "read write" || read.Name != k.Name || !read.CreatedAt.Equal(k.CreatedAt) {
			t.Errorf("GET = %+v, want %+v", read, k)
		}
		w.do("DELETE", path, "").is(204)
		w.do("GET", path, "").isProblem(404, "not-found")
		w.do("POST", "/keyspaces", `{"id":"com.apsis1.keyspaces.email","name":"E-mail"}`).isProblem(409, "taken")
	})
}

func TestCapabilities(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var c adminclient.Capability
		w.do("POST", "/capabilities", `{"id":"transactional-email","name":"Mail","actions":["send"]}`).is(201).into(&c)
		if c.Enabled {
			t.Error("a capability is on that nobody switched on")
		}
		path := "/capabilities/" + c.ID
		w.do("PATCH", path, `{"enabled":true}`).is(200).into(&c)
		if !c.Enabled || c.Name != "Mail" || strings.Join(c.Actions, " ") != "send" {
			t.Errorf("after a patch of enabled: %+v", c)
		}
		w.do("PATCH", path, `{"name":"E-mail","actions":["send","cancel"]}`).is(200).into(&c)
		var read adminclient.Capability
		w.do("GET", path, "").is(200).into(&read)
		if read.Name != "E-mail" || strings.Join(read.Actions, " ") != "cancel send" || !read.Enabled {
			t.Errorf("GET = %+v, want E-mail, cancel send, enabled", read)
		}
		w.do("PATCH", path, `{"enabled":null}`).is(200).into(&c)
		if c.Enabled {
			t.Error("enabled is true after null, want its default")
		}
		w.do("DELETE", path, "").is(204)
		w.do("DELETE", path, "").isProblem(404, "not-found")
	})
}

// What an id or a name must be, on each resource that has one.
func TestRulesOfIDsAndNames(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, path := range []string{"/sections", "/keyspaces", "/capabilities"} {
			actions := ""
			if path != "/sections" {
				actions = `,"actions":["send"]`
			}
			for _, tt := range []struct {
				what, id, name, field string
			}{
				{"capitals", `Nordic`, `n`, "/id"},
				{"empty id", ``, `n`, "/id"},
				{"129 characters", strings.Repeat("a", 129), `n`, "/id"},
				{"begins with a dot", `.a`, `n`, "/id"},
				{"a colon", `a:b`, `n`, "/id"},
				{"a slash", `a/b`, `n`, "/id"},
				{"not ASCII", `é`, `n`, "/id"},
				{"reserved", `section`, `n`, "/id"},
				{"reserved", `wardkey`, `n`, "/id"},
				{"reserved", `*`, `n`, "/id"},
				{"NUL in the id", `a\u0000`, `n`, "/id"},
				{"blank name", `a`, `   `, "/name"},
				{"121 characters", `a`, strings.Repeat("é", 121), "/name"},
				{"line break", `a`, `a\nb`, "/name"},
				{"NUL in the name", `a`, `a\u0000b`, "/name"},
				{"escape", `a`, `a\u001bb`, "/name"},
				{"invisible", `a`, `a\u200bb`, "/name"},
				{"right to left", `a`, `a\u202eb`, "/name"},
			} {
				body := `{"id":"` + tt.id + `","name":"` + tt.name + `"` + actions + `}`
				t.Run(path+" "+tt.what, func(t *testing.T) {
					w := *w
					w.t = t
					w.do("POST", path, body).isProblem(422, "invalid", tt.field)
				})
			}
			w.do("POST", path, `{"id":"A","name":""`+actions+`}`).isProblem(422, "invalid", "/id", "/name")
			id := strings.Repeat(path[1:2], 128)
			w.do("POST", path, `{"id":"`+id+`","name":"`+strings.Repeat("é", 120)+`"`+actions+`}`).is(201)
			w.do("PATCH", path+"/"+id, `{"name":"a\tb"}`).isProblem(422, "invalid", "/name")
			w.do("PATCH", path+"/"+id, `{"name":null}`).isProblem(422, "invalid", "/name")
			w.do("DELETE", path+"/"+id, "").is(204)
		}
	})
}

func TestRulesOfActions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, tt := range []struct{ actions, field string }{
			{`[]`, "/actions"},
			{`["Read"]`, "/actions/0"},
			{`["read","read"]`, "/actions/1"},
			{`["read","` + strings.Repeat("a", 33) + `"]`, "/actions/1"},
			{`["*"]`, "/actions/0"},
			{`[null]`, "/actions/0"},
		} {
			for _, path := range []string{"/keyspaces", "/capabilities"} {
				w.do("POST", path, `{"id":"a","name":"n","actions":`+tt.actions+`}`).isProblem(422, "invalid", tt.field)
			}
		}
		w.do("POST", "/capabilities", `{"id":"a","name":"n"}`).isProblem(422, "invalid", "/actions")
	})
}

// Ids are never used again, and keyspaces and capabilities share one namespace of them.
func TestTakenIDs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		section, keyspace := `{"id":"a","name":"n"}`, `{"id":"a","name":"n"}`
		capability := `{"id":"a","name":"n","actions":["send"]}`
		w.do("POST", "/sections", section).is(201)
		w.do("POST", "/sections", section).isProblem(409, "taken")
		w.do("POST", "/keyspaces", keyspace).is(201) // another namespace
		w.do("POST", "/capabilities", capability).isProblem(409, "taken")
		w.do("DELETE", "/sections/a", "").is(204)
		w.do("POST", "/sections", section).isProblem(409, "taken")
		w.do("DELETE", "/keyspaces/a", "").is(204)
		w.do("POST", "/capabilities", capability).isProblem(409, "taken")
	})
}

// A Section that is deleted is taken from every client; one that is left with none goes with it.
func TestDeleteSectionTakesItFromClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		both := w.register(`{"name":"both","sections":["nordic","baltic"],"permissions":{"email":["read"]}}`)
		one := w.register(`{"name":"one","sections":["nordic"],"permissions":{"email":["read"]}}`)
		all := w.register(`{"name":"all","sections":["*"],"permissions":{"email":["read"]}}`)
		none := w.register(`{"name":"none","sections":[],"permissions":{"transactional-email":["send"]}}`)

		var p adminclient.Preview
		w.do("DELETE", "/sections/nordic?dry_run=true", "").is(200).into(&p)
		if !p.DryRun || p.Kind != "section" || p.ID != "nordic" || *p.Name != "Nordic" || p.KeyState != nil || len(p.SecretsEnded) != 0 ||
			strings.Join(p.ClientsNarrowed, " ") != both.ID || strings.Join(p.ClientsDeleted, " ") != one.ID {
			t.Errorf("dry run = %+v, want %s narrowed and %s deleted", p, both.ID, one.ID)
		}
		w.do("GET", "/sections/nordic", "").is(200)
		if got := w.read(both.ID).Sections; len(got) != 2 {
			t.Errorf("after a dry run %q holds %q, want both", both.Name, got)
		}
		w.read(one.ID)

		w.do("DELETE", "/sections/nordic", "").is(204)
		if got := w.read(both.ID).Sections; strings.Join(got, " ") != "baltic" {
			t.Errorf("%q holds %q, want baltic", both.Name, got)
		}
		w.do("GET", "/clients/"+one.ID, "").isProblem(404, "not-found")
		if got := w.read(all.ID).Sections; strings.Join(got, " ") != "*" {
			t.Errorf("%q holds %q, want *", all.Name, got)
		}
		w.read(none.ID)
	})
}

// A keyspace or a capability that is deleted, or loses an action, is taken from every client.
func TestTakingPermissions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"c","sections":["nordic"],"permissions":{"email":["read","delete"],"crm-id":["read"],"transactional-email":["send"],"*":["read"]}}`)
		other := w.register(`{"name":"other","sections":["nordic"],"permissions":{"crm-id":["read"]}}`)
		holds := func(want string) {
			t.Helper()
			got := []string{}
			for _, target := range []string{"*", "crm-id", "email", "transactional-email"} {
				for _, action := range w.read(c.ID).Permissions[target] {
					got = append(got, target+":"+action)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("the client holds %q, want %q", got, want)
			}
		}
		w.do("PATCH", "/keyspaces/email", `{"actions":["read","write"]}`).is(200)
		holds("*:read crm-id:read email:read transactional-email:send")
		w.do("PATCH", "/capabilities/transactional-email", `{"enabled":false}`).is(200)
		holds("*:read crm-id:read email:read transactional-email:send")
		w.do("PATCH", "/capabilities/transactional-email", `{"actions":["cancel"]}`).is(200)
		holds("*:read crm-id:read email:read")

		var p adminclient.Preview
		w.do("DELETE", "/keyspaces/email?dry_run=true", "").is(200).into(&p)
		if p.Kind != "keyspace" || strings.Join(p.ClientsNarrowed, " ") != c.ID || len(p.ClientsDeleted) != 0 {
			t.Errorf("dry run = %+v, want %s narrowed", p, c.ID)
		}
		holds("*:read crm-id:read email:read")
		w.do("DELETE", "/keyspaces/email", "").is(204)
		holds("*:read crm-id:read")
		if got := w.read(other.ID).Permissions; len(got) != 1 {
			t.Errorf("another client holds %v, want what it held", got)
		}
		w.do("PATCH", "/clients/"+c.ID, `{"permissions":{"transactional-email":["cancel"]}}`).isProblem(422, "invalid", "/permissions/transactional-email")
		w.do("PATCH", "/capabilities/transactional-email", `{"enabled":true}`).is(200)
		w.do("PATCH", "/clients/"+c.ID, `{"permissions":{"transactional-email":["cancel"]}}`).is(200)
		w.do("DELETE", "/capabilities/transactional-email?dry_run=1", "").is(200).into(&p)
		if p.Kind != "capability" || strings.Join(p.ClientsNarrowed, " ") != c.ID {
			t.Errorf("dry run = %+v, want %s narrowed", p, c.ID)
		}
		w.do("DELETE", "/capabilities/transactional-email", "").is(204)
		holds("*:read crm-id:read")
	})
}
