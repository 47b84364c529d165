package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// An answer that names no client does not mean that there is none.
func TestWhyNamesTheClient(t *testing.T) {
	here := adminclient.Client{ID: rotatedID, Name: "CRM"}
	for _, tt := range []struct {
		cause string
		args  []string
		want  string
	}{
		{"malformed", []string{"--client", here.ID}, here.ID + " (CRM); the request was refused before its client was looked up\n"},
		{"unknown_client", []string{"--client", here.ID}, here.ID + " (CRM), which was not here at that time\n"},
		{"unknown_client", []string{"--client", "nobody"}, "none that is or was here\n"},
		{"malformed", []string{"AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "not known; the request was refused before its client was looked up\n"},
		{"unknown_client", []string{"AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "none that is or was here\n"},
	} {
		answer := func(v any) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if err := json.NewEncoder(w).Encode(v); err != nil {
					t.Error(err)
				}
			}
		}
		p := fakeServer(t, map[string]http.HandlerFunc{
			"/admin/v1/clients/" + here.ID: answer(here),
			"/admin/v1/clients":            answer(page[adminclient.Client]{Items: []adminclient.Client{}}),
			"/admin/v1/deleted-clients":    answer(page[adminclient.DeletedClient]{Items: []adminclient.DeletedClient{}}),
			"/admin/v1/refusals":           answer(page[adminclient.Refusal]{Items: []adminclient.Refusal{{Cause: tt.cause, Count: 1, FirstAt: time.Now(), LastAt: time.Now()}}}),
		})
		code, stdout, stderr := p.wardkey(t, append([]string{"why"}, tt.args...)...)
		if code != exitDone || !strings.Contains(stdout, "  Client      "+tt.want) {
			t.Errorf("why %q of %s ends with %d: %s%s; want %q", tt.args, tt.cause, code, stdout, stderr, tt.want)
		}
	}
}
