package browser

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The first owner signs in with the password that was printed, and must choose another.
func TestFirstSignIn(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.open(laptop)
		b.goTo("/admin/keys")
		b.at("/admin/sign-in?back=%2Fadmin%2Fkeys")
		b.do(chromedp.SendKeys("#email", b.email), chromedp.SendKeys("#password", "not it"), chromedp.Submit("#password"), chromedp.WaitVisible(".wrong"))
		b.says("The e-mail or the password is wrong.")
		b.do(chromedp.SendKeys("#password", b.password), chromedp.Submit("#password"), chromedp.WaitVisible("#new_password"))
		b.goTo("/admin/keys") // nothing else can be done
		b.at("/admin/password")
		b.do(chromedp.SendKeys("#current_password", b.password), chromedp.SendKeys("#new_password", goodPassword), chromedp.SendKeys("#again", "another"),
			chromedp.Submit("#again"), chromedp.WaitVisible("#again-wrong"))
		b.do(chromedp.SendKeys("#current_password", b.password), chromedp.SendKeys("#new_password", goodPassword), chromedp.SendKeys("#again", goodPassword),
			chromedp.Submit("#again"), chromedp.WaitVisible(`a[aria-current][href="/admin/keys"]`))
		b.do(chromedp.Click(".who button"), chromedp.WaitVisible("#email"))
		b.goTo("/admin/keys")
		b.at("/admin/sign-in?back=%2Fadmin%2Fkeys")

		other := s.open(phone)
		other.goTo("/admin/sign-in")
		other.do(chromedp.SendKeys("#email", b.email), chromedp.SendKeys("#password", b.password), chromedp.Submit("#password"), chromedp.WaitVisible(".wrong"))
		other.says("The e-mail or the password is wrong.") // it was for one time
	})
}

// A session that ended while a form was filled in asks to sign in, and comes back to the form.
func TestSessionEndsInAForm(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/keys/new")
		b.do(chromedp.SendKeys("#name", "CRM"))
		b.endSessions()
		b.do(chromedp.Submit("#name"), chromedp.WaitVisible("#email"))
		b.at("/admin/sign-in?back=" + url.QueryEscape("/admin/keys/new"))
		b.do(chromedp.SendKeys("#email", b.email), chromedp.SendKeys("#password", b.password), chromedp.Submit("#password"), chromedp.WaitVisible("#description"))
		b.at("/admin/keys/new")

		b.goTo("/admin/keys")
		b.endSessions()
		b.do(chromedp.SendKeys("#q", "crm"), chromedp.WaitVisible("#email")) // htmx goes there too
		if path := b.path(); !strings.HasPrefix(path, "/admin/sign-in?back=%2Fadmin%2Fkeys") {
			t.Errorf("a search without a session leads to %s; want the sign-in page", path)
		}
	})
}

// endSessions ends all sessions, as another admin would.
func (s *server) endSessions() {
	s.t.Helper()
	for _, session := range s.call("GET", "sessions", nil)["items"].([]any) {
		s.call("DELETE", "sessions/"+session.(map[string]any)["id"].(string), nil)
	}
}

// A session is ended from another one, in the settings.
func TestEndASession(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b, other := s.open(laptop), s.open(phone)
		b.signIn()
		other.signIn()
		b.goTo("/admin/settings")
		b.says("This one")
		b.do(chromedp.Click(`form[action$="/end"] button`), chromedp.WaitNotPresent(`form[action$="/end"]`))
		other.goTo("/admin/keys")
		other.at("/admin/sign-in?back=%2Fadmin%2Fkeys")
		b.goTo("/admin/keys")
		b.at("/admin/keys")
	})
}
