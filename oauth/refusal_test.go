package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/refusals"
)

// post sends a body to the token endpoint, with headers in pairs.
func (w *world) post(body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(body))
	r.Header.Set("Content-Type", formType)
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = strings.Split(headers[i+1], "\n")
	}
	return w.do(r)
}

// why is the row that the error_id of an answer leads to.
func (w *world) why(answer *httptest.ResponseRecorder) refusals.Row {
	w.t.Helper()
	body, err := decode[errorBody](answer)
	w.must(err)
	row, at, err := w.refused.ByErrorID(w.t.Context(), body.ErrorID)
	if err != nil || time.Since(at) > time.Minute || row.Address != "192.0.2.1" {
		w.t.Fatalf("%s leads to %+v at %v, %v", answer.Body, row, at, err)
	}
	return row
}

// TestRefusalsTellWhy holds that the error_id of each refusal leads to its true cause.
func TestRefusalsTellWhy(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.tally()
		billing, mistyped := w.clients["billing"], "7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11"
		other := clients.NewSecret().Reveal()
		inBody := grant + "&client_id=" + billing.ID
		for _, tt := range []struct {
			name   string
			answer *httptest.ResponseRecorder
			cause  refusals.Cause
			detail string
			client string // that the row is of
			id     string // that it has the hash of
		}{
			{"unknown", w.ask(basic(mistyped, other)), refusals.UnknownClient, "", "", mistyped},
			{"no UUID", w.ask(basic("billing", other)), refusals.UnknownClient, "", "", "billing"},
			{"id in capitals", w.ask(basic(strings.ToUpper(billing.ID), billing.secret)), refusals.UnknownClient, "", "", strings.ToUpper(billing.ID)},
			{"blanks around the id", w.ask(basic(billing.ID+"%20", billing.secret)), refusals.UnknownClient, refusals.Blanks, "", billing.ID},
			{"id and secret in each other's place", w.ask(basic(billing.secret, billing.ID)), refusals.UnknownClient, refusals.SecretAsID, "", ""},
			{"deleted", w.ask(w.clients["deleted"].basic()), refusals.ClientDeleted, "", "deleted", w.clients["deleted"].ID},
			{"wrong secret", w.ask(basic(billing.ID, other)), refusals.WrongSecret, "", "billing", billing.ID},
			{"no secret of ours", w.ask(basic(billing.ID, "x")), refusals.WrongSecret, "", "billing", billing.ID},
			{"blanks around the secret", w.ask(basic(billing.ID, billing.secret+"%0a")), refusals.WrongSecret, refusals.Blanks, "billing", billing.ID},
			{"cut secret", w.ask(basic(billing.ID, billing.secret[:40])), refusals.WrongSecret, refusals.Damaged, "billing", billing.ID},
			{"secret ended", w.ask(w.clients["stale"].basic()), refusals.SecretEnded, w.clients["stale"].Credentials[0].ID, "stale", w.clients["stale"].ID},
			{"disabled", w.ask(w.clients["disabled"].basic()), refusals.ClientDisabled, "", "disabled", w.clients["disabled"].ID},
			{"expired", w.ask(w.clients["expired"].basic()), refusals.ClientExpired, "", "expired", w.clients["expired"].ID},
			{"scope not held", w.ask(billing.basic(), "scope", "email:read phone:read"), refusals.ScopeNotHeld, "phone:read", "billing", billing.ID},
			{"Section not held", w.ask(billing.basic(), "scope", "section:baltic"), refusals.ScopeNotHeld, "section:baltic", "billing", billing.ID},
			{"nothing held", w.ask(w.clients["idle"].basic()), refusals.ScopeNotHeld, refusals.NothingHeld, "idle", w.clients["idle"].ID},
			{"scope with two blanks", w.ask(billing.basic(), "scope", "email:read  email:write"), refusals.ScopeMalformed, "scope values are separated by one space and have no other blanks, quotes or backslashes", "billing", billing.ID},
			{"scope without a colon", w.ask(billing.basic(), "scope", "email"), refusals.ScopeMalformed, "a scope value is section:<id>, <keyspace>:<action> or <capability>:<action>", "billing", billing.ID},
			{"audience unknown", w.ask(billing.basic(), "resource", "https://evil.example"), refusals.AudienceUnknown, "https://evil.example", "billing", billing.ID},
			{"audience not the client's", w.ask(w.clients["files"].basic(), "audience", "https://api.example"), refusals.AudienceUnknown, "https://api.example", "files", w.clients["files"].ID},
			{"audience no URI", w.ask(billing.basic(), "audience", "api"), refusals.AudienceUnknown, "api", "billing", billing.ID},
			{"audience with a query", w.ask(billing.basic(), "audience", "https://x/?k=v"), refusals.AudienceUnknown, "https://x/", "billing", billing.ID},
			{"audience with a secret", w.ask(billing.basic(), "audience", "https://x/"+billing.secret), refusals.AudienceUnknown, "https://x/[secret]", "billing", billing.ID},
			{"own API and another", w.ask(billing.basic(), "resource", issuerURL+"/admin", "resource", "urn:x"), refusals.AudienceUnknown, issuerURL + "/admin urn:x", "billing", billing.ID},
			{"scope repeated", w.ask(billing.basic(), "scope", "a", "scope", "b"), refusals.Malformed, "scope is repeated", "", billing.ID},
			{"resource and audience", w.ask(billing.basic(), "resource", "a", "audience", "b"), refusals.Malformed, "resource and audience name different things; send one of them", "", billing.ID},
			{"form malformed", w.post("a=%zz"), refusals.Malformed, "the form is malformed", "", ""},
			{"JSON malformed", w.post("{", "Content-Type", jsonText), refusals.Malformed, "the body is not one JSON object", "", ""},
			{"member no string", w.post(`{"scope":1}`, "Content-Type", jsonText), refusals.Malformed, "scope must be a JSON string", "", ""},
			{"media type", w.post(grant, "Content-Type", "text/plain", "Authorization", billing.basic()), refusals.Malformed, "the Content-Type must be application/x-www-form-urlencoded or application/json", "", billing.ID},
			{"too large", w.post(strings.Repeat("a", maxBody+1)), refusals.Malformed, "the body is larger than 16 KiB", "", ""},
			{"no grant_type", w.post("client_id=" + billing.ID), refusals.Malformed, "grant_type is missing; send grant_type=client_credentials", "", billing.ID},
			{"grant_type", w.post("grant_type=password&client_id=" + billing.ID), refusals.UnsupportedGrantType, "the only grant_type here is client_credentials", "", billing.ID},
			{"no credentials", w.post(grant), refusals.NoCredentials, "client authentication is missing; send client_id and client_secret with HTTP Basic or in the body", "", ""},
			{"no secret", w.post(inBody), refusals.NoCredentials, "client_secret is missing", "", billing.ID},
			{"no id", w.post(grant + "&client_secret=" + billing.secret), refusals.NoCredentials, "client_id is missing", "", ""},
			{"no Basic", w.post(inBody, "Authorization", "Bearer x"), refusals.NoCredentials, "the Authorization header holds no Basic credentials; send Basic base64(client_id:client_secret)", "", billing.ID},
			{"two headers", w.post(grant, "Authorization", billing.basic()+"\n"+billing.basic()), refusals.TwoCredentials, "there are two Authorization headers; send one", "", billing.ID},
			{"header and body", w.post(inBody+"&client_secret=x", "Authorization", billing.basic()), refusals.TwoCredentials, "the secret is in the Authorization header and in the body; send it in one of them", "", billing.ID},
			{"two ids", w.post(grant+"&client_id=x", "Authorization", billing.basic()), refusals.TwoCredentials, "the client_id in the body is not the one in the Authorization header", "", billing.ID},
			{"assertion", w.post(inBody + "&client_secret=x&client_assertion=y"), refusals.TwoCredentials, "the client authenticates in two ways; send one", "", billing.ID},
		} {
			row := w.why(tt.answer)
			hash, client := "", ""
			if tt.id != "" {
				sum := sha256.Sum256([]byte(tt.id))
				hash = hex.EncodeToString(sum[:])
			}
			if tt.client != "" {
				client = w.clients[tt.client].ID
			}
			if row.Cause != tt.cause || row.Detail != tt.detail || row.ClientID != client || row.IDHash != hash || row.Count < 1 {
				t.Errorf("%s: the row is %+v\nwant %s %q of client %q, hash %s", tt.name, row, tt.cause, tt.detail, client, hash)
			}
		}
	})
}

// TestRevokedSecretTellsWhy holds that a secret that was revoked is told from one that never was.
func TestRevokedSecretTellsWhy(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.tally()
		billing := w.clients["billing"]
		second, secret, err := w.store.AddSecret(t.Context(), billing.ID, time.Time{}, nil, time.Now())
		w.must(err)
		w.must(w.store.RevokeSecret(t.Context(), billing.ID, second.ID, "test", time.Now()))
		if row := w.why(w.ask(basic(billing.ID, secret.Reveal()))); row.Cause != refusals.SecretEnded || row.Detail != second.ID {
			t.Errorf("the row is %+v", row)
		}
	})
}

// TestOtherFailuresAreNotCounted holds that what is no refusal of a token request keeps the id of
// its request, and that a token is no refusal.
func TestOtherFailuresAreNotCounted(t *testing.T) {
	w := newWorld(t)
	w.tally()
	w.oauth.Refused = func(r refusals.Refusal) string {
		t.Errorf("counted is %+v", r)
		return ""
	}
	status(t, w.ask(w.clients["billing"].basic()), 200)
	for _, answer := range []*httptest.ResponseRecorder{
		w.get("/oauth/token"),
		w.get("/oauth/authorize"),
		w.ask(w.clients["billing"].basic(), "resource", "urn:example:tv"), // there is no key for it
	} {
		body, err := decode[errorBody](answer)
		w.must(err)
		if line := w.lines()[body.ErrorID]; line["request_id"] != body.ErrorID || line["error_id"] != body.ErrorID {
			t.Errorf("%s: the log has %v", answer.Body, line)
		}
		if _, _, err := w.refused.ByErrorID(t.Context(), body.ErrorID); !errors.Is(err, refusals.ErrNotFound) {
			t.Errorf("%s leads somewhere: %v", answer.Body, err)
		}
	}
}

// TestRefusalsOnTheBeat holds that whoever is not authenticated is answered on the beat, with what
// is counted before it.
func TestRefusalsOnTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.oauth.Refused = func(refusals.Refusal) string {
			time.Sleep(3 * time.Millisecond)
			return "an id"
		}
		for name, authorization := range map[string]string{
			"wrong secret": basic(w.clients["billing"].ID, "x"), "unknown": basic("x", "x"), "disabled": w.clients["disabled"].basic(),
		} {
			start := time.Now()
			status(t, w.ask(authorization), 401)
			if took := time.Since(start); took != pace {
				t.Errorf("%s took %v, want %v", name, took, pace)
			}
		}
	})
}

// TestNoSecretInRefusals sends random credentials in every way, and looks for them, for parts and
// for hashes of them in every column.
func TestNoSecretInRefusals(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.tally()
		var secrets []string
		for i := range 12 {
			client := w.clients[[]string{"billing", "stale", "disabled", "expired", "deleted", "files"}[i%6]]
			for _, secret := range []string{clients.NewSecret().Reveal(), client.secret, rand.Text()} {
				secrets = append(secrets, secret)
				ours := strings.HasPrefix(secret, "wks_")
				w.ask(basic(client.ID, secret))
				w.ask(basic(client.ID, secret+"%20"))
				w.ask(basic(client.ID, secret[:20]))
				w.ask(basic(rand.Text(), secret))
				w.ask(client.basic()+"\nBasic "+secret, "scope", "x")
				w.ask("Bearer "+secret, "client_id", client.ID)
				w.ask(client.basic(), "client_secret", secret)
				w.post(secret+"=%", "Authorization", client.basic())
				w.post(`{"client_secret":["`+secret+`"]}`, "Content-Type", jsonText)
				w.post(grant + "&client_secret=" + secret)
				if ours { // by this it is known in places where it does not belong
					w.ask(basic(secret, client.ID))
					w.ask(basic("%20"+secret, client.ID))
					w.ask(basic(secret[:30], client.ID))
					w.ask(basic("client_id="+secret, client.ID))
					w.ask(client.basic(), "scope", secret)
					w.ask(client.basic(), "scope", "email:"+secret)
					w.ask(client.basic(), "scope", "section:"+secret)
					w.ask(client.basic(), "resource", secret)
					w.ask(client.basic(), "resource", "https://api.example/"+secret+"?secret="+secret)
					w.ask(client.basic(), "audience", strings.Repeat("x", 180)+":"+secret)
				}
				w.ask(client.basic(), "resource", "https://"+client.ID+":"+secret+"@api.example")
			}
		}
		text := w.refusalRows()
		if strings.Count(text, "\n") < 50 {
			t.Fatalf("only\n%s", text)
		}
		for _, secret := range secrets {
			for _, kept := range traces(secret) {
				if strings.Contains(text, kept) {
					t.Errorf("%q of the secret %q is kept", kept, secret)
				}
			}
		}
	})
}

// traces are what could be kept of a secret: parts, and hashes of it and of its parts.
func traces(secret string) (all []string) {
	for i := 0; i+8 <= len(secret); i++ {
		all = append(all, secret[i:i+8])
	}
	for _, part := range []string{secret, secret[:20], secret[len(secret)-4:], secret + " ", " " + secret} {
		sum := sha256.Sum256([]byte(part))
		all = append(all, hex.EncodeToString(sum[:8]), base64.RawURLEncoding.EncodeToString(sum[:9]))
	}
	return all
}

// refusalRows are all columns of all rows, as text.
func (w *world) refusalRows() string {
	w.t.Helper()
	w.must(w.refused.Flush(w.t.Context()))
	rows, err := w.db.Query(w.t.Context(), `SELECT bucket, client_id, id_hash, cause, detail, address, hour, count, first_at, last_at FROM refusals`)
	w.must(err)
	defer rows.Close()
	var text strings.Builder
	for rows.Next() {
		columns := make([]any, 10)
		for i := range columns {
			columns[i] = new(any)
		}
		w.must(rows.Scan(columns...))
		for _, column := range columns {
			fmt.Fprint(&text, *column.(*any), " ")
		}
		text.WriteString("\n")
	}
	w.must(rows.Err())
	return text.String()
}
