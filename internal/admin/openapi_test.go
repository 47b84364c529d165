package admin_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestMain fails if all tests passed and an operation of the document was never done.
func TestMain(m *testing.M) {
	code := m.Run()
	chosen := func(name string) bool { return flag.Lookup(name).Value.String() != "" }
	if code == 0 && !chosen("test.run") && !chosen("test.skip") && !chosen("test.list") && !testing.Short() {
		for _, id := range theDocument().undone() {
			fmt.Fprintf(os.Stderr, "no test does %s, or none with success\n", id)
			code = 1
		}
	}
	os.Exit(code)
}

// A document is openapi.yaml, to which it holds every answer of every test.
type document struct {
	*openapi3.T
	router   routers.Router
	compiler *jsonschema.Compiler // of the schemas in it

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by where they stand
	done    map[string]bool               // operationIds that were answered with success
}

// theDocument is read once for all tests.
var theDocument = sync.OnceValue(func() *document {
	d, err := readDocument()
	if err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err))
	}
	return d
})

func readDocument() (*document, error) {
	spec, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d := &document{T: spec, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, done: map[string]bool{}}
	d.compiler.AssertFormat()
	if d.router, err = gorillamux.NewRouter(spec); err != nil {
		return nil, err
	}
	return d, d.compiler.AddResource("openapi.json", root)
}

// undone are the operations that no test did with success.
func (d *document) undone() (ids []string) {
	for _, path := range d.Paths.Map() {
		for _, op := range path.Operations() {
			if !d.done[op.OperationID] {
				ids = append(ids, op.OperationID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// checked holds every answer of next to the document.
func (d *document) checked(t *testing.T, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard := &heard{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(heard, r)
		if err := d.check(r, heard); err != nil {
			t.Errorf("%s %s is answered with %d %s, which is not as openapi.yaml says: %v", r.Method, r.URL.Path, heard.status, &heard.body, err)
		}
	})
}

// heard is an answer that is remembered.
type heard struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heard) WriteHeader(status int) {
	h.status = status
	h.ResponseWriter.WriteHeader(status)
}

func (h *heard) Write(body []byte) (int, error) {
	h.body.Write(body)
	return h.ResponseWriter.Write(body)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (h *heard) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// check says in what an answer is not as the document says.
func (d *document) check(r *http.Request, a *heard) error {
	route, _, err := d.router.FindRoute(r)
	if err != nil || r.Method == http.MethodHead {
		if a.status < 400 && !known(r) {
			return errors.New("there is no such operation")
		}
		return nil
	}
	status, response := strconv.Itoa(a.status), route.Operation.Responses.Status(a.status)
	if response == nil {
		status, response = "default", route.Operation.Responses.Default()
	}
	if a.status < 300 {
		d.mu.Lock()
		d.done[route.Operation.OperationID] = true
		d.mu.Unlock()
	}
	for name, header := range response.Value.Headers {
		if header.Value.Required && a.Header().Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	at := pointer("paths", route.Path, strings.ToLower(r.Method), "responses", status)
	if response.Ref != "" {
		at = strings.TrimPrefix(response.Ref, "#")
	}
	return d.checkBody(at, response.Value.Content, a)
}

// known says whether a request is for the document itself, or asks by HEAD.
func known(r *http.Request) bool {
	return r.Method == http.MethodHead || r.URL.Path == "/admin/v1/openapi.yaml"
}

// checkBody holds a body to the content that a response has, whose place in the document is at.
func (d *document) checkBody(at string, content openapi3.Content, a *heard) error {
	if len(content) == 0 {
		if a.body.Len() > 0 {
			return errors.New("it should have no body")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(a.Header().Get("Content-Type"))
	if err != nil || content[media] == nil {
		return fmt.Errorf("its Content-Type is %q, and should be one of %q", a.Header().Get("Content-Type"), slices.Collect(maps.Keys(content)))
	}
	if !strings.HasSuffix(media, "json") {
		return nil // JSON lines are checked where they are read
	}
	schema, err := d.schema(at + pointer("content", media, "schema"))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body.Bytes()))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// schema is the one at a place in the document. Each is compiled once.
func (d *document) schema(at string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.schemas[at]; ok {
		return s, nil
	}
	s, err := d.compiler.Compile("openapi.json#" + at)
	d.schemas[at] = s
	return s, err
}

// pointer is a JSON pointer (RFC 6901) as a fragment of a URI.
func pointer(tokens ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	text := ""
	for _, token := range tokens {
		text += "/" + escape.Replace(token)
	}
	return text
}

// operation is one of the document.
type operation struct {
	method, path string
	*openapi3.Operation
}

// operations are all of the document, in order.
func (d *document) operations() (all []operation) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths.Map())) {
		for method, op := range d.Paths.Value(path).Operations() {
			all = append(all, operation{method, path, op})
		}
	}
	slices.SortStableFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// TestDocument holds the document to what all its operations must have.
func TestDocument(t *testing.T) {
	d := theDocument()
	if err := d.Validate(t.Context()); err != nil {
		t.Errorf("openapi.yaml is no OpenAPI document: %v", err)
	}
	ids := map[string]bool{}
	tags := map[string]bool{}
	for _, tag := range d.Tags {
		tags[tag.Name] = true
	}
	for _, op := range d.operations() {
		what := op.method + " " + op.path
		if op.OperationID == "" || ids[op.OperationID] {
			t.Errorf("%s: the operationId %q is empty, or another has it", what, op.OperationID)
		}
		ids[op.OperationID] = true
		if op.Summary == "" || strings.HasSuffix(op.Summary, ".") {
			t.Errorf("%s: the summary is %q, want one without a period", what, op.Summary)
		}
		if len(op.Tags) != 1 || !tags[op.Tags[0]] {
			t.Errorf("%s: its tags are %q, want one that is declared", what, op.Tags)
		}
		if failure := op.Responses.Default(); failure == nil || failure.Ref != "#/components/responses/problem" {
			t.Errorf("%s: its default response is not a problem", what)
		}
		checkSecurity(t, op)
		if op.method == "POST" && !strings.HasPrefix(op.path, "/session") && op.path != "/usage/reports" && op.Parameters.GetByInAndName("header", "Idempotency-Key") == nil {
			t.Errorf("%s takes no Idempotency-Key", what)
		}
	}
}

// checkSecurity holds an operation to the rule that a token with wardkey:read may GET, and one
// with wardkey:write the rest; what is about one's own session needs one.
func checkSecurity(t *testing.T, op operation) {
	t.Helper()
	need := ""
	for _, one := range *cmp.Or(op.Security, &theDocument().Security) {
		if scopes, ok := one["token"]; ok {
			need = strings.Join(scopes, " ")
		}
	}
	want := "wardkey:write"
	if op.method == "GET" {
		want = "wardkey:read"
	}
	if op.path == "/usage/reports" { // by resource servers
		want = "wardkey:introspect"
	}
	if op.path == "/session" || op.path == "/session/password" {
		want = ""
	}
	if need != want {
		t.Errorf("%s %s needs a token with %q, want %q", op.method, op.path, need, want)
	}
}

// Whatever the document defines is used in it, but for Set-Cookie and the like that stand inline.
func TestDocumentHasNothingUnused(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	must(t, err)
	c := theDocument().Components
	defined := map[string][]string{
		"schemas": slices.Collect(maps.Keys(c.Schemas)), "parameters": slices.Collect(maps.Keys(c.Parameters)),
		"responses": slices.Collect(maps.Keys(c.Responses)), "headers": slices.Collect(maps.Keys(c.Headers)),
	}
	for kind, names := range defined {
		for _, name := range names {
			if !bytes.Contains(text, []byte(`"#/components/`+kind+`/`+name+`"`)) {
				t.Errorf("components/%s/%s is not used", kind, name)
			}
		}
	}
}

// The check of answers sees what it should see.
func TestDocumentSeesFaults(t *testing.T) {
	d, err := readDocument()
	must(t, err)
	section := `{"id":"nordic","name":"n","created_at":"2030-01-01T00:00:00Z"}`
	problem := `{"type":"urn:wardkey:problem:internal","title":"t","status":500}`
	for _, tt := range []struct {
		what, method, path string
		status             int
		media, body        string
		good               bool
	}{
		{"a Section", "GET", "/sections/nordic", 200, "application/json", section, true},
		{"a problem", "GET", "/sections/nordic", 500, "application/problem+json", problem, true},
		{"nothing, as it should be", "DELETE", "/sections/nordic", 204, "", "", true},
		{"a body where none should be", "DELETE", "/sections/nordic", 204, "", "{}", false},
		{"another type", "GET", "/sections/nordic", 200, "text/html", section, false},
		{"no type", "GET", "/sections/nordic", 200, "", section, false},
		{"a problem as JSON", "GET", "/sections/nordic", 500, "application/json", problem, false},
		{"a status that is none of its", "DELETE", "/sections/nordic", 201, "application/json", section, false},
		{"a member missing", "GET", "/sections/nordic", 200, "application/json", `{"id":"nordic","name":"n"}`, false},
		{"a member of another type", "GET", "/sections/nordic", 200, "application/json", strings.Replace(section, `"n"`, "1", 1), false},
		{"no time", "GET", "/sections/nordic", 200, "application/json", strings.Replace(section, "2030-01-01", "soon", 1), false},
		{"an id that is none", "GET", "/sections/nordic", 200, "application/json", strings.Replace(section, "nordic", "Nordic", 1), false},
		{"another operation", "GET", "/nothing", 200, "application/json", "{}", false},
		{"no such path", "GET", "/nothing", 404, "application/problem+json", "{}", true},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://example.com/admin/v1"+tt.path, nil)
		must(t, err)
		w := &recorder{header: http.Header{"Content-Type": {tt.media}, "Etag": {`"x"`}}}
		a := &heard{ResponseWriter: w, status: tt.status}
		a.body.WriteString(tt.body)
		if err := d.check(r, a); (err == nil) != tt.good {
			t.Errorf("%s: check = %v", tt.what, err)
		}
		w.header.Del("Etag")
		if err := d.check(r, a); tt.status == 200 && tt.path != "/nothing" && err == nil {
			t.Errorf("%s: an ETag that is missing is not seen", tt.what)
		}
	}
}

// recorder is where an answer goes that is only looked at.
type recorder struct{ header http.Header }

func (r *recorder) Header() http.Header          { return r.header }
func (*recorder) Write(body []byte) (int, error) { return len(body), nil }
func (*recorder) WriteHeader(int)                {}
