package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wardkey/wardkey/internal/request"
)

// What a page asks the API for, it asks in the name of whoever asked for the page: the cookie, the
// address and the browser are the same, and nothing else of that request is passed on.
func TestInProcess(t *testing.T) {
	var got *http.Request
	h := &Handler{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(http.StatusNoContent)
	})}
	page := httptest.NewRequestWithContext(t.Context(), "POST", "https://auth.example/admin/keys", nil)
	page.RemoteAddr = "192.0.2.7:1234"
	page.Header.Set("Cookie", "__Host-wardkey=abc")
	page.Header.Set("User-Agent", "a browser")
	page.Header.Set("Authorization", "Bearer of-somebody")
	page.Header.Set("Origin", "https://auth.example")
	if err := done(h.api(page).RevokeTokens(page.Context(), "a", nil)); err != nil {
		t.Fatal(err)
	}
	if request.Address(got) != "192.0.2.7" || got.TLS == nil || got.Host != "auth.example" || got.Method != "POST" || got.URL.Path != "/admin/v1/clients/a/revoke-tokens" {
		t.Errorf("the API is asked %s %s on %s by %s, TLS %v", got.Method, got.URL.Path, got.Host, got.RemoteAddr, got.TLS != nil)
	}
	if got.Header.Get("Cookie") != "__Host-wardkey=abc" || got.Header.Get("User-Agent") != "a browser" || got.Header.Get("Authorization") != "" || got.Header.Get("Origin") != "" {
		t.Errorf("the API is asked with %v", got.Header)
	}
}
