package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A leaked Secret is revoked by pasting what it stands in, and is not shown again.
func TestRevokeLeaked(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/troubleshoot/leaked")
		b.do(chromedp.SetValue("#secrets", "hunter2"), chromedp.Submit("#secrets"), chromedp.WaitVisible(".wrong"))
		b.says("There is no Secret in it: none begins with wks_. Nothing was revoked.")
		b.do(chromedp.SetValue("#secrets", `{"password":"`+h.secret+`"} wks_cut`), chromedp.SetValue("#found_at", "https://git.example/shop"),
			chromedp.Submit("#secrets"), chromedp.WaitVisible("#done"))
		b.has(`//tr[th/code[text()="…`+h.secret[len(h.secret)-4:]+`"]]//*[text()="Revoked"]`, true)
		b.has(`//tr//*[text()="Cut or mistyped"]`, true)
		var html string
		b.do(chromedp.OuterHTML("html", &html))
		if strings.Contains(html, h.secret) {
			t.Error("the page shows the Secret")
		}
		b.check(page{name: "troubleshoot-leaked-done"})
		b.goTo("/admin/audit?action=secret.delete")
		b.says("https://git.example/shop")
	})
}

// A key that nobody used says so, and is resumed with one click; it can be kept although unused.
func TestSuspendedKey(t *testing.T) {
	url := databasetest.PostgresURL(t) // of SQLite only the server has the file
	s := start(t, "--database", url)
	h := s.furnish(plainly)
	db, err := database.Open(url)
	must(t, err)
	defer db.Close()
	for _, statement := range []string{`UPDATE clients SET suspended_at = 1790000000 WHERE id = $1`, `UPDATE client_search SET suspended = TRUE WHERE client_id = $1`} {
		_, err := db.Exec(t.Context(), statement, h.key)
		must(t, err)
	}
	b := s.open(laptop)
	b.signIn()
	b.goTo("/admin/keys?state=suspended")
	b.has(`//tr[th/a[@href="/admin/keys/`+h.key+`"]]//*[text()="Suspended"]`, true)
	b.goTo("/admin/keys/" + h.key)
	b.says("Nobody used this API key, so it was suspended")
	b.check(page{name: "key-suspended"})
	b.do(chromedp.Click(`#suspended button`), chromedp.WaitNotPresent(`#suspended`))
	b.says("Active")
	b.do(chromedp.Click(`form[action$="/keep"] button`), chromedp.WaitVisible(`//button[text()="Let it go when unused"]`))
	b.says("It is kept, however long nobody uses it.")
	b.do(chromedp.Click(`form[action$="/keep"] button`), chromedp.WaitVisible(`//button[text()="Keep it although unused"]`))
}
