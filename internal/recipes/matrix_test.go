package recipes

import (
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/attacks"
)

var update = flag.Bool("update", false, "write the matrix and the pages")

// A line is a row of the matrix.
type line struct {
	name    string
	says    string
	gravity attacks.Gravity
}

// Genuine tokens that are no attacks.
var own = []line{
	{"wildcards", "a good token that holds `section:*` and `*:read`", good},
	{"key-before", "a good token of the key before, which is still published", good},
	{"issuer-away", "a good token, while the issuer is away for longer than keys are kept", good},
	{"revoked-later", "a token that was accepted a moment ago, whose bit in the status list is set now", attacks.Note},
}

// good is the gravity of what must be accepted.
const good attacks.Gravity = "good"

// lines are all rows, in the order of the attacks.
func lines() []line {
	all := own
	for _, a := range attacks.All() {
		l := line{a.Name, a.Sends, a.Gravity}
		if a.Want == attacks.Accept {
			l.gravity = good
		}
		all = append(all, l)
	}
	return all
}

var tables = []struct {
	gravity attacks.Gravity
	title   string
}{
	{good, "What must be accepted"},
	{attacks.Critical, "What must be refused: otherwise forged and foreign tokens get in"},
	{attacks.Serious, "What must be refused: otherwise a line of defence is missing"},
	{attacks.Minor, "What should be refused: manners"},
	{attacks.Note, "What is good to know"},
}

// matrix is the text of all tables.
func matrix(t *testing.T, columns map[string]column) string {
	t.Helper()
	var text strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&text, "\n### %s\n\n", table.title)
		row(&text, "sent", func(r recipe) string { return "[" + r.name + "](" + r.page + ")" })
		row(&text, "---", func(recipe) string { return "---" })
		row(&text, versions, func(r recipe) string { return strings.Join(r.version(t), ", ") })
		for _, l := range lines() {
			if l.gravity == table.gravity {
				row(&text, l.says, func(r recipe) string { return columns[r.name][l.name] })
			}
		}
	}
	return text.String()
}

// versions is the row that differs from machine to machine.
const versions = "*version tested*"

func row(text *strings.Builder, first string, cell func(recipe) string) {
	fmt.Fprintf(text, "| %s |", first)
	for _, r := range recipes {
		fmt.Fprintf(text, " %s |", cell(r))
	}
	text.WriteByte('\n')
}

// compare holds the matrix of the README against the columns that ran, or writes it.
func compare(t *testing.T, columns map[string]column) {
	t.Helper()
	readme := page{name: "README.md"}
	readme.read(t)
	if *update {
		if len(columns) < len(recipes) {
			t.Fatal("not every recipe ran, so the matrix cannot be written")
		}
		readme.replace(t, "matrix", matrix(t, columns))
		readme.write(t)
		return
	}
	written := parse(readme.part(t, "matrix"))
	for _, r := range recipes {
		for _, l := range lines() {
			got, ran := columns[r.name][l.name]
			if want := written[r.name][l.says]; ran && got != want {
				t.Errorf("%s answers %s with %q, the README says %q: look why, or run with -update", r.name, l.says, got, want)
			}
		}
	}
}

// parse reads the cells of all tables, by recipe and row.
func parse(text string) map[string]map[string]string {
	cells := map[string]map[string]string{}
	for _, r := range recipes {
		cells[r.name] = map[string]string{}
	}
	for row := range strings.Lines(text) {
		parts := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		if len(parts) != 1+len(recipes) {
			continue
		}
		for i, r := range recipes {
			cells[r.name][strings.TrimSpace(parts[0])] = strings.TrimSpace(parts[1+i])
		}
	}
	return cells
}

// module says the versions of modules that an example in Go was built with.
func module(program string, paths ...string) func(*testing.T) []string {
	return func(t *testing.T) (versions []string) {
		t.Helper()
		info, err := buildinfo.ReadFile(filepath.Join(built, program))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			for _, dependency := range info.Deps {
				if dependency.Path == path {
					versions = append(versions, strings.TrimPrefix(dependency.Version, "v"))
				}
			}
		}
		return versions
	}
}

// npm says the version of a package in node_modules.
func npm(name string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(examples, "node/node_modules", name, "package.json"))
		if err != nil {
			t.Fatal(err)
		}
		var about struct {
			Version string `json:"version"`
		}
		if err := json.Unmarshal(text, &about); err != nil {
			t.Fatal(err)
		}
		return []string{about.Version}
	}
}

// debian says the upstream versions of packages.
func debian(names ...string) func(*testing.T) []string {
	return func(t *testing.T) (versions []string) {
		t.Helper()
		for _, name := range names {
			out, err := exec.CommandContext(t.Context(), "dpkg-query", "-W", "-f", "${source:Upstream-Version}", name).Output()
			if err != nil {
				t.Fatalf("dpkg-query %s: %v", name, err)
			}
			versions = append(versions, string(out))
		}
		return versions
	}
}
