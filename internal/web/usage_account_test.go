package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 123456: "123,456", 1234567890: "1,234,567,890"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}

// accountAPI answers what the usage page asks, by path and what is added up; the keys of an account
// with very many take for ever.
func accountAPI(slowly bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch by := r.URL.Query().Get("by"); {
		case strings.HasSuffix(r.URL.Path, "/usage"):
			io.WriteString(w, `{"step":"day","since":"2026-03-04T00:00:00Z","until":"2026-03-05T00:00:00Z","granted":90000,"refused":10000,`+
				`"items":[{"at":"2026-03-04T00:00:00Z","granted":90000,"refused":10000}]}`)
		case by == "client" && slowly:
			<-r.Context().Done()
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"type":"urn:wardkey:problem:unavailable","status":503}`)
		case by == "client":
			io.WriteString(w, `{"items":[{"client_id":"k","client_name":"<b>CRM</b>","client_deleted":false,"granted":90000,"refused":5000},`+
				`{"client_id":"","client_deleted":false,"granted":0,"refused":4000},`+
				`{"client_id":"gone","client_name":"Old","client_deleted":true,"granted":0,"refused":999},{"client_id":"lost","client_deleted":true,"granted":0,"refused":1}]}`)
		case by == "outcome":
			io.WriteString(w, `{"items":[{"outcome":"wrong_secret","granted":0,"refused":10000},{"outcome":"granted","granted":90000,"refused":0}]}`)
		case by == "audience":
			io.WriteString(w, `{"items":[{"audience":"https://api.example","granted":90000,"refused":6000},{"audience":"","granted":0,"refused":4000}]}`)
		default:
			io.WriteString(w, `{"items":[{"client_id":"k","client_name":"<b>CRM</b>","early_today":1200,"user_agent":"node-fetch/2","advice":{"library":"Node","snippet":"x"}},`+
				`{"client_id":"gone","client_name":null,"early_today":3,"user_agent":"","advice":{"library":"Go","snippet":"y"}}]}`)
		}
	})
}

// The page says who used how much, and whoever has no page of its own has no link to it.
func TestAccountUsage(t *testing.T) {
	h := &Handler{API: accountAPI(false)}
	w := httptest.NewRecorder()
	if err := h.accountUsage(w, httptest.NewRequest("GET", "/admin/usage?range=90d&sort=refused&x=<i>", nil)); err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(w.Body.String()), " ")
	for text, want := range map[string]bool{
		"<strong>90,000</strong> token requests granted, <strong>10,000</strong> refused": true,
		`<a href="/admin/keys/k">&lt;b&gt;CRM&lt;/b&gt;</a>`:                              true,
		"<b>": false, "<i>": false,
		"not known: without the Client ID of a key, or refused before": true,
		`<a href="/admin/troubleshoot?what=gone">Old</a>`:              true,
		`<a href="/admin/troubleshoot?what=lost">lost</a>`:             true,
		`href="/admin/keys/gone`:                                       false,
		"5.3 % refused":                                                true,
		`<th scope="row">wrong secret</th><td>10,000</td><td>100 %`:    true,
		`<th scope="row">granted`:                                      false,
		"none: refused before it was known":                            true,
		`href="/admin/keys/k#limits"`:                                  true,
		`<code class="id">gone</code> <span class="state off">Deleted`: true,
		`href="/admin/usage?range=2y&amp;sort=refused&amp;x=%3Ci%3E"`:  true,
		`aria-current="true">90 days`:                                  true,
		"These are":                                                    false,
		`aria-current="true">Most refused first`:                       true,
		`/admin/usage/export?by=client&amp;range=90d&amp;sort=refused`: true,
	} {
		if strings.Contains(page, text) != want {
			t.Errorf("the page has %q: %v\n%s", text, !want, page)
		}
	}
}

// A page that does not show all says so.
func TestAccountUsageOfMany(t *testing.T) {
	for n, more := range map[int]bool{maxTop: false, maxTop + 1: true} {
		h := &Handler{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/usage") {
				accountAPI(false).ServeHTTP(w, r)
				return
			}
			limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
			if err != nil {
				limit = n
			}
			item := `{"client_id":"k","client_name":"CRM","early_today":1,"advice":{},"granted":1,"refused":0}`
			io.WriteString(w, `{"items":[`+strings.Join(slices.Repeat([]string{item}, min(n, limit)), ",")+`]}`)
		})}
		w := httptest.NewRecorder()
		if err := h.accountUsage(w, httptest.NewRequest("GET", "/admin/usage", nil)); err != nil {
			t.Fatal(err)
		}
		for part, want := range map[string]int{"These are the first 20;": 2, "These are the 20 that": 1} {
			if got := strings.Count(w.Body.String(), part); (got == want) != more || !more && got > 0 {
				t.Errorf("of %d, the page says %d times %q; want it: %v", n, got, part, more)
			}
		}
		if rows := strings.Count(w.Body.String(), `href="/admin/keys/k">`); rows != 2*maxTop {
			t.Errorf("of %d, the page shows %d; want %d twice", n, rows, maxTop)
		}
	}
}

// An account with a million keys has the rest of its page.
func TestAccountUsageOfVeryMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Handler{API: accountAPI(true)}
		w := httptest.NewRecorder()
		if err := h.accountUsage(w, httptest.NewRequest("GET", "/admin/usage", nil)); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"too many to add up in time", "wrong secret", "<strong>90,000</strong>"} {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("the page does not have %q\n%s", text, w.Body)
			}
		}
	})
}

// What fails is not said to be slow, and nothing that fails is saved as a file.
func TestAccountUsageFails(t *testing.T) {
	failing := func(status int) *Handler {
		return &Handler{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if by := r.URL.Query().Get("by"); by != "client" {
				accountAPI(false).ServeHTTP(w, r)
				return
			}
			w.WriteHeader(status)
			io.WriteString(w, `{"status":503}`)
		})}
	}
	err := failing(http.StatusServiceUnavailable).accountUsage(httptest.NewRecorder(), httptest.NewRequest("GET", "/admin/usage", nil))
	if p := asProblem(err); p == nil || p.Status != http.StatusServiceUnavailable {
		t.Errorf("when the store is away, the page is %v; want the problem", err)
	}
	for status, want := range map[int]string{http.StatusServiceUnavailable: "Choose less", http.StatusInternalServerError: "request id"} {
		w := httptest.NewRecorder()
		err := failing(status).exportUsage(w, httptest.NewRequest("GET", "/admin/usage/export?by=client", nil))
		if o, ok := errors.AsType[*oops](err); !ok || o.status != status || !strings.Contains(o.cause, want) || w.Body.Len() > 0 || w.Header().Get("Content-Disposition") != "" {
			t.Errorf("export of what fails with %d = %v, %v, %q; want %q", status, err, w.Header(), w.Body, want)
		}
	}
}

// What is exported is what the page shows.
func TestExportUsage(t *testing.T) {
	for query, want := range map[string]string{
		"":                                    "/admin/v1/usage step=hour wardkey-usage-48h-",
		"?range=2y":                           "/admin/v1/usage step=day wardkey-usage-2y-",
		"?by=client&range=90d&sort=refused":   "/admin/v1/usage/totals by=client&limit=200&sort=refused&step=day wardkey-usage-90d-",
		"?by=outcome&range=nonsense&sort=<i>": "/admin/v1/usage/totals by=outcome&limit=200&sort=requests&step=hour wardkey-usage-48h-",
		"?by=%22%0d%0aSet-Cookie:":            "/admin/v1/usage step=hour wardkey-usage-48h-",
	} {
		asked := ""
		h := &Handler{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			values := r.URL.Query()
			values.Del("since")
			asked = r.URL.Path + " " + values.Encode()
			w.WriteHeader(http.StatusOK)
			if accept := r.Header.Get("Accept"); accept != "text/csv" {
				t.Errorf("%s: Accept: %s", query, accept)
			}
		})}
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/admin/usage/export", nil)
		r.URL.RawQuery = strings.TrimPrefix(query, "?")
		if err := h.exportUsage(w, r); err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(w.Header().Get("Content-Disposition"), `filename="`)
		if got := asked + " " + name; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `.csv"`) {
			t.Errorf("%s asks for %s, want %s", query, got, want)
		}
	}
}
