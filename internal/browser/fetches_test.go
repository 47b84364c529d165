package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// fetchKeys fetches the JWKS, as a service that calls itself so.
func (s *server) fetchKeys(userAgent string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/.well-known/jwks.json", nil)
	must(s.t, err)
	r.Header.Set("User-Agent", userAgent)
	if keys := s.send(r); keys["keys"] == nil {
		s.t.Fatalf("the JWKS is %v", keys)
	}
}

// rotateKeys makes a signing key that waits to sign, if there is none.
func (s *server) rotateKeys() {
	s.t.Helper()
	if !strings.Contains(fmt.Sprint(s.call("GET", "signing-keys", nil)), "pending") {
		s.made("signing-keys/rotate", map[string]any{})
	}
}

// Before a new key signs, the page says who has it, and what it would do to sign at once.
func TestWhoHasTheKeys(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/signing-keys")
		b.says("Nobody has fetched them in the last 30 days")
		s.fetchKeys("shop-api/2.3")
		s.fetchKeys("crm-sync/1.0")
		b.goTo("/admin/signing-keys")
		b.says("None of the 2 parties of the last day has it then.")
		b.do(chromedp.Click(`main form button`), chromedp.WaitVisible(`//*[starts-with(text(), "Signs in ")]`))
		b.says("0 of 2 parties of the last day have it; safe to rotate when all have.")
		s.fetchKeys("shop-api/2.3")
		b.goTo("/admin/signing-keys")
		b.says("1 of 2 parties of the last day has it; safe to rotate when all have.")
		b.has(`//tr[th[text()="shop-api/2.3"]]//*[text()="every key"]`, true)
		b.has(`//tr[th[text()="crm-sync/1.0"]]//*[starts-with(text(), "not ")]`, true)
		s.fetchKeys("crm-sync/1.0")
		b.goTo("/admin/signing-keys")
		b.says("All 2 parties of the last day have it: safe to rotate.")
		b.do(chromedp.Click(`input[name=when][value=now]`), chromedp.Click(`main form button`), chromedp.WaitVisible(`.note.warn`))
		b.says("0 of 2 parties of the last day have it. The others refuse tokens that it signs until they fetch the keys again.")
	})
}
