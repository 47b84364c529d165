package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// alert has something told, of which a part is muted, and a webhook to tell it to.
func (s *server) alert(h *shop) {
	s.t.Helper()
	h.webhook = s.made("webhooks", map[string]any{"url": "https://example.invalid/hook", "kinds": []string{"signing_key_rotated", "secret_leaked"}})["id"].(string)
	s.made("alert-mutes", map[string]any{"kind": "unusual_volume", "client_id": h.key})
	leaked := s.made("clients/"+h.key+"/secrets", map[string]any{})["client_secret"]
	s.made("security/leaked-secrets", map[string]any{"secrets": []string{leaked.(string)}})
	s.made("webhooks/"+h.webhook+"/test", nil)
}

// An admin sees in the menu that something was told, acknowledges it, and mutes what comes too often.
func TestAlerts(t *testing.T) {
	s := start(t)
	h := s.furnish(plainly)
	s.made("signing-keys/rotate", map[string]any{"now": true})
	b := s.open(laptop)
	b.signIn()
	b.goTo("/admin/alerts")
	b.says("Leaked secret revoked")
	b.says("CRM integration - production")
	b.has(`nav a[href="/admin/alerts"] .tag`, true)
	b.do(chromedp.Click(`form[action$="/acknowledge"] button[aria-label^="Acknowledge Leaked"]`), chromedp.WaitNotPresent(`button[aria-label^="Acknowledge Leaked"]`))
	b.goTo("/admin/alerts?state=acknowledged")
	b.says("Acknowledged by")
	b.goTo("/admin/alerts")
	b.do(chromedp.Click(`details summary`, chromedp.ByQuery), chromedp.Click(`//button[text()="This kind"]`, chromedp.BySearch), chromedp.WaitVisible(`button[aria-label="Unmute New signing key"]`))
	b.do(chromedp.Click(`form[action="/admin/alerts/acknowledge"] button`), chromedp.WaitVisible(".empty"))
	b.has(`nav a[href="/admin/alerts"] .tag`, false)
	b.do(chromedp.Click(`button[aria-label="Unmute New signing key"]`), chromedp.WaitNotPresent(`button[aria-label="Unmute New signing key"]`))

	b.goTo("/admin/webhooks/" + h.webhook + "/delete")
	b.do(chromedp.Submit(".danger-button"), chromedp.WaitVisible("#url"))
	b.has(`a[href="/admin/webhooks/`+h.webhook+`/delete"]`, false)
}
