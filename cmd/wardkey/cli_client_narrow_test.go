package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestNarrow holds that a client is narrowed to what its use says, as it was when that was read, and
// that a dry run changes nothing.
func TestNarrow(t *testing.T) {
	const (
		id  = "3577a0a9-5c5e-4e0c-9a53-0a2f4b6f1f5d"
		crm = `{"id":"` + id + `","name":"CRM"}`
		use = `{"days":30,"since":"2026-01-01T00:00:00Z","coverage":[{"audience":"https://api.example","since":"2026-02-01T00:00:00Z"}],` +
			`"values":[{"value":"email:read","state":"used","last_used_on":"2026-03-04"},{"value":"email:write","state":"unused","last_used_on":null}],` +
			`"taken":["email:write"],"narrowed":{"permissions":{"email":["read"]}},"etag":"\"as-read\""}`
		patched = `"as-read" {"permissions":{"email":["read"]}}`
	)
	for _, tt := range []struct {
		flags  string
		answer int // to the change
		code   int
		sent   string
		says   []string
	}{
		{"--dry-run", 200, 0, "", []string{"email:read   used        2026-03-04", "email:write  not used    -", "This would take email:write from client " + id + " (CRM).", "Nothing was done.", "only since 2026-02-01"}},
		{"--yes", 200, 0, patched, []string{"Took email:write from client " + id + " (CRM)."}},
		{"--yes --json", 200, 0, patched, []string{`"name": "CRM"`}},
		{"--yes", 412, 1, patched, []string{"somebody changed it in the meantime"}},
	} {
		sent := ""
		p := fakeServer(t, map[string]http.HandlerFunc{
			"/admin/v1/clients/" + id: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.Method == http.MethodPatch {
					body, _ := io.ReadAll(r.Body)
					sent = r.Header.Get("If-Match") + " " + strings.TrimSpace(string(body))
					if tt.answer != 200 {
						w.Header().Set("Content-Type", "application/problem+json")
						w.WriteHeader(tt.answer)
						fmt.Fprint(w, `{"type":"urn:wardkey:problem:precondition-failed","title":"T","status":412}`)
						return
					}
				}
				fmt.Fprint(w, crm)
			},
			"/admin/v1/clients/" + id + "/scope-use": func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != "days=30" {
					t.Errorf("asked for %q, want days=30", r.URL.RawQuery)
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, use)
			},
		})
		environment := map[string]string{"WARDKEY_URL": p.URL, "WARDKEY_CLIENT_ID": p.ClientID, "WARDKEY_CLIENT_SECRET": string(p.ClientSecret)}
		var out bytes.Buffer
		args := append([]string{"client", "narrow", id, "--unused", "30d"}, strings.Fields(tt.flags)...)
		if code := run(t.Context(), args, func(name string) string { return environment[name] }, &out, &out); code != tt.code || sent != tt.sent {
			t.Errorf("%s = %d and sends %q, want %d and %q\n%s", tt.flags, code, sent, tt.code, tt.sent, &out)
		}
		for _, text := range tt.says {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s says\n%s\nwant %q", tt.flags, &out, text)
			}
		}
	}
}
