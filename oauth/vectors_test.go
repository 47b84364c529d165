package oauth

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/tools/txtar"

	"github.com/wardkey/wardkey/tokens"
)

var update = flag.Bool("update", false, "write the answers in testdata, and docs/conformance.md, as they are now")

// TestVectors holds the server to testdata: one requirement a file, as raw HTTP.
//
// The first lines of a file name what it holds. Then come requests, each with the answer that it
// must get, byte for byte. What differs from run to run stands in double braces: {{id "billing"}},
// {{secret "billing"}} and {{basic "billing"}} of the clients in world_test.go, {{key "ES256" "kid"}}
// of the signing keys; {{token "billing"}} is a token that it gets now; base64, percent, raw and repeat write what is hard to read. Of an access
// token, the sections header and claims show what it says.
func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no vectors: %v", err)
	}
	played := map[string]*txtar.Archive{}
	synctest.Test(t, func(t *testing.T) { // the year is 2000, and no time passes
		w := newWorld(t)
		for _, alg := range []tokens.Alg{tokens.RS256, tokens.EdDSA} {
			time.Sleep(time.Second) // keys are published oldest first
			w.must(w.keys.Ensure(t.Context(), alg))
		}
		for _, path := range paths {
			played[path] = w.play(t, path)
		}
	})
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Logf("%s", played[path].Comment)
			compare(t, path, played[path])
		})
	}
}

func compare(t *testing.T, path string, got *txtar.Archive) {
	if *update {
		if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range want.Files {
		if !bytes.Equal(got.Files[i].Data, f.Data) {
			t.Errorf("%s, section %d (%s) is\n%s\nwant\n%s", path, i+1, f.Name, got.Files[i].Data, f.Data)
		}
	}
}

// An answer is what a request got, with what differs from run to run in double braces.
type answer struct{ response, header, claims []byte }

// play sends the requests of a vector, and returns it with the answers that they got.
func (w *world) play(t *testing.T, path string) *txtar.Archive {
	vector, err := txtar.ParseFile(path)
	w.must(err)
	var got answer
	for i, f := range vector.Files {
		data := &vector.Files[i].Data
		switch kind, _, _ := strings.Cut(f.Name, ":"); kind {
		case "request":
			cryptotest.SetGlobalRandom(t, uint64(i)) // for the jti of tokens that the request names
			text := w.expand(path, f.Data)
			cryptotest.SetGlobalRandom(t, uint64(i)) // for error_id and jti
			got = w.send(text)
		case "response":
			*data = got.response
		case "header":
			*data = got.header
		case "claims":
			*data = got.claims
		default:
			w.t.Errorf("%s: a vector has no section %q", path, f.Name)
		}
	}
	return vector
}

var accessToken = regexp.MustCompile(`"access_token":"([^"]*)"`)

// send sends a request as it stands in a vector: what follows its blank line is the body.
func (w *world) send(text string) (got answer) {
	head, body, _ := strings.Cut(text, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimSuffix(head, "\n") + "\n\n")))
	w.must(err)
	body = strings.TrimSuffix(body, "\n")
	r.Body, r.ContentLength, r.RemoteAddr = io.NopCloser(strings.NewReader(body)), int64(len(body)), "192.0.2.1:1234"
	rec := w.do(r)
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", rec.Code, http.StatusText(rec.Code))
	w.must(rec.Result().Header.Write(&b))
	if r.Method != http.MethodHead {
		b.WriteString("\n" + rec.Body.String())
	}
	if token := accessToken.FindStringSubmatch(rec.Body.String()); token != nil {
		got.header, got.claims = w.open(token[1])
	}
	response := accessToken.ReplaceAll(b.Bytes(), []byte(`"access_token":"(a token)"`))
	if kind := rec.Header().Get("Content-Type"); strings.HasSuffix(kind, "+jwt") && rec.Header().Get("Content-Encoding") == "" {
		got.header, got.claims = w.open(rec.Body.String())
		response = bytes.ReplaceAll(response, rec.Body.Bytes(), []byte("(a JWT)"))
	}
	response = bytes.ReplaceAll(response, []byte("\r\n"), []byte("\n"))
	got.response = w.named(append(bytes.TrimSuffix(response, []byte("\n")), '\n'))
	return got
}

// open returns the header and the claims of an access token. Its signature must be right by the
// published keys, and by another implementation than ours.
func (w *world) open(token string) (header, claims []byte) {
	set, _ := w.keys.JWKS()
	var keys jose.JSONWebKeySet
	w.must(json.Unmarshal(set, &keys))
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	w.must(err)
	payload, err := parsed.Verify(&keys)
	w.must(err)
	encoded, _, _ := strings.Cut(token, ".")
	protected, err := base64.RawURLEncoding.DecodeString(encoded)
	w.must(err)
	return w.indented(protected), w.indented(payload)
}

func (w *world) indented(text []byte) []byte {
	var b bytes.Buffer
	w.must(json.Indent(&b, text, "", "  "))
	return w.named(append(b.Bytes(), '\n'))
}
