package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/tokens"
)

// A client from its registration to its end, through the generated client.
func TestClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		api := w.api()
		expires := time.Date(2035, 1, 31, 14, 0, 0, 0, time.FixedZone("", 2*60*60))
		made, err := api.CreateClientWithResponse(t.Context(), nil, adminclient.ClientCreate{
			Name: " Billing ", Description: new("Sends\ninvoices"), Sections: []string{"nordic", "baltic"},
			Permissions: adminclient.Permissions{"email": {"write", "read"}, "*": {"read"}, "transactional-email": {"send"}},
			Audiences:   []string{"https://api.example"}, TokenLifetime: new(600), SigningAlg: new("EdDSA"), ExpiresAt: &expires,
		})
		if err != nil || made.StatusCode() != 201 {
			t.Fatalf("CreateClient = %v, %d %s", err, made.StatusCode(), made.Body)
		}
		c := made.JSON201
		if got := made.HTTPResponse.Header.Get("Location"); got != "/admin/v1/clients/"+c.ID {
			t.Errorf("Location = %q", got)
		}
		if got := clients.FormOf(c.ClientSecret); got != clients.Whole {
			t.Errorf("client_secret = %q, form %v, want a whole secret", c.ClientSecret, got)
		}
		stored, err := w.Clients.Client(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if verdict, _ := stored.Authenticate(c.ClientSecret, time.Now()); verdict != clients.Authenticated {
			t.Errorf("Authenticate with the secret of the answer = %q", verdict)
		}

		got, err := api.ReadClientWithResponse(t.Context(), c.ID, nil)
		if err != nil || got.StatusCode() != 200 {
			t.Fatalf("ReadClient = %v, %s", err, got.Body)
		}
		wantJSON(t, string(got.Body), fmt.Sprintf(`{"id":%q,"name":"Billing","description":"Sends\ninvoices",
			"sections":["baltic","nordic"],"permissions":{"email":["read","write"],"*":["read"],"transactional-email":["send"]},
			"audiences":["https://api.example"],"token_lifetime":600,"signing_alg":"EdDSA","plan":"none","limits":{"per_minute":null,"burst":null,"per_day":null},"disabled":false,"keep_unused":false,"suspended_at":null,
			"expires_at":"2035-01-31T12:00:00Z","created_at":%q,"created_by":"client %s","last_used_at":null,
			"secrets":[{"id":%q,"hint":%q,"created_at":%q,"last_used_at":null,"expires_at":null}]}`,
			c.ID, c.CreatedAt.Format(time.RFC3339), w.root.ID, c.Secrets[0].ID, c.ClientSecret[len(c.ClientSecret)-4:], c.CreatedAt.Format(time.RFC3339)))
		if got.HTTPResponse.Header.Get("ETag") != made.HTTPResponse.Header.Get("ETag") {
			t.Error("the ETag of the new client is not that of the client that is read")
		}

		changed, err := api.UpdateClientWithResponse(t.Context(), c.ID, nil, adminclient.Patch{
			"disabled": true, "expires_at": nil, "token_lifetime": nil, "signing_alg": nil, "audiences": nil, "description": nil, "sections": []string{"*"},
		})
		if err != nil || changed.StatusCode() != 200 {
			t.Fatalf("UpdateClient = %v, %s", err, changed.Body)
		}
		n := changed.JSON200
		if !n.Disabled || n.ExpiresAt != nil || n.TokenLifetime != nil || n.SigningAlg != nil || len(n.Audiences) != 0 || n.Description != "" || strings.Join(n.Sections, " ") != "*" || n.Name != "Billing" {
			t.Errorf("UpdateClient = %s", changed.Body)
		}
		wantJSON(t, string(w.do("GET", "/clients/"+c.ID, "").body), string(changed.Body))

		gone, err := api.DeleteClientWithResponse(t.Context(), c.ID, nil)
		if err != nil || gone.StatusCode() != 204 {
			t.Fatalf("DeleteClient = %v, %s", err, gone.Body)
		}
		w.do("GET", "/clients/"+c.ID, "").isProblem(404, "not-found")
		w.do("PATCH", "/clients/"+c.ID, `{"name":"n"}`).isProblem(404, "not-found")
		w.do("DELETE", "/clients/"+c.ID, "").isProblem(404, "not-found")
	})
}

// wantJSON compares JSON by its meaning.
func wantJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	gotText, _ := json.Marshal(g)
	wantText, _ := json.Marshal(w)
	if string(gotText) != string(wantText) {
		t.Errorf("got  %s\nwant %s", gotText, wantText)
	}
}

// The least that a client needs, and what it is given then.
func TestClientDefaults(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, body := range []string{
			`{"name":"n","sections":[],"permissions":{"wardkey":["read"]}}`,
			`{"name":"n","sections":[],"permissions":{"wardkey":["read","read"]},"description":null,"audiences":null,"token_lifetime":null,"signing_alg":null,"disabled":null,"expires_at":null}`,
		} {
			a := w.do("POST", "/clients", body).is(201)
			for member, want := range map[string]string{
				"description": `""`, "sections": `[]`, "audiences": `[]`, "token_lifetime": `null`, "signing_alg": `null`,
				"disabled": `false`, "expires_at": `null`, "last_used_at": `null`, "permissions": `{"wardkey":["read"]}`,
			} {
				if got := a.member(member); got != want {
					t.Errorf("POST %s: %s = %s, want %s", body, member, got, want)
				}
			}
		}
	})
}

// What a client must be, and which member of the body is named when it is not.
func TestRulesOfClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		valid := map[string]any{"name": "n", "sections": []string{"nordic"}, "permissions": map[string][]string{"email": {"read"}}}
		made := w.register(encode(t, valid))
		for _, tt := range []struct{ member, value, field string }{
			{"name", `""`, "/name"},
			{"name", `" \t "`, "/name"},
			{"name", `"a\u0000b"`, "/name"},
			{"name", `"a\u007fb"`, "/name"},
			{"name", `"` + strings.Repeat("x", 121) + `"`, "/name"},
			{"description", `"a\u0000b"`, "/description"},
			{"description", `"` + strings.Repeat("x", 1001) + `"`, "/description"},
			{"sections", `["nordic","atlantis"]`, "/sections/1"},
			{"sections", `["nordic","nordic"]`, "/sections/1"},
			{"sections", `["*","nordic"]`, "/sections/0"},
			{"sections", `["NORDIC"]`, "/sections/0"},
			{"sections", `["nor\u0000dic"]`, "/sections/0"},
			{"sections", `[null]`, "/sections/0"},
			{"sections", `[]`, "/sections"},
			{"permissions", `{"fax":["read"]}`, "/permissions/fax"},
			{"permissions", `{"email":["lock"]}`, "/permissions/email"},
			{"permissions", `{"email":[]}`, "/permissions/email"},
			{"permissions", `{"EMAIL":["read"]}`, "/permissions/EMAIL"},
			{"permissions", `{"section":["read"]}`, "/permissions/section"},
			{"permissions", `{"*":["lock"]}`, "/permissions/*"},
			{"permissions", `{"*":["send"]}`, "/permissions/*"},
			{"permissions", `{"email":["*"]}`, "/permissions/email"},
			{"permissions", `{"transactional-email":["read"]}`, "/permissions/transactional-email"},
			{"permissions", `{"sms":["send"]}`, "/permissions/sms"},
			{"permissions", `{"wardkey":["delete"]}`, "/permissions/wardkey"},
			{"permissions", `{"a/b~c":["read"]}`, "/permissions/a~1b~0c"},
			{"permissions", `{"\u0000":["\u0000"]}`, "/permissions/\x00"},
			{"audiences", `["https://other.example"]`, "/audiences/0"},
			{"audiences", `["https://api.example","https://api.example"]`, "/audiences/1"},
			{"audiences", `["` + audience + `"]`, "/audiences/0"},
			{"token_lifetime", `59`, "/token_lifetime"},
			{"token_lifetime", `86401`, "/token_lifetime"},
			{"token_lifetime", `0`, "/token_lifetime"},
			{"token_lifetime", `-60`, "/token_lifetime"},
			{"token_lifetime", `9223372036854775807`, "/token_lifetime"},
			{"token_lifetime", `18446744074`, "/token_lifetime"}, // a minute, where nanoseconds overflow
			{"signing_alg", `"none"`, "/signing_alg"},
			{"signing_alg", `"HS256"`, "/signing_alg"},
			{"expires_at", `"2020-01-01T00:00:00Z"`, "/expires_at"},
			{"expires_at", `"0001-01-01T00:00:00Z"`, "/expires_at"}, // Go's zero time is not "never"
			{"expires_at", `"1970-01-01T00:00:00Z"`, "/expires_at"},
		} {
			t.Run(tt.member+" "+tt.value[:min(len(tt.value), 30)], func(t *testing.T) {
				w := *w
				w.t = t
				body := map[string]any{"name": "n", "sections": []string{"nordic"}, "permissions": map[string][]string{"email": {"read"}}}
				body[tt.member] = json.RawMessage(tt.value)
				w.do("POST", "/clients", encode(t, body)).isProblem(422, "invalid", tt.field)
				w.do("PATCH", "/clients/"+made.ID, `{"`+tt.member+`":`+tt.value+`}`).isProblem(422, "invalid", tt.field)
			})
		}
		for _, member := range []string{"name", "sections", "permissions"} {
			body := map[string]any{"name": "n", "sections": []string{"nordic"}, "permissions": map[string][]string{"email": {"read"}}}
			body[member] = nil
			w.do("POST", "/clients", encode(t, body)).isProblem(422, "invalid", "/"+member)
			delete(body, member)
			w.do("POST", "/clients", encode(t, body)).isProblem(422, "invalid", "/"+member)
			w.do("PATCH", "/clients/"+made.ID, `{"`+member+`":null}`).isProblem(422, "invalid", "/"+member)
		}
		w.do("POST", "/clients", `{}`).isProblem(422, "invalid", "/name", "/permissions", "/sections")
		w.do("POST", "/clients", `{"name":"","sections":["x","y"],"permissions":{}}`).isProblem(422, "invalid", "/name", "/sections/0", "/sections/1")

		// Nothing of all that was stored.
		var list adminclient.ClientList
		w.do("GET", "/clients", "").is(200).into(&list)
		if len(list.Items) != 2 {
			t.Errorf("there are %d clients, want root and the valid one", len(list.Items))
		}
		if got := w.read(made.ID); got.Name != "n" || len(got.Sections) != 1 || len(got.Permissions) != 1 {
			t.Errorf("the valid client became %+v", got)
		}
	})
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Sections may be missing only where every permission has a meaning without them.
func TestClientsWithoutSections(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for permissions, status := range map[string]int{
			`{"wardkey":["introspect"]}`:                          201,
			`{"transactional-email":["send"]}`:                    201,
			`{"transactional-email":["send"],"wardkey":["read"]}`: 201,
			`{"transactional-email":["send"],"email":["read"]}`:   422,
			`{"*":["read"]}`: 422,
			`{}`:             422,
			`{"email":["read"],"wardkey":["read"],"transactional-email":["send"]}`: 422,
		} {
			w.do("POST", "/clients", `{"name":"n","sections":[],"permissions":`+permissions+`}`).is(status)
		}
	})
}

// Merge patches (RFC 7396) of permissions: members merge, null takes one away.
func TestPatchPermissions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for _, tt := range []struct{ patch, want string }{
			{`{}`, `{"email":["read"],"crm-id":["write"]}`},
			{`{"email":["write","write","delete"]}`, `{"email":["delete","write"],"crm-id":["write"]}`},
			{`{"email":null}`, `{"crm-id":["write"]}`},
			{`{"*":["read"],"crm-id":null}`, `{"*":["read"],"email":["read"]}`},
			{`{"fax":null}`, `{"email":["read"],"crm-id":["write"]}`}, // not held, so nothing to take away
			{`{"email":null,"crm-id":null}`, `{}`},
		} {
			c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"],"crm-id":["write"]}}`)
			a := w.do("PATCH", "/clients/"+c.ID, `{"permissions":`+tt.patch+`}`, "Content-Type", "application/merge-patch+json").is(200)
			wantJSON(t, a.member("permissions"), tt.want)
			wantJSON(t, w.do("GET", "/clients/"+c.ID, "").member("permissions"), tt.want)
		}
	})
}

// A patch changes what it names, and nothing else.
func TestPatchKeepsTheRest(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		full := `"description":"d","sections":["nordic"],"permissions":{"email":["read"]},"audiences":["https://api.example"],
			"token_lifetime":600,"signing_alg":"EdDSA","disabled":true,"expires_at":"2035-01-31T12:00:00Z"`
		c := w.register(`{"name":"n",` + full + `}`)
		for _, patch := range []string{`{}`, `{"name":"n"}`, `{"description":"d","disabled":true}`} {
			before := w.do("GET", "/clients/"+c.ID, "").is(200)
			after := w.do("PATCH", "/clients/"+c.ID, patch).is(200)
			wantJSON(t, string(after.body), string(before.body))
			wantJSON(t, string(w.do("GET", "/clients/"+c.ID, "").body), string(before.body))
			if after.header.Get("ETag") != before.header.Get("ETag") {
				t.Errorf("%s, which changes nothing, changes the ETag", patch)
			}
		}
	})
}

// What a client held before may stay, even where it could not be given anew.
func TestPatchKeepsWhatIsHeld(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":[],"permissions":{"transactional-email":["send"]}}`)
		w.do("PATCH", "/capabilities/transactional-email", `{"enabled":false}`).is(200)
		a := w.do("PATCH", "/clients/"+c.ID, `{"name":"renamed"}`).is(200)
		wantJSON(t, a.member("permissions"), `{"transactional-email":["send"]}`)
		w.do("PATCH", "/clients/"+c.ID, `{"permissions":{"sms":["send"]}}`).isProblem(422, "invalid", "/permissions/sms")

		past := time.Now().Add(-time.Hour)
		if _, err := w.DB.Exec(t.Context(), `UPDATE clients SET expires_at = $1 WHERE id = $2`, past.Unix(), c.ID); err != nil {
			t.Fatal(err)
		}
		w.do("PATCH", "/clients/"+c.ID, `{"name":"again"}`).is(200)
		w.do("PATCH", "/clients/"+c.ID, `{"expires_at":"`+past.Add(time.Minute).Format(time.RFC3339)+`"}`).isProblem(422, "invalid", "/expires_at")
	})
}

// What the server sets cannot be set by anybody else (ZF-11).
func TestReadOnlyMembers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		for _, member := range []string{"id", "created_at", "created_by", "last_used_at", "secrets", "client_secret"} {
			for _, a := range []*answer{
				w.do("PATCH", "/clients/"+c.ID, `{"`+member+`":"x"}`),
				w.do("PATCH", "/clients/"+c.ID, `{"`+member+`":null}`),
				w.do("POST", "/clients", `{"name":"n","sections":["nordic"],"permissions":{"email":["read"]},"`+member+`":"x"}`),
			} {
				p := a.isProblem(400, "malformed", "/"+member).problem()
				if !strings.Contains(p.Errors[0].Detail, "read-only") {
					t.Errorf("%s with %s: %q does not say that it is read-only", a.what, member, p.Errors[0].Detail)
				}
			}
		}
		w.do("PATCH", "/sections/nordic", `{"id":"other"}`).isProblem(400, "malformed", "/id")
		w.do("PATCH", "/keyspaces/email", `{"created_at":"2030-01-01T00:00:00Z"}`).isProblem(400, "malformed", "/created_at")
		w.do("PATCH", "/keyspaces/email", `{"enabled":true}`).isProblem(400, "malformed", "/enabled")
		w.do("PATCH", "/capabilities/sms", `{"id":"sms"}`).isProblem(400, "malformed", "/id")
	})
}

// A secret is in the answer that made it and nowhere else (ZF-01, ZF-03).
func TestSecretIsShownOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		var second adminclient.SecretCreated
		w.do("POST", "/clients/"+c.ID+"/secrets", "").is(201).into(&second)
		var seen strings.Builder
		for _, path := range []string{"/clients", "/clients/" + c.ID, "/clients/" + c.ID + "/secrets"} {
			seen.Write(w.do("GET", path, "").is(200).body)
		}
		seen.Write(w.do("PATCH", "/clients/"+c.ID, `{"name":"m"}`).is(200).body)
		seen.Write(w.do("DELETE", "/clients/"+c.ID+"?dry_run=true", "").is(200).body)
		seen.Write(w.do("POST", "/clients/"+c.ID+"/secrets", "").is(409).body)
		seen.WriteString(w.log.String())
		for _, secret := range []string{c.ClientSecret, second.ClientSecret} {
			if len(secret) != 53 || strings.Contains(seen.String(), secret) {
				t.Errorf("the secret %q is in another answer, or in the log", secret)
			}
		}
		if strings.Contains(seen.String(), "client_secret") {
			t.Error("another answer than the one that made it has a client_secret")
		}
	})
}

// A client that is given an algorithm of its own gets tokens at once: its key is there.
func TestSigningAlgHasAKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		body := `{"name":"n","sections":["nordic"],"permissions":{"email":["read"]},"signing_alg":"EdDSA"}`
		if w.Keys.Ready(tokens.EdDSA) {
			t.Fatal("there is an EdDSA key before anybody needs one")
		}
		c := w.register(body)
		if !w.Keys.Ready(tokens.EdDSA) {
			t.Error("a client signs with EdDSA, and there is no key")
		}
		w.do("PATCH", "/clients/"+c.ID, `{"signing_alg":"RS256"}`).is(200)
		if !w.Keys.Ready(tokens.RS256) {
			t.Error("a client signs with RS256 from now on, and there is no key")
		}
	})
}

func TestDeleteClientDryRun(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		var p adminclient.Preview
		w.do("DELETE", "/clients/"+c.ID+"?dry_run=true", "").is(200).into(&p)
		if !p.DryRun || p.Kind != "client" || p.ID != c.ID || *p.Name != "n" || strings.Join(p.ClientsDeleted, " ") != c.ID ||
			len(p.ClientsNarrowed) != 0 || strings.Join(p.SecretsEnded, " ") != c.Secrets[0].ID {
			t.Errorf("dry run = %+v", p)
		}
		w.read(c.ID)
		var n int
		if err := w.DB.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM deleted_clients) + (SELECT count(*) FROM status_entries WHERE revoked_at <> 0)`).Scan(&n); err != nil || n != 0 {
			t.Errorf("a dry run left %d rows, %v", n, err)
		}
		w.do("DELETE", "/clients/"+c.ID+"?dry_run=false", "").is(204)
		var by string
		if err := w.DB.QueryRow(t.Context(), `SELECT deleted_by FROM deleted_clients WHERE id = $1`, c.ID).Scan(&by); err != nil || by != "client "+w.root.ID {
			t.Errorf("deleted_by = %q, %v, want the acting client", by, err)
		}
	})
}

func TestClientIDs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, id := range []string{uuid.NewString(), "x", strings.ToUpper(w.root.ID), w.root.ID + "%00", "%ff", "a%2Fb", strings.Repeat("a", 5000)} {
			w.do("GET", "/clients/"+id, "").isProblem(404, "not-found")
			w.do("DELETE", "/clients/"+id, "").isProblem(404, "not-found")
			w.do("PATCH", "/clients/"+id, `{"name":"n"}`).isProblem(404, "not-found")
			w.do("GET", "/clients/"+id+"/secrets", "").isProblem(404, "not-found")
			w.do("POST", "/clients/"+id+"/secrets", "").isProblem(404, "not-found")
			w.do("DELETE", "/clients/"+w.root.ID+"/secrets/"+id, "").isProblem(404, "not-found")
			w.do("DELETE", "/signing-keys/"+id, "").isProblem(404, "not-found")
			w.do("GET", "/sections/"+id, "").isProblem(404, "not-found")
		}
	})
}
