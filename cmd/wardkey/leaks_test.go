package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/clients"
)

// A running server takes a report from anybody, tells its admins, and has it in its journal.
func TestLeakReport(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		made := s.populate(t, size{clients: 1}).clients[0]
		must(t, s.db.Close())
		n, stop := runNode(t, "--database", url, "--data-dir", dir)
		for _, secret := range []string{clients.NewSecret().Reveal(), made.Secret} {
			resp, err := http.Post(n.url+"/security/leaked-secrets", "application/json", strings.NewReader(fmt.Sprintf(`[{"token":%q,"url":"https://git.example/a"}]`, secret)))
			must(t, err)
			must(t, resp.Body.Close())
			if resp.StatusCode != http.StatusAccepted {
				t.Errorf("a report is answered %d, want 202", resp.StatusCode)
			}
		}
		if got, err := n.ask(t.Context(), made.ID, made.Secret, ""); err != nil || got.status != http.StatusUnauthorized {
			t.Errorf("the leaked secret is answered %d, %v; want 401", got.status, err)
		}
		stop()
		known := lines(t, dir)
		if last := known[len(known)-1]; last.Action != revokeSecret || last.ClientID != made.ID {
			t.Errorf("the journal ends with %+v", last)
		}
		s = openTestStore(t, url, dir)
		told, err := texts(t.Context(), s.db, `SELECT text FROM alerts WHERE kind = 'secret_leaked'`)
		must(t, err)
		if len(told) != 1 || strings.Contains(told[0], "wks_") || strings.Contains(told[0], "git.example") {
			t.Errorf("told: %q; want one alert, without what a stranger wrote", told)
		}
	})
}

func TestGitHubKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	must(t, os.WriteFile(file, []byte(`{"public_keys":[]}`), 0o600))
	for _, tt := range []struct{ flag, wrong string }{
		{"", ""},
		{"https://api.github.com/meta/public_keys/secret_scanning", ""},
		{"http://api.github.com/", "must be an https://"},
		{file, "there are none"},
		{file + "x", "no such file"},
	} {
		c := leakConfig{githubKeys: tt.flag}
		err := c.check()
		if err == nil {
			_, err = c.keys()
		}
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("--github-keys %q: %v; want %q", tt.flag, err, tt.wrong)
		}
	}
}
