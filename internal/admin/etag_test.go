package admin_test

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/people"
)

// The conditions of RFC 9110 §13.1 on each single resource.
func TestConditions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		for _, path := range []string{"/clients/" + c.ID, "/keyspaces/email", "/capabilities/sms", "/sections/nordic"} {
			first := w.do("GET", path, "").is(200).header.Get("ETag")
			if len(first) < 10 || first[0] != '"' || strings.ContainsAny(first[1:len(first)-1], "\", ") {
				t.Fatalf("%s: ETag = %q, want a strong entity tag", path, first)
			}
			a := w.do("PATCH", path, `{"name":"second"}`, "If-Match", first).is(200)
			second := a.header.Get("ETag")
			if second == first || w.do("GET", path, "").header.Get("ETag") != second {
				t.Errorf("%s: ETag after a change = %q, before %q", path, second, first)
			}
			for _, stale := range []string{first, `"x"`, `W/` + second, `"a", "b"`, strings.Trim(second, `"`), "nonsense"} {
				w.do("PATCH", path, `{"name":"lost"}`, "If-Match", stale).isProblem(412, "precondition-failed")
				w.do("DELETE", path, "", "If-Match", stale).isProblem(412, "precondition-failed")
				w.do("DELETE", path+"?dry_run=true", "", "If-Match", stale).isProblem(412, "precondition-failed")
			}
			w.do("PATCH", path, `{"name":"second"}`, "If-Match", `"x", `+second+`,"y"`).is(200)
			w.do("PATCH", path, `{"name":"second"}`, "If-Match", "*").is(200)

			for _, same := range []string{second, `W/` + second, `"x", W/` + second, "*"} {
				a := w.do("GET", path, "", "If-None-Match", same).is(304)
				if len(a.body) != 0 || a.header.Get("ETag") != second {
					t.Errorf("%s with If-None-Match %s: ETag %q, body %q", path, same, a.header.Get("ETag"), a.body)
				}
			}
			w.do("GET", path, "", "If-None-Match", first).is(200)
			w.do("DELETE", path, "", "If-Match", second).is(204)
			w.do("DELETE", path, "", "If-Match", second).isProblem(404, "not-found")
		}
	})
}

func TestConditionsInTwoHeaders(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		r := w.request("DELETE", "/sections/nordic")
		r.Header["If-Match"] = []string{`"a"`, `"b"`}
		w.send(r).isProblem(400, "malformed")
		w.do("GET", "/sections/nordic", "").is(200)
	})
}

// The use of a client is no change of it: who edits it meanwhile is not turned away.
func TestUseDoesNotChangeTheETag(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		path := "/clients/" + c.ID
		tag := w.do("GET", path, "").is(200).header.Get("ETag")
		usage := clients.NewUsage(w.DB, slog.New(slog.DiscardHandler))
		usage.Record(c.ID, c.Secrets[0].ID, "192.0.2.1", time.Now())
		if err := usage.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := w.do("GET", path, "").is(200)
		if got := a.header.Get("ETag"); got != tag {
			t.Errorf("ETag after a use = %s, want %s", got, tag)
		}
		if got := w.read(c.ID); got.LastUsedAt == nil || got.Secrets[0].LastUsedAt == nil {
			t.Errorf("the last use is not shown: %s", a.body)
		}
		w.do("POST", path+"/secrets", "").is(201)
		if got := w.do("GET", path, "").header.Get("ETag"); got == tag {
			t.Error("ETag after a second secret is the same")
		}
	})
}

// Of many who change the same state at the same time, one does, and the others are told (ZE-12).
func TestLostUpdate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		bo := w.person("bo@example.com", people.Viewer)
		for _, tt := range []struct{ path, patch string }{
			{"/sections/nordic", `{"name":"mine"}`},
			{"/clients/" + c.ID, `{"name":"mine"}`},
			{"/admins/" + bo.ID, `{"role":"admin"}`},
		} {
			tag := w.do("GET", tt.path, "").is(200).header.Get("ETag")
			last := w.head()
			var done, refused atomic.Int32
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					switch a := w.do("PATCH", tt.path, tt.patch, "If-Match", tag); a.status {
					case 200:
						done.Add(1)
					case 412:
						refused.Add(1)
					default:
						t.Errorf("%s = %d %s", a.what, a.status, a.body)
					}
				})
			}
			group.Wait()
			if done.Load() != 1 || refused.Load() != 7 || w.head() != last+1 {
				t.Errorf("%s: %d changed it, %d were told, %d events, want 1, 7 and 1", tt.path, done.Load(), refused.Load(), w.head()-last)
			}
		}
	})
}

// Two admins who edit the same thing do not undo each other's work unseen.
func TestTwoEditors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		ann, bo := w.person("ann@example.com", people.Owner), w.person("bo@example.com", people.Viewer)
		ann.arrive()
		c := w.register(newClient)
		for _, tt := range []struct {
			path, anns, roots string
			both              map[string]string // members after both
		}{
			{"/clients/" + c.ID, `{"name":"Ann's"}`, `{"description":"root's"}`, map[string]string{"name": `"Ann's"`, "description": `"root's"`}},
			{"/clients/" + c.ID, `{"permissions":{"crm-id":["read"]}}`, `{"permissions":{"email":null}}`, map[string]string{"permissions": `{"crm-id":["read"]}`}},
			{"/admins/" + bo.ID, `{"role":"admin"}`, `{"role":"owner"}`, map[string]string{"role": `"owner"`}},
		} {
			tag := ann.do("GET", tt.path, "").is(200).header.Get("ETag")
			if got := w.do("GET", tt.path, "").is(200).header.Get("ETag"); got != tag {
				t.Errorf("%s has the tag %s for one and %s for another", tt.path, tag, got)
			}
			fresh := ann.do("PATCH", tt.path, tt.anns, "If-Match", tag).is(200).header.Get("ETag")
			p := w.do("PATCH", tt.path, tt.roots, "If-Match", tag).isProblem(412, "precondition-failed").problem()
			if !strings.Contains(*p.Detail, fresh) {
				t.Errorf("%q does not say the tag %s", *p.Detail, fresh)
			}
			w.do("DELETE", tt.path, "", "If-Match", tag).isProblem(412, "precondition-failed")
			a := w.do("PATCH", tt.path, tt.roots, "If-Match", fresh).is(200)
			for member, want := range tt.both {
				wantJSON(t, a.member(member), want)
			}
		}

		// That somebody signed in, or used a secret, is nobody's edit; a new secret is one.
		tag := w.do("GET", "/admins/"+bo.ID, "").is(200).header.Get("ETag")
		must(t, w.exec(`UPDATE admins SET last_sign_in_at = 1893456000 WHERE id = $1`, bo.ID))
		wantJSON(t, w.do("GET", "/admins/"+bo.ID, "").member("last_sign_in_at"), `"2030-01-01T00:00:00Z"`)
		w.do("GET", "/admins/"+bo.ID, "", "If-None-Match", tag).is(304)
		w.do("DELETE", "/admins/"+bo.ID, "", "If-Match", tag).is(204)

		tag = w.do("GET", "/clients/"+c.ID, "").is(200).header.Get("ETag")
		w.do("POST", "/clients/"+c.ID+"/secrets", "").is(201)
		w.do("PATCH", "/clients/"+c.ID, `{"name":"n"}`, "If-Match", tag).isProblem(412, "precondition-failed")
	})
}
