package recipes

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A page is a file of Markdown, parts of which are written by these tests. Such a part stands
// between two comments: <!-- NAME --> and <!-- end -->.
type page struct {
	name, text string
}

func (p *page) read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, p.name))
	if err != nil {
		t.Fatal(err)
	}
	p.text = string(text)
	return p.text
}

func (p *page) write(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(examples, p.name), []byte(p.text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cut returns what stands before, in and after a part.
func (p *page) cut(t *testing.T, part string) (before, in, after string) {
	t.Helper()
	begin := "<!-- " + part + " -->\n"
	before, rest, begins := strings.Cut(p.text, begin)
	in, after, ends := strings.Cut(rest, "<!-- end -->")
	if !begins || !ends {
		t.Fatalf("%s has no part %s", p.name, part)
	}
	return before + begin, in, "<!-- end -->" + after
}

func (p *page) part(t *testing.T, part string) string {
	t.Helper()
	_, in, _ := p.cut(t, part)
	return in
}

func (p *page) replace(t *testing.T, part, text string) {
	t.Helper()
	before, _, after := p.cut(t, part)
	p.text = before + text + after
}

var filePart = regexp.MustCompile(`<!-- (file (\S+)) -->`)

// TestPages wants every page to show its example as it is, and every recipe to have one.
func TestPages(t *testing.T) {
	for _, r := range recipes {
		if p := (page{name: r.page}); !filePart.MatchString(p.read(t)) {
			t.Errorf("%s shows no example", r.page)
		}
	}
	for _, name := range pages(t) {
		t.Run(name, func(t *testing.T) {
			p := page{name: name}
			p.read(t)
			for _, m := range filePart.FindAllStringSubmatch(p.text, -1) {
				want := listing(t, m[2])
				if *update {
					p.replace(t, m[1], want)
				} else if p.part(t, m[1]) != want {
					t.Errorf("%s does not show %s as it is: run with -update", name, m[2])
				}
			}
			if *update {
				p.write(t)
			}
		})
	}
}

// pages are the names of all pages.
func pages(t *testing.T) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(examples, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		names = append(names, filepath.Base(path))
	}
	return names
}

// listing is a file as Markdown shows it.
func listing(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	kind := map[string]string{".go": "go", ".mjs": "js", ".js": "js", ".py": "python", ".java": "java", ".conf": "apache", ".template": "nginx", ".cfg": "haproxy"}[filepath.Ext(name)]
	if name == "haproxy/keys" {
		kind = "python"
	}
	return fmt.Sprintf("\n```%s\n%s```\n\n", kind, text)
}
