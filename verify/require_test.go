package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/verify"
)

// who answers with the client of the token that the middleware gave it.
var who = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if t, ok := verify.FromContext(r.Context()); ok {
		io.WriteString(w, t.ClientID)
	}
})

func TestRequire(t *testing.T) {
	key := newES256("1", 1)
	v := newIssuer(key).verifier(t)
	good := key.token(nil)
	const realm = `Bearer realm="https://api.example"`
	request := func(description string) string {
		return realm + `, error="invalid_request", error_description="` + description + `"`
	}
	const one = "a request must bear one token, in one Authorization header"
	invalid := func(description string) string {
		return realm + `, error="invalid_token", error_description="` + description + `"`
	}
	for _, tt := range []struct {
		name          string
		authorization []string
		query         string
		status        int
		challenge     string
	}{
		// G-01, G-02
		{"a good token", []string{"Bearer " + good}, "", 200, ""},
		{"small scheme", []string{"bearer " + good}, "", 200, ""},
		{"capital scheme", []string{"BEARER " + good}, "", 200, ""},
		{"several blanks", []string{"Bearer   " + good}, "", 200, ""},

		// G-03, G-05: nothing about errors when there is no token
		{"nothing", nil, "", 401, realm},
		{"another scheme", []string{"Basic YTpi"}, "", 401, realm},
		{"a scheme that begins so", []string{"Bearerer " + good}, "", 401, realm},
		{"DPoP", []string{"DPoP " + good}, "", 401, realm},
		{"no scheme", []string{good}, "", 401, realm},
		{"empty field", []string{""}, "", 401, realm},
		{"token in the query", nil, "?access_token=" + good, 401, realm},

		// G-04, G-09
		{"two fields", []string{"Bearer " + good, "Bearer " + good}, "", 400, request(one)},
		{"two fields, one Basic", []string{"Basic YTpi", "Bearer " + good}, "", 400, request(one)},
		{"two tokens", []string{"Bearer " + good + " " + good}, "", 400, request(one)},
		{"two fields in one", []string{"Bearer " + good + ", Bearer " + good}, "", 400, request(one)},
		{"scheme alone", []string{"Bearer"}, "", 400, request(one)},
		{"scheme and blank", []string{"Bearer "}, "", 400, request(one)},
		{"tab behind", []string{"Bearer " + good + "\t"}, "", 400, request(one)},
		{"header and query", []string{"Bearer " + good}, "?access_token=x", 400, request(one)},

		// G-07, G-10, G-14, G-15
		{"not a token", []string{"Bearer x"}, "", 401, invalid("the token is not an access token of RFC 9068")},
		{"quotes", []string{`Bearer "\`}, "", 401, invalid("the token is not an access token of RFC 9068")},
		{"another's signature", []string{"Bearer " + newES256("1", 2).token(nil)}, "", 401, invalid("the token is not signed with a key of the issuer")},
		{"unknown key", []string{"Bearer " + newES256("2", 2).token(nil)}, "", 401, invalid("the token is not signed with a key of the issuer")},
		{"another issuer", []string{"Bearer " + key.token(object{"iss": "x"})}, "", 401, invalid("the token is from another issuer")},
		{"another audience", []string{"Bearer " + key.token(object{"aud": `"\`})}, "", 401, invalid("the token is for another audience")},
		{"expired", []string{"Bearer " + key.token(object{"exp": 1})}, "", 401, invalid("the token has expired")},
		{"not yet", []string{"Bearer " + key.token(object{"nbf": time.Now().Unix() + 60})}, "", 401, invalid("the token is not valid yet")},
		{"bound", []string{"Bearer " + key.token(object{"cnf": object{"jkt": "x"}})}, "", 401, invalid("the token is bound to a key and is not a bearer token")},

		// G-08
		{
			"lacks a scope",
			[]string{"Bearer " + key.token(object{"scope": "section:nordic"})},
			"", 403,
			realm + `, error="insufficient_scope", error_description="the token does not hold the scope that is needed", scope="email:read"`,
		},
		{
			"no scope",
			[]string{"Bearer " + key.token(object{"scope": nil})},
			"", 403,
			realm + `, error="insufficient_scope", error_description="the token does not hold the scope that is needed", scope="section:nordic email:read"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/"+tt.query, nil)
			r.Header["Authorization"] = tt.authorization
			w := httptest.NewRecorder()
			v.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))(who).ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("answer %d, %s; want %d, %s", w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
			}
			checkAnswer(t, w)
		})
	}
}

// checkAnswer holds what is true of every answer.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code == http.StatusOK {
		if w.Body.String() != "billing" {
			t.Errorf("the handler got the client %q, want billing", w.Body)
		}
		return
	}
	challenge := w.Header().Get("WWW-Authenticate")
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", w.Header().Get("Cache-Control"))
	}
	if !strings.Contains(challenge, "error=") && w.Code == http.StatusUnauthorized {
		if w.Body.Len() != 0 {
			t.Errorf("body %q, want none", w.Body)
		}
		return
	}
	var body struct {
		Error       string
		Description string `json:"error_description"`
		Scope       string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("body %q of type %q: %v", w.Body, w.Header().Get("Content-Type"), err)
	}
	said := fmt.Sprintf(`error="%s", error_description="%s"`, body.Error, body.Description)
	if body.Scope != "" {
		said += fmt.Sprintf(`, scope="%s"`, body.Scope)
	}
	if challenge != "" && !strings.HasSuffix(challenge, said) {
		t.Errorf("the body says %s, the challenge %s", said, challenge)
	}
	if strings.Contains(challenge+w.Body.String(), "eyJ") {
		t.Errorf("the token is in the answer")
	}
}

// get sends a request with a token through the middleware.
func get(handler http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestRequireScopes(t *testing.T) {
	key := newES256("1", 1)
	v := newIssuer(key).verifier(t)
	for _, tt := range []struct {
		name   string
		held   string
		asked  []verify.Scope
		status int
		scope  string
	}{
		{"nothing asked", "", nil, 200, ""},
		{"exactly", "email:read", []verify.Scope{verify.Keyspace("email", "read")}, 200, ""},
		{"by a wildcard", "*:read section:*", []verify.Scope{verify.Keyspace("email", "read"), verify.Section("nordic")}, 200, ""},
		{"the second is lacking", "email:read", []verify.Scope{verify.Keyspace("email", "read"), verify.Capability("transactional-email", "send")}, 403, "transactional-email:send"},
		{"a capability by a wildcard", "*:send", []verify.Scope{verify.Capability("transactional-email", "send")}, 403, "transactional-email:send"},
		{"what cannot be held", "*:read section:*", []verify.Scope{verify.Keyspace("wardkey", "read")}, 403, ""},
		{"the zero Scope", "*:read section:*", []verify.Scope{{}}, 403, ""},
		{"one that can be held and one that cannot", "*:read", []verify.Scope{verify.Keyspace("email", "read"), {}}, 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(v.Require(tt.asked...)(who), key.token(object{"scope": tt.held}))
			_, scope, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), `scope="`)
			if w.Code != tt.status || strings.TrimSuffix(scope, `"`) != tt.scope {
				t.Errorf("answer %d, scope %q; want %d, %q", w.Code, scope, tt.status, tt.scope)
			}
			checkAnswer(t, w)
		})
	}
}

// TestRequireFor holds that what is needed is taken from the request, with either router (G-13).
func TestRequireFor(t *testing.T) {
	key := newES256("1", 1)
	v := newIssuer(key).verifier(t)
	actions := map[string]string{http.MethodGet: "read", http.MethodPatch: "write"}
	needs := func(section func(*http.Request) string) func(*http.Request) []verify.Scope {
		return func(r *http.Request) []verify.Scope {
			return []verify.Scope{verify.Section(section(r)), verify.Keyspace("email", actions[r.Method])}
		}
	}
	standard := http.NewServeMux()
	standard.Handle("/sections/{section}",
		v.RequireFor(needs(func(r *http.Request) string { return r.PathValue("section") }))(who))
	gorilla := mux.NewRouter()
	gorilla.Handle("/sections/{section}", who)
	gorilla.Use(v.RequireFor(needs(func(r *http.Request) string { return mux.Vars(r)["section"] })))

	for _, tt := range []struct {
		method, section string
		status          int
		scope           string
	}{
		{http.MethodGet, "nordic", 200, ""},
		{http.MethodGet, "baltic", 403, "section:baltic"},
		{http.MethodPatch, "nordic", 403, "email:write"},
		{http.MethodPatch, "baltic", 403, "section:baltic email:write"},
		{http.MethodPut, "nordic", 403, ""},
		{http.MethodGet, "*", 403, "section:*"},
		{http.MethodGet, "%22nordic", 403, ""},
	} {
		for name, router := range map[string]http.Handler{"net/http": standard, "gorilla/mux": gorilla} {
			r := httptest.NewRequest(tt.method, "/sections/"+tt.section, nil)
			r.Header.Set("Authorization", "Bearer "+key.token(object{"scope": "section:nordic email:read"}))
			w := httptest.NewRecorder()
			router.ServeHTTP(w, r)
			_, scope, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), `scope="`)
			if w.Code != tt.status || strings.TrimSuffix(scope, `"`) != tt.scope {
				t.Errorf("%s: %s of %s: answer %d, scope %q; want %d, %q", name, tt.method, tt.section, w.Code, scope, tt.status, tt.scope)
			}
			checkAnswer(t, w)
		}
	}
}

// TestForbiddenIsObserved holds that a token which is good and not enough is told of
// as both.
func TestForbiddenIsObserved(t *testing.T) {
	key := newES256("1", 1)
	var seen []verify.Outcome
	v := newIssuer(key).verifier(t, verify.WithObserver(func(o verify.Outcome) { seen = append(seen, o) }))
	get(v.Require(verify.Section("baltic"))(who), key.token(nil))
	if len(seen) != 2 || seen[0].Result != "accepted" || seen[1].Result != "insufficient_scope" {
		t.Fatalf("outcomes %+v, want accepted and insufficient_scope", seen)
	}
	if o := seen[1]; o.Token == nil || o.Token.ClientID != "billing" || o.Method != http.MethodGet || o.Path != "/" {
		t.Errorf("outcome %+v, want the client, the method and the path", o)
	}
}

// TestForbid holds that a scope made of what a stranger sent cannot break the answer.
func TestForbid(t *testing.T) {
	v := newIssuer().verifier(t)
	for id, want := range map[string]string{"nordic": `, scope="section:nordic"`, `x", error="y`: "", "a b": "", "a\r\nb": ""} {
		w := httptest.NewRecorder()
		v.Forbid(w, httptest.NewRequest(http.MethodGet, "/", nil), verify.Section(id))
		_, scope, found := strings.Cut(w.Header().Get("WWW-Authenticate"), ", scope=")
		if found {
			scope = ", scope=" + scope
		}
		if w.Code != http.StatusForbidden || scope != want {
			t.Errorf("Forbid of Section(%q): %d, %s; want 403, %s", id, w.Code, scope, want)
		}
		checkAnswer(t, w)
	}
}

func TestRequireWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i := newIssuer(key)
		i.away = true
		w := get(i.verifier(t).Require()(who), key.token(nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("answer %d with %v, want 503 with Retry-After and without a challenge", w.Code, w.Header())
		}
		if strings.Contains(w.Body.String(), "refused") || strings.Contains(w.Body.String(), issuerURL) {
			t.Errorf("body %s tells what is inside", w.Body)
		}
		checkAnswer(t, w)
	})
}

// TestRequireLeavesTheBody holds that a token in the body is not looked for, and
// that the handler can still read it.
func TestRequireLeavesTheBody(t *testing.T) {
	key := newES256("1", 1)
	v := newIssuer(key).verifier(t)
	const form = "access_token=x"
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+key.token(nil))
	w := httptest.NewRecorder()
	v.Require()(echo).ServeHTTP(w, r)
	if w.Body.String() != form {
		t.Errorf("the handler read %q, want %q", w.Body, form)
	}
}

// TestNoTokenIsLogged runs refusals at the level that tells most.
func TestNoTokenIsLogged(t *testing.T) {
	key := newES256("1", 1)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := newIssuer(key).verifier(t, verify.WithLogger(logger))
	for _, token := range []string{key.token(object{"exp": 1}), key.token(object{"aud": "x"}), newES256("1", 2).token(nil), key.token(nil) + "."} {
		get(v.Require()(who), token)
		for segment := range strings.SplitSeq(token, ".") {
			if segment != "" && strings.Contains(log.String(), segment) {
				t.Errorf("logged a part of the token: %s", log.String())
			}
		}
	}
	if strings.Count(log.String(), "\n") != 4 {
		t.Errorf("logged %q, want 4 lines", log.String())
	}
}

func TestContext(t *testing.T) {
	if _, ok := verify.FromContext(t.Context()); ok {
		t.Error("FromContext of a context without a token = true, want false")
	}
	want := &verify.Token{ClientID: "billing"}
	if got, ok := verify.FromContext(verify.NewContext(t.Context(), want)); got != want || !ok {
		t.Errorf("FromContext = %v, %v; want %v, true", got, ok, want)
	}
}
