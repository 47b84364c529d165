package browser

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// for looking at pages while they are made
func TestLook(t *testing.T) {
	dir := os.Getenv("LOOK")
	if dir == "" {
		t.Skip("LOOK says where to write pictures")
	}
	s := start(t, "--demo")
	b := s.open(laptop)
	b.goTo("/admin/sign-in")
	b.picture(dir + "/sign-in.png")
	b.signIn()
	b.picture(dir + "/keys.png")
	b.goTo("/admin/keys/new")
	b.picture(dir + "/new.png")
	b.do(chromedp.SendKeys("#name", "CRM integration - production"), chromedp.Click(`input[name=section][value=nordic]`), chromedp.Click(`input[value="email:read"]`), chromedp.Submit("#name"), chromedp.WaitVisible("#client-secret"))
	b.picture(dir + "/secret.png")
	p := s.open(phone)
	p.signIn()
	p.picture(dir + "/keys-phone.png")
}
