package web

import (
	"slices"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

func TestAgo(t *testing.T) {
	for _, tt := range []struct {
		span time.Duration
		want string
	}{
		{0, "just now"},
		{59 * time.Second, "just now"},
		{time.Minute, "1 minute ago"},
		{119 * time.Minute, "1 hour ago"},
		{48 * time.Hour, "2 days ago"},
		{65 * 24 * time.Hour, "2 months ago"},
		{800 * 24 * time.Hour, "2 years ago"},
		{-30 * time.Second, "in less than a minute"},
		{-3 * time.Hour, "in 3 hours"},
	} {
		if got := ago(noon.Add(-tt.span), noon); got != tt.want {
			t.Errorf("ago of %s = %q; want %q", tt.span, got, tt.want)
		}
	}
	if got := ago(time.Time{}, noon); got != "never" {
		t.Errorf("ago of no time = %q; want never", got)
	}
}

// What is empty is left out, and what JSON has is said as people do.
func TestChangeLines(t *testing.T) {
	got := changeLines(map[string]adminclient.AuditChange{
		"name":        {Before: "CRM", After: "Shop"},
		"description": {After: ""},
		"disabled":    {Before: false, After: true},
		"expires_at":  {Before: "2026-03-01T12:00:00Z"},
		"sections":    {Before: []any{"nordic"}, After: []any{}},
		"permissions": {After: map[string]any{"email": []any{"read", "write"}, "*": []any{"read"}}},
		"secrets":     {After: []any{map[string]any{"id": "1", "hint": "ab3d", "expires_at": nil}}},
		"targets":     {Taken: []any{"phone"}},
	})
	want := []string{
		"disabled: no → yes", "expires at: was 2026-03-01T12:00:00Z", "name: CRM → Shop", "permissions: *: read; email: read, write",
		"secrets: …ab3d", "sections: nordic → none", "targets: phone taken away",
	}
	if !slices.Equal(got, want) {
		t.Errorf("changeLines = %q; want %q", got, want)
	}
}

func TestBrowserName(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"": "Some program",
	} {
		if got := browserName(agent); got != want {
			t.Errorf("browserName(%q) = %q; want %q", agent, got, want)
		}
	}
}
