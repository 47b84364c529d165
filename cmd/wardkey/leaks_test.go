package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// Ten thousand secrets that are revoked in one go may be interrupted: whoever runs it again has each
// revoked once, with one alert each, and no other.
func TestLeakRevokeAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		const many = 2*leakBatch + 100
		dir := t.TempDir()
		s := openTestStore(t, url, dir)
		made := s.populate(t, size{clients: many})
		kept := s.client(t.Context(), t, "Kept")
		must(t, s.db.Close())
		var text strings.Builder
		for i, c := range made.clients {
			fmt.Fprintf(&text, "line %d: password = %q; # again: %s\n", i, c.Secret, c.Secret)
		}
		file := filepath.Join(dir, "leaked.txt")
		must(t, os.WriteFile(file, []byte(text.String()), 0o600))
		n, stop := runNode(t, "--database", url, "--data-dir", dir)
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		var reports atomic.Int32
		gate := gateTo(t, n.url, func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/leaked-secrets") && reports.Add(1) == 2 {
				interrupt()
			}
		})
		environment := func(name string) string {
			return map[string]string{"WARDKEY_URL": gate, "WARDKEY_CLIENT_ID": made.admin.ID, "WARDKEY_CLIENT_SECRET": made.admin.Secret}[name]
		}
		revoke := func(ctx context.Context) (code int, said string) {
			var out strings.Builder
			code = run(ctx, []string{"leak", "revoke", "--file", file, "--yes"}, environment, &out, &out)
			return code, out.String()
		}
		if code, said := revoke(ctx); code == exitDone || strings.Contains(said, "wks_") {
			t.Errorf("interrupted, it ends with %d:\n%s", code, said)
		}
		if code, said := revoke(t.Context()); code != exitDone || !strings.Contains(said, fmt.Sprintf("%d secrets: ", many)) {
			t.Errorf("again, it ends with %d: …%s", code, said[max(0, len(said)-300):])
		}
		if got, err := n.ask(t.Context(), kept.ID, kept.Secret, ""); err != nil || got.status != http.StatusOK {
			t.Errorf("one that was not reported is answered %d, %v", got.status, err)
		}
		stop()
		s = openTestStore(t, url, dir)
		for query, want := range map[string]int{
			`SELECT count(*) FROM client_secrets WHERE revoked_at > 0`:                  many,
			`SELECT count(*) FROM alerts WHERE kind = 'secret_leaked'`:                  many,
			`SELECT count(DISTINCT client_id) FROM alerts WHERE kind = 'secret_leaked'`: many,
			`SELECT count(*) FROM audit_events WHERE action = 'secret.delete'`:          many,
		} {
			var got int
			if err := s.db.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %d, %v; want %d", query, got, err, want)
			}
		}
	})
}

// gateTo is the address of a way to a server, on which each request is seen.
func gateTo(t *testing.T, to string, see func(*http.Request)) string {
	t.Helper()
	target, err := url.Parse(to)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		see(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(gate.Close)
	return gate.URL
}
