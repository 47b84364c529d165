package admin_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/people"
)

// head is the number of the last event.
func (w *world) head() (seq int64) {
	w.t.Helper()
	must(w.t, w.DB.QueryRow(w.t.Context(), `SELECT seq FROM audit_head WHERE id = 1`).Scan(&seq))
	return seq
}

// since are the events after one, oldest first.
func (w *world) since(seq int64) []adminclient.AuditEvent {
	w.t.Helper()
	var list adminclient.AuditEventList
	r := *w
	r.cookie = "" // whoever acted, root reads
	r.do("GET", "/audit-events?limit=200", "").is(200).into(&list)
	events := slices.DeleteFunc(list.Items, func(e adminclient.AuditEvent) bool { return e.Seq <= seq })
	slices.Reverse(events)
	return events
}

// told is an event in a line: what was done to what, of which client, and what that changed.
func told(e adminclient.AuditEvent) string {
	changes := map[string]audit.Change{} // in which before comes first
	for member, c := range e.Changes {
		changes[member] = audit.Change{Before: c.Before, After: c.After, Taken: c.Taken}
	}
	text, err := json.Marshal(changes)
	if err != nil {
		panic(err)
	}
	line := e.Action + " " + strings.TrimSpace(e.Target.Kind+" "+e.Target.ID+" "+deref(e.Target.Name))
	if e.ClientID != nil {
		line += " of " + *e.ClientID
	}
	return line + " " + string(text)
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// wantEvents checks what was written after an event, in whichever order one act wrote it. What
// changes from run to run stands as a word of names.
func (w *world) wantEvents(seq int64, names *strings.Replacer, want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.since(seq) {
		got = append(got, moments.ReplaceAllString(names.Replace(told(e)), "TIME"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

var moments = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`)

// Each act on Sections, keyspaces and capabilities writes what it did, and what it took from whom.
func TestActsOnWhatMayBeAskedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		both := w.register(`{"name":"both","sections":["nordic","baltic"],"permissions":{"email":["read","write"],"transactional-email":["send"]}}`).ID
		narrow := w.register(`{"name":"narrow","sections":["nordic"],"permissions":{"crm-id":["read"]}}`).ID
		names := strings.NewReplacer(both, "BOTH", narrow, "NARROW")
		for _, tt := range []struct {
			method, path, body string
			want               []string
		}{
			{"POST", "/sections", `{"id":"gulf","name":"Gulf"}`, []string{`section.create section gulf Gulf {"name":{"after":"Gulf"}}`}},
			{"PATCH", "/sections/gulf", `{"name":"Bay"}`, []string{`section.update section gulf Bay {"name":{"before":"Gulf","after":"Bay"}}`}},
			{"PATCH", "/sections/gulf", `{"name":"Bay"}`, nil}, // changes nothing
			{"PATCH", "/sections/gulf", `{}`, nil},
			{"DELETE", "/sections/gulf", "", []string{`section.delete section gulf Bay {"name":{"before":"Bay"}}`}},
			{"DELETE", "/sections/nordic", "", []string{
				`section.delete section nordic Nordic {"name":{"before":"Nordic"}}`,
				`client.update client BOTH both of BOTH {"sections":{"taken":["nordic"]}}`,
				`client.delete client NARROW narrow of NARROW {"name":{"before":"narrow"}}`,
			}},
			{"POST", "/keyspaces", `{"id":"phone","name":"Phone"}`, []string{
				`keyspace.create keyspace phone Phone {"actions":{"after":["read","write"]},"name":{"after":"Phone"}}`,
			}},
			{"PATCH", "/keyspaces/email", `{"name":"Mail","actions":["delete","read"]}`, []string{
				`keyspace.update keyspace email Mail {"actions":{"before":["delete","read","write"],"after":["delete","read"]},"name":{"before":"E-mail","after":"Mail"}}`,
				`client.update client BOTH both of BOTH {"permissions":{"taken":{"email":["write"]}}}`,
			}},
			{"DELETE", "/keyspaces/email", "", []string{
				`keyspace.delete keyspace email Mail {"actions":{"before":["delete","read"]},"name":{"before":"Mail"}}`,
				`client.update client BOTH both of BOTH {"permissions":{"taken":{"email":["read"]}}}`,
			}},
			{"POST", "/capabilities", `{"id":"push","name":"Push","actions":["send"]}`, []string{
				`capability.create capability push Push {"actions":{"after":["send"]},"enabled":{"after":false},"name":{"after":"Push"}}`,
			}},
			{"PATCH", "/capabilities/push", `{"enabled":true}`, []string{`capability.update capability push Push {"enabled":{"before":false,"after":true}}`}},
			{"PATCH", "/capabilities/transactional-email", `{"actions":["receive"]}`, []string{
				`capability.update capability transactional-email Transactional e-mail {"actions":{"before":["send"],"after":["receive"]}}`,
				`client.update client BOTH both of BOTH {"permissions":{"taken":{"transactional-email":["send"]}}}`,
			}},
			{"DELETE", "/capabilities/push", "", []string{
				`capability.delete capability push Push {"actions":{"before":["send"]},"enabled":{"before":true},"name":{"before":"Push"}}`,
			}},
		} {
			last := w.head()
			if tt.method == "DELETE" {
				w.do("DELETE", tt.path+"?dry_run=true", "").is(200)
				w.wantEvents(last, names) // a dry run writes nothing
			}
			a := w.do(tt.method, tt.path, tt.body)
			if a.status >= 300 {
				a.is(200)
			}
			w.wantEvents(last, names, tt.want...)
			w.wantOrigin(last, a, audit.Actor{Kind: audit.Client, ID: w.root.ID, Name: "root"})
		}
	})
}

// wantOrigin checks who did what came after an event, from where and in which request.
func (w *world) wantOrigin(seq int64, a *answer, by audit.Actor) {
	w.t.Helper()
	for _, e := range w.since(seq) {
		if got := (audit.Actor{Kind: string(e.Actor.Kind), ID: e.Actor.ID, Name: deref(e.Actor.Name)}); got != by {
			w.t.Errorf("%s: %s is by %q, want %q", a.what, e.Action, []string{got.Kind, got.ID, got.Name}, []string{by.Kind, by.ID, by.Name})
		}
		if deref(e.IP) != "127.0.0.1" || deref(e.RequestID) != a.header.Get("X-Request-Id") || time.Since(e.At).Abs() > time.Minute {
			w.t.Errorf("%s: %s is of %s from %s in request %s", a.what, e.Action, e.At, deref(e.IP), deref(e.RequestID))
		}
	}
}

// Each act on clients and their secrets.
func TestActsOnClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		last := w.head()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]},"token_lifetime":600,"disabled":true}`)
		names := strings.NewReplacer(c.ID, "CLIENT", c.Secrets[0].ID, "SECRET", c.Secrets[0].Hint, "HINT")
		first := `{"created_at":"TIME","expires_at":null,"hint":"HINT","id":"SECRET","last_used_at":null}`
		w.wantEvents(last, names, `client.create client CLIENT n of CLIENT {"audiences":{"after":[]},"description":{"after":""},"disabled":{"after":true},"keep_unused":{"after":false},"limits":{"after":{"burst":null,"per_day":null,"per_minute":null}},`+
			`"name":{"after":"n"},"permissions":{"after":{"email":["read"]}},"plan":{"after":"none"},"secrets":{"after":[`+first+`]},"sections":{"after":["nordic"]},"token_lifetime":{"after":600}}`)

		end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		for _, tt := range []struct{ body, want string }{
			{`{"name":"m","disabled":null,"token_lifetime":null}`, `{"disabled":{"before":true,"after":false},"name":{"before":"n","after":"m"},"token_lifetime":{"before":600}}`},
			{`{"permissions":{"crm-id":["read"]}}`, `{"permissions":{"before":{"email":["read"]},"after":{"crm-id":["read"],"email":["read"]}}}`},
			{`{"sections":["*"],"expires_at":"` + end + `"}`, `{"expires_at":{"after":"TIME"},"sections":{"before":["nordic"],"after":["*"]}}`},
			{`{"name":"n","description":"d"}`, `{"description":{"before":"","after":"d"},"name":{"before":"m","after":"n"}}`},
		} {
			last = w.head()
			w.do("PATCH", "/clients/"+c.ID, tt.body).is(200)
			name := "n"
			if strings.Contains(tt.want, "crm-id") || strings.Contains(tt.want, "expires_at") || strings.Contains(tt.want, `"after":"m"`) {
				name = "m"
			}
			w.wantEvents(last, names, `client.update client CLIENT `+name+` of CLIENT `+tt.want)
		}

		last = w.head()
		w.do("POST", "/clients/"+c.ID+"/revoke-tokens", "").is(204)
		w.wantEvents(last, names, `client.revoke_tokens client CLIENT n of CLIENT {}`)

		last = w.head()
		a := w.do("DELETE", "/clients/"+c.ID, "").is(204)
		w.wantOrigin(last, a, audit.Actor{Kind: audit.Client, ID: w.root.ID, Name: "root"})
		w.wantEvents(last, names, `client.delete client CLIENT n of CLIENT {"audiences":{"before":[]},"description":{"before":"d"},"disabled":{"before":false},"expires_at":{"before":"TIME"},"keep_unused":{"before":false},"limits":{"before":{"burst":null,"per_day":null,"per_minute":null}},`+
			`"name":{"before":"n"},"permissions":{"before":{"crm-id":["read"],"email":["read"]}},"plan":{"before":"none"},"secrets":{"before":[`+first+`]},"sections":{"before":["*"]}}`)
	})
}

func TestActsOnSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		path := "/clients/" + c.ID
		add := func(body string) adminclient.SecretCreated {
			var s adminclient.SecretCreated
			w.do("POST", path+"/secrets", body).is(201).into(&s)
			return s
		}
		last := w.head()
		second := add(`{"overlap":3600}`)
		names := strings.NewReplacer(c.ID, "CLIENT", c.Secrets[0].ID, "FIRST", second.ID, "SECOND", c.Secrets[0].Hint, "HINT", second.Hint, "OTHER")
		w.wantEvents(last, names,
			`secret.create secret SECOND OTHER of CLIENT {"hint":{"after":"OTHER"}}`,
			`secret.update secret FIRST HINT of CLIENT {"expires_at":{"after":"TIME"}}`)
		last = w.head()
		w.do("POST", path+"/cancel-rotation", "").is(200)
		w.wantEvents(last, names,
			`secret.delete secret SECOND OTHER of CLIENT {"hint":{"before":"OTHER"}}`,
			`secret.update secret FIRST HINT of CLIENT {"expires_at":{"before":"TIME"}}`)
		last = w.head()
		third := add("")
		names = strings.NewReplacer(c.ID, "CLIENT", third.ID, "THIRD", third.Hint, "HINT")
		w.do("DELETE", path+"/secrets/"+third.ID, "").is(204)
		w.wantEvents(last, names,
			`secret.create secret THIRD HINT of CLIENT {"hint":{"after":"HINT"}}`,
			`secret.delete secret THIRD HINT of CLIENT {"hint":{"before":"HINT"}}`)
	})
}

func TestActsOnSigningKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.keys()[0].Kid
		last := w.head()
		var next adminclient.SigningKey
		w.do("POST", "/signing-keys/rotate", `{"now":true}`).is(201).into(&next)
		names := strings.NewReplacer(first, "FIRST", next.Kid, "NEXT")
		w.wantEvents(last, names,
			`signing_key.create signing_key NEXT ES256 {"activated_at":{"after":"TIME"},"activates_at":{"after":"TIME"},"alg":{"after":"ES256"},"kid":{"after":"NEXT"},"state":{"after":"active"}}`,
			`signing_key.retire signing_key FIRST ES256 {"removes_at":{"after":"TIME"},"retired_at":{"after":"TIME"},"state":{"before":"active","after":"retired"}}`)
		last = w.head()
		w.do("DELETE", "/signing-keys/"+first+"?dry_run=true", "").is(200)
		w.wantEvents(last, names)
		w.do("DELETE", "/signing-keys/"+next.Kid, "").is(204)
		w.raw = w.token(w.root, "wardkey:write") // the old one was signed by the first
		var acts []string
		for _, e := range w.since(last) {
			acts = append(acts, e.Action)
		}
		if slices.Sort(acts); !slices.Equal(acts, []string{"signing_key.create", "signing_key.delete"}) {
			t.Errorf("deleting the key that signs wrote %v, want that it was deleted and another created", acts)
		}
	})
}

// What persons do is theirs, by id and e-mail.
func TestActsOfPersons(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ann := w.person("ann@example.com", people.Owner)
		last := w.head()
		ann.signIn()
		by := audit.Actor{Kind: audit.Admin, ID: ann.ID, Name: "ann@example.com"}
		var session adminclient.Session
		ann.do("GET", "/session", "").is(200).into(&session)
		names := strings.NewReplacer(ann.ID, "ANN", session.ID, "SESSION")
		w.wantEvents(last, names, `session.sign_in session SESSION ann@example.com {}`)

		last = w.head()
		var bo adminclient.AdminCreated
		a := ann.do("POST", "/admins", `{"email":"bo@example.com","role":"viewer","password":"correct horse battery"}`).is(201).into(&bo)
		names = strings.NewReplacer(ann.ID, "ANN", bo.ID, "BO", session.ID, "SESSION")
		w.wantEvents(last, names, `admin.create admin BO bo@example.com {"email":{"after":"bo@example.com"},"role":{"after":"viewer"}}`)
		w.wantOrigin(last, a, by)
		for _, tt := range []struct{ method, path, body, want string }{
			{"PATCH", "/admins/" + bo.ID, `{"role":"admin"}`, `admin.update admin BO bo@example.com {"role":{"before":"viewer","after":"admin"}}`},
			{"POST", "/admins/" + bo.ID + "/reset-password", "", `admin.reset_password admin BO bo@example.com {}`},
			{"DELETE", "/admins/" + bo.ID, "", `admin.remove admin BO bo@example.com {"email":{"before":"bo@example.com"},"role":{"before":"admin"}}`},
			{"POST", "/sections", `{"id":"nordic","name":"Nordic"}`, `section.create section nordic Nordic {"name":{"after":"Nordic"}}`},
			{"POST", "/session/password", `{"current_password":"` + password + `","new_password":"another good one"}`, `admin.change_password admin ANN ann@example.com {}`},
			{"DELETE", "/session", "", `session.sign_out session SESSION ann@example.com {}`},
		} {
			last = w.head()
			if tt.method == "DELETE" && tt.path != "/session" {
				ann.do("DELETE", tt.path+"?dry_run=true", "").is(200)
				w.wantEvents(last, names)
			}
			a := ann.do(tt.method, tt.path, tt.body)
			w.wantEvents(last, names, tt.want)
			w.wantOrigin(last, a, by)
		}

		last = w.head()
		a = w.do("POST", "/session", `{"email":"ann@example.com","password":"not this one, no"}`).isProblem(401, "unauthenticated")
		w.wantEvents(last, names, `session.sign_in_failed admin ANN ann@example.com {"reason":{"after":"wrong e-mail or password"}}`)
		w.wantOrigin(last, a, audit.Actor{Kind: audit.Nobody})
	})
}

// What is refused, or fails, writes nothing.
func TestRefusedActsAreNotRecorded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		last := w.head()
		for _, tt := range []struct {
			method, path, body string
			status             int
		}{
			{"POST", "/sections", `{"id":"nordic","name":"n"}`, 409},
			{"POST", "/sections", `{"id":"N","name":"n"}`, 422},
			{"POST", "/keyspaces", `{`, 400},
			{"PATCH", "/sections/nothing", `{"name":"n"}`, 404},
			{"PATCH", "/capabilities/sms", `{"actions":[]}`, 422},
			{"POST", "/clients", `{"name":"n","sections":["x"],"permissions":{"email":["read"]}}`, 422},
			{"PATCH", "/clients/" + c.ID, `{"sections":[]}`, 422},
			{"DELETE", "/clients/x", "", 404},
			{"POST", "/clients/x/revoke-tokens", "", 404},
			{"POST", "/clients/" + c.ID + "/cancel-rotation", "", 409},
			{"POST", "/clients/" + c.ID + "/secrets", `{"overlap":-1}`, 422},
			{"DELETE", "/clients?q=n", "", 400},
			{"DELETE", "/clients?q=n&confirm=x", "", 409},
			{"POST", "/signing-keys/rotate", `{"alg":"none"}`, 422},
			{"DELETE", "/signing-keys/x", "", 404},
			{"POST", "/admins", `{"email":"x","role":"owner","password":"correct horse battery"}`, 422},
			{"PATCH", "/admins/x", `{"role":"owner"}`, 404},
			{"POST", "/admins/x/reset-password", "", 404},
			{"DELETE", "/sessions/x", "", 404},
		} {
			w.do(tt.method, tt.path, tt.body).is(tt.status)
		}
		w.do("PATCH", "/sections/nordic", `{"name":"m"}`, "If-Match", `"x"`).is(412)
		w.do("DELETE", "/keyspaces/email", "", "If-Match", `"x"`).is(412)
		w.do("POST", "/sections", `{"id":"a","name":"n"}`, "Authorization", "").is(401)
		w.wantEvents(last, strings.NewReplacer())
	})
}

// An act that cannot be recorded does not happen, whatever it is.
func TestNoActWithoutItsEvent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		w.do("POST", "/clients/"+c.ID+"/secrets", `{"overlap":3600}`).is(201)
		ann, bo := w.person("ann@example.com", people.Owner), w.person("bo@example.com", people.Viewer)
		ann.arrive()
		var session adminclient.Session
		ann.do("GET", "/session", "").is(200).into(&session)
		var found adminclient.BulkPreview
		w.do("DELETE", "/clients?q=n&dry_run=true", "").is(200).into(&found)
		kid := w.keys()[0].Kid

		before := w.contents()
		must(t, w.exec(`ALTER TABLE audit_events RENAME TO audit_events_away`))
		for _, tt := range []struct{ method, path, body string }{
			{"POST", "/sections", `{"id":"gulf","name":"n"}`},
			{"PATCH", "/sections/nordic", `{"name":"n"}`},
			{"DELETE", "/sections/nordic", ""},
			{"POST", "/keyspaces", `{"id":"phone","name":"n"}`},
			{"PATCH", "/keyspaces/email", `{"actions":["write"]}`},
			{"DELETE", "/keyspaces/email", ""},
			{"POST", "/capabilities", `{"id":"push","name":"n","actions":["send"]}`},
			{"PATCH", "/capabilities/sms", `{"enabled":true}`},
			{"DELETE", "/capabilities/sms", ""},
			{"POST", "/clients", `{"name":"m","sections":["nordic"],"permissions":{"email":["read"]}}`},
			{"PATCH", "/clients/" + c.ID, `{"name":"m"}`},
			{"DELETE", "/clients/" + c.ID, ""},
			{"DELETE", "/clients?q=n&confirm=" + found.Confirm, ""},
			{"POST", "/clients/" + c.ID + "/revoke-tokens", ""},
			{"POST", "/clients/" + c.ID + "/cancel-rotation", ""},
			{"DELETE", "/clients/" + c.ID + "/secrets/" + c.Secrets[0].ID, ""},
			{"POST", "/clients/" + w.root.ID + "/secrets", `{"overlap":0}`},
			{"POST", "/signing-keys/rotate", `{"now":true}`},
			{"POST", "/signing-keys/rotate", ""},
			{"DELETE", "/signing-keys/" + kid, ""},
			{"POST", "/admins", `{"email":"cy@example.com","role":"viewer","password":"correct horse battery"}`},
			{"PATCH", "/admins/" + bo.ID, `{"role":"owner"}`},
			{"POST", "/admins/" + bo.ID + "/reset-password", ""},
			{"DELETE", "/admins/" + bo.ID, ""},
			{"DELETE", "/sessions/" + session.ID, ""},
		} {
			w.do(tt.method, tt.path, tt.body, "Idempotency-Key", tt.method+tt.path+tt.body).isProblem(500, "internal")
			if after := w.contents(); after != before {
				t.Errorf("%s %s failed, and changed something:\n%s\nbefore\n%s", tt.method, tt.path, after, before)
				before = after
			}
		}
		ann.do("DELETE", "/session", "").isProblem(500, "internal")
		ann.do("POST", "/session/password", `{"current_password":"`+password+`","new_password":"another good one"}`).isProblem(500, "internal")
		must(t, w.exec(`DELETE FROM sign_in_failures`)) // the try was counted, which must not be taken back
		if after := w.contents(); after != before {
			t.Errorf("what a person did failed, and changed something:\n%s\nbefore\n%s", after, before)
		}
		must(t, w.exec(`ALTER TABLE audit_events_away RENAME TO audit_events`))
		if events, fault, err := w.Audit.Verify(t.Context()); fault != nil || err != nil {
			t.Errorf("Verify = %d, %v, %v", events, fault, err)
		}
	})
}

func (w *world) exec(query string, args ...any) error {
	w.t.Helper()
	_, err := w.DB.Exec(w.t.Context(), query, args...)
	return err
}

// contents is all that acts change in the database, but for the audit log, as text.
func (w *world) contents() string {
	w.t.Helper()
	var all []string
	for table, columns := range map[string]string{
		"sections": "id, name", "keyspaces": "id, name", "capabilities": "id, name, enabled",
		"clients": "id, name, status_index", "client_sections": "client_id, section_id", "client_permissions": "client_id, target, action",
		"client_secrets": "id, expires_at, revoked_at", "deleted_clients": "id", "status_entries": "position, revoked_at",
		"signing_keys": "kid, state", "admins": "id, role, password_hash", "sessions": "id", "idempotency_keys": "key_hash",
		"audit_head": "seq, hash",
	} {
		rows, err := w.DB.Query(w.t.Context(), `SELECT `+columns+` FROM `+table)
		must(w.t, err)
		for rows.Next() {
			values := make([]any, strings.Count(columns, ",")+1)
			places := make([]any, len(values))
			for i := range values {
				places[i] = &values[i]
			}
			must(w.t, rows.Scan(places...))
			all = append(all, fmt.Sprint(table, " ", values))
		}
		must(w.t, rows.Err())
		must(w.t, rows.Close())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// No event has a secret, a password or a hash of one.
func TestEventsHoldNoSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		var second adminclient.SecretCreated
		w.do("POST", "/clients/"+c.ID+"/secrets", `{"overlap":0}`).is(201).into(&second)
		var bo adminclient.AdminCreated
		w.do("POST", "/admins", `{"email":"bo@example.com","role":"viewer"}`).is(201).into(&bo)
		var reset adminclient.OneTimePassword
		w.do("POST", "/admins/"+bo.ID+"/reset-password", "").is(200).into(&reset)
		w.do("POST", "/session", `{"email":"my secret","password":"not this one, no"}`).is(401)
		w.do("DELETE", "/clients/"+c.ID, "").is(204)
		w.do("DELETE", "/admins/"+bo.ID, "").is(204)

		var log strings.Builder
		for e, err := range w.Audit.All(t.Context(), audit.Filter{}) {
			must(t, err)
			must(t, audit.Write(&log, e))
		}
		for _, secret := range []string{c.ClientSecret, c.ClientSecret[4:44], second.ClientSecret, *bo.Password, reset.Password, "my secret", "not this one, no", w.raw, "argon2", "hash_"} {
			if strings.Contains(log.String(), secret) || strings.Contains(w.log.String(), secret) {
				t.Errorf("%q is in the audit log, or in the log", secret)
			}
		}
	})
}

// A log of acts to look through: root makes Sections, ann renames one, ben deletes a client.
func TestListAuditEvents(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		ann.do("PATCH", "/sections/nordic", `{"name":"North"}`).is(200)
		ann.do("DELETE", "/clients/"+c.ID, "").is(204)
		must(t, w.exec(`DELETE FROM sessions`))
		last := w.head()

		all, _ := w.seqs("/audit-events", 3)
		if int64(len(all)) != last || all[0] != last || !slices.IsSortedFunc(all, func(a, b int64) int { return cmp.Compare(b, a) }) {
			t.Errorf("in pages of 3 the list is %v, want %d to 1", all, last)
		}
		for query, want := range map[string]int{
			"client=" + c.ID:                       2,
			"client=" + w.root.ID:                  7, // what it did
			"client=nobody":                        0,
			"actor=ann@example.com":                2,
			"actor=" + ann.ID:                      2,
			"actor=admin":                          2,
			"actor=client":                         7,
			"actor=server":                         int(last) - 9,
			"action=section.create":                2,
			"action=section":                       3,
			"action=sect":                          0,
			"action=section.":                      0,
			"action=client.delete":                 1,
			"actor=ann@example.com&action=section": 1,
			"client=" + c.ID + "&actor=" + ann.ID:  1,
			"since=2000-01-01T00:00:00Z":           int(last),
			"since=2100-01-01T00:00:00Z":           0,
			"until=2000-01-01T00:00:00Z":           0,
			"until=2100-01-01T00:00:00%2B02:00":    int(last),
			"action=%25&client=" + url.QueryEscape("' OR 1=1 --"): 0,
		} {
			listed, _ := w.seqs("/audit-events?"+query, 2)
			if len(listed) != want {
				t.Errorf("%s lists %d events, want %d", query, len(listed), want)
			}
			exported := w.exported(query)
			slices.Reverse(exported)
			if !slices.Equal(listed, exported) {
				t.Errorf("%s lists %v and exports %v", query, listed, exported)
			}
		}
		for _, query := range []string{"since=yesterday", "since=1", "limit=0", "cursor=x", "client=a&client=b"} {
			w.do("GET", "/audit-events?"+query, "").isProblem(400, "malformed")
		}
		w.do("GET", "/audit-events/export?since=yesterday", "").isProblem(400, "malformed")
	})
}

// seqs reads a list of events page by page, and returns their numbers.
func (w *world) seqs(path string, limit int) (seqs []int64, pages int) {
	w.t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	path += separator + "limit=" + strconv.Itoa(limit)
	cursor := ""
	for {
		var list adminclient.AuditEventList
		w.do("GET", path+cursor, "").is(200).into(&list)
		pages++
		for _, e := range list.Items {
			seqs = append(seqs, e.Seq)
		}
		if list.Next == nil {
			return seqs, pages
		}
		if len(list.Items) != limit {
			w.t.Errorf("%s has %d items and goes on", path, len(list.Items))
		}
		cursor = "&cursor=" + url.QueryEscape(*list.Next)
	}
}

// exported are the numbers of the events of an export, each of which must be as it is listed.
func (w *world) exported(query string) (seqs []int64) {
	w.t.Helper()
	a := w.do("GET", "/audit-events/export?"+query, "").is(200)
	if got := a.header.Get("Content-Type"); got != "application/jsonl" {
		w.t.Errorf("%s: Content-Type = %q", a.what, got)
	}
	lines := bufio.NewScanner(bytes.NewReader(a.body))
	for lines.Scan() {
		var e adminclient.AuditEvent
		must(w.t, json.Unmarshal(lines.Bytes(), &e))
		seqs = append(seqs, e.Seq)
	}
	must(w.t, lines.Err())
	return seqs
}

// A whole export can be checked without the server, and says what the list says.
func TestExportIsTheLog(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"<n> & \u00e5 \"","sections":["nordic"],"permissions":{"email":["read"]},"token_lifetime":86400}`)
		w.do("DELETE", "/clients/"+c.ID, "").is(204)
		whole := w.do("GET", "/audit-events/export", "").is(200).body
		if events, fault, err := audit.VerifyFile(bytes.NewReader(whole)); events != w.head() || fault != nil || err != nil {
			t.Errorf("VerifyFile = %d, %v, %v; want %d", events, fault, err, w.head())
		}
		var list struct{ Items []json.RawMessage }
		must(t, json.Unmarshal(w.do("GET", "/audit-events?limit=200", "").is(200).body, &list))
		slices.Reverse(list.Items)
		lines := bytes.Split(bytes.TrimSpace(whole), []byte("\n"))
		if len(lines) != len(list.Items) {
			t.Fatalf("the export has %d lines, the list %d items", len(lines), len(list.Items))
		}
		for i := range lines {
			wantJSON(t, string(list.Items[i]), string(lines[i]))
		}
		if a := w.do("GET", "/audit-events/export?client=nobody", "").is(200); len(a.body) != 0 {
			t.Errorf("an export of nothing is %q", a.body)
		}
	})
}

func TestVerifyAuditEvents(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		verify := func() (v adminclient.AuditVerification) {
			w.do("GET", "/audit-events/verification", "").is(200).into(&v)
			return v
		}
		if v := verify(); !v.Whole || v.Events != w.head() || v.Fault != nil {
			t.Errorf("verification = %+v, want %d whole", v, w.head())
		}
		must(t, w.exec(`UPDATE audit_events SET actor_id = 'somebody else' WHERE seq = 3`))
		if v := verify(); v.Whole || v.Events != 2 || v.Fault == nil || v.Fault.Seq != 3 || !strings.Contains(v.Fault.Reason, "changed") {
			t.Errorf("after event 3 was changed, verification = %+v", v)
		}
		must(t, w.exec(`DELETE FROM audit_events WHERE seq = 3`))
		if v := verify(); v.Whole || v.Fault == nil || v.Fault.Seq != 3 || !strings.Contains(v.Fault.Reason, "missing") {
			t.Errorf("after event 3 was deleted, verification = %+v", v)
		}
	})
}

// Nothing in the API changes or deletes an event.
func TestAuditEventsAreReadOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.since(0)[0].ID
		for _, path := range []string{"/audit-events", "/audit-events/export", "/audit-events/verification"} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				if allow := w.do(method, path, "").isProblem(405, "method-not-allowed").header.Get("Allow"); allow != "GET, HEAD" {
					t.Errorf("%s %s: Allow = %q", method, path, allow)
				}
			}
		}
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			w.do(method, "/audit-events/"+id, "").isProblem(404, "not-found")
		}
	})
}
