package admin_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A body that cannot be read is refused with 400, and what is wrong is named.
func TestMalformedBodies(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		client := "/clients/" + c.ID
		deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
		for _, tt := range []struct {
			what, method, path, body string
			field                    string
		}{
			{"not JSON", "POST", "/sections", `id=a`, ""},
			{"cut", "POST", "/sections", `{"id":"a","name":"n"`, ""},
			{"trailing data", "POST", "/sections", `{"id":"a","name":"n"}{}`, ""},
			{"a stray brace", "POST", "/sections", `{"id":"a","name":"n"}}`, ""},
			{"a comment", "POST", "/sections", `{"id":"a",/**/"name":"n"}`, ""},
			{"a comma too many", "POST", "/sections", `{"id":"a","name":"n",}`, ""},
			{"blanks", "POST", "/sections", " \n", ""},
			{"blanks where a body may be missing", "POST", "/signing-keys/rotate", " ", ""},
			{"a byte order mark", "POST", "/sections", "\ufeff{\"id\":\"a\",\"name\":\"n\"}", ""},
			{"null", "POST", "/sections", `null`, ""},
			{"a list", "POST", "/sections", `[]`, ""},
			{"a string", "POST", "/sections", `"a"`, ""},
			{"deep", "POST", "/sections", deep, strings.Repeat("/0", 10000)},
			{"unknown member", "POST", "/sections", `{"id":"a","name":"n","colour":"red"}`, "/colour"},
			{"another case", "POST", "/sections", `{"ID":"a","name":"n"}`, "/ID"},
			{"a member twice", "POST", "/sections", `{"id":"a","name":"n","name":"m"}`, "/name"},
			{"a member twice, escaped", "POST", "/sections", `{"id":"a","name":"n","n\u0061me":"m"}`, "/name"},
			{"a member twice, deeper", "POST", "/clients", `{"name":"n","sections":["nordic"],"permissions":{"email":["read"],"email":["write"]}}`, "/permissions/email"},
			{"invalid UTF-8", "POST", "/sections", "{\"id\":\"a\",\"name\":\"\xff\"}", "/name"},
			{"half a surrogate pair", "POST", "/sections", `{"id":"a","name":"\ud800"}`, "/name"},
			{"a number for a string", "POST", "/sections", `{"id":"a","name":1}`, "/name"},
			{"an object for a string", "POST", "/sections", `{"id":"a","name":{}}`, "/name"},
			{"a string for a list", "POST", "/keyspaces", `{"id":"a","name":"n","actions":"read"}`, "/actions"},
			{"a number in a list", "POST", "/keyspaces", `{"id":"a","name":"n","actions":["read",1]}`, "/actions/1"},
			{"a string for a switch", "POST", "/capabilities", `{"id":"a","name":"n","actions":["send"],"enabled":"true"}`, "/enabled"},
			{"a list for an object", "PATCH", client, `{"permissions":["email"]}`, "/permissions"},
			{"a string for a list", "PATCH", client, `{"permissions":{"email":"read"}}`, "/permissions/email"},
			{"a string for a number", "PATCH", client, `{"token_lifetime":"600"}`, "/token_lifetime"},
			{"a fraction", "PATCH", client, `{"token_lifetime":600.5}`, "/token_lifetime"},
			{"a number too large", "PATCH", client, `{"token_lifetime":1e400}`, "/token_lifetime"},
			{"a number too large", "PATCH", client, `{"token_lifetime":9223372036854775808}`, "/token_lifetime"},
			{"no time", "PATCH", client, `{"expires_at":"tomorrow"}`, "/expires_at"},
			{"a date", "PATCH", client, `{"expires_at":"2035-01-01"}`, "/expires_at"},
			{"a time without an offset", "PATCH", client, `{"expires_at":"2035-01-01T00:00:00"}`, "/expires_at"},
			{"a number for a time", "PATCH", client, `{"expires_at":2035}`, "/expires_at"},
			{"unknown member", "PATCH", client, `{"colour":"red"}`, "/colour"},
			{"unknown member that is taken away", "PATCH", client, `{"colour":null}`, "/colour"},
			{"a list as a patch", "PATCH", client, `[{"op":"remove","path":"/name"}]`, ""},
			{"null as a patch", "PATCH", client, `null`, ""},
			{"a member twice in a patch", "PATCH", client, `{"name":"a","name":"b"}`, "/name"},
		} {
			t.Run(tt.what, func(t *testing.T) {
				w := *w
				w.t = t
				w.do(tt.method, tt.path, tt.body).isProblem(400, "malformed", tt.field)
			})
		}
		for _, op := range []struct{ method, path string }{{"POST", "/sections"}, {"PATCH", "/sections/nordic"}, {"POST", "/clients"}, {"PATCH", client}} {
			w.do(op.method, op.path, "").isProblem(400, "malformed")
		}
		if got := w.read(c.ID); got.Name != "n" || got.TokenLifetime != nil {
			t.Errorf("a malformed patch changed the client to %+v", got)
		}
	})
}

// What is said of a wrong type helps to put it right, and does not speak Go.
func TestWordsForTypes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for _, tt := range []struct{ member, value, want string }{
			{"name", `1`, "/name must be a string"},
			{"sections", `"nordic"`, "/sections must be a list, each item a string"},
			{"sections", `[1]`, "/sections/0 must be a string"},
			{"permissions", `1`, "/permissions must be an object"},
			{"permissions", `{"email":1}`, "/permissions/email must be a list, each item a string"},
			{"token_lifetime", `"1"`, "/token_lifetime must be a whole number"},
			{"disabled", `0`, "/disabled must be true or false"},
			{"expires_at", `"1"`, "/expires_at must be a date and time of RFC 3339, for example 2030-01-31T12:00:00Z"},
			{"expires_at", `1`, "/expires_at must be a date and time of RFC 3339, for example 2030-01-31T12:00:00Z"},
			{"colour", `1`, "/colour is not known here"},
			{"name", `"n",}`, "the body is not JSON; it goes wrong at byte 12"},
		} {
			p := w.do("POST", "/clients", `{"`+tt.member+`":`+tt.value+`}`).is(400).problem()
			if *p.Detail != tt.want {
				t.Errorf("%s of %s: %q, want %q", tt.member, tt.value, *p.Detail, tt.want)
			}
		}
	})
}

func TestMediaTypes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		n := 0
		for _, tt := range []struct {
			header      string
			post, patch int
		}{
			{"application/json", 201, 200},
			{"application/json; charset=utf-8", 201, 200},
			{"Application/JSON;charset=UTF-8", 201, 200},
			{"application/merge-patch+json", 415, 200},
			{"application/merge-patch+json; charset=utf-8", 415, 200},
			{"application/json-patch+json", 415, 415},
			{"application/problem+json", 415, 415},
			{"application/x-www-form-urlencoded", 415, 415},
			{"text/plain", 415, 415},
			{"text/json", 415, 415},
			{"application/jsonx", 415, 415},
			{"application/json, text/plain", 415, 415},
			{"", 415, 415},
		} {
			n++
			a := w.do("POST", "/sections", fmt.Sprintf(`{"id":"s%d","name":"n"}`, n), "Content-Type", tt.header).is(tt.post)
			if tt.post == 415 && a.header.Get("Accept") != "application/json" {
				t.Errorf("%s with %q: Accept = %q", a.what, tt.header, a.header.Get("Accept"))
			}
			a = w.do("PATCH", "/sections/nordic", `{"name":"n"}`, "Content-Type", tt.header).is(tt.patch)
			if tt.patch == 415 && a.header.Get("Accept-Patch") != "application/merge-patch+json, application/json" {
				t.Errorf("%s with %q: Accept-Patch = %q", a.what, tt.header, a.header.Get("Accept-Patch"))
			}
		}
		w.do("POST", "/sections", `{"id":"a","name":"n"}`, "Content-Encoding", "gzip").isProblem(415, "unsupported-media-type")
		w.do("PATCH", "/sections/nordic", `{"name":"m"}`, "Content-Encoding", "br").isProblem(415, "unsupported-media-type")
		w.do("POST", "/sections", `{"id":"a","name":"n"}`, "Content-Encoding", "identity").is(201)
		var s adminclient.Section
		if w.do("GET", "/sections/nordic", "").is(200).into(&s); s.Name != "n" {
			t.Errorf("the name is %q, want n", s.Name)
		}
	})
}

func TestBodySize(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		body := `{"id":"a","name":"n"}`
		w.do("POST", "/sections", body+strings.Repeat(" ", 64<<10-len(body)+1)).isProblem(413, "too-large")
		w.do("POST", "/sections", body+strings.Repeat(" ", 64<<10-len(body))).is(201)
		w.do("PATCH", "/sections/a", strings.Repeat(" ", 64<<10)+`{"name":"m"}`).isProblem(413, "too-large")

		// Without a Content-Length, too.
		r := w.request("POST", "/sections")
		r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", 64<<10+1)))
		r.Header.Set("Content-Type", "application/json")
		w.send(r).isProblem(413, "too-large")
	})
}

// Whatever is mistyped in the query of a DELETE, nothing is deleted.
func TestDeleteParameters(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		for _, path := range []string{
			"/sections/nordic", "/keyspaces/email", "/capabilities/sms", "/clients/" + c.ID,
			"/clients/" + c.ID + "/secrets/" + c.Secrets[0].ID, "/signing-keys/" + w.keys()[0].Kid,
		} {
			for _, query := range []string{
				"dry_run=yes", "dry_run=", "dry_run", "dry_run=true&dry_run=false", "dry-run=true", "dryRun=true", "dryrun=true",
				"DRY_RUN=true", "dry_run=true&x=1", "dry_run=%zz", "x;dry_run=true", "%64ry-run=true", "dry_run=2", "dry_run[]=true",
			} {
				w.do("DELETE", path+"?"+query, "").isProblem(400, "malformed")
			}
			for _, query := range []string{"dry_run=true", "dry_run=1", "dry_run=TRUE", "dry%5Frun=true"} {
				w.do("DELETE", path+"?"+query, "").is(200)
			}
		}
		w.do("GET", "/sections/nordic", "").is(200)
		w.do("GET", "/keyspaces/email", "").is(200)
		w.do("GET", "/capabilities/sms", "").is(200)
		if got := w.read(c.ID); len(got.Secrets) != 1 {
			t.Errorf("the client has %d secrets, want one", len(got.Secrets))
		}
		w.do("DELETE", "/sections/nordic", `{"dry_run":true}`).is(204) // a body says nothing
	})
}
