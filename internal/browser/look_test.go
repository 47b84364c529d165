package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
)

// With LOOK=folder, every page is written there as pictures, for somebody to look at; LOOK_AT
// names some of them.
func TestLook(t *testing.T) {
	dir := os.Getenv("LOOK")
	if dir == "" {
		t.Skip("LOOK says where to write pictures")
	}
	s := start(t)
	h := s.furnish(plainly)
	for _, how := range []struct {
		name  string
		width int64
		dark  bool
	}{{"", laptop, false}, {"-dark", laptop, true}, {"-phone", phone, false}, {"-phone-dark", phone, true}} {
		if at := os.Getenv("LOOK_HOW"); at != "" && !strings.Contains(" "+at+" ", " x"+how.name+" ") {
			continue
		}
		b := s.open(how.width)
		b.dark(how.dark)
		b.goTo("/admin/sign-in")
		b.picture(filepath.Join(dir, "sign-in"+how.name+".png"))
		b.signIn()
		for _, p := range h.pages() {
			if at := os.Getenv("LOOK_AT"); at != "" && !strings.Contains(" "+at+" ", " "+p.name+" ") {
				continue
			}
			p.open(b)
			b.picture(filepath.Join(dir, p.name+how.name+".png"))
		}
	}
}

// dark has the browser prefer dark pages, or light ones.
func (b *tab) dark(yes bool) {
	b.t.Helper()
	scheme := "light"
	if yes {
		scheme = "dark"
	}
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-reduced-motion", Value: "reduce"}, {Name: "prefers-color-scheme", Value: scheme},
	}))
}
