package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// What two servers tell at the same time arrives once, from whichever of them sends.
func TestAlertsOfTwoNodes(t *testing.T) {
	store, first := databasetest.PostgresURL(t), bootstrapFile(t)
	heard := make(chan string, 100) // the webhook-id and the text of each request
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is cut is not JSON
		heard <- r.Header.Get("webhook-id") + " " + string(body)
	}))
	t.Cleanup(receiver.Close)
	args := []string{"--database", store, "--issuer", "http://localhost:1", "--bootstrap-file", first, "--webhook-allow-private", "127.0.0.1"}
	one := startNode(t, args...)
	must(t, one.signIn(t.Context(), first))
	two := startNode(t, args...)
	two.admin = one.admin
	_, err := one.call(t.Context(), http.MethodPost, "webhooks", fmt.Sprintf(`{"url":%q}`, receiver.URL), http.StatusCreated)
	must(t, err)

	const each = 4
	var both sync.WaitGroup
	for _, n := range []*node{one, two} {
		both.Go(func() {
			for range each {
				if _, err := n.call(t.Context(), http.MethodPost, "signing-keys/rotate", `{"now":true}`, http.StatusCreated); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	texts, ids := map[string]bool{}, map[string]bool{}
	for range 2 * each {
		select {
		case request := <-heard:
			id, body, _ := strings.Cut(request, " ")
			var event struct {
				Type string
				Data struct{ Text string }
			}
			must(t, json.Unmarshal([]byte(body), &event))
			ids[id], texts[event.Data.Text] = true, true
			if event.Type != "alert.signing_key_rotated" {
				t.Errorf("it heard of %s", event.Type)
			}
		case <-time.After(time.Minute):
			t.Fatalf("it heard of %d keys; want %d", len(texts), 2*each)
		}
	}
	if len(ids) != 2*each || len(texts) != 2*each || len(heard) > 0 {
		t.Errorf("it heard of %d keys under %d ids, and %d times more; want %d, each once", len(texts), len(ids), len(heard), 2*each)
	}
	text, err := two.call(t.Context(), http.MethodGet, "alerts?limit=200", "", http.StatusOK)
	must(t, err)
	if got := strings.Count(string(text), `"signing_key_rotated"`); got != 2*each {
		t.Errorf("%d are in the list; want %d", got, 2*each)
	}
}

// What cannot be is said when the server starts.
func TestAlertFlags(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--smtp-url smtp://mail.example", "go together"},
		{"--mail-from a@example.com", "go together"},
		{"--smtp-url http://mail.example --mail-from a@example.com", "smtp://USER@HOST:587"},
		{"--smtp-url smtp://eva@mail.example --mail-from a@example.com", "wants a password"},
		{"--smtp-url smtp://mail.example --mail-from nobody", "the sender is an e-mail address"},
		{"--webhook-allow-private everywhere", `"everywhere" is neither an address nor a network`},
		{"--alert-refused-percent 101", "0 to 100"},
		{"--alert-volume-percent 100", "more than 100"},
		{"--alert-volume-least 0", "at least 1"},
	} {
		var stderr strings.Builder
		code := run(t.Context(), append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir()}, strings.Fields(tt.args)...), testEnvironment, io.Discard, &stderr)
		if code != 2 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("serve %s ends with %d: %s; want 2 and %q", tt.args, code, &stderr, tt.want)
		}
	}
}
