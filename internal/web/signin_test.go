package web

import (
	"net/http/httptest"
	"net/url"
	"testing"
)

// After signing in one goes back to a page of ours, and nowhere else.
func TestBack(t *testing.T) {
	for _, tt := range []struct{ asked, want string }{
		{"/admin/keys/new", "/admin/keys/new"},
		{"/admin/keys?q=a+b&section=nordic", "/admin/keys?q=a+b&section=nordic"},
		{"", ""},
		{"https://elsewhere.example/admin/keys", ""},
		{"//elsewhere.example/admin/", ""},
		{`/\elsewhere.example/admin/`, ""},
		{`/admin/\elsewhere.example`, ""},
		{"/admin/\r\nLocation: https://elsewhere.example", ""},
		{"\t//elsewhere.example", ""},
		{"javascript:alert(1)", ""},
		{"/admin", ""},
		{"/administrator/", ""},
		{"/oauth/token", ""},
		{"/admin/sign-out", ""},
	} {
		r := httptest.NewRequest("GET", "/admin/sign-in?back="+url.QueryEscape(tt.asked), nil)
		if got := back(r); got != tt.want {
			t.Errorf("back(%q) = %q; want %q", tt.asked, got, tt.want)
		}
	}
}
