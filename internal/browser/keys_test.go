package browser

import (
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A key is added: what is wrong is said at its field, nothing typed is lost, and the Secret is
// seen once.
func TestAddKey(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.do(chromedp.Click(`a[href="/admin/keys/new"]`), chromedp.WaitVisible("#name"),
			chromedp.SendKeys("#name", "CRM integration"), chromedp.SendKeys("#description", "for the\nsales team"), chromedp.Click(`input[value="email:write"]`),
			chromedp.Click(`input[value="transactional-email:send"]`), chromedp.SetValue("#token_lifetime", "900"), chromedp.Submit("#name"), chromedp.WaitVisible("#sections-wrong"))
		b.says("choose at least one Section")
		if got, want := b.value("#name")+b.value("#description")+b.value("#token_lifetime"), "CRM integration"+"for the\nsales team"+"900"; got != want {
			t.Errorf("after an error the form has %q; want %q", got, want)
		}
		b.has(`input[value="email:write"]:checked`, true)
		b.has(`input[value="transactional-email:send"]:checked`, true)
		b.has(`input[value="email:read"]:checked`, false)
		b.has(`input[value="export:start"]`, false) // switched off
		b.do(chromedp.Click(`input[name=section][value=nordic]`), chromedp.Submit("#name"), chromedp.WaitVisible("#client-secret"))
		id, secret := b.content("#client-id"), b.content("#client-secret")
		if answer := s.ask(id, secret); answer["scope"] != "section:nordic email:write transactional-email:send" {
			t.Errorf("the new key gets %v", answer)
		}
		b.copies(id, secret)

		b.do(chromedp.Click(".close button")) // the box is not checked yet
		b.has("#client-secret", true)
		b.do(chromedp.Click(".close input"), chromedp.Click(".close button"), chromedp.WaitVisible("#secrets"))
		b.at("/admin/keys/" + id + "?")
		b.neverShows(secret)
	})
}

// copies says whether the buttons copy what they stand beside.
func (b *tab) copies(id, secret string) {
	b.t.Helper()
	direct := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		must(b.t, cdpbrowser.SetPermission(&cdpbrowser.PermissionDescriptor{Name: name}, cdpbrowser.PermissionSettingGranted).WithBrowserContextID(b.profile).Do(direct))
	}
	for what, want := range map[string]string{"client-id": id, "client-secret": secret, "snippet-curl": b.content("#snippet-curl")} {
		var copied string
		button := `[data-copy="` + what + `"]`
		b.do(chromedp.Click(button), chromedp.WaitVisible(button+".copied"), chromedp.Evaluate(`navigator.clipboard.readText()`, &copied, awaited))
		if copied != want {
			b.t.Errorf("the button copies %q; want %q", copied, want)
		}
		if label := b.content(button); label != "Copied" {
			b.t.Errorf("the button says %q; want Copied", label)
		}
	}
	if said := b.content("#said"); !strings.HasSuffix(said, "copied") {
		b.t.Errorf("a screen reader is told %q; want that it is copied", said)
	}
}

// neverShows says whether going back, and loading again, shows a Secret that was shown once.
func (b *tab) neverShows(secret string) {
	b.t.Helper()
	gone := func(how string) {
		if html := b.html(); strings.Contains(html, secret) {
			b.t.Errorf("%s shows the Secret again", how)
		}
	}
	gone("the page of the key")
	before := len(b.call("GET", "clients", nil)["items"].([]any))
	for range 2 {
		b.leaves(`history.back()`)
		gone("going back")
		b.leaves(`location.reload()`)
		gone("loading again")
	}
	if after := len(b.call("GET", "clients", nil)["items"].([]any)); after != before {
		b.t.Errorf("going back and loading again made %d keys", after-before)
	}
}

// Whoever loads the page again that shows the Secret, and confirms that, sends the form again: that
// makes no second key and shows no Secret.
func TestFormSentAgain(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/keys/new")
		var form, address, html string
		b.do(chromedp.SendKeys("#name", "Made once"), chromedp.Click(`input[name=section][value=nordic]`), chromedp.Click(`input[value="email:read"]`),
			chromedp.Evaluate(`new URLSearchParams(new FormData(document.querySelector("main form"))).toString()`, &form),
			chromedp.Submit("#name"), chromedp.WaitVisible("#client-secret"))
		id, secret := b.content("#client-id"), b.content("#client-secret")
		// Chromium asks whether to send it again where no test can answer.
		b.do(chromedp.Evaluate(`fetch("/admin/keys/new", { method: "POST", body: new URLSearchParams("`+form+`") })
			.then(async (answer) => { window.html = await answer.text(); return answer.url; })`, &address, awaited), chromedp.Evaluate(`window.html`, &html))
		if address != s.url+"/admin/keys/"+id+"?again=1" || !strings.Contains(html, "made before, by the same form") || strings.Contains(html, secret) {
			t.Errorf("the form sent again leads to %s; want the page of the key %s, without its Secret:\n%s", address, id, html)
		}
	})
}

// The list is searched while one types, and its address can be shared.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.do(chromedp.WaitVisible("#key-list"), chromedp.SendKeys("#q", "checkout"), chromedp.WaitNotPresent(`//a[text()="CRM integration - production"]`))
		b.says("Shop checkout - production")
		b.has("#q:focus", true) // typing goes on
		if path := b.path(); !strings.Contains(path, "q=checkout") {
			t.Errorf("the address of a search is %s", path)
		}
		b.goTo("/admin/keys")
		b.do(chromedp.SetValue("#state", "disabled"), chromedp.Evaluate(`document.querySelector("#state").dispatchEvent(new Event("change", { bubbles: true }))`, nil),
			chromedp.WaitNotPresent(`//a[text()="Shop checkout - production"]`))
		b.says("Loyalty app - test")
		b.goTo("/admin/keys?q=nothing+is+called+so")
		b.says("Nothing found")
	})
}

// A key is edited: what would change is shown before it is saved.
func TestEditKey(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/keys/" + h.key + "/edit")
		b.do(chromedp.Click(`input[value="crm-id:read"]`), chromedp.Click(`input[value="email:write"]`), chromedp.SetValue("#name", "CRM - live"), chromedp.Submit("#name"), chromedp.WaitVisible(".gives"))
		for _, text := range []string{"+ crm-id:read", "– email:write", "– CRM integration - production", "+ CRM - live"} {
			b.says(text)
		}
		if scope := s.ask(h.key, h.secret)["scope"]; scope != "section:benelux section:nordic email:read email:write" {
			t.Errorf("before it is saved, the key gets %v", scope)
		}
		b.do(chromedp.Click(`button[name=change]`), chromedp.WaitVisible("#description"))
		if got := b.value("#name"); got != "CRM - live" {
			t.Errorf("to change something, the form has the name %q; want what was typed", got)
		}
		b.do(chromedp.Submit("#name"), chromedp.WaitVisible(`button[name=confirmed]`), chromedp.Click(`button[name=confirmed]`), chromedp.WaitVisible("#secrets"))
		b.says("CRM - live")
		if scope := s.ask(h.key, h.secret)["scope"]; scope != "section:benelux section:nordic crm-id:read email:read" {
			t.Errorf("after it was saved, the key gets %v", scope)
		}
	})
}

// Two tabs edit one key: the second is told, keeps what was typed, and may save all the same.
func TestTwoTabs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		one := s.open(laptop)
		one.signIn()
		two := one.another()
		save := func(b *tab) {
			b.do(chromedp.Submit("#name"), chromedp.WaitVisible(`button[name=confirmed]`), chromedp.Click(`button[name=confirmed]`), chromedp.WaitNotPresent(`button[name=confirmed]`))
		}
		for _, b := range []*tab{one, two} {
			b.goTo("/admin/keys/" + h.key + "/edit")
		}
		one.do(chromedp.SetValue("#name", "of one"))
		save(one)
		two.do(chromedp.SetValue("#name", "of two"))
		save(two)
		two.says("Somebody else changed this key while you did")
		if got := two.value("#name"); got != "of two" {
			t.Errorf("after a conflict the form has %q; want what was typed", got)
		}
		if name := s.call("GET", "clients/"+h.key, nil)["name"]; name != "of one" {
			t.Errorf("the key is called %v; want what was saved first", name)
		}
		save(two)
		if name := s.call("GET", "clients/"+h.key, nil)["name"]; name != "of two" {
			t.Errorf("the key is called %v; want what was saved in spite of the warning", name)
		}
	})
}

// A Secret is replaced without an outage: another is added, the page tells whether the old one is
// still used, and it is revoked.
func TestRotate(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		fresh := b.addSecret(h.key)
		for _, secret := range []string{h.secret, fresh} {
			if answer := s.ask(h.key, secret); answer["access_token"] == nil {
				t.Errorf("while a Secret is replaced, one of the two gets %v", answer)
			}
		}
		b.waitFor(h.key, "is still used")
		b.do(chromedp.Click(`//tr[.//*[text()="Older"]]//button`), chromedp.WaitNotPresent(`//*[text()="Older"]`))
		if answer := s.ask(h.key, h.secret); answer["error"] != "invalid_client" {
			t.Errorf("the revoked Secret gets %v", answer)
		}
		if answer := s.ask(h.key, fresh); answer["access_token"] == nil {
			t.Errorf("the new Secret gets %v", answer)
		}

		third := b.addSecret(h.key)
		b.do(chromedp.Click(`form[action$="/cancel-rotation"] button`), chromedp.WaitVisible("#overlap"))
		if answer := s.ask(h.key, third); answer["error"] != "invalid_client" {
			t.Errorf("after the rotation was taken back, the newer Secret gets %v", answer)
		}
		if answer := s.ask(h.key, fresh); answer["access_token"] == nil {
			t.Errorf("after the rotation was taken back, the older Secret gets %v", answer)
		}
	})
}

// addSecret adds a Secret on the page of a key, stores it, and goes back to the page.
func (b *tab) addSecret(key string) string {
	b.t.Helper()
	b.goTo("/admin/keys/" + key)
	b.do(chromedp.Click(`#secrets form.actions button`), chromedp.WaitVisible("#client-secret"))
	secret := b.content("#client-secret")
	b.do(chromedp.Click(".close input"), chromedp.Click(".close button"), chromedp.WaitVisible("#secrets"))
	return secret
}

// waitFor loads the page of a key until it says something: uses are counted within seconds.
func (b *tab) waitFor(key, text string) {
	b.t.Helper()
	for range 50 {
		if b.goTo("/admin/keys/" + key); strings.Contains(b.text(), text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("the page never says %q:\n%s", text, b.text())
}

// A key is disabled, enabled, and deleted by typing its name.
func TestStopKey(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/keys/" + h.key)
		b.do(chromedp.Click(`form[action$="/switch"] button`), chromedp.WaitVisible(`input[name=disabled][value=false]+button`))
		if answer := s.ask(h.key, h.secret); answer["error"] == nil {
			t.Error("a disabled key gets tokens")
		}
		b.do(chromedp.Click(`form[action$="/switch"] button`), chromedp.WaitVisible(`input[name=disabled][value=true]+button`))
		if answer := s.ask(h.key, h.secret); answer["access_token"] == nil {
			t.Errorf("an enabled key gets %v", answer)
		}
		b.do(chromedp.Click(`a[href$="/delete"]`), chromedp.WaitVisible("#name"))
		b.says("what uses it will stop working")
		b.do(chromedp.SendKeys("#name", "CRM"), chromedp.Submit("#name"), chromedp.WaitVisible("#name-wrong"))
		if answer := s.ask(h.key, h.secret); answer["access_token"] == nil {
			t.Errorf("a key that was not deleted gets %v", answer)
		}
		b.do(chromedp.SetValue("#name", "CRM integration - production"), chromedp.Submit("#name"), chromedp.WaitVisible("#key-list"))
		if answer := s.ask(h.key, h.secret); answer["error"] == nil {
			t.Error("a deleted key gets tokens")
		}
	})
}

// Without scripts a key is added and deleted all the same.
func TestWithoutScripts(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.furnish(plainly)
		b := s.open(laptop)
		b.do(emulation.SetScriptExecutionDisabled(true))
		b.signIn()
		b.do(chromedp.SendKeys("#q", "checkout\r"), chromedp.WaitNotPresent(`//a[text()="CRM integration - production"]`))
		b.goTo("/admin/keys/new")
		b.do(chromedp.SendKeys("#name", "Made by hand"), chromedp.Click(`input[name=section][value=nordic]`), chromedp.Click(`input[value="email:read"]`), b.press(`.actions button`), chromedp.WaitVisible("#client-secret"))
		var id string
		b.do(chromedp.TextContent("#client-id", &id), chromedp.Click(".close input"), b.press(".close button"), chromedp.WaitVisible("#secrets"))
		b.do(b.press(`a[href$="/delete"]`), chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", "Made by hand"), b.press(".danger-button"), chromedp.WaitVisible("#key-list"))
		if gone := s.call("GET", "clients/"+id, nil); gone["status"] != 404.0 {
			t.Errorf("the key that was deleted is %v", gone)
		}
	})
}

// press clicks: without scripts, a form is not submitted in another way.
func (b *tab) press(button string) chromedp.Action { return chromedp.Click(button) }
