package browser

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// cookie is that of the session of whoever is signed in.
func (b *tab) cookie() *network.Cookie {
	b.t.Helper()
	var found *network.Cookie
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		all, err := network.GetCookies().Do(ctx)
		for _, c := range all {
			if c.HTTPOnly {
				found = c
			}
		}
		return err
	}))
	if found == nil {
		b.t.Fatal("there is no session")
	}
	return found
}

// fetch asks for a page as the tab would, but with headers that a browser lets nobody choose.
func (b *tab) fetch(method, path string, form url.Values, header http.Header) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	must(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := b.cookie()
	r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	for name := range header {
		r.Header.Set(name, header.Get(name))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	must(b.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(b.t, err)
	return answer, string(text)
}

// The headers by which browsers protect a page are on each, and on errors.
func TestHeaders(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.open(laptop)
		b.signIn()
		for _, path := range []string{"/admin/keys", "/admin/keys/new", "/admin/no-such-page", "/admin/audit", "/admin/sign-in", "/admin/keys/no-such-key"} {
			answer, html := b.fetch("GET", path, nil, nil)
			for name, want := range map[string]string{
				"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
				"Cross-Origin-Opener-Policy": "same-origin",
			} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("GET %s has %s: %q; want %q", path, name, got, want)
				}
			}
			policy := answer.Header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("GET %s has the policy %q; want %s in it", path, policy, part)
				}
			}
			if len(html) > 100_000 {
				t.Errorf("GET %s has %d bytes; want at most 100,000", path, len(html))
			}
		}
	})
}

// Who signs in is led on by 303: with 307 the password would be sent on.
func TestSignInLeadsOn(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer, err := client.PostForm(s.url+"/admin/sign-in", url.Values{"email": {s.email}, "password": {s.password}})
		must(t, err)
		must(t, answer.Body.Close())
		if answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(answer.Header.Get("Location"), "/admin/") {
			t.Errorf("POST /admin/sign-in = %s to %q; want 303 to a page", answer.Status, answer.Header.Get("Location"))
		}
	})
}

// Scripts cannot read the cookie, other sites' forms do not send it, and it is a new one for
// whoever signs in.
func TestCookie(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.open(laptop)
		b.signIn()
		first := b.cookie()
		if !first.HTTPOnly || first.SameSite != network.CookieSameSiteLax || first.Path != "/" || !first.Session {
			t.Errorf("the cookie is %+v; want HttpOnly, SameSite=Lax, Path=/, until the browser is closed", first)
		}
		var seen string
		b.do(chromedp.Evaluate(`document.cookie`, &seen))
		if seen != "" {
			t.Errorf("scripts see the cookies %q", seen)
		}
		b.do(chromedp.Click(".who button"), chromedp.WaitVisible("#email"),
			network.SetCookie(first.Name, "chosen-by-somebody-else").WithURL(s.url), // session fixation
			chromedp.SendKeys("#email", b.email), chromedp.SendKeys("#password", b.password), chromedp.Submit("#password"), chromedp.WaitVisible(".who"))
		if second := b.cookie(); second.Value == "chosen-by-somebody-else" || second.Value == first.Value {
			t.Errorf("after signing in the cookie is %q; want a new one", second.Value)
		}
		b.do(network.SetCookie(first.Name, first.Value).WithURL(s.url))
		b.goTo("/admin/keys")
		b.at("/admin/sign-in?back=%2Fadmin%2Fkeys") // who signed out has no session any more
	})
}

// A page of another site cannot act in the name of whoever is signed in.
func TestCrossSite(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		form := url.Values{"disabled": {"true"}, "name": {"CRM integration - production"}}
		for _, path := range []string{"/admin/keys/" + h.key + "/switch", "/admin/keys/" + h.key + "/delete", "/admin/sign-out", "/admin/troubleshoot", "/admin/signing-keys"} {
			for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://elsewhere.example"}}, {"Origin": {"null"}}} {
				if answer, _ := b.fetch("POST", path, form, header); answer.StatusCode != http.StatusForbidden {
					t.Errorf("POST %s with %v = %s; want 403", path, header, answer.Status)
				}
			}
		}
		if key := s.call("GET", "clients/"+h.key, nil); key["disabled"] != false {
			t.Errorf("after requests of another site the key is %v", key)
		}
		if answer, _ := b.fetch("POST", "/admin/keys/"+h.key+"/switch", form, http.Header{"Sec-Fetch-Site": {"same-origin"}}); answer.StatusCode != http.StatusSeeOther {
			t.Errorf("POST of our own page = %s; want 303", answer.Status)
		}
	})
}

// After signing in one is sent to a page of this server, whatever the address says.
func TestOpenRedirect(t *testing.T) {
	s := start(t)
	s.open(laptop).signIn()
	for _, to := range []string{"https://elsewhere.example/admin/", "//elsewhere.example/admin/", `/\elsewhere.example`, "/admin//elsewhere.example/..//", "javascript:alert(1)"} {
		b := s.open(laptop)
		b.goTo("/admin/sign-in?back=" + url.QueryEscape(to))
		b.do(chromedp.SendKeys("#email", b.email), chromedp.SendKeys("#password", goodPassword), chromedp.Submit("#password"), chromedp.WaitVisible(".who"))
		if path := b.path(); !strings.HasPrefix(path, "/admin/") {
			t.Errorf("back=%s leads to %s", to, path)
		}
	}
}

// A viewer sees everything but buttons, and a request that is made up is refused.
func TestViewer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.email = "viewer@example.com"
		b.password = h.adminPassword
		b.signIn()
		for _, path := range []string{
			"keys", "keys/" + h.key, "keys/" + h.rotating, "sections", "sections/nordic", "keyspaces", "keyspaces/email",
			"capabilities", "capabilities/export", "usage", "signing-keys", "admins", "audit",
		} {
			b.goTo("/admin/" + path)
			b.has(`main form[method=post]`, false)
			b.has(`main a[href$="/new"], main a[href$="/edit"], main a[href$="/delete"]`, false)
		}
		b.goTo("/admin/keys")
		b.says("you may look at everything and change nothing")
		own := http.Header{"Sec-Fetch-Site": {"same-origin"}}
		for path, form := range map[string]url.Values{
			"keys/new":                                {"name": {"CRM"}, "sections": {"all"}, "preset": {"read"}},
			"keys/" + h.key + "/edit":                 {"name": {"CRM"}, "sections": {"all"}, "preset": {"read"}, "confirmed": {"yes"}},
			"keys/" + h.key + "/delete":               {"name": {"CRM integration - production"}},
			"keys/" + h.key + "/switch":               {"disabled": {"true"}},
			"keys/" + h.key + "/secrets":              {},
			"keys/" + h.key + "/revoke-tokens":        {},
			"keys/" + h.rotating + "/cancel-rotation": {},
			"sections":                              {"id": {"oceania"}, "name": {"Oceania"}},
			"sections/nordic":                       {"name": {"North"}},
			"sections/nordic/delete":                {"id": {"nordic"}},
			"capabilities/export":                   {"switch": {"on"}},
			"signing-keys":                          {"when": {"now"}},
			"signing-keys/" + h.kid + "/delete":     {"kid": {h.kid}},
			"admins":                                {"email": {"me@example.com"}, "role": {"owner"}},
			"admins/" + h.admin + "/role":           {"role": {"owner"}},
			"admins/" + h.admin + "/reset-password": {},
			"admins/" + h.admin + "/delete":         {"email": {"viewer@example.com"}},
		} {
			if answer, html := b.fetch("POST", "/admin/"+path, form, own); answer.StatusCode != http.StatusForbidden {
				t.Errorf("a viewer's POST %s = %s; want 403\n%s", path, answer.Status, html)
			}
		}
	})
}
