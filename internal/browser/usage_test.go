package browser

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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
