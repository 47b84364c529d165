package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/attacks"
)

// attributes is the address of a profile's attributes in a Section.
func attributes(keyspace, section string) string {
	return "/audience/keyspaces/" + keyspace + "/profiles/ada@example.com/sections/" + section + "/attributes"
}

func TestAPI(t *testing.T) {
	w := newWorld(t)
	const full = "section:nordic email:read email:write"
	for _, tt := range []struct {
		name, scope, method, path, body string
		status                          int
		answer                          string // of the body, if 200
		says                            string // in the challenge or the body, if not
	}{
		{"nothing there yet", full, "GET", attributes("email", "nordic"), "", 404, "", "no attributes in this Section"},
		{"the first", full, "PATCH", attributes("email", "nordic"), `{"name":"Ada","address":{"city":"Oslo","zip":"0150"}}`, 200, `{"name":"Ada","address":{"city":"Oslo","zip":"0150"}}`, ""},
		{"read", "section:nordic email:read", "GET", attributes("email", "nordic"), "", 200, `{"name":"Ada","address":{"city":"Oslo","zip":"0150"}}`, ""},
		{"merged", full, "PATCH", attributes("email", "nordic"), `{"name":null,"address":{"zip":null},"age":36}`, 200, `{"address":{"city":"Oslo"},"age":36}`, ""},
		{"by wildcards", "section:* *:read", "GET", attributes("email", "nordic"), "", 200, `{"address":{"city":"Oslo"},"age":36}`, ""},
		{"another keyspace is another profile", "section:* *:read", "GET", attributes("crm-id", "nordic"), "", 404, "", "no attributes"},

		{"another Section", full, "GET", attributes("email", "baltic"), "", 403, "", `scope="section:baltic"`},
		{"another keyspace", full, "GET", attributes("crm-id", "nordic"), "", 403, "", `scope="crm-id:read"`},
		{"a write with a token that reads", "section:nordic email:read", "PATCH", attributes("email", "nordic"), `{}`, 403, "", `scope="email:write"`},
		{"a read with a token that writes", "section:nordic email:write", "GET", attributes("email", "nordic"), "", 403, "", `scope="email:read"`},
		{"a Section that cannot be", "section:* *:read", "GET", attributes("email", "NORDIC"), "", 403, "", "insufficient_scope"},
		{"no token", "", "GET", attributes("email", "nordic"), "", 401, "", `resource_metadata="http://127.0.0.1:`},

		{"not JSON", full, "PATCH", attributes("email", "nordic"), `{"a":`, 400, "", "one JSON object"},
		{"an array", full, "PATCH", attributes("email", "nordic"), `[]`, 400, "", "one JSON object"},
		{"null", full, "PATCH", attributes("email", "nordic"), `null`, 400, "", "one JSON object"},
		{"two objects", full, "PATCH", attributes("email", "nordic"), `{}{}`, 400, "", "one JSON object"},
		{"too long", full, "PATCH", attributes("email", "nordic"), `{"a":"` + strings.Repeat("a", maxBody) + `"}`, 413, "", "100 kB"},
		{"another method", full, "DELETE", attributes("email", "nordic"), "", 405, "", "Method Not Allowed"},
		{"none of that changed anything", full, "GET", attributes("email", "nordic"), "", 200, `{"address":{"city":"Oslo"},"age":36}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body := w.send(t, tt.method, tt.path, "application/merge-patch+json", tt.body, tt.scope)
			if status != tt.status || !strings.Contains(header.Get("WWW-Authenticate")+body, tt.says) {
				t.Fatalf("%s %s = %d, %s, %s; want %d and %s", tt.method, tt.path, status, header.Get("WWW-Authenticate"), body, tt.status, tt.says)
			}
			if tt.answer != "" && !reflect.DeepEqual(decoded(t, body), decoded(t, tt.answer)) {
				t.Errorf("%s %s = %s, want %s", tt.method, tt.path, body, tt.answer)
			}
			if status == http.StatusOK && header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", header.Get("Cache-Control"))
			}
		})
	}
}

func TestMediaType(t *testing.T) {
	w := newWorld(t)
	for mediaType, want := range map[string]int{
		"application/merge-patch+json": 200, "application/json; charset=utf-8": 200, "application/json-patch+json": 415, "": 415,
	} {
		status, header, body := w.send(t, "PATCH", attributes("email", "nordic"), mediaType, `{}`, "section:nordic email:write")
		if status != want || (header.Get("Accept-Patch") == "") != (want == 200) {
			t.Errorf("PATCH with %q = %d, %v, %s; want %d", mediaType, status, header, body, want)
		}
	}
}

func TestMetadata(t *testing.T) {
	w := newWorld(t)
	status, _, body := w.send(t, "GET", "/.well-known/oauth-protected-resource", "", "", "")
	m := decoded(t, body)
	if status != http.StatusOK || m["resource"] != w.url || !reflect.DeepEqual(m["authorization_servers"], []any{w.issuer.URL}) {
		t.Errorf("metadata %d, %s", status, body)
	}
}

// What tokens are used for is reported as the client that was named, with the secret from its file.
func TestReports(t *testing.T) {
	reported := make(chan string, 10)
	server := httptest.NewUnstartedServer(nil)
	defer server.Close()
	issuerURL := "http://" + server.Listener.Addr().String()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("until it ends", func(t *testing.T) { // as it reports then at the latest
		w := world{url: start(t, "--listen", "127.0.0.1:0", "--issuer", issuerURL, "--report-as", "api", "--secret-file", secret)}
		var err error
		if w.issuer, err = attacks.NewIssuer(issuerURL, w.url); err != nil {
			t.Fatal(err)
		}
		keys := w.issuer.Handler()
		server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch id, given, _ := r.BasicAuth(); {
			case strings.HasSuffix(r.URL.Path, "/token") && id == "api" && given == "s3cret":
				io.WriteString(w, `{"access_token":"own","expires_in":900}`)
			case r.Method == "POST" && r.Header.Get("Authorization") == "Bearer own":
				body, _ := io.ReadAll(r.Body)
				reported <- string(body)
			default:
				keys.ServeHTTP(w, r)
			}
		})
		server.Start()
		if status, _, body := w.send(t, "GET", attributes("email", "baltic"), "", "", "section:nordic email:read"); status != http.StatusForbidden {
			t.Fatalf("GET = %d, %s; want 403", status, body)
		}
	})
	select {
	case body := <-reported:
		if !strings.Contains(body, `"scopes":["section:baltic"],"outcome":"insufficient_scope","requests":1`) {
			t.Errorf("reported is %s", body)
		}
	default:
		t.Error("nothing was reported")
	}
}

// Who reports needs a secret, and says so before it serves.
func TestReportsNeedASecret(t *testing.T) {
	err := run(t.Context(), []string{"--listen", "127.0.0.1:0", "--report-as", "api", "--secret-file", t.TempDir() + "/none"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "secret of the client that reports") {
		t.Errorf("run without the secret = %v", err)
	}
}

func TestMerged(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{ // RFC 7396, appendix A, as far as both are objects
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`{"a":"foo"}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		target := decoded(t, tt.target)
		if got := merged(target, decoded(t, tt.patch)); !reflect.DeepEqual(got, decoded(t, tt.want)) {
			t.Errorf("merged(%s, %s) = %v, want %s", tt.target, tt.patch, got, tt.want)
		}
		if !reflect.DeepEqual(target, decoded(t, tt.target)) {
			t.Errorf("merged(%s, %s) changed its target to %v", tt.target, tt.patch, target)
		}
	}
}

// A world is the program as it runs, and an issuer whose tokens it accepts.
type world struct {
	url    string
	issuer *attacks.Issuer
}

func newWorld(t *testing.T) world {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuerURL := "http://" + server.Listener.Addr().String()
	url := start(t, "--listen", "127.0.0.1:0", "--issuer", issuerURL)
	issuer, err := attacks.NewIssuer(issuerURL, url)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = issuer.Handler()
	server.Start()
	t.Cleanup(server.Close)
	return world{url, issuer}
}

// start runs the program until the test ends, and returns the address that it prints.
func start(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, stdout)
		stdout.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`^Listening on (http://\S+)`).FindStringSubmatch(line)
	if url == nil {
		t.Fatalf("run printed %q, %v", line, err)
	}
	return url[1]
}

// send makes a request with a token of the scope; with none if it is empty.
func (w world) send(t *testing.T, method, path, contentType, body, scope string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if scope != "" {
		r.Header.Set("Authorization", "Bearer "+w.issuer.Token(attacks.ES256, scope, nil, nil))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(data)
}

func decoded(t *testing.T, text string) object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}
