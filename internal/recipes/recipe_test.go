package recipes

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// examples is where the examples are.
const examples = "../../docs/validate"

// A recipe is a column of the matrix.
type recipe struct {
	name    string
	page    string   // in examples
	needs   []string // files, and programs on the path
	version func(t *testing.T) []string
	begin   func(t *testing.T, p place) *process
	// heard is how long after a rotation the example must know of it, at the latest.
	heard time.Duration
	polls bool // it looks at status lists
	https bool // it takes no issuer without TLS
	// timer does what the page has a timer do.
	timer func(t *testing.T, p place)
}

// A place is where one example runs, and for whom.
type place struct {
	dir      string // empty, and its own
	port     string
	keysPort string // another one, for whoever needs it
	issuer   string
	trusted  string // a file with the certificate of the issuer, if it has one
	audience string
	api      string // host and port of what a proxy stands before
	process  *process
}

func (p place) environment() []string {
	return []string{
		"PORT=" + p.port, "KEYS_PORT=" + p.keysPort, "KEYS=" + p.dir, "ISSUER=" + p.issuer, "AUDIENCE=" + p.audience, "API=" + p.api, "KEYS_AGE=1", "STATUS_AGE=1",
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost", "WARDKEY=" + p.dir, "TRUSTED=" + p.trusted,
	}
}

func (p place) address() string { return "http://127.0.0.1:" + p.port + "/sections/nordic/profiles" }

// expand writes an example that is a template into the place, with the variables that it names.
func (p place) expand(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	pairs := []string{"/etc/nginx", p.dir, "/var/lib/nginx", p.dir}
	for _, variable := range p.environment() {
		name, value, _ := strings.Cut(variable, "=")
		pairs = append(pairs, "${"+name+"}", value)
	}
	if err := os.WriteFile(filepath.Join(p.dir, to), []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
}

// missing is what a recipe needs and does not find.
func (r recipe) missing() string {
	for _, need := range r.needs {
		if filepath.IsAbs(need) || strings.HasPrefix(need, ".") {
			if _, err := os.Stat(need); err != nil {
				return need
			}
		} else if _, err := exec.LookPath(need); err != nil {
			return need
		}
	}
	return ""
}

// needed skips the test where a tool is missing; where everything must be there, it fails it.
func (r recipe) needed(t *testing.T) {
	t.Helper()
	switch what := r.missing(); {
	case what == "":
	case os.Getenv("WARDKEY_TEST_ENGINES") == "both":
		t.Fatalf("%s is missing; run the tests with make test, or internal/recipes/install before them", what)
	default:
		t.Skipf("%s is missing: run internal/recipes/install, or make test", what)
	}
}

// start starts the example. A port that somebody took meanwhile is no reason to fail.
func (r recipe) start(t *testing.T, p place) place {
	t.Helper()
	var err error
	for range 3 {
		p.dir, p.port, p.keysPort = directory(t), freePort(t), freePort(t)
		p.process = r.begin(t, p)
		if err = p.process.answers(t.Context(), "http://127.0.0.1:"+p.port+"/"); err == nil {
			return p
		}
	}
	t.Fatalf("start %s: %v", r.name, err)
	return p
}

// directory is a temporary one that servers find also as another user, which they become if root
// starts them.
func directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve is a server of this process, until the test ends, with a handler that may know its address.
// certificate is a file for its own, if it is to speak TLS.
func serve(t *testing.T, certificate string, handler func(address string) http.Handler) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that are killed while they speak TLS
	address := server.Listener.Addr().String()
	if certificate == "" {
		server.Config.Handler = handler("http://" + address)
		server.Start()
		return
	}
	server.Config.Handler = handler("https://" + address)
	server.StartTLS()
	writePEM(t, certificate, "CERTIFICATE", server.Certificate().Raw)
}

// backend starts what stands behind the proxies, and returns its host and port.
func backend(t *testing.T) (host string) {
	t.Helper()
	serve(t, "", func(address string) http.Handler {
		host = strings.TrimPrefix(address, "http://")
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })
	})
	return host
}
