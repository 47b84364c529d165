package verify_test

import (
	"encoding/json"
	"log"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/verify"
)

// TestResourceMetadata holds where a resource describes itself and what it says (N-01 to N-06).
func TestResourceMetadata(t *testing.T) {
	for _, tt := range []struct {
		name, audience string
		resource       verify.Resource
		path           string
		metadata       object
	}{
		{
			"nothing said", "https://api.example",
			verify.Resource{},
			"/.well-known/oauth-protected-resource",
			object{},
		},
		{
			"a blank path", "https://api.example/",
			verify.Resource{},
			"/.well-known/oauth-protected-resource",
			object{},
		},
		{
			"a path", "https://api.example:8443/a/b",
			verify.Resource{},
			"/.well-known/oauth-protected-resource/a/b",
			object{},
		},
		{
			"on a loopback address", "http://127.0.0.1:8090",
			verify.Resource{},
			"/.well-known/oauth-protected-resource",
			object{},
		},
		{
			"everything said", "https://api.example",
			verify.Resource{
				Scopes:        []verify.Scope{verify.Section("*"), verify.Keyspace("email", "read"), verify.Capability("transactional-email", "send")},
				Name:          "Audience",
				Documentation: "https://docs.example/audience",
				SigningAlgs:   []string{"ES256"},
			},
			"/.well-known/oauth-protected-resource",
			object{
				"scopes_supported":                      []any{"section:*", "email:read", "transactional-email:send"},
				"resource_name":                         "Audience",
				"resource_documentation":                "https://docs.example/audience",
				"resource_signing_alg_values_supported": []any{"ES256"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := verify.New(issuerURL, tt.audience, verify.WithResource(tt.resource))
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.Handle(v.ResourceMetadata())
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("GET %s = %d, %v", tt.path, w.Code, w.Header())
			}
			want := changed(tt.metadata, object{
				"resource": tt.audience, "authorization_servers": []any{issuerURL}, "bearer_methods_supported": []any{"header"},
			})
			var got object
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("GET %s = %s, %v; want %v", tt.path, w.Body, err, want)
			}
		})
	}
}

func TestResourceMetadataMethods(t *testing.T) {
	v := newIssuer().verifier(t, verify.WithResource(verify.Resource{}))
	_, handler := v.ResourceMetadata()
	for method, status := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		if w.Code != status || (w.Header().Get("Allow") != "") != (status == 405) {
			t.Errorf("%s = %d, %v; want %d", method, w.Code, w.Header(), status)
		}
	}
}

// TestChallengesPointToMetadata holds that who is refused learns where to look, at an
// absolute URL (G-11, N-07), and that nobody is sent anywhere without WithResource.
func TestChallengesPointToMetadata(t *testing.T) {
	key := newES256("1", 1)
	v := newIssuer(key).verifier(t, verify.WithResource(verify.Resource{}))
	const want = `, resource_metadata="https://api.example/.well-known/oauth-protected-resource"`
	handler := v.Require(verify.Section("baltic"))(who)
	for name, token := range map[string]string{"no token": "", "altered": key.token(nil) + "x", "not enough": key.token(nil)} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if challenge := w.Header().Get("WWW-Authenticate"); w.Code/100 != 4 || !strings.HasSuffix(challenge, want) {
			t.Errorf("%s: %d, %s; want it to end in %s", name, w.Code, challenge, want)
		}
	}
}

func TestResourceRefused(t *testing.T) {
	const good = "https://api.example"
	for _, tt := range []struct {
		name, audience string
		resource       verify.Resource
	}{
		{"the audience is no URL", "audience-api", verify.Resource{}},
		{"the audience is plain http", "http://api.example", verify.Resource{}},
		{"the audience has a query", good + "?a=b", verify.Resource{}},
		{"the audience has a fragment", good + "#a", verify.Resource{}},
		{"a scope that nobody can hold", good, verify.Resource{Scopes: []verify.Scope{{}}}},
		{"alg none", good, verify.Resource{SigningAlgs: []string{"ES256", "none"}}}, // N-05
		{"the documentation is no URL", good, verify.Resource{Documentation: "see the wiki"}},
	} {
		if _, err := verify.New(issuerURL, tt.audience, verify.WithResource(tt.resource)); err == nil {
			t.Errorf("New, %s: no error", tt.name)
		}
	}
}

// Two lines, and a client that knows nothing but the address of the API finds the
// issuer: from the answer 401 to the metadata, and from there.
func ExampleVerifier_ResourceMetadata() {
	verifier, err := verify.New("https://auth.example", "https://api.example/audience", verify.WithResource(verify.Resource{
		Name:   "Audience API",
		Scopes: []verify.Scope{verify.Section("*"), verify.Keyspace("email", "read")},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
	mux := http.NewServeMux()
	mux.Handle(verifier.ResourceMetadata())

	call(mux, "GET", "/.well-known/oauth-protected-resource/audience", "")
	// Output:
	// GET /.well-known/oauth-protected-resource/audience
	//   200 {"resource":"https://api.example/audience","authorization_servers":["https://auth.example"],"scopes_supported":["section:*","email:read"],"bearer_methods_supported":["header"],"resource_name":"Audience API"}
}
