package rscheck

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/internal/attacks"
)

func TestChallenges(t *testing.T) {
	for _, tt := range []struct {
		field, scheme, realm, code string
		repeats                    bool
	}{
		{`Bearer`, "Bearer", "", "", false},
		{`Bearer realm="a b", error="invalid_token", error_description="x, y=z"`, "Bearer", "a b", "invalid_token", false},
		{`bearer error=invalid_token,realm=api`, "bearer", "api", "invalid_token", false},
		{`Bearer realm="a", Realm="b"`, "Bearer", "b", "", true},
		{`Bearer realm="never ends`, "Bearer", "never ends", "", false},
		{`Bearer =,=`, "Bearer", "", "", false},
	} {
		all := parseChallenges([]string{tt.field})
		if len(all) != 1 {
			t.Fatalf("parseChallenges(%q) = %v, want one", tt.field, all)
		}
		c := all[0]
		if c.scheme != tt.scheme || c.params["realm"] != tt.realm || c.params["error"] != tt.code || c.repeats != tt.repeats {
			t.Errorf("parseChallenges(%q) = %+v", tt.field, c)
		}
	}
}

func TestRecognise(t *testing.T) {
	for _, tt := range []struct {
		want, header, value, body string
		status                    int
	}{
		{spring, "WWW-Authenticate", `Bearer error="invalid_token", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`, "", 401},
		{express, "X-Powered-By", "Express", "", 200},
		{aspnet, "Server", "Kestrel", "", 401},
		{fastapi, "Server", "uvicorn", "", 401},
		{fastapi, "Content-Type", "application/json", `{"detail":"Not authenticated"}`, 401},
		{"", "Content-Type", "application/json", `{"detail":"a profile"}`, 200},
		{flask, "Server", "Werkzeug/3.0 Python/3.11", "", 401},
		{python, "Server", "gunicorn", "", 401},
		{golang, "X-Content-Type-Options", "nosniff", "Unauthorized\n", 401},
		{haproxy, "Content-Type", "text/html", "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n", 403},
		{nginx, "Server", "nginx/1.22.1", "", 401},
		{apache, "Server", "Apache/2.4.62 (Debian)", "", 401},
		{node, "Keep-Alive", "timeout=5", "", 401},
		{"", "Server", "something else", "", 401},
	} {
		got := recognise(answer{status: tt.status, header: http.Header{http.CanonicalHeaderKey(tt.header): {tt.value}}, body: tt.body})
		if got != tt.want {
			t.Errorf("recognise(%d %s: %s, %q) = %q, want %q", tt.status, tt.header, tt.value, tt.body, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	accept := attacks.Attack{Name: "good", Want: attacks.Accept, Gravity: attacks.Serious}
	refuse := attacks.Attack{Name: "alg-none", Want: attacks.Refuse, Gravity: attacks.Critical}
	dots := attacks.Attack{Name: "dots", Want: attacks.Refuse, Gravity: attacks.Critical}
	lost := errors.New("connection reset")
	for _, tt := range []struct {
		name    string
		attack  attacks.Attack
		got     answer
		outcome Outcome
		gravity attacks.Gravity
	}{
		{"accepted", accept, answer{status: 204}, Passed, ""},
		{"a redirect is not accepting", accept, answer{status: 302}, Failed, attacks.Serious},
		{"a redirect is refusing", refuse, answer{status: 302}, Passed, ""},
		{"too many requests", refuse, answer{status: 429}, NotTested, ""},
		{"an error of the server", refuse, answer{status: 500}, Failed, attacks.Serious},
		{"hung up", refuse, answer{failed: lost}, Failed, attacks.Serious},
		{"hung up on too much", dots, answer{failed: lost}, Passed, ""},
		{"not made", refuse, answer{made: attacks.ErrCannot}, NotTested, ""},
		{"bait taken", refuse, answer{status: 401, baitsTaken: 1}, Failed, attacks.Serious},
		{"bait taken and believed", refuse, answer{status: 200, baitsTaken: 1}, Failed, attacks.Critical},
	} {
		if got := judge(tt.attack, tt.got); got.Outcome != tt.outcome || got.Gravity != tt.gravity {
			t.Errorf("%s: judge = %s %s, want %s %s", tt.name, got.Outcome, got.Gravity, tt.outcome, tt.gravity)
		}
	}
}

func TestGrade(t *testing.T) {
	failed := func(g attacks.Gravity, n int) []Result {
		results := []Result{{Name: baseline, Outcome: Passed}}
		for range n {
			results = append(results, failure(g, "", form))
		}
		return results
	}
	for _, tt := range []struct {
		results []Result
		want    string
	}{
		{failed(attacks.Note, 5), "A"},
		{failed(attacks.Minor, 1), "B"},
		{failed(attacks.Minor, 3), "B"},
		{failed(attacks.Minor, 4), "C"},
		{failed(attacks.Serious, 1), "D"},
		{failed(attacks.Serious, 2), "D"},
		{failed(attacks.Serious, 3), "E"},
		{failed(attacks.Critical, 1), "F"},
		{[]Result{{Name: baseline, Outcome: Failed}}, ""},
	} {
		r := Report{Results: tt.results}
		if r.Grade = r.grade(); r.Grade != tt.want || r.Sound() != (tt.want != "" && tt.want <= "C") {
			t.Errorf("grade of %d results, the last %s: %q, sound %v; want %q", len(tt.results), tt.results[len(tt.results)-1].Gravity, r.Grade, r.Sound(), tt.want)
		}
	}
}

// TestEverythingCanBeFixed holds that each attack has a line to fix, which names what the service wants.
func TestEverythingCanBeFixed(t *testing.T) {
	facts := Facts{Issuer: "https://auth.example", Audience: "https://api.example", JWKS: "https://auth.example/jwks", Scope: "email:read"}
	for _, framework := range append(Frameworks(), "") {
		for _, name := range Names() {
			if line := facts.fix(framework, topic(name)); line == "" || strings.Contains(line, "{issuer}") || strings.Contains(line, "{audience}") {
				t.Errorf("%s, %s: %q", framework, name, line)
			}
		}
	}
	for about := range risks {
		if general[about] == "" {
			t.Errorf("nothing is said about %s", about)
		}
	}
}

// TestScopeIsFixedByValue holds that no line compares a scope of several values as a whole, and
// that a dot in one is not any character.
func TestScopeIsFixedByValue(t *testing.T) {
	facts := Facts{Scope: "section:se.north email:read"}
	for _, framework := range append(Frameworks(), "") {
		line := facts.fix(framework, scope)
		if strings.Contains(line, "{") && strings.Contains(line, "{scope}") || strings.Contains(line, facts.Scope) {
			t.Errorf("%s: %q", framework, line)
		}
	}
	if line := facts.fix(haproxy, scope); !strings.Contains(line, `section:se\.north`) || !strings.Contains(line, "email:read") {
		t.Errorf("haproxy: %q", line)
	}
}
