package browser

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// Whoever guesses is told to wait, in seconds (RFC 9110 §10.2.3).
func TestGuessing(t *testing.T) {
	s := start(t)
	for try := 1; ; try++ {
		form := url.Values{"email": {s.email}, "password": {"guess " + strconv.Itoa(try)}}
		answer, err := http.PostForm(s.url+"/admin/sign-in", form)
		must(t, err)
		must(t, answer.Body.Close())
		if answer.StatusCode == http.StatusUnauthorized && try < 10 {
			continue
		}
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if answer.StatusCode != http.StatusTooManyRequests || err != nil || seconds < 1 {
			t.Errorf("try %d = %d, Retry-After %q; want 429 and seconds", try, answer.StatusCode, answer.Header.Get("Retry-After"))
		}
		return
	}
}

// A page says which methods it has (RFC 9110 §15.5.6).
func TestOtherMethods(t *testing.T) {
	s := start(t)
	b := s.open(laptop)
	b.signIn()
	for path, allow := range map[string]string{
		"/admin/keys": "GET, HEAD", "/admin/keys/new": "GET, HEAD, POST", "/admin/sign-out": "POST", "/admin/keys/any/switch": "POST",
	} {
		answer, html := b.fetch("PUT", path, nil, nil)
		if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != allow || !strings.Contains(html, "knows only "+allow) {
			t.Errorf("PUT %s = %d, Allow %q; want 405 and %q", path, answer.StatusCode, answer.Header.Get("Allow"), allow)
		}
	}
}
