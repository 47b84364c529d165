package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A key's page shows how it was used, as a chart and as a table.
func TestUsageChart(t *testing.T) {
	s := start(t)
	s.call("POST", "sections", map[string]any{"id": "nordic", "name": "Nordic"})
	s.call("POST", "keyspaces", map[string]any{"id": "email", "name": "E-mail"})
	key := s.call("POST", "clients", map[string]any{"name": "CRM", "sections": []string{"nordic"}, "permissions": map[string]any{"email": []string{"read"}}})
	id, secret := key["id"].(string), key["client_secret"].(string)
	for range 3 {
		s.ask(id, secret)
	}
	s.ask(id, secret+"x")
	s.counted(id)

	b := s.open(laptop)
	b.signIn()
	b.goTo("/admin/keys/" + id)
	var canvas, legend string
	b.do(
		chromedp.WaitVisible(".chart canvas"),
		chromedp.Evaluate(`String(document.querySelector(".chart canvas").width > 300)`, &canvas),
		chromedp.Text(".chart .u-legend", &legend),
	)
	if canvas != "true" || legend == "" {
		t.Errorf("the chart is %q wide, its legend says %q", canvas, legend)
	}
	b.says("3 token requests granted, 1 refused.")
	for link, says := range map[string]string{"24 hours": "By the day and by the hour", "7 days": "By the day and by the hour", "90 days": "By the day", "2 years": "By the day"} {
		var current string
		b.do(
			chromedp.Click(`//nav[@class="ranges"]/a[text()="`+link+`"]`),
			chromedp.WaitVisible(`//h2[text()="Used in the last `+link+`"]`),
			chromedp.WaitVisible(".chart canvas"),
			chromedp.Text(".ranges a[aria-current]", &current),
		)
		b.says("3 token requests granted, 1 refused.")
		b.says(says)
		if current != link {
			t.Errorf("%q is marked, want %q", current, link)
		}
	}
	if dir := os.Getenv("LOOK"); dir != "" {
		b.picture(filepath.Join(dir, "usage.png"))
		b.dark(true)
		b.goTo("/admin/keys/" + id)
		b.do(chromedp.WaitVisible(".chart canvas"))
		b.picture(filepath.Join(dir, "usage-dark.png"))
	}
}

// The usage page says who used how much and why requests were refused, also without scripts, and has
// it as CSV.
func TestAccountUsage(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/keys")
		b.do(chromedp.Click(`//nav//a[text()="Usage"]`), chromedp.WaitVisible("#wasteful"))
		b.says("none asked for another sooner today")
		s.made("sections", map[string]any{"id": "nordic", "name": "Nordic"})
		s.made("keyspaces", map[string]any{"id": "email", "name": "E-mail"})
		key := s.made("clients", map[string]any{"name": "=CRM", "sections": []string{"nordic"}, "permissions": map[string]any{"email": []string{"read"}}})
		id, secret := key["id"].(string), key["client_secret"].(string)
		for range 3 {
			s.ask(id, secret)
		}
		s.ask(id, secret+"x")
		s.ask("nobody", "x")
		s.counted(id)
		s.wasteful()
		b.goTo("/admin/usage?range=7d")
		b.do(chromedp.WaitVisible(".chart canvas"))
		b.says("Token requests in the last 7 days")
		b.has(`//section[h2="By API key"]//tr[th/a="=CRM"][td[1]="3"][td[2]="1"][td[3]="25.0 % refused"]`, true)
		b.has(`//section[h2="By API key"]//tr[contains(th, "without the Client ID of a key")][td[2]="1"]`, true)
		b.has(`//section[h2="Why requests were refused"]//tr[th="wrong secret"][td[1]="1"]`, true)
		b.has(`//section[h2="Cache your token"]//tr[th/a="=CRM"][td[1]="2"]`, true)
		b.do(chromedp.Click(`//a[text()="Most refused first"]`), chromedp.WaitVisible(`//a[@aria-current][text()="Most refused first"]`))
		b.says("Token requests in the last 7 days")
		var file string
		b.do(chromedp.AttributeValue(`//section[h2="By API key"]//a[text()="Download as CSV"]`, "href", &file, nil))
		answer, csv := b.fetch("GET", file, nil, nil)
		if !strings.Contains(csv, id+",'=CRM,3,1\r\n") || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/csv") ||
			!strings.HasPrefix(answer.Header.Get("Content-Disposition"), `attachment; filename="wardkey-usage-7d-`) {
			t.Errorf("GET %s = %v\n%s", file, answer.Header, csv)
		}
		b.do(chromedp.Click(`//section[h2="Cache your token"]//td/a`), chromedp.WaitVisible("#limits"))
		b.at("/admin/keys/" + id + "#limits")
		b.says("Cache your token.")

		b.do(emulation.SetScriptExecutionDisabled(true))
		b.goTo("/admin/usage")
		b.do(chromedp.Click(`//section[h2="Token requests in the last 2 days"]//summary`), chromedp.WaitVisible(`//th[text()="Hour"]`))
		b.do(chromedp.Click(`//nav[@class="ranges"]/a[text()="90 days"]`), chromedp.WaitVisible(`//h2[text()="Token requests in the last 90 days"]`))
		b.has(`//section[h2="By API key"]//tr[th/a="=CRM"]`, true)
	})
}

// wasteful waits until the server has written that a key asked too early, which takes it some
// seconds.
func (s *server) wasteful() {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(s.call("GET", "wasteful-clients", nil)["items"].([]any)) == 0 {
		if time.Now().After(deadline) {
			s.t.Fatal("it is never counted that a key asked too early")
		}
		select {
		case <-s.t.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// An account with much use, however large the numbers and long the names, has a page that fits.
func TestMuchUsage(t *testing.T) {
	url := databasetest.PostgresURL(t) // of SQLite only the server has the file
	s := start(t, "--database", url)
	db, err := database.Open(url)
	must(t, err)
	defer db.Close()
	s.made("sections", map[string]any{"id": "nordic", "name": "Nordic"})
	for i := range 30 {
		key := s.made("clients", map[string]any{"name": strings.Repeat("Integration", 1+i/3)[:min(11*(1+i/3), 110)] + fmt.Sprint(" ", i), "sections": []string{"nordic"}, "permissions": map[string]any{"*": []string{"read"}}})
		_, err := db.Exec(t.Context(), `INSERT INTO token_habits (client_id, day, early, over_limit, user_agent) VALUES ($1, $2, $3, 0, $4)`,
			key["id"], time.Now().Unix()/86400, 1_000_000/(i+1), []string{"Go-http-client/1.1", strings.Repeat("agent/", 16)}[i%2])
		must(t, err)
		for _, client := range []any{key["id"], "*"} {
			for outcome, requests := range map[string]int{"granted": 3_000_000, "wrong_secret": 20_000, "scope_not_held": 7} {
				_, err := db.Exec(t.Context(), `INSERT INTO usage_days (client_id, day, outcome, audience, block, requests)
					SELECT $1, $2 - n, $3, $4, '', CAST($5 AS BIGINT) * (10 + n % 7) / (10 + n / 30) FROM generate_series(1, 700) n
					ON CONFLICT (client_id, day, outcome, audience, block) DO UPDATE SET requests = usage_days.requests + excluded.requests`,
					client, time.Now().Unix()/86400, outcome, "https://api.example/"+strings.Repeat("long", i), requests/(i+1))
				must(t, err)
			}
		}
	}
	b := s.open(laptop)
	b.signIn()
	b.goTo("/admin/usage?range=2y")
	b.do(chromedp.WaitVisible(".chart canvas"))
	if dir := os.Getenv("LOOK"); dir != "" {
		b.picture(filepath.Join(dir, "usage-much.png"))
		b.do(chromedp.EmulateViewport(phone, 800))
		b.goTo("/admin/usage?range=2y")
		b.do(chromedp.WaitVisible(".chart canvas"))
		b.picture(filepath.Join(dir, "usage-much-phone.png"))
	}
	b.check(page{name: "usage-much"})
}

// counted waits until the server has written that the key was used, which takes it some seconds.
func (s *server) counted(id string) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		hours := s.call("GET", "clients/"+id+"/usage", nil)["hours"].([]any)
		if hours[len(hours)-1].(map[string]any)["granted"].(float64)+hours[len(hours)-2].(map[string]any)["granted"].(float64) >= 3 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the uses are never counted")
		}
		select {
		case <-s.t.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
