package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/verify"
)

// visit is what a resource server sees of a key: two requests that it lets in and one that it does
// not, of which it reports.
func (s *server) visit(token, clientID, secret string) {
	s.t.Helper()
	v, err := verify.New(s.url, s.url, verify.WithReports(clientID, secret, nil))
	must(s.t, err)
	defer v.Close() // which reports
	routes := http.NewServeMux()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	routes.Handle("GET /profiles/{id}", v.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))(ok))
	routes.Handle("DELETE /profiles/{id}", v.Require(verify.Keyspace("phone", "write"))(ok))
	for _, request := range []string{"GET /profiles/1", "GET /profiles/2", "DELETE /profiles/1"} {
		var method, path string
		_, err := fmt.Sscan(request, &method, &path)
		must(s.t, err)
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		routes.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// What resource servers report of a key is on its page, and what it does not use is taken away with
// one click; not by a page that was open since before it was used.
func TestNarrowKey(t *testing.T) {
	url := databasetest.PostgresURL(t) // of SQLite only the server has the file
	s := start(t, "--database", url)
	h := s.furnish(plainly)
	reporter := s.made("clients", map[string]any{"name": "Profiles API", "sections": []string{}, "permissions": map[string]any{"wardkey": []string{"introspect"}}, "audiences": []string{s.url}})
	s.visit(h.token, reporter["id"].(string), reporter["client_secret"].(string))
	b := s.open(laptop)
	b.signIn()
	b.goTo("/admin/keys/" + h.key)
	b.says("No data for " + s.url)
	b.has(`//section[h2="Endpoints in the last 7 days"]//tr[th="GET /profiles/{id}"][td[2]="2"][td[3]="0 %"]`, true)
	b.has(`//section[h2="Endpoints in the last 7 days"]//tr[th="DELETE /profiles/{id}"][td[3]="100 %"]//*[@class="perm"][.="phone:write"]`, true)
	b.has(`form[action$="/narrow"]`, false)

	s.longAgo(url, h.key)
	b.goTo("/admin/keys/" + h.key)
	b.says("Take these 2 away")
	b.check(page{name: "key-narrow"})
	stale := b.another()
	stale.goTo("/admin/keys/" + h.key)
	b.do(chromedp.Click(`form[action$="/narrow"] button`), chromedp.WaitNotPresent(`form[action$="/narrow"]`))
	b.says("Nothing that is known not to be used.")
	key := s.call("GET", "clients/"+h.key, nil)
	if got := fmt.Sprint(key["sections"], key["permissions"]); got != "[nordic] map[email:[read]]" {
		t.Errorf("the key holds %s, want what it used", got)
	}
	stale.do(chromedp.Click(`form[action$="/narrow"] button`), chromedp.WaitVisible(`.banner`))
	stale.says("Nothing was taken from it; look again.")
}

// longAgo makes a key be there for 100 days, of which resource servers reported every minute.
func (s *server) longAgo(url, key string) {
	s.t.Helper()
	db, err := database.Open(url)
	must(s.t, err)
	defer db.Close()
	_, err = db.Exec(s.t.Context(), `UPDATE clients SET created_at = $1 WHERE id = $2`, time.Now().AddDate(0, 0, -100).Unix(), key)
	must(s.t, err)
	_, err = db.Exec(s.t.Context(), `INSERT INTO report_coverage (audience, hour, minutes, partial)
		SELECT $1, hour, 1152921504606846975, FALSE FROM generate_series($2::BIGINT, $3::BIGINT) hour ON CONFLICT (audience, hour) DO UPDATE SET minutes = excluded.minutes`,
		s.url, time.Now().AddDate(0, 0, -99).Unix()/3600, time.Now().Unix()/3600)
	must(s.t, err)
}
