package admin_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/people"
)

// Every person of the tests has this password. Hashing is slow, so it was hashed once for all.
const (
	password     = "correct horse battery"
	passwordHash = "$argon2id$v=19$m=19456,t=4,p=1$c2FsdCBvZiB0aGUgdGVzdA$BoHi5SZI0xHnn9O5eYcHAPlrKfd62kfZ55JzpYae10c"
)

// A person is a world seen by an admin: requests carry the cookie of the admin's session.
type person struct {
	*world
	*people.Person
}

// person makes an admin past the API, who is not signed in.
func (w *world) person(email string, role people.Role) *person {
	w.t.Helper()
	p := &people.Person{Email: email, Role: role}
	must(w.t, w.People.Create(w.t.Context(), p, people.Password{}, time.Now()))
	must(w.t, w.exec(`UPDATE admins SET password_hash = $1 WHERE id = $2`, passwordHash, p.ID))
	own := *w
	own.cookie = w.cookieName() + "=none"
	return &person{&own, p}
}

// elsewhere is the person in another browser.
func (p *person) elsewhere() *person {
	own := *p.world
	return &person{&own, p.Person}
}

func (w *world) cookieName() string { return w.Sessions.NoCookie().Name }

// signIn signs the person in, which takes a slow hash.
func (p *person) signIn() *answer {
	p.t.Helper()
	a := p.try(p.Email, password).is(201)
	p.carry(a)
	return a
}

// arrive begins a session of the person past the API, without the slow hash, and returns its id.
func (p *person) arrive() string {
	p.t.Helper()
	token, id, now := rand.Text(), rand.Text(), time.Now()
	sum := sha256.Sum256([]byte(token))
	data, err := scs.GobCodec{}.Encode(now.Add(12*time.Hour), map[string]any{"id": id})
	must(p.t, err)
	must(p.t, p.exec(`INSERT INTO sessions (token, id, admin_id, created_at, seen_at, ip, user_agent, data, expires_at)
		VALUES ($1, $2, $3, $4, $4, '127.0.0.1', 'a browser', $5, $6)`, base64.RawURLEncoding.EncodeToString(sum[:]), id, p.ID,
		now.Unix(), base64.RawStdEncoding.EncodeToString(data), now.Add(time.Hour).Unix()))
	p.cookie = p.cookieName() + "=" + token
	return id
}

// try is a try to sign in, without the cookie.
func (w *world) try(email, password string, headers ...string) *answer {
	w.t.Helper()
	headers = append([]string{"Cookie", "", "Authorization", ""}, headers...)
	return w.do("POST", "/session", encode(w.t, map[string]string{"email": email, "password": password}), headers...)
}

// carry lets requests from now on carry the cookie that an answer set.
func (p *person) carry(a *answer) {
	p.t.Helper()
	cookie, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	must(p.t, err)
	p.cookie = cookie.Name + "=" + cookie.Value
}

// becomes gives the person a role past the API, where the last owner may become another.
func (p *person) becomes(role people.Role) {
	p.t.Helper()
	must(p.t, p.exec(`UPDATE admins SET role = $1 WHERE id = $2`, string(role), p.ID))
}

func TestAdmins(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var bo, cy adminclient.AdminCreated
		a := w.do("POST", "/admins", `{"email":" Bo@Example.COM ","role":"owner"}`).is(201).into(&bo)
		if bo.Email != "bo@example.com" || bo.Role != "owner" || !bo.OneTimePassword || bo.LastSignInAt != nil || len(*bo.Password) != 26 {
			t.Errorf("created %+v", bo)
		}
		if got := a.header.Get("Location"); got != "/admin/v1/admins/"+bo.ID {
			t.Errorf("Location = %q", got)
		}
		a = w.do("POST", "/admins", `{"email":"cy@example.com","role":"viewer","password":"`+password+`"}`).is(201).into(&cy)
		if cy.OneTimePassword || cy.Password != nil || strings.Contains(string(a.body), password) {
			t.Errorf("created with a password: %s", a.body)
		}
		read := w.do("GET", "/admins/"+cy.ID, "").is(200)
		wantJSON(t, string(read.body), string(a.body))
		if read.header.Get("ETag") != a.header.Get("ETag") {
			t.Errorf("ETag = %q, and %q when it was created", read.header.Get("ETag"), a.header.Get("ETag"))
		}
		if ids, pages := w.walk("/admins", "id", 1); len(ids) != 2 || pages != 2 {
			t.Errorf("the list has %v in %d pages", ids, pages)
		}

		for _, tt := range []struct {
			body, kind, field string
			status            int
		}{
			{`{"email":"BO@example.com","role":"viewer","password":"` + password + `"}`, "taken", "", 409},
			{`{"email":"x","role":"viewer","password":"` + password + `"}`, "invalid", "/email", 422},
			{`{"email":"x@example.com","role":"viewer","password":"short"}`, "invalid", "/password", 422},
			{`{"email":"x@example.com","role":"viewer","password":"x@example.com, yes"}`, "invalid", "/password", 422},
			{`{"email":"x@example.com","role":"viewer","password":""}`, "invalid", "/password", 422},
			{`{"email":"x@example.com"}`, "invalid", "/role", 422},
			{`{"role":"viewer"}`, "invalid", "/email", 422},
			{`{"email":"x@example.com","role":"viewer","id":"x"}`, "malformed", "/id", 400},
			{`{"email":"x@example.com","role":"viewer","one_time_password":false}`, "malformed", "/one_time_password", 400},
			{`{"email":"x@example.com","role":"viewer","password_hash":"x"}`, "malformed", "/password_hash", 400},
		} {
			fields := strings.Fields(tt.field)
			w.do("POST", "/admins", tt.body).isProblem(tt.status, tt.kind, fields...)
		}
		for _, tt := range []struct {
			body, kind, field string
			status            int
		}{
			{`{"role":null}`, "invalid", "/role", 422},
			{`{"role":"Owner"}`, "invalid", "/role", 422},
			{`{"email":"y@example.com"}`, "malformed", "/email", 400},
			{`{"password":"` + password + `"}`, "malformed", "/password", 400},
			{`{"one_time_password":false}`, "malformed", "/one_time_password", 400},
		} {
			w.do("PATCH", "/admins/"+cy.ID, tt.body).isProblem(tt.status, tt.kind, tt.field)
		}

		w.do("PATCH", "/admins/"+bo.ID, `{"role":"admin"}`).isProblem(409, "last-owner")
		w.do("DELETE", "/admins/"+bo.ID, "").isProblem(409, "last-owner")
		w.do("DELETE", "/admins/"+bo.ID+"?dry_run=true", "").isProblem(409, "last-owner")
		wantJSON(t, w.do("PATCH", "/admins/"+cy.ID, `{"role":"owner"}`).is(200).member("role"), `"owner"`)
		var p adminclient.Preview
		w.do("DELETE", "/admins/"+bo.ID+"?dry_run=true", "").is(200).into(&p)
		if p.Kind != "admin" || p.ID != bo.ID || *p.Name != "bo@example.com" {
			t.Errorf("dry run = %+v", p)
		}
		w.do("DELETE", "/admins/"+bo.ID, "").is(204)
		for _, method := range []string{"GET", "DELETE"} {
			w.do(method, "/admins/"+bo.ID, "").isProblem(404, "not-found")
		}
		w.do("PATCH", "/admins/"+bo.ID, `{}`).isProblem(404, "not-found")
		w.do("POST", "/admins/"+bo.ID+"/reset-password", "").isProblem(404, "not-found")
	})
}

// A password that somebody was told opens nothing but the change of it.
func TestOneTimePassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		var reset adminclient.OneTimePassword
		w.do("POST", "/admins/"+ann.ID+"/reset-password", "").is(200).into(&reset)
		ann.do("GET", "/session", "").isProblem(401, "unauthenticated") // the reset ended it
		a := ann.try(ann.Email, reset.Password).is(201)
		if strings.Contains(string(a.body), reset.Password) {
			t.Errorf("the answer has the password: %s", a.body)
		}
		ann.carry(a)
		wantJSON(t, string(ann.do("GET", "/session", "").is(200).into(&struct{ adminclient.Session }{}).body), string(a.body))
		ann.do("GET", "/clients", "").isProblem(403, "password-change")
		ann.do("GET", "/sessions", "").isProblem(403, "password-change")

		change := func(current, chosen string) *answer {
			return ann.do("POST", "/session/password", encode(t, map[string]string{"current_password": current, "new_password": chosen}))
		}
		change(reset.Password, "short").isProblem(422, "invalid", "/new_password")
		change(reset.Password, reset.Password).isProblem(422, "invalid", "/new_password")
		change(reset.Password, "ann@example.com!").isProblem(422, "invalid", "/new_password")
		change("not this one, no", "another good one").isProblem(422, "invalid", "/current_password")
		ann.do("POST", "/session/password", `{"new_password":"another good one"}`).isProblem(422, "invalid", "/current_password")
		ann.do("GET", "/clients", "").isProblem(403, "password-change")
		change(reset.Password, "another good one").is(204)
		ann.do("GET", "/clients", "").is(200)

		must(t, w.exec(`UPDATE sign_in_failures SET failures = 30, blocked_until = $1`, time.Now().Add(time.Minute).Unix()))
		must(t, w.exec(`INSERT INTO sign_in_failures (subject, failures, last_at, blocked_until, refusal_recorded) VALUES ($1, 30, $2, $3, TRUE)`,
			"password "+ann.ID, time.Now().Unix(), time.Now().Add(time.Minute).Unix()))
		if wait := change("another good one", password).isProblem(429, "too-many").header.Get("Retry-After"); wait == "" {
			t.Error("429 without Retry-After")
		}
	})
}

// Who signs in gets a cookie that no script and no other site can use, with a value that
// nobody had before.
func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Admin)
		planted := w.cookieName() + "=" + strings.Repeat("A", 43)
		a := ann.try("ANN@example.com", password, "Cookie", planted, "User-Agent", "a browser")
		a.is(201)
		flags := regexp.MustCompile(`^__Host-wardkey=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; Secure; SameSite=Lax$`)
		if got := a.header.Values("Set-Cookie"); len(got) != 1 || !flags.MatchString(got[0]) || strings.Contains(got[0], "AAAA") {
			t.Fatalf("Set-Cookie = %q", got)
		}
		ann.carry(a)
		var s adminclient.Session
		if a.into(&s); !s.Current || s.Admin.ID != ann.ID || s.Admin.LastSignInAt == nil || s.IP != "127.0.0.1" || s.UserAgent != "a browser" {
			t.Errorf("the session is %+v", s)
		}
		if !s.ExpiresAt.Equal(s.SeenAt.Add(time.Hour)) && s.ExpiresAt.Sub(s.SeenAt.Add(time.Hour)).Abs() > 2*time.Second {
			t.Errorf("the session ends at %v, want an hour after %v", s.ExpiresAt, s.SeenAt)
		}
		ann.do("GET", "/session", "").is(200)
		ann.do("GET", "/session", "", "Cookie", planted).isProblem(401, "unauthenticated")
		if text := string(a.body) + w.log.String(); strings.Contains(text, strings.SplitN(ann.cookie, "=", 2)[1]) || strings.Contains(text, password) {
			t.Error("the cookie or the password is in the body, or in the log")
		}

		// Signing in again ends the session that the browser had.
		old := ann.cookie
		ann.carry(ann.try(ann.Email, password, "Cookie", old).is(201))
		if ann.cookie == old {
			t.Error("a second sign-in gave the same cookie")
		}
		ann.do("GET", "/session", "", "Cookie", old).isProblem(401, "unauthenticated")
		if ids, _ := ann.walk("/sessions", "id", 1); len(ids) != 1 {
			t.Errorf("there are the sessions %v, want one", ids)
		}

		// Without TLS there is no __Host- and no Secure.
		w.Sessions = people.NewSessions(w.People, false)
		ann.url = w.serve()
		plain := regexp.MustCompile(`^wardkey=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Lax$`)
		if a := ann.signIn(); !plain.MatchString(a.header.Get("Set-Cookie")) {
			t.Errorf("without TLS Set-Cookie = %q", a.header.Get("Set-Cookie"))
		}
		ann.do("GET", "/session", "").is(200)
	})
}

// Whoever cannot sign in learns nothing about who can.
func TestSignInRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		wrong := ann.try(ann.Email, "not this one, no").isProblem(401, "unauthenticated")
		unknown := ann.try("nobody@example.com", "not this one, no").isProblem(401, "unauthenticated")
		if a, b := plain(wrong), plain(unknown); a != b {
			t.Errorf("wrong is answered with\n%s\nunknown with\n%s", a, b)
		}
		if wrong.header.Get("Set-Cookie") != "" {
			t.Error("a failure sets a cookie")
		}
		for _, body := range []string{`{"email":"ann@example.com"}`, `{"email":"ann@example.com","password":null}`} {
			w.do("POST", "/session", body).isProblem(422, "invalid", "/password")
		}
		w.do("POST", "/session", `{"email":"a","password":"b","remember":true}`).isProblem(400, "malformed", "/remember")
		w.do("POST", "/session", "").isProblem(400, "malformed")
		w.do("POST", "/session", "email=a&password=b", "Content-Type", "application/x-www-form-urlencoded").isProblem(415, "unsupported-media-type")

		// After some failures in a row tries must wait, right ones too, and those of nobody.
		must(t, w.exec(`UPDATE sign_in_failures SET failures = 20, blocked_until = $1`, time.Now().Add(30*time.Second).Unix()))
		early, none := ann.try(ann.Email, password).isProblem(429, "too-many"), ann.try("nobody@example.com", password).isProblem(429, "too-many")
		if wait := early.header.Get("Retry-After"); wait != "30" && wait != "29" || plain(early) != plain(none) {
			t.Errorf("Retry-After = %q;\n%s\nof nobody\n%s", wait, plain(early), plain(none))
		}
	})
}

// plain is an answer without what differs from request to request.
func plain(a *answer) string {
	header := a.header.Clone()
	header.Del("Date")
	header.Del("X-Request-Id")
	var text strings.Builder
	_ = header.Write(&text) // a builder takes everything
	return text.String() + strings.ReplaceAll(string(a.body), a.header.Get("X-Request-Id"), "")
}

// Who may do what, for every operation of the document.
func TestRoles(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		own := func(op operation) bool { return op.path == "/session" || op.path == "/session/password" }
		reads := func(op operation) bool { return op.method == "GET" || op.path == "/sessions/{id}" }
		signIn := func(op operation) bool { return op.OperationID == "signIn" }
		reader := w.client("reader", "read")
		for _, who := range []struct {
			name    string
			prepare func()
			raw     string // a token; "" for the session
			may     func(operation) bool
			kind    string // of the refusal
		}{
			{"an owner", func() { ann.becomes(people.Owner) }, "", func(operation) bool { return true }, ""},
			{"an admin", func() { ann.becomes(people.Admin) }, "", func(op operation) bool {
				return own(op) || reads(op) || !strings.HasPrefix(op.path, "/admins")
			}, "insufficient-scope"},
			{"a viewer", func() { ann.becomes(people.Viewer) }, "", func(op operation) bool { return own(op) || reads(op) }, "insufficient-scope"},
			{"a viewer's token", func() {}, w.token(reader, "wardkey:read"), func(op operation) bool { return op.method == "GET" || signIn(op) }, "insufficient-scope"},
			{"a token", func() {}, w.raw, func(operation) bool { return true }, ""},
			{"one with a one-time password", func() {
				ann.becomes(people.Owner)
				must(t, w.exec(`UPDATE admins SET one_time_password = TRUE`))
			}, "", own, "password-change"},
			{"one with an ended session", func() { must(t, w.exec(`UPDATE sessions SET expires_at = 1`)) }, "", signIn, "unauthenticated"},
		} {
			who.prepare()
			for _, op := range theDocument().operations() {
				headers := []string{"Cookie", ann.cookie, "Authorization", ""}
				if who.raw != "" {
					headers = []string{"Authorization", "Bearer " + who.raw}
				}
				a := w.do(op.method, harmless(op), bodyOf(op), headers...)
				refused := a.status == 401 || a.status == 403
				if refused == who.may(op) {
					t.Errorf("%s: %s = %d %s", who.name, op.OperationID, a.status, a.body)
				}
				if refused && !strings.HasSuffix(a.problem().Type, ":"+who.kind) {
					t.Errorf("%s: %s is refused with %s, want %s", who.name, op.OperationID, a.problem().Type, who.kind)
				}
			}
		}
	})
}

// Who may do everything but change admins gets no client that may change them.
func TestAdminsMakeNoOwners(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		ann := w.person("ann@example.com", people.Admin)
		ann.arrive()
		reader := ann.do("POST", "/clients", `{"name":"n","sections":[],"permissions":{"wardkey":["read"]}}`).is(201)
		var made adminclient.ClientCreated
		reader.into(&made)
		plain := "/clients/" + made.ID
		root := "/clients/" + w.root.ID
		for _, tt := range []struct{ method, path, body string }{
			{"POST", "/clients", `{"name":"n","sections":[],"permissions":{"wardkey":["read","write"]}}`},
			{"PATCH", plain, `{"permissions":{"wardkey":["write"]}}`},
			{"PATCH", root, `{"name":"mine"}`},
			{"PATCH", root, `{"permissions":{"wardkey":["read"]}}`},
			{"POST", root + "/secrets", ``},
			{"POST", root + "/cancel-rotation", ``},
		} {
			ann.do(tt.method, tt.path, tt.body).isProblem(403, "insufficient-scope")
		}
		ann.do("PATCH", plain, `{"name":"another"}`).is(200)
		ann.do("POST", plain+"/secrets", ``).is(201)
		ann.becomes(people.Owner)
		ann.do("PATCH", plain, `{"permissions":{"wardkey":["write"]}}`).is(200)
		ann.do("POST", root+"/secrets", ``).is(201)
	})
}

// Texts that no database takes the same are refused, whatever the parameter.
func TestParametersAreText(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, path := range []string{
			"/audit-events?actor=%00", "/audit-events?action=%ff", "/refusals?cause=%00", "/clients?section=%00",
			"/clients?permission=%00:%00", "/clients?q=%ff", "/sessions?admin=%00", "/deleted-clients?q=%00",
		} {
			w.do("GET", path, "").isProblem(400, "malformed")
		}
	})
}

// harmless is the path of an operation on what is not there, so that it does nothing.
func harmless(op operation) string {
	path := regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(op.path, "nothing")
	if op.method == "DELETE" && !strings.Contains(path, "nothing") {
		path += "?mistyped=true"
	}
	return path
}

// bodyOf is one that the operation refuses, "" for one that takes none.
func bodyOf(op operation) string {
	if op.RequestBody == nil {
		return ""
	}
	return `{"mistyped":true}`
}

// What becomes of a person counts from the next request on.
func TestPersonsChange(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann, bo := w.person("ann@example.com", people.Owner), w.person("bo@example.com", people.Owner)
		bo.arrive()
		create := func(id string) *answer { return bo.do("POST", "/sections", `{"id":"`+id+`","name":"n"}`) }
		create("a").is(201)
		w.do("PATCH", "/admins/"+bo.ID, `{"role":"viewer"}`).is(200)
		create("b").isProblem(403, "insufficient-scope")
		w.do("PATCH", "/admins/"+bo.ID, `{"role":"admin"}`).is(200)
		create("b").is(201)
		bo.do("DELETE", "/admins/"+ann.ID, "").isProblem(403, "insufficient-scope")
		bo.do("PATCH", "/admins/"+bo.ID, `{"role":"owner"}`).isProblem(403, "insufficient-scope")
		w.do("DELETE", "/admins/"+bo.ID, "").is(204)
		create("c").isProblem(401, "unauthenticated")
	})
}

// Sessions are seen and ended by whom they belong to, and by owners.
func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann, bo := w.person("ann@example.com", people.Owner), w.person("bo@example.com", people.Viewer)
		other := ann.elsewhere()
		first := ann.arrive()
		second := other.arrive()
		bos := bo.arrive()

		for _, tt := range []struct {
			who  *world
			path string
			want []string
		}{
			{ann.world, "/sessions", []string{first, second, bos}},
			{ann.world, "/sessions?admin=" + bo.ID, []string{bos}},
			{ann.world, "/sessions?admin=nobody", nil},
			{bo.world, "/sessions", []string{bos}},
			{bo.world, "/sessions?admin=" + bo.ID, []string{bos}},
			{w, "/sessions", []string{first, second, bos}},
		} {
			wantSame(t, tt.path, tt.who.sessions(tt.path), tt.want)
		}
		bo.do("GET", "/sessions?admin="+ann.ID, "").isProblem(403, "insufficient-scope")
		wantJSON(t, ann.do("GET", "/session", "").member("current"), "true")

		bo.do("DELETE", "/sessions/"+first, "").isProblem(404, "not-found") // as if it were not there
		ann.do("DELETE", "/sessions/"+second, "").is(204)
		other.do("GET", "/session", "").isProblem(401, "unauthenticated")
		ann.do("DELETE", "/sessions/"+second, "").isProblem(404, "not-found")
		w.do("DELETE", "/sessions/"+bos, "").is(204)
		bo.do("GET", "/session", "").isProblem(401, "unauthenticated")

		for _, query := range []string{"dry_run=true", "dry-run=true"} { // they know no dry run, and so must not pass over one
			ann.do("DELETE", "/session?"+query, "").isProblem(400, "malformed")
			ann.do("DELETE", "/sessions/"+first+"?"+query, "").isProblem(400, "malformed")
		}
		a := ann.do("DELETE", "/session", "").is(204)
		if got := a.header.Get("Set-Cookie"); got != "__Host-wardkey=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
			t.Errorf("signing out sets the cookie %q", got)
		}
		ann.do("GET", "/session", "").isProblem(401, "unauthenticated")

		w.do("GET", "/session", "").isProblem(404, "not-found")
		w.do("DELETE", "/session", "").isProblem(404, "not-found")
		w.do("POST", "/session/password", `{"current_password":"a","new_password":"b"}`).isProblem(404, "not-found")
	})
}

func (w *world) sessions(path string) (ids []string) {
	w.t.Helper()
	var list adminclient.SessionList
	w.do("GET", path, "").is(200).into(&list)
	for _, s := range list.Items {
		ids = append(ids, s.ID)
	}
	return ids
}

// Pages of other origins can do nothing in the name of who is signed in, nor sign anybody in
//
func TestCrossOrigin(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		host, err := url.Parse(w.url)
		must(t, err)
		for _, tt := range []struct {
			header, value string
			good          bool
		}{
			{"Sec-Fetch-Site", "same-origin", true},
			{"Sec-Fetch-Site", "none", true}, // typed by the person
			{"Sec-Fetch-Site", "cross-site", false},
			{"Sec-Fetch-Site", "same-site", false}, // another host of the domain
			{"Origin", "http://" + host.Host, true},
			{"Origin", "http://evil.example", false},
			{"Origin", "http://" + host.Hostname(), false}, // another port
			{"Origin", "null", false},
		} {
			for _, r := range []struct{ method, path, body string }{
				{"POST", "/session", `{"mistyped":true}`},
				{"DELETE", "/session", ""},
				{"POST", "/session/password", `{"mistyped":true}`},
				{"POST", "/clients", `{"mistyped":true}`},
				{"PATCH", "/clients/x", `{}`},
				{"DELETE", "/clients/x", ""},
				{"POST", "/clients/x/revoke-tokens", ""},
			} {
				if tt.good && r.method == "DELETE" && r.path == "/session" {
					continue // it would sign out
				}
				a := ann.do(r.method, r.path, r.body, tt.header, tt.value)
				if (a.status != 403) != tt.good {
					t.Errorf("%s with %s: %s = %d", a.what, tt.header, tt.value, a.status)
				}
			}
			ann.do("GET", "/clients", "", tt.header, tt.value).is(200)
			w.do("POST", "/sections", `{}`, tt.header, tt.value).isProblem(422, "invalid", "/id", "/name") // a token is no cookie
		}
	})
}

// Whoever sends a token is who the token says, whatever the cookie says.
func TestTokenBesideCookie(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		reader := w.client("reader", "read")
		bearer := "Bearer " + w.token(reader, "wardkey:read")
		ann.do("GET", "/clients", "", "Authorization", bearer).is(200)
		ann.do("POST", "/sections", `{"id":"a","name":"n"}`, "Authorization", bearer).isProblem(403, "insufficient-scope")
		ann.do("GET", "/session", "", "Authorization", bearer).isProblem(404, "not-found")
		for _, bad := range []string{"Bearer x", "Basic dTpw", "Bearer", "x"} {
			ann.do("GET", "/clients", "", "Authorization", bad).isProblem(401, "unauthenticated")
		}
		for _, a := range []*answer{w.do("GET", "/clients", ""), w.do("POST", "/sections", `{"id":"a","name":"n"}`), w.do("GET", "/clients", "", "Authorization", "")} {
			if got := a.header.Get("Set-Cookie"); got != "" {
				t.Errorf("%s sets the cookie %q", a.what, got)
			}
		}
	})
}

// A session that cannot be looked for is not one that has ended: nobody is sent to sign in again.
func TestSessionStoreAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		must(t, w.exec(`ALTER TABLE sessions RENAME TO sessions_away`))
		a := ann.do("GET", "/clients", "").isProblem(503, "unavailable")
		if a.header.Get("Retry-After") == "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("Retry-After = %q, Set-Cookie = %q", a.header.Get("Retry-After"), a.header.Get("Set-Cookie"))
		}
		must(t, w.exec(`ALTER TABLE sessions_away RENAME TO sessions`))
		ann.do("GET", "/clients", "").is(200)
	})
}
