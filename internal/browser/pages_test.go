package browser

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/chromedp/chromedp"
)

// A shop is what a server has in it when people have used it for a while.
type shop struct {
	key, rotating, deleted string // API keys, by id
	secret, token          string // of the first
	errorID                string
	kid                    string // of a signing key
	admin, adminPassword   string // a viewer, by id, and the one-time password
	webhook                string // by id
	called                 func(name string) string
}

// furnish makes a bit of everything, with the names that called makes of good ones.
func (s *server) furnish(called func(name string) string) *shop {
	s.t.Helper()
	for _, x := range []string{"Nordic", "Benelux", "Iberia"} {
		s.made("sections", map[string]any{"id": strings.ToLower(x), "name": called(x)})
	}
	for id, name := range map[string]string{"email": "E-mail", "crm-id": "CRM id", "phone": "Phone number"} {
		s.made("keyspaces", map[string]any{"id": id, "name": called(name), "actions": []string{"read", "write"}})
	}
	s.made("capabilities", map[string]any{"id": "transactional-email", "name": called("Transactional e-mail"), "actions": []string{"send"}, "enabled": true})
	s.made("capabilities", map[string]any{"id": "export", "name": called("Export"), "actions": []string{"start"}, "enabled": false})
	key := func(name string, more map[string]any) map[string]any {
		body := map[string]any{
			"name": called(name), "description": called("Looked after by the team of the data platform."),
			"sections": []string{"nordic"}, "permissions": map[string]any{"email": []string{"read", "write"}},
		}
		for member, value := range more {
			body[member] = value
		}
		return s.made("clients", body)
	}
	first := key("CRM integration - production", map[string]any{"sections": []string{"nordic", "benelux"}})
	rotating := key("Shop checkout - production", map[string]any{"permissions": map[string]any{"*": []string{"read"}, "email": []string{"write"}, "transactional-email": []string{"send"}}})
	deleted := key("Newsletter import - staging", nil)
	key("Nightly BI export - production", map[string]any{"sections": []string{"*"}, "permissions": map[string]any{"*": []string{"read"}}})
	key("Loyalty app - test", map[string]any{"disabled": true})
	h := &shop{key: first["id"].(string), rotating: rotating["id"].(string), deleted: deleted["id"].(string), secret: first["client_secret"].(string), called: called}
	s.made("clients/"+h.rotating+"/secrets", map[string]any{})
	s.call("DELETE", "clients/"+h.deleted, nil)
	viewer := s.made("admins", map[string]any{"email": "viewer@example.com", "role": "viewer"})
	h.admin, h.adminPassword = viewer["id"].(string), viewer["password"].(string)
	s.alert(h)
	h.token = s.ask(h.key, h.secret)["access_token"].(string)
	s.fetchKeys(called("shop-api/2.3 (jose 6.0.11)"))
	s.fetchKeys(called("python-requests/2.32.3"))
	h.errorID, _ = s.ask(h.key, h.secret+"x")["error_id"].(string)
	h.kid = s.call("GET", "signing-keys", nil)["items"].([]any)[0].(map[string]any)["kid"].(string)
	return h
}

// plainly calls things what they are called.
func plainly(name string) string { return name }

// made makes something with the admin API.
func (s *server) made(path string, body any) map[string]any {
	s.t.Helper()
	made := s.call("POST", path, body)
	if status, ok := made["status"].(float64); ok && status >= 400 {
		s.t.Fatalf("POST %s = %v", path, made)
	}
	return made
}

// A page is one that can be looked at, and how one gets there.
type page struct {
	name string
	open func(b *tab)
}

// pages are all that somebody who is signed in can see.
func (h *shop) pages() []page {
	at := func(name, path string) page { return page{name, func(b *tab) { b.goTo("/admin/" + path) }} }
	pasted := func(name string, text func() string) page {
		return page{name, func(b *tab) {
			b.goTo("/admin/troubleshoot")
			b.do(chromedp.SetValue("#what", text()), chromedp.Submit("#what"), chromedp.WaitVisible("#found"))
		}}
	}
	return []page{
		at("keys", "keys"), at("keys-none", "keys?q=nothing+is+called+so"), at("key-new", "keys/new"),
		{"key-new-wrong", func(b *tab) {
			b.goTo("/admin/keys/new")
			b.do(chromedp.SendKeys("#name", "CRM"), chromedp.Submit("#name"), chromedp.WaitVisible(".wrong"))
		}},
		{"key-secret", func(b *tab) {
			b.goTo("/admin/keys/new")
			b.do(chromedp.SendKeys("#name", h.called("CRM integration - staging")), chromedp.Click(`input[name=section][value=nordic]`),
				chromedp.Click(`input[value="email:read"]`), chromedp.Submit("#name"), chromedp.WaitVisible("#client-secret"))
		}},
		at("key", "keys/"+h.key), at("key-rotating", "keys/"+h.rotating), at("key-edit", "keys/"+h.key+"/edit"),
		{"key-summary", func(b *tab) {
			b.goTo("/admin/keys/" + h.key + "/edit")
			b.do(chromedp.Click(`input[value="crm-id:read"]`), chromedp.Click(`input[value="email:write"]`), chromedp.Submit("#name"), chromedp.WaitVisible(".gives"))
		}},
		at("key-delete", "keys/"+h.key+"/delete"),
		at("sections", "sections"), at("section", "sections/nordic"), at("section-delete", "sections/nordic/delete"),
		at("keyspaces", "keyspaces"), at("keyspace", "keyspaces/email"), at("capabilities", "capabilities"), at("capability", "capabilities/transactional-email"),
		at("usage", "usage"), at("usage-refused", "usage?range=2y&sort=refused"),
		at("simulator", "simulator"), at("simulator-yes", "simulator?"+url.Values{"key": {h.key}, "permission": {"email:write"}, "section": {"nordic"}}.Encode()),
		at("simulator-no", "simulator?"+url.Values{"key": {h.key}, "permission": {"export:start"}, "section": {"iberia"}}.Encode()),
		at("simulator-many", "simulator?q=production"),
		at("troubleshoot", "troubleshoot"), at("troubleshoot-leaked", "troubleshoot/leaked"), at("troubleshoot-key", "troubleshoot?what="+h.key), at("troubleshoot-deleted", "troubleshoot?what="+h.deleted),
		pasted("troubleshoot-token", func() string { return h.token }), pasted("troubleshoot-forged", func() string { return h.token[:len(h.token)-9] + "AAAAAAAAA" }),
		pasted("troubleshoot-secret", func() string { return " " + h.secret }), pasted("troubleshoot-damaged", func() string { return h.secret[:40] }),
		pasted("troubleshoot-error", func() string { return fmt.Sprintf(`{"error":"invalid_client","error_id":%q}`, h.errorID) }),
		pasted("troubleshoot-other", func() string { return "hello <b>you</b>" }),
		at("audit", "audit"), at("audit-checked", "audit?check=yes&action=client"),
		at("signing-keys", "signing-keys"),
		{"signing-keys-rotating", func(b *tab) {
			b.rotateKeys()
			b.goTo("/admin/signing-keys")
		}},
		at("signing-key-delete", "signing-keys/"+h.kid+"/delete"),
		at("admins", "admins"), at("admin-delete", "admins/"+h.admin+"/delete"),
		{"admin-password", func(b *tab) {
			b.goTo("/admin/admins")
			b.do(chromedp.Click(`form[action$="/reset-password"] button`), chromedp.WaitVisible("#password"))
		}},
		at("alerts", "alerts"), at("alerts-all", "alerts?state=all"), at("alerts-none", "alerts?state=acknowledged&client="+h.key),
		{"webhook-secret", func(b *tab) {
			b.goTo("/admin/webhooks")
			b.do(chromedp.SendKeys("#url", "https://example.invalid/"+strings.Repeat("long/", 40)), chromedp.Click(`input[name=kind][value=secret_leaked]`),
				chromedp.Submit("#url"), chromedp.WaitVisible("#webhook-secret"))
		}},
		{"webhooks-wrong", func(b *tab) {
			b.goTo("/admin/webhooks")
			b.do(chromedp.SendKeys("#url", "http://example.com"), chromedp.Submit("#url"), chromedp.WaitVisible(".wrong"))
		}},
		at("webhooks", "webhooks"), at("webhook-delete", "webhooks/"+h.webhook+"/delete"),
		at("settings", "settings"), at("password", "password"), at("failure", "no-such-page"),
	}
}
