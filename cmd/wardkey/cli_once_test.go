package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// What a server does with a request.
var (
	breaks = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half   = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"id":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	does = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"made","name":"x","client_secret":"wks_new"}`)
	})
	didBefore = problemHandler(http.StatusConflict, "already-done", `"made":"made"`)
)

func problemHandler(status int, kind, members string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"urn:wardkey:problem:%s","title":"T","status":%d,%s}`, kind, status, members)
	}
}

// wardkey runs a command against the server of a profile.
func (p *profile) wardkey(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	environment := func(name string) string {
		return map[string]string{"WARDKEY_URL": p.URL, "WARDKEY_CLIENT_ID": "id", "WARDKEY_CLIENT_SECRET": "wks_x"}[name]
	}
	var out, errs strings.Builder
	code = run(t.Context(), args, environment, &out, &errs)
	return code, out.String(), errs.String()
}

// TestLostAnswer holds that what a POST makes is made once, whatever becomes of the answer, and
// that whoever did not hear it is told how to go on.
func TestLostAnswer(t *testing.T) {
	const done = "the connection broke before the answer came, but it was done: it made client made, whose secret got lost"
	for _, tt := range []struct {
		name    string
		answers []http.Handler // the last again and again
		code    int
		stderr  string
	}{
		{"heard at once", []http.Handler{does}, exitDone, ""},
		{"broken before it was done", []http.Handler{breaks, does}, exitDone, ""},
		{"broken after it was done", []http.Handler{breaks, didBefore}, exitFailed, done},
		{"broken in the answer", []http.Handler{half, didBefore}, exitFailed, done},
		{"broken again and again", []http.Handler{breaks}, exitFailed, "it may have been done; look before you repeat it"},
		{"refused", []http.Handler{problemHandler(http.StatusForbidden, "insufficient-scope", `"detail":"no"`)}, exitFailed, "wardkey: no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex // a connection that breaks is no order that the race detector sees
			keys, bodies, tries := map[string]bool{}, map[int64]bool{}, 0
			p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/clients": func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				keys[r.Header.Get("Idempotency-Key")], bodies[r.ContentLength] = true, true
				answer := tt.answers[min(tries, len(tt.answers)-1)]
				tries++
				mu.Unlock()
				answer.ServeHTTP(w, r)
			}})
			code, stdout, stderr := p.wardkey(t, "client", "create", "x", "--section", "nordic", "--allow", "email:read")
			mu.Lock()
			defer mu.Unlock()
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || code == exitDone != strings.Contains(stdout, "wks_new") {
				t.Errorf("client create = %d, %q, %q", code, stdout, stderr)
			}
			if len(keys) != 1 || len(bodies) != 1 || keys[""] {
				t.Errorf("%d tries had keys %v and lengths %v, want one", tries, keys, bodies)
			}
			if tt.name == "heard at once" && tries != 1 || tt.name == "refused" && tries != 1 {
				t.Errorf("%d tries", tries)
			}
		})
	}
}

// TestOwnKey holds that each POST has a key of its own, and nothing else has one.
func TestOwnKey(t *testing.T) {
	keys := map[string]int{}
	p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/sections": func(w http.ResponseWriter, r *http.Request) {
		keys[r.Header.Get("Idempotency-Key")]++
		does(w, r)
	}})
	for range 3 {
		p.wardkey(t, "section", "create", "x")
	}
	p.wardkey(t, "section", "list")
	if len(keys) != 4 || keys[""] != 1 {
		t.Errorf("keys %v, want three and none for the list", keys)
	}
}

func TestNobodyListens(t *testing.T) {
	p := &profile{URL: "http://127.0.0.1:1", ClientID: "id", ClientSecret: "wks_x"}
	code, _, stderr := p.wardkey(t, "section", "create", "x")
	if code != exitFailed || strings.Contains(stderr, "may have been done") || !strings.Contains(stderr, "reach http://127.0.0.1:1") {
		t.Errorf("section create = %d, %q", code, stderr)
	}
}

func TestAlreadyDone(t *testing.T) {
	for path, want := range map[string]string{
		"/admin/v1/clients":                      "it made client M, whose secret got lost with the answer; get another with: wardkey client rotate M --now",
		"/base/admin/v1/clients":                 "wardkey client rotate M --now",
		"/admin/v1/clients/C/secrets":            "it made secret M, which got lost with the answer; end it with: wardkey secret revoke M --client C\n",
		"/admin/v1/admins":                       "it made admin M, whose one-time password got lost with the answer; get another with: wardkey admin reset-password M",
		"/admin/v1/admins/A/reset-password":      "the one-time password got lost with the answer; get another with: wardkey admin reset-password A",
		"/admin/v1/sections":                     "but it was done: it made M",
		"/admin/v1/signing-keys/rotate":          "but it was done: it made M",
		"/admin/v1/clients/C/secrets/S/anything": "but it was done: it made M",
	} {
		r := &refusal{Problem: adminclient.Problem{Type: "urn:wardkey:problem:already-done", Made: new("M")}, path: path}
		if got := r.Error(); !strings.Contains(got, want) {
			t.Errorf("of %s: %q, want %q", path, got, want)
		}
	}
}
