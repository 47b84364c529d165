package browser

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// What must hold for every page, whatever the engine.
func TestEveryPage(t *testing.T) {
	s := start(t)
	h := s.furnish(plainly)
	b := s.open(laptop)
	b.goTo("/admin/sign-in")
	b.check(page{name: "sign-in"})
	b.signIn()
	for _, p := range h.pages() {
		p.open(b)
		b.check(p)
	}
}

// check checks the page that is open: in the light, in the dark, and on a phone.
func (b *tab) check(p page) {
	b.t.Helper()
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		b.axe(p.name, dark)
	}
	b.dark(false)
	b.fitsPhone(p.name)
}

// fitsPhone says whether a phone shows the page without scrolling to the side.
func (b *tab) fitsPhone(name string) {
	b.t.Helper()
	var over []string
	b.do(chromedp.EmulateViewport(phone, 800), chromedp.Evaluate(`(() => {
		const wide = document.scrollingElement.scrollWidth - innerWidth;
		const cut = [...document.querySelectorAll(".scroll:has(> .cards)")].filter((e) => e.scrollWidth > e.clientWidth);
		if (cut.length > 0) return cut.map((e) => "cards that scroll: " + e.innerHTML.slice(0, 200));
		return wide <= 0 ? [] : [wide + " pixels", ...[...document.querySelectorAll("main *")]
			.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 200))];
	})()`, &over), chromedp.EmulateViewport(laptop, 800))
	if len(over) > 0 {
		b.t.Errorf("%s is too wide for a phone: %s", name, strings.Join(over, "\n"))
	}
}

//go:embed testdata/axe.min.js
var axe string

// axe says whether axe-core finds anything that keeps somebody from using the page.
func (b *tab) axe(name string, dark bool) {
	b.t.Helper()
	var found string
	b.do(chromedp.Evaluate(axe+`; 0`, nil),
		chromedp.Evaluate(`axe.run({ resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) =>
			({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => n.html + " " + (n.any[0] || n.all[0] || n.none[0] || {}).message) }))))`,
			&found, awaited))
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	must(b.t, json.Unmarshal([]byte(found), &violations))
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s (dark: %t): %s, %s: %s\n%s", name, dark, v.Impact, v.ID, v.Help, strings.Join(v.Nodes, "\n"))
		}
	}
}

// Names and descriptions with markup in them are shown as what they are, everywhere, and are not
// too long for any page.
func TestMarkupInNames(t *testing.T) {
	const evil = `<b data-evil>"'><img src=x onerror=alert(1)></b>`
	s := start(t)
	h := s.furnish(func(name string) string { return (name + evil + strings.Repeat("W", 120))[:120] })
	b := s.open(laptop)
	b.do(emulation.SetUserAgentOverride("Mozilla " + evil))
	b.goTo("/admin/sign-in")
	b.do(chromedp.SendKeys("#email", evil+`@example.com`), chromedp.SendKeys("#password", "no"), chromedp.Submit("#password"), chromedp.WaitVisible(".wrong"))
	b.noMarkup("sign-in")
	b.signIn()
	for _, p := range h.pages() {
		p.open(b)
		b.noMarkup(p.name)
		b.fitsPhone(p.name)
	}
	if b.goTo("/admin/settings"); !strings.Contains(b.text(), evil) {
		t.Error("the user agent is not on the page of settings, so nothing was tested")
	}
	if b.goTo("/admin/keys"); !strings.Contains(b.text(), evil) {
		t.Error("the names are not on the list, so nothing was tested")
	}
}

func (b *tab) noMarkup(name string) {
	b.t.Helper()
	var html string
	b.do(chromedp.Evaluate(`document.querySelector("[data-evil], img[src=x]")?.parentElement.outerHTML || ""`, &html))
	if html != "" {
		b.t.Errorf("%s took a name for markup: %s", name, html)
	}
}
