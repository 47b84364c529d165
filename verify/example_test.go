package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/wardkey/wardkey/verify"
)

// A resource server: it makes one verifier, and says what each route requires.
func Example() {
	issuer := startIssuer() // yours is https://auth.example or so, and runs already
	defer issuer.Close()

	verifier, err := verify.New(issuer.URL, "https://api.example")
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	// The Section is in the address, so what is needed depends on the request.
	needed := func(r *http.Request) []verify.Scope {
		return []verify.Scope{verify.Section(r.PathValue("section")), verify.Keyspace("email", "read")}
	}
	profile := func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		fmt.Fprintf(w, "%s reads profiles in %s", token.ClientID, r.PathValue("section"))
	}
	send := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "sent") }

	mux := http.NewServeMux()
	mux.Handle("GET /sections/{section}/profiles", verifier.RequireFor(needed)(http.HandlerFunc(profile)))
	mux.Handle("POST /messages",
		verifier.Require(verify.Capability("transactional-email", "send"))(http.HandlerFunc(send)))

	// What its clients see, with a token whose scope is "section:nordic email:read":
	token := issuer.token("section:nordic email:read")
	call(mux, "GET", "/sections/nordic/profiles", token)
	call(mux, "GET", "/sections/baltic/profiles", token)
	call(mux, "POST", "/messages", token)
	call(mux, "GET", "/sections/nordic/profiles", token+"x")
	call(mux, "GET", "/sections/nordic/profiles", "")

	// Output:
	// GET /sections/nordic/profiles
	//   200 billing reads profiles in nordic
	// GET /sections/baltic/profiles
	//   403 Bearer realm="https://api.example", error="insufficient_scope", error_description="the token does not hold the scope that is needed", scope="section:baltic"
	// POST /messages
	//   403 Bearer realm="https://api.example", error="insufficient_scope", error_description="the token does not hold the scope that is needed", scope="transactional-email:send"
	// GET /sections/nordic/profiles
	//   401 Bearer realm="https://api.example", error="invalid_token", error_description="the token is not an access token of RFC 9068"
	// GET /sections/nordic/profiles
	//   401 Bearer realm="https://api.example"
}

// Outside HTTP, a token is verified by hand. The error says whether to refuse it
// or to try again later.
func ExampleVerifier_Verify() {
	issuer := startIssuer()
	defer issuer.Close()
	verifier, err := verify.New(issuer.URL, "https://api.example")
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	token, err := verifier.Verify(context.Background(), issuer.token("section:* *:read"))
	switch {
	case errors.Is(err, verify.ErrUnavailable):
		fmt.Println("try again later:", err)
	case err != nil: // errors.Is(err, verify.ErrInvalidToken)
		fmt.Println("refuse:", err)
	default:
		fmt.Println(token.ClientID, token.Allows("nordic", "email", "read"), token.Allows("nordic", "email", "write"))
	}

	// Output: billing true false
}

// A handler is tested without an issuer and without keys.
func ExampleNewContext() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		fmt.Fprintln(w, token.Allows("nordic", "email", "read"))
	}

	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(verify.NewContext(r.Context(), &verify.Token{Scope: "section:nordic email:read"}))
	w := httptest.NewRecorder()
	handler(w, r)
	fmt.Print(w.Body)

	// Output: true
}

// A testServer is a Wardkey that is as small as an example needs.
type testServer struct {
	*httptest.Server
	key signer
}

func startIssuer() testServer {
	key := newES256("1", 1)
	i := newIssuer(key)
	server := httptest.NewServer(i)
	i.metadata = object{"issuer": server.URL, "jwks_uri": server.URL + "/.well-known/jwks.json"}
	return testServer{server, key}
}

func (s testServer) token(scope string) string {
	return s.key.token(object{"iss": s.URL, "scope": scope})
}

// call prints a request and its answer: the challenge if there is one, else the body.
func call(handler http.Handler, method, path, token string) {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	answer := w.Header().Get("WWW-Authenticate")
	if answer == "" {
		answer = w.Body.String()
	}
	fmt.Printf("%s %s\n  %d %s\n", method, path, w.Code, answer)
}
