package admin_test

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
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
		tag := w.do("GET", "/sections/nordic", "").is(200).header.Get("ETag")
		var done, refused atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				switch a := w.do("PATCH", "/sections/nordic", `{"name":"mine"}`, "If-Match", tag); a.status {
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
		if done.Load() != 1 || refused.Load() != 7 {
			t.Errorf("%d changed it and %d were told, want 1 and 7", done.Load(), refused.Load())
		}
	})
}
