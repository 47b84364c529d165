package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/clients"
)

// lines are the log by the id of the request, or by the one that it was answered with if it failed.
func (w *world) lines() map[string]map[string]any {
	w.t.Helper()
	byID := map[string]map[string]any{}
	for text := range strings.Lines(w.log.String()) {
		var line map[string]any
		w.must(json.Unmarshal([]byte(text), &line))
		id := line["request_id"]
		if errorID, failed := line["error_id"]; failed {
			id = errorID
		}
		byID[id.(string)] = line
	}
	return byID
}

// TestLogSaysWhy holds that the true cause of each refusal stands in the log under the error_id
// of the answer, with the client if there is one.
func TestLogSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.tally()
	billing := w.clients["billing"]
	for _, tt := range []struct {
		name, authorization string
		form                []string
		cause, client       string
	}{
		{"wrong secret", basic(billing.ID, clients.NewSecret().Reveal()), nil, "wrong secret", "billing"},
		{"unknown", basic("7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11", "x"), nil, "unknown client id", ""},
		{"deleted", w.clients["deleted"].basic(), nil, "unknown client id", ""},
		{"disabled", w.clients["disabled"].basic(), nil, "the client is disabled", "disabled"},
		{"expired", w.clients["expired"].basic(), nil, "the client has expired", "expired"},
		{"secret expired", w.clients["stale"].basic(), nil, "the secret has expired", "stale"},
		{"scope", billing.basic(), []string{"scope", "phone:read"}, "phone:read is not held", "billing"},
		{"resource", billing.basic(), []string{"resource", "https://evil.example"}, "invalid_target", "billing"},
		{"form", billing.basic(), []string{"scope", "a:b", "scope", "c:d"}, "scope is repeated", ""},
	} {
		body, err := decode[errorBody](w.ask(tt.authorization, tt.form...))
		w.must(err)
		line := w.lines()[body.ErrorID]
		if cause, _ := line["cause"].(string); !strings.Contains(cause, tt.cause) || line["error"] != string(body.Error) {
			t.Errorf("%s: the log has %v, want cause %q", tt.name, line, tt.cause)
		}
		if tt.client != "" && line["client_id"] != w.clients[tt.client].ID || tt.client == "" && line["client_id"] != nil {
			t.Errorf("%s: the log has client_id %v, want %s's", tt.name, line["client_id"], tt.client)
		}
		if id, _ := line["request_id"].(string); id == "" || id == body.ErrorID {
			t.Errorf("%s: the log has request_id %q and error_id %q", tt.name, id, body.ErrorID)
		}
	}
}

// TestNothingSecretIsKept sends secrets in every way, and then looks for them and for the tokens
// in the log, in the answers and in the database.
func TestNothingSecretIsKept(t *testing.T) {
	w := newWorld(t)
	w.tally()
	var answers strings.Builder
	var secret []string
	send := func(path, contentType, authorization, body string) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Forwarded-For", "10.66.66.66")
		r.Header.Set("Cookie", "session=cookie-of-somebody")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		answer := w.do(r)
		if token := accessToken.FindStringSubmatch(answer.Body.String()); token != nil {
			secret = append(secret, token[1])
			return
		}
		answers.WriteString(answer.Body.String())
	}
	const form, grant = "application/x-www-form-urlencoded", "grant_type=client_credentials"
	for name, c := range w.clients {
		encoded := base64.StdEncoding.EncodeToString([]byte(c.ID + ":" + c.secret))
		secret = append(secret, c.secret, encoded)
		send("/oauth/token", form, c.basic(), grant)
		send("/oauth/token", form, "Bearer "+c.secret, grant)
		send("/oauth/token", form, "", grant+"&client_id="+c.ID+"&client_secret="+c.secret)
		send("/oauth/token", form, "", grant+"&client_id="+c.secret+"&client_secret="+c.ID) // the wrong way round
		send("/oauth/token", form, c.basic(), grant+"&scope="+c.secret)
		send("/oauth/token", form, c.basic(), grant+"&resource="+c.secret)
		send("/oauth/token", form, "", c.secret+"=%")
		send("/oauth/token", "application/json", "", `{"grant_type":"client_credentials","client_id":"`+c.ID+`","client_secret":"`+c.secret+`"}`)
		send("/oauth/token", "application/json", "", `{"client_secret":["`+c.secret+`"]}`)
		send("/oauth/token?client_secret="+c.secret, form, "", grant)
		send("/oauth/nothing?client_secret="+c.secret, c.secret, c.basic(), name)
	}
	w.oauth.Used = func(context.Context, Use) error { panic("out of order") }
	send("/oauth/token", form, w.clients["billing"].basic(), grant)
	w.must(w.refused.Flush(t.Context()))
	if len(secret) < 40 {
		t.Fatalf("only %d secrets and tokens to look for", len(secret))
	}
	places := map[string]string{"the log": w.log.String(), "the answers": answers.String(), "the database": w.files()}
	for place, text := range places {
		for _, s := range append(secret, "10.66.66.66", "cookie-of-somebody", "client_secret=") {
			if strings.Contains(text, s) {
				t.Errorf("%s has %q", place, s)
			}
		}
	}
	for id, line := range w.lines() {
		if line["ip"] != "192.0.2.1" || len(id) != 26 {
			t.Errorf("the log has %v", line)
		}
	}
}

// files are the bytes of the database.
func (w *world) files() string {
	var path string
	w.must(w.db.QueryRow(w.t.Context(), `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path))
	var all strings.Builder
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		w.must(err)
		all.Write(text)
	}
	return all.String()
}

// TestLogIsOneLine holds that nobody writes lines of his own into the log.
func TestLogIsOneLine(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest(http.MethodGet, "/x%0A%22level%22:%22INFO%22"+strings.Repeat("x", 1000), nil)
	r.Header.Set("User-Agent", "a\u2028b")
	w.do(r)
	w.ask(w.clients["billing"].basic(), "scope", "a:b\n{\"level\":\"INFO\"}")
	if n := len(w.lines()); n != 2 || strings.Count(w.log.String(), "\n") != 2 || w.log.Len() > 2000 {
		t.Errorf("two requests wrote %d lines:\n%s", n, &w.log)
	}
}
