package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/people"
)

// A share never says none of some, nor all of most.
func TestShare(t *testing.T) {
	for _, tt := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "0 %"},
		{0, 10, "0 %"},
		{1, 1_000_000, "under 0.1 %"},
		{1, 1000, "0.1 %"},
		{1, 3, "33.3 %"},
		{999_999, 1_000_000, "over 99.9 %"},
		{10, 10, "100 %"},
	} {
		if got := share(tt.part, tt.whole); got != tt.want {
			t.Errorf("share(%d, %d) = %q, want %q", tt.part, tt.whole, got, tt.want)
		}
	}
}

// Where nobody reports, or not for long enough, the page says so.
func TestGaps(t *testing.T) {
	since := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	cover := func(audience string, at *time.Time) adminclient.AudienceCoverage {
		return adminclient.AudienceCoverage{Audience: audience, Since: at}
	}
	for _, tt := range []struct {
		name     string
		coverage []adminclient.AudienceCoverage
		gaps     int
		silent   bool
	}{
		{"nobody", []adminclient.AudienceCoverage{cover("a", nil)}, 1, true},
		{"one of two", []adminclient.AudienceCoverage{cover("a", nil), cover("b", &since)}, 1, false},
		{"too late", []adminclient.AudienceCoverage{cover("a", new(since.Add(time.Hour)))}, 1, false},
		{"all", []adminclient.AudienceCoverage{cover("a", &since)}, 0, false},
	} {
		s := seen{Use: adminclient.ScopeUse{Since: since, Coverage: tt.coverage}}
		if gaps := len(s.Gaps()); gaps != tt.gaps || s.Silent() != tt.silent {
			t.Errorf("%s: %d gaps, silent %v; want %d, %v", tt.name, gaps, s.Silent(), tt.gaps, tt.silent)
		}
	}
}

func TestStateWords(t *testing.T) {
	for _, tt := range []struct{ state, day, want string }{
		{"used", "2026-03-04", "used, last seen on 4 March 2026"},
		{"unused", "", "not used, not seen"},
		{"unused", "2026-03-04", "not used, last seen on 4 March 2026"},
		{"recent", "", "held for less than that, not seen"},
		{"unknown", "", "no data, not seen"},
	} {
		v := adminclient.ScopeValueUse{State: adminclient.ScopeValueUseState(tt.state)}
		if tt.day != "" {
			v.LastUsedOn = &tt.day
		}
		if got := stateWords(v); got != tt.want {
			t.Errorf("%s on %q: %q, want %q", tt.state, tt.day, got, tt.want)
		}
	}
}

// aKey is what the API says of a key that does not use two of its values.
const aKey = `{"days":90,"since":"2026-01-01T00:00:00Z","coverage":[{"audience":"https://api.example","since":"2025-01-01T00:00:00Z"}],` +
	`"values":[{"value":"section:nordic","state":"used","last_used_on":"2026-03-04"},{"value":"email:write","state":"unused","last_used_on":null}],` +
	`"taken":["section:baltic","email:write"],"narrowed":{"sections":["nordic"],"permissions":{"email":["read"]}},"etag":"\"as-shown\""}`

// The page shows what resource servers saw, and only who may change the key can narrow it.
func TestNarrowCard(t *testing.T) {
	var s seen
	for text, to := range map[string]any{
		aKey: &s.Use,
		`{"requests":1000,"refused":5,"items":[{"endpoint":"GET /<b>","audience":"https://api.example","requests":1000,"refused":5,` +
			`"outcomes":{"allowed":995,"expired":5},"lacked":["crm-id:write"]},{"requests":0}]}`: &s.Endpoints,
	} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	for role, form := range map[people.Role]bool{people.Owner: true, people.Admin: true, people.Viewer: false} {
		page := keyPage{Key: adminclient.Client{ID: "k"}, Seen: s}
		var endpoints, unused strings.Builder
		if err := errors.Join(templates()["key"].ExecuteTemplate(&endpoints, "endpoints", s),
			templates()["key"].ExecuteTemplate(&unused, "unused", view{Me: people.Person{Role: role}, Data: page})); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]bool{
			"<strong>1000</strong> requests": true, "<strong>0.5 %</strong> refused": true, "GET /&lt;b&gt;": true, "5 expired": true,
			`<span class="perm">crm-id:write</span>`: true, "all others": true, "<b>": false,
		} {
			if strings.Contains(endpoints.String(), text) != want {
				t.Errorf("the endpoints have %q: %v\n%s", text, !want, &endpoints)
			}
		}
		for text, want := range map[string]bool{
			`<span class="perm">section:baltic</span>`: true, `action="/admin/keys/k/narrow"`: form, "Take these 2 away": form,
			`name="taken" value="section:baltic email:write"`: form, `value="&#34;as-shown&#34;"`: form,
			"No data": false, "last seen on 4 March 2026": true,
		} {
			if strings.Contains(unused.String(), text) != want {
				t.Errorf("to the %s, the card has %q: %v\n%s", role, text, !want, &unused)
			}
		}
	}
	s.Use.Coverage[0].Since, s.Use.Taken = nil, nil
	var text strings.Builder
	if err := templates()["key"].ExecuteTemplate(&text, "unused", view{Data: keyPage{Seen: s}}); err != nil || !strings.Contains(text.String(), "No data for https://api.example: no resource server") {
		t.Errorf("without reports: %v\n%s", err, &text)
	}
}

// What is taken is what was shown, from the key that was shown.
func TestNarrowKey(t *testing.T) {
	for _, tt := range []struct {
		name, taken string
		answer      int // of the API to the change
		status      int
		changed     bool
	}{
		{"as shown", "section:baltic email:write", 200, 303, true},
		{"less was shown", "section:baltic", 200, 409, false},
		{"nothing was shown", "", 200, 409, false},
		{"changed meanwhile", "section:baltic email:write", 412, 409, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := ""
			h := &Handler{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPatch:
					body, _ := io.ReadAll(r.Body)
					sent = r.URL.Path + " " + r.Header.Get("If-Match") + " " + string(body)
					w.WriteHeader(tt.answer)
					io.WriteString(w, `{"type":"urn:wardkey:problem:precondition-failed"}`)
				case strings.HasSuffix(r.URL.Path, "/scope-use"):
					io.WriteString(w, aKey)
				default:
					io.WriteString(w, `{"id":"k","name":"CRM","step":"hour"}`)
				}
			})}
			form := url.Values{"taken": {tt.taken}, "tag": {`"as-shown"`}}
			r := mux.SetURLVars(httptest.NewRequest("POST", "/admin/keys/k/narrow", nil), map[string]string{"id": "k"})
			r.PostForm = form
			w := httptest.NewRecorder()
			if err := h.narrowKey(w, r); err != nil || w.Code != tt.status {
				t.Fatalf("narrowKey = %v with status %d, want %d", err, w.Code, tt.status)
			}
			want := ""
			if tt.changed {
				want = `/admin/v1/clients/k "as-shown" {"permissions":{"email":["read"]},"sections":["nordic"]}`
			}
			if strings.TrimSpace(sent) != want {
				t.Errorf("%q was sent, want %q", sent, want)
			}
			if tt.status == 409 && !strings.Contains(w.Body.String(), "Nothing was taken") {
				t.Errorf("the page does not say that nothing was taken:\n%s", w.Body)
			}
		})
	}
}
