package wardkey_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/wardkey/wardkey/"

// allowed is the architecture: what each package may import, beside the standard library. Arrows
// point one way; only oauth knows go-oauth2, only internal/database knows a driver, and verify
// stands alone.
var allowed = map[string]string{
	"sections":           "internal/database",
	"clients":            "sections internal/database github.com/google/uuid",
	"tokens":             "internal/database github.com/golang-jwt/jwt/v5 github.com/go-jose/go-jose/v4 golang.org/x/crypto",
	"oauth":              "clients sections tokens internal/limits internal/refusals internal/request github.com/go-oauth2/oauth2/v4 github.com/gorilla/mux",
	"verify":             "github.com/golang-jwt/jwt/v5",
	"verify/verifyprom":  "verify github.com/prometheus/client_golang",
	"verify/verifygrpc":  "verify google.golang.org/grpc",
	"migrations":         "github.com/pressly/goose/v3",
	"internal/database":  "migrations github.com/gofrs/flock github.com/jackc/pgx/v5 golang.org/x/sys modernc.org/sqlite",
	"internal/request":   "github.com/gorilla/mux",
	"internal/audit":     "internal/database",
	"internal/lease":     "internal/database",
	"internal/leaks":     "clients internal/audit internal/database internal/request",
	"internal/limits":    "clients internal/database",
	"internal/refusals":  "internal/database github.com/google/uuid",
	"internal/reports":   "clients sections internal/database",
	"internal/people":    "internal/audit internal/database github.com/alexedwards/scs/v2 github.com/google/uuid golang.org/x/crypto",
	"internal/usage":     "internal/database",
	"internal/telemetry": "tokens github.com/prometheus/client_golang go.opentelemetry.io/otel go.opentelemetry.io/contrib",
	"internal/alerts":    "clients internal/database",
	"internal/attacks":   "github.com/go-jose/go-jose/v4",
	"internal/countries": "github.com/oschwald/maxminddb-golang/v2",
	"internal/rscheck":   "internal/attacks",
	"internal/admin": "clients sections tokens internal/admin/wire internal/alerts internal/audit internal/database internal/leaks internal/limits internal/people internal/refusals internal/reports internal/request internal/usage " +
		"github.com/go-json-experiment/json github.com/google/uuid github.com/gorilla/mux golang.org/x/crypto",
	"internal/admin/wire":        "github.com/gorilla/mux github.com/oapi-codegen/runtime",
	"internal/admin/adminclient": "github.com/oapi-codegen/runtime",
	"internal/web":               "clients sections internal/admin/adminclient internal/alerts internal/audit internal/people internal/request github.com/gorilla/mux",
	"cmd/audience-api":           "verify",
	"cmd/wardkey": "clients sections tokens oauth verify migrations internal/admin internal/admin/adminclient internal/alerts internal/attacks internal/audit internal/countries internal/database internal/leaks internal/lease internal/limits internal/people internal/refusals internal/reports internal/request internal/rscheck internal/telemetry internal/usage internal/web " +
		"github.com/gorilla/mux github.com/spf13 golang.org/x/crypto golang.org/x/sync golang.org/x/term",
}

// tools are for those who work on Wardkey: they may import anything, and nothing may import them.
var tools = []string{"internal/databasetest", "internal/bench", "internal/interop", "internal/browser", "internal/recipes", "docs/validate"}

// kept says that a package of the standard library is not for pkg: only cmd reads flags and the
// environment, writes to the terminal or exits, and the domain knows no HTTP.
func kept(pkg, imported string) bool {
	switch imported {
	case "os", "os/exec", "os/signal", "flag", "log":
		return !strings.HasPrefix(pkg, "cmd/")
	case "net/http", "net/url", "html/template":
		return slices.Contains([]string{"sections", "clients", "tokens", "migrations"}, pkg)
	}
	return false
}

// The files are read here, not by go list, so that go test knows when to forget its last answer.
func TestImports(t *testing.T) {
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		file = filepath.ToSlash(file)
		hidden := len(entry.Name()) > 1 && strings.HasPrefix(entry.Name(), ".")
		if err == nil && entry.IsDir() && (hidden || entry.Name() == "testdata" || slices.Contains(tools, file)) {
			return fs.SkipDir
		}
		if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") {
			check(t, path.Dir(file), file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, pkg, file string) {
	t.Helper()
	rule, known := allowed[pkg]
	if !known {
		t.Errorf("%s is new: say in imports_test.go what it may import", pkg)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		local, own := strings.CutPrefix(imported, module)
		may := func(entry string) bool { return local == entry || !own && strings.HasPrefix(imported, entry+"/") }
		standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
		if standard && kept(pkg, imported) || !standard && !slices.ContainsFunc(strings.Fields(rule), may) {
			t.Errorf("%s must not import %s", file, imported)
		}
	}
}
