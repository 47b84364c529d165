package interop

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/wardkey/wardkey/verify"
)

// TestMCP has the SDK of the Model Context Protocol call an API of which it knows the address alone:
// a 401 leads it to the metadata of the API, these to those of the issuer, and these to a token for
// that API (RFC 9728, RFC 8414, RFC 8707).
func TestMCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	audience := "http://" + listener.Addr().String() + "/mcp"
	s := &server{alg: "ES256", args: []string{"--audience", "https://another.example", "--audience", audience}}
	if err := s.start(context.WithoutCancel(t.Context()), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	serveMCP(t, listener, s.issuer, audience)

	const scope = "section:nordic email:read"
	right := job{Do: "call", Issuer: s.issuer, Audience: audience, ClientID: s.demo.ID, ClientSecret: s.demo.Secret, Scope: scope}
	wrong := right
	wrong.ClientSecret = s.admin.Secret
	needs := []string{"node", "--input-type=module", "--eval", "import '@modelcontextprotocol/sdk/client/index.js'"}
	answers := script(needs, "node", "mcp.mjs")(t, []job{right, wrong})

	if got := answers[0].Token; got == nil || got.Scope != scope {
		t.Fatalf("the API gets %+v, want a token for %s", answers[0], scope)
	}
	if got := string(claims(t, answers[0].Token.AccessToken).Audience); got != strconv.Quote(audience) {
		t.Errorf("the token is for %s, want %s alone", got, audience)
	}
	if got := answers[1].Refused; got == nil || got.Error != "invalid_client" {
		t.Errorf("with a wrong secret it hears %+v, want invalid_client", answers[1])
	}
}

// serveMCP serves as much of the protocol as a client needs to connect, to those with a token.
func serveMCP(t *testing.T, listener net.Listener, issuer, audience string) {
	t.Helper()
	reading := verify.Keyspace("email", "read")
	verifier, err := verify.New(issuer, audience, verify.WithResource(verify.Resource{Scopes: []verify.Scope{reading}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	mux := http.NewServeMux()
	mux.Handle(verifier.ResourceMetadata())
	mux.Handle("/mcp", verifier.Require(reading)(http.HandlerFunc(answerMCP)))
	api := httptest.NewUnstartedServer(mux)
	api.Listener = listener
	api.Start()
	t.Cleanup(api.Close)
}

// answerMCP answers the request that opens a session, and takes note of messages.
func answerMCP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Version string `json:"protocolVersion"`
		} `json:"params"`
	}
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed) // there is no stream to listen to
	case json.NewDecoder(r.Body).Decode(&message) != nil:
		w.WriteHeader(http.StatusBadRequest)
	case message.Method != "initialize":
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": message.ID, "result": map[string]any{
			"protocolVersion": message.Params.Version, "capabilities": map[string]any{}, "serverInfo": map[string]string{"name": "interop", "version": "1"},
		}}) // a client that went away needs no answer
	}
}
