package admin_test

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/people"
)

const newClient = `{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`

// A POST that is sent again with its Idempotency-Key is not done again, and says what it made and
// how to come by a secret that got lost (ZF-09).
func TestSentAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		bo := w.person("bo@example.com", people.Viewer)
		for _, tt := range []struct {
			path, body string
			made       *regexp.Regexp // what the answer says was made
			help       string         // in its detail
		}{
			{"/sections", `{"id":"gulf","name":"n"}`, regexp.MustCompile(`^gulf$`), "made gulf"},
			{"/keyspaces", `{"id":"phone","name":"n"}`, regexp.MustCompile(`^phone$`), "made phone"},
			{"/capabilities", `{"id":"push","name":"n","actions":["send"]}`, regexp.MustCompile(`^push$`), "made push"},
			{"/clients", newClient, regexp.MustCompile(`^[0-9a-f-]{36}$`), "add a new one with POST /admin/v1/clients/MADE/secrets"},
			{"/clients/" + c.ID + "/secrets", "", regexp.MustCompile(`^[0-9a-f-]{36}$`), "end it with DELETE /admin/v1/clients/" + c.ID + "/secrets/MADE"},
			{"/clients/" + c.ID + "/cancel-rotation", "", regexp.MustCompile("^" + c.ID + "$"), "done already"},
			{"/clients/" + c.ID + "/revoke-tokens", "", regexp.MustCompile("^" + c.ID + "$"), "done already"},
			{"/signing-keys/rotate", `{"now":true}`, regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`), "made MADE"},
			{"/admins", `{"email":"cy@example.com","role":"viewer"}`, regexp.MustCompile(`^[0-9a-f-]{36}$`), "POST /admin/v1/admins/MADE/reset-password"},
			{"/admins/" + bo.ID + "/reset-password", "", regexp.MustCompile("^" + bo.ID + "$"), "POST /admin/v1/admins/MADE/reset-password"},
		} {
			first := w.do("POST", tt.path, tt.body, "Idempotency-Key", "key of "+tt.path)
			if first.status >= 300 {
				first.is(201)
			}
			w.raw = w.token(w.root, "wardkey:write") // the key that signed the last one may have been replaced
			before, last := w.contents(), w.head()
			again := w.do("POST", tt.path, tt.body, "Idempotency-Key", "key of "+tt.path).isProblem(409, "already-done")
			p := again.problem()
			if p.Made == nil || !tt.made.MatchString(*p.Made) {
				t.Fatalf("%s: made = %s", tt.path, again.member("made"))
			}
			if help := strings.ReplaceAll(tt.help, "MADE", *p.Made); !strings.Contains(*p.Detail, help) {
				t.Errorf("%s: %q does not say %q", tt.path, *p.Detail, help)
			}
			if strings.Contains(tt.path, *p.Made) && strings.Contains(*p.Detail, "and made") {
				t.Errorf("%s: %q says that it made what was there", tt.path, *p.Detail)
			}
			if location := first.header.Get("Location"); location != "" && !strings.HasSuffix(location, "/"+*p.Made) {
				t.Errorf("%s: made %s, and not %s", tt.path, location, *p.Made)
			}
			if text := string(again.body); strings.Contains(text, "wks_") || strings.Contains(text, `"password"`) || strings.Contains(text, "client_secret") {
				t.Errorf("%s: the second answer has a secret: %s", tt.path, text)
			}
			if w.contents() != before || w.head() != last {
				t.Errorf("%s was done twice", tt.path)
			}
			other := cmp.Or(tt.body, "{}") + " "
			w.do("POST", tt.path, other, "Idempotency-Key", "key of "+tt.path).isProblem(422, "key-reused")
		}
	})
}

func TestIdempotencyKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		a := w.do("POST", "/clients", newClient, "Idempotency-Key", "k").is(201)
		for _, tt := range []struct{ path, body string }{
			{"/clients", strings.Replace(newClient, `"n"`, `"m"`, 1)},
			{"/sections", `{"id":"gulf","name":"n"}`},
			{"/clients/x/secrets", ""},
			{"/signing-keys/rotate", ""},
			{"/admins", `{"email":"cy@example.com","role":"viewer"}`},
		} {
			w.do("POST", tt.path, tt.body, "Idempotency-Key", "k").isProblem(422, "key-reused")
		}
		// Other keys, and the same key of others, are others.
		for _, key := range []string{"K", "k ", " k2", strings.Repeat("k", 255), "é", "*"} {
			status := 201
			if strings.TrimSpace(key) == "k" { // HTTP takes blanks around a value off
				status = 409
			}
			w.do("POST", "/clients", newClient, "Idempotency-Key", key).is(status)
		}
		other := w.client("other", "write")
		w.do("POST", "/clients", newClient, "Idempotency-Key", "k", "Authorization", "Bearer "+w.token(other, "wardkey:write")).is(201)
		w.do("POST", "/clients", newClient).is(201) // without one everything is done
		w.do("POST", "/clients", newClient).is(201)

		w.do("POST", "/clients", newClient, "Idempotency-Key", strings.Repeat("k", 256)).isProblem(400, "malformed")
		for _, keys := range [][]string{{""}, {"a", "b"}, {"a", "a"}} {
			r := w.request("POST", "/signing-keys/rotate")
			r.Header["Idempotency-Key"] = keys
			w.send(r).isProblem(400, "malformed")
		}

		// A request that failed may be sent again as it is, or put right.
		body := `{"id":"gulf","name":"n"}`
		w.do("POST", "/sections", `{"id":"G","name":"n"}`, "Idempotency-Key", "put right").isProblem(422, "invalid", "/id")
		w.do("POST", "/sections", body, "Idempotency-Key", "put right").is(201)
		w.do("POST", "/clients", strings.Replace(newClient, "nordic", "later", 1), "Idempotency-Key", "later").is(422)
		w.do("POST", "/sections", `{"id":"later","name":"n"}`).is(201)
		w.do("POST", "/clients", strings.Replace(newClient, "nordic", "later", 1), "Idempotency-Key", "later").is(201)

		// A key is known for a day, and as nothing but a hash.
		var first adminclient.ClientCreated
		a.into(&first)
		at := time.Now().Add(-24 * time.Hour).Unix()
		must(t, w.exec(`UPDATE idempotency_keys SET created_at = $1 WHERE made = $2`, at+60, first.ID))
		w.do("POST", "/clients", newClient, "Idempotency-Key", "k").isProblem(409, "already-done")
		must(t, w.exec(`UPDATE idempotency_keys SET created_at = $1 WHERE made = $2`, at, first.ID))
		w.do("POST", "/clients", newClient, "Idempotency-Key", "k").is(201)
		var n int
		must(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM idempotency_keys WHERE made = $1 OR key_hash = 'k'`, first.ID).Scan(&n))
		if n != 0 {
			t.Errorf("%d keys are kept for longer than a day, or as they are", n)
		}
	})
}

// Of the same request, sent many times at once, one is done.
func TestSentAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		for _, tt := range []struct {
			path, body string
			done       int
		}{
			{"/sections", `{"id":"gulf","name":"n"}`, 201},
			{"/clients", newClient, 201},
			{"/clients/" + c.ID + "/secrets", "", 201},
			{"/clients/" + c.ID + "/revoke-tokens", "", 204},
			{"/signing-keys/rotate", "", 201},
			{"/admins", `{"email":"cy@example.com","role":"viewer","password":"` + password + `"}`, 201},
		} {
			var group sync.WaitGroup
			answers := make([]*answer, 3)
			last := w.head()
			for i := range answers {
				group.Go(func() { answers[i] = w.do("POST", tt.path, tt.body, "Idempotency-Key", "k"+tt.path) })
			}
			group.Wait()
			var statuses []int
			for _, a := range answers {
				if statuses = append(statuses, a.status); a.status == 409 {
					a.isProblem(409, "already-done")
				}
			}
			if slices.Sort(statuses); !slices.Equal(statuses, []int{tt.done, 409, 409}) {
				t.Errorf("POST %s, thrice at once = %v %s", tt.path, statuses, answers[0].body)
			}
			if n := w.head() - last; n != 1 {
				t.Errorf("POST %s, thrice at once, wrote %d events", tt.path, n)
			}
		}
	})
}
