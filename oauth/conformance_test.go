package oauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

const conformanceDoc = "../docs/conformance.md"

// groups are the requirements that concern this server, by the letters of their numbers.
var groups = []struct {
	letters, title string
	count          int // they are numbered from 1; 0: see attacks
}{
	{"A", "Token endpoint: transport, method, body", 30},
	{"B", "Client authentication with a secret", 32},
	{"C", "Scope", 13},
	{"D", "Success", 11},
	{"E", "Errors", 12},
	{"F", "OAuth 2.1 and the security best current practice (RFC 9700)", 16},
	{"G", "Bearer tokens at a resource server (RFC 6750)", 15},
	{"H", "Access tokens (RFC 9068)", 20},
	{"J", "Signatures (RFC 7515 to 7519, 8725)", 28},
	{"K", "EdDSA (RFC 8037, RFC 9864)", 8},
	{"L", "Metadata (RFC 8414)", 25},
	{"M", "Signing keys (RFC 7517)", 15},
	{"N", "Protected resource metadata (RFC 9728)", 9},
	{"O", "Resource indicators (RFC 8707)", 11},
	{"Q", "Introspection (RFC 7662, RFC 9701)", 18},
	{"S", "Revocation (RFC 7009)", 12},
	{"U", "Status lists (Token Status List draft-20)", 17},
	{"ZC", "Problem details of the admin API (RFC 9457)", 8},
	{"ZD", "RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11)", 10},
	{"ZE", "HTTP hygiene", 12},
	{"ZF", "Admin API", 15},
	{"X", "Attacks", 0},
}

// attacks are the attack lines that concern what is built.
var attacks = []int{
	1, 2, 4, 5, 7, 8, 10, 11, 17, 19, 20, 23, 26, 38, 40, 41, 43, 44, 46, 47, 49, 50, 52, 53, 56, 58, 59, 61, 62, 64, 65, 67, 68, 70, 71, 73, 74, 76, 77, 79,
	55, 80, 82, 83, 86, 88, 89, 91, 92, 94, 95, 97, 100, 101, 103, 104, 106, 107, 109, 110,
}

// notYet are the groups without a table, and why.
var notYet = []string{
	"P (authorization_details): not built; scope says it all",
	"V (private_key_jwt), W (mutual TLS), X-01 to X-23 (DPoP), Y (attestation), Z (SPIFFE, federated credentials): not built; clients authenticate with secrets",
	"ZA (MCP): what its client needs to start is in L; the rest needs V",
	"ZB (dynamic registration): not built; clients are made by an admin",
	"the attacks that are left out: on assertions, registered keys and other tenants (X-013 to X-016, X-022, X-025, X-028 to X-035), none of which there are",
}

// A claim says that a requirement is held, or why not.
type claim struct {
	source, text string
	by           string // Markdown
	differs      bool
}

// "A-01, D-02 (RFC 6749 §5.1): what is asked." and, outside of vectors, " => by what".
var claimLine = regexp.MustCompile(`^([A-Z]+-\d+(?:, [A-Z]+-\d+)*) \((.+?)\): (.+?)\.(?: => (.+))?$`)

// claimed is all claims of the project by the number of the requirement.
type claimed map[string][]claim

func (c claimed) add(t *testing.T, line string, by func(to string) (string, bool)) {
	t.Helper()
	parts := claimLine.FindStringSubmatch(line)
	if parts == nil {
		t.Fatalf("%q is no claim", line)
	}
	text, differs := by(parts[4])
	for id := range strings.SplitSeq(parts[1], ", ") {
		c[id] = append(c[id], claim{parts[2], parts[3], text, differs})
	}
}

// readClaims collects the first lines of the vectors, and the lines of elsewhere.txt (what Go
// tests hold) and differs.txt (where we differ, and why).
func readClaims(t *testing.T) claimed {
	all := claimed{}
	paths, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		vector, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		link := fmt.Sprintf("[%s](../oauth/%s)", strings.TrimSuffix(filepath.Base(path), ".txt"), path)
		for line := range strings.Lines(strings.TrimSpace(string(vector.Comment))) {
			all.add(t, strings.TrimSpace(line), func(string) (string, bool) { return link, false })
		}
	}
	for line := range listed(t, "testdata/elsewhere.txt") {
		all.add(t, line, func(tests string) (string, bool) { return testLinks(t, tests), false })
	}
	for line := range listed(t, "testdata/differs.txt") {
		all.add(t, line, func(reason string) (string, bool) { return reason, true })
	}
	return all
}

// listed yields the lines of a file, without comments.
func listed(t *testing.T, path string) func(yield func(string) bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !yield(line) {
				return
			}
		}
	}
}

// testLinks links to Go tests, "package/TestName, …", which must exist.
func testLinks(t *testing.T, tests string) string {
	t.Helper()
	var links []string
	for test := range strings.SplitSeq(tests, ", ") {
		dir, name := filepath.Split(test)
		files, err := filepath.Glob("../" + dir + "*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && bytes.Contains(text, []byte("\nfunc "+name+"("))
		})
		if i < 0 {
			t.Errorf("elsewhere.txt names %s, which does not exist", test)
			continue
		}
		links = append(links, fmt.Sprintf("[%s](%s)", test, files[i]))
	}
	return strings.Join(links, ", ")
}

// TestConformanceDoc holds that each requirement is held by a test or has a reason why not, and
// that docs/conformance.md says so. With -update it writes the document.
func TestConformanceDoc(t *testing.T) {
	all := readClaims(t)
	var b strings.Builder
	b.WriteString(`# Conformance

What the RFCs and drafts ask of this server, what attackers try, and the test that holds each.
Requirements are numbered by this project. A vector is a file of raw HTTP, requests and the answers
that they must get; a name like oauth/TestRotation is a Go test. "Differs" says where we do
otherwise, and why; what is not built says so.

Generated from the first lines of the vectors, [elsewhere.txt](../oauth/testdata/elsewhere.txt) and
[differs.txt](../oauth/testdata/differs.txt) by ` + "`go test ./oauth -run TestConformanceDoc -update`" + `; the
test fails when a requirement is not covered, or this page is old.
`)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s: %s\n\n| | Requirement | From | Held by |\n| --- | --- | --- | --- |\n", g.letters, g.title)
		for _, id := range ids(g.letters, g.count) {
			found := all[id]
			delete(all, id)
			if len(found) == 0 {
				t.Errorf("%s is held by nothing", id)
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", id, escape(found[0].text), escape(found[0].source), escape(heldBy(found)))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		t.Errorf("%s is claimed, but is no requirement", id)
	}
	b.WriteString("\n## Without a table\n\n")
	for _, line := range notYet {
		b.WriteString("- " + line + ".\n")
	}
	if *update {
		if err := os.WriteFile(conformanceDoc, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(conformanceDoc); err != nil || string(text) != b.String() {
		t.Errorf("%s is old (%v): go test ./oauth -run TestConformanceDoc -update", conformanceDoc, err)
	}
}

func ids(letters string, count int) (all []string) {
	for n := 1; n <= count; n++ {
		all = append(all, fmt.Sprintf("%s-%02d", letters, n))
	}
	if letters == "X" {
		for _, n := range attacks {
			all = append(all, fmt.Sprintf("X-%03d", n))
		}
	}
	return all
}

// heldBy joins what holds a requirement; where we differ comes last.
func heldBy(found []claim) string {
	var tests, reasons []string
	for _, c := range found {
		switch {
		case !c.differs && !slices.Contains(tests, c.by):
			tests = append(tests, c.by)
		case !c.differs:
		case c.text != found[0].text:
			reasons = append(reasons, "Differs: asked is that "+c.text+"; "+c.by)
		case strings.HasPrefix(c.by, "not built"), strings.HasPrefix(c.by, "does not apply"):
			reasons = append(reasons, strings.ToUpper(c.by[:1])+c.by[1:])
		default:
			reasons = append(reasons, "Differs: "+c.by)
		}
	}
	return strings.Join(append(tests, reasons...), "; ")
}

func escape(cell string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(cell)
}

// TestAnswersKeepTheRules holds what is true of every answer in the vectors.
func TestAnswersKeepTheRules(t *testing.T) {
	paths, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		vector, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range vector.Files {
			if f.Name != "response" {
				continue
			}
			if broken := brokenRule(string(f.Data)); broken != "" {
				t.Errorf("%s, section %d: %s", path, i+1, broken)
			}
		}
	}
}

// brokenRule says what is wrong with an answer.
func brokenRule(response string) string {
	head, body, hasBody := strings.Cut(response, "\n\n")
	statusLine, fields, _ := strings.Cut(head, "\n")
	var status int
	if _, err := fmt.Sscanf(statusLine, "HTTP/1.1 %d", &status); err != nil {
		return "it has no status"
	}
	header := http.Header{}
	for line := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		header.Add(name, value)
	}
	for _, name := range []string{"Set-Cookie", "Location", "Server", "Access-Control-Allow-Origin", "X-Powered-By"} {
		if header.Get(name) != "" {
			return "it has " + name
		}
	}
	switch {
	case header.Get("X-Content-Type-Options") != "nosniff":
		return "it may be sniffed"
	case status >= 300 && status < 400 && status != 304:
		return "it redirects"
	case (status == 401) != (header.Get("WWW-Authenticate") == challenge):
		return "401 and challenge do not go together"
	case status == 405 && header.Get("Allow") == "":
		return "405 has no Allow"
	case status < 400 || !hasBody:
		return ""
	case header.Get("Content-Type") != "application/json":
		return "the error is not application/json"
	case header.Get("Cache-Control") != "no-store":
		return "the error may be kept"
	case status == 404:
		return "" // not an answer of the protocol
	case header.Get("Pragma") != "no-cache":
		return "the error may be kept by HTTP/1.0"
	}
	return brokenBody(status, body)
}

// brokenBody says what is wrong with the body of an error (RFC 6749 §5.2).
func brokenBody(status int, body string) string {
	var members map[string]any
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		return err.Error()
	}
	code, _ := members["error"].(string)
	description, _ := members["error_description"].(string)
	_, hasURI := members["error_uri"]
	switch {
	case outcomes[Code(code)].title == "" || outcomes[Code(code)].title != members["title"]:
		return "it has no code or title"
	case description == "" || legal(description) != description || members["detail"] != description:
		return "the description is missing, not legal, or not the detail"
	case members["status"] != float64(status) || hasURI || len(members) != 6:
		return "its members are not the ones that were promised"
	case !errorID.MatchString(body):
		return "it has no error_id"
	}
	return ""
}
