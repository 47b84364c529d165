package leaks

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/request"
)

// A github signs reports as GitHub does.
type github struct {
	key *ecdsa.PrivateKey
	id  string
}

func newGitHub(t *testing.T, id string) github {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return github{key, id}
}

func (g github) sign(t *testing.T, body string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	der, err := ecdsa.SignASN1(rand.Reader, g.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// document is what GitHub's URL answers with.
func document(t *testing.T, all ...github) []byte {
	t.Helper()
	type key struct {
		ID  string `json:"key_identifier"`
		Key string `json:"key"`
	}
	var list struct {
		PublicKeys []key `json:"public_keys"`
	}
	for _, g := range all {
		der, err := x509.MarshalPKIXPublicKey(&g.key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		list.PublicKeys = append(list.PublicKeys, key{g.id, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// post sends a report, signed if a signature is given.
func post(h http.Handler, body, id, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/security/leaked-secrets", strings.NewReader(body))
	if signature != "" {
		r.Header.Set("Github-Public-Key-Identifier", id)
		r.Header.Set("Github-Public-Key-Signature", signature)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func report(texts ...string) string {
	var all []map[string]string
	for _, text := range texts {
		all = append(all, map[string]string{"token": text, "type": "wardkey_client_secret", "url": "https://git.example/a", "source": "commit"})
	}
	body, _ := json.Marshal(all)
	return string(body)
}

// The example of GitHub's documentation, signed by GitHub.
func TestGitHubsOwnSignature(t *testing.T) {
	const id = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"
	keys, err := FixedGitHubKeys(fmt.Appendf(nil, `{"public_keys":[{"key_identifier":%q,"is_current":true,"key":%q}]}`, id, `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd
AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==
-----END PUBLIC KEY-----
`))
	if err != nil {
		t.Fatal(err)
	}
	const signature = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=="
	const body = `[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]`
	if err := keys.verify(t.Context(), []byte(body), id, signature, time.Now()); err != nil {
		t.Errorf("verify = %v, want nil", err)
	}
	if err := keys.verify(t.Context(), []byte(body+" "), id, signature, time.Now()); !errors.Is(err, errBadSignature) {
		t.Errorf("verify of another body = %v, want %v", err, errBadSignature)
	}
}

// GitHub is told of each secret whether it was one.
func TestReportByGitHub(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hub, other := newGitHub(t, "hub"), newGitHub(t, "other")
		keys, err := FixedGitHubKeys(document(t, hub))
		if err != nil {
			t.Fatal(err)
		}
		committed := 0
		var log bytes.Buffer
		handler := request.Wrap(slog.New(slog.NewTextHandler(&log, nil)), &Handler{Reports: w.Reports, GitHub: keys, Committed: func(context.Context) { committed++ }})
		stranger := clients.NewSecret().Reveal()
		body := report(w.first, stranger, "some_token")
		for _, tt := range []struct{ name, id, signature string }{
			{"another key", "other", other.sign(t, body)},
			{"another key by the same name", "hub", other.sign(t, body)},
			{"another body", "hub", hub.sign(t, body+" ")},
			{"no signature", "hub", "AAAA"},
			{"no base64", "hub", "%"},
		} {
			if got := post(handler, body, tt.id, tt.signature); got.Code != http.StatusUnauthorized || strings.Contains(got.Body.String(), "wks_") {
				t.Errorf("%s: %d %s, want 401", tt.name, got.Code, got.Body)
			}
		}
		if !w.opens(w.first) {
			t.Fatal("a report that is not GitHub's revoked something")
		}
		for range 2 {
			got := post(handler, body, "hub", hub.sign(t, body))
			var answer []feedback
			if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusOK || len(answer) != 3 {
				t.Fatalf("a report = %d %s, %v", got.Code, got.Body, err)
			}
			sum := sha256.Sum256([]byte(w.first))
			if want := (feedback{hex.EncodeToString(sum[:]), "wardkey_client_secret", "true_positive"}); answer[0] != want {
				t.Errorf("feedback = %+v, want %+v", answer[0], want)
			}
			if answer[1].Label != "false_positive" || answer[2].Label != "false_positive" {
				t.Errorf("of what is not ours: %+v", answer[1:])
			}
		}
		if w.opens(w.first) || !w.opens(w.second) || committed != 2 {
			t.Errorf("the first opens: %t, the other: %t, told of commits: %d", w.opens(w.first), w.opens(w.second), committed)
		}
		var by string
		if err := w.DB.QueryRow(t.Context(), `SELECT revoked_by FROM client_secrets WHERE revoked_at > 0`).Scan(&by); err != nil || by != "GitHub secret scanning" {
			t.Errorf("revoked by %q, %v", by, err)
		}
		if strings.Contains(log.String(), "wks_") || !strings.Contains(log.String(), "reported=3 revoked=1") {
			t.Errorf("the log says:\n%s", &log)
		}
	})
}

// A stranger's report is taken, and tells him nothing.
func TestReportByStranger(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		handler := &Handler{Reports: w.Reports}
		answers := map[string]bool{}
		for _, text := range []string{w.first, w.first, clients.NewSecret().Reveal(), "wks_short"} {
			got := post(handler, report(text), "", "")
			answers[fmt.Sprint(got.Code, got.Header(), got.Body)] = true
		}
		if len(answers) != 1 || w.opens(w.first) || !w.opens(w.second) {
			t.Errorf("%d different answers, the first opens: %t, the other: %t", len(answers), w.opens(w.first), w.opens(w.second))
		}
		if n := w.count(`SELECT count(*) FROM audit_events WHERE actor_kind = 'nobody' AND ip = '192.0.2.1'`); n != 1 {
			t.Errorf("%d events of it, want 1", n)
		}
		for _, tt := range []struct {
			name, body string
			want       int
		}{
			{"nothing", "", 400},
			{"an object", `{"token":"` + w.second + `"}`, 400},
			{"101 of them", report(make([]string, 101)...), 400},
			{"too much", strings.Repeat(" ", maxUnsigned+1), 413},
		} {
			if got := post(handler, tt.body, "", ""); got.Code != tt.want || strings.Contains(got.Body.String(), w.second) {
				t.Errorf("%s: %d %s, want %d", tt.name, got.Code, got.Body, tt.want)
			}
		}
	})
}

func TestOtherMethods(t *testing.T) {
	w := httptest.NewRecorder()
	(&Handler{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/security/leaked-secrets", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET = %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// Strangers wait for the next minute, each network by itself, and all together.
func TestStrangersWait(t *testing.T) {
	var s strangers
	now := time.Unix(600, 0)
	for i := range maxFromOne {
		if wait := s.wait(fmt.Sprintf("2001:db8::%x", i), now); wait != 0 {
			t.Fatalf("report %d waits %d seconds", i, wait)
		}
	}
	for address, want := range map[string]int{"2001:db8::ffff": 40, "2001:db8:0:1::1": 0, "192.0.2.1": 0, "": 0} {
		if wait := s.wait(address, now.Add(20*time.Second)); wait != want {
			t.Errorf("%q waits %d seconds, want %d", address, wait, want)
		}
	}
	for i := range maxFromAll {
		s.wait(fmt.Sprintf("198.51.%d.%d", i/250, i%250), now)
	}
	if wait := s.wait("203.0.113.1", now); wait != 60 {
		t.Errorf("after too many from all, one waits %d seconds, want 60", wait)
	}
	if wait := s.wait("2001:db8::1", now.Add(time.Minute)); wait != 0 {
		t.Errorf("a minute later it waits %d seconds", wait)
	}
}

// Keys are asked for when they are needed, and not more often than that.
func TestKeysAreKept(t *testing.T) {
	first, second := newGitHub(t, "first"), newGitHub(t, "second")
	asked, answer := 0, []byte("no keys")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = w.Write(answer)
	}))
	defer server.Close()
	keys := GitHubKeysAt(server.URL)
	keys.client = server.Client()
	now := time.Now()
	for _, step := range []struct {
		name   string
		answer []byte
		after  time.Duration
		by     github
		want   error
		asked  int
	}{
		{"no keys to be had", []byte("no keys"), 0, first, errNoKeys, 1},
		{"soon again", document(t, first), 30 * time.Second, first, errNoKeys, 1},
		{"later", document(t, first), time.Minute, first, nil, 2},
		{"known", document(t, second), time.Minute, first, nil, 2},
		{"another", document(t, second), time.Minute, second, nil, 3},
		{"none that there is", document(t, second), time.Minute, first, errNoKey, 4},
		{"one more soon", document(t, second), time.Second, first, errNoKey, 4},
		{"known, and too long", []byte("no keys"), 2 * time.Hour, second, nil, 5},
	} {
		answer, now = step.answer, now.Add(step.after)
		err := keys.verify(t.Context(), []byte("body"), step.by.id, step.by.sign(t, "body"), now)
		if !errors.Is(err, step.want) || asked != step.asked {
			t.Errorf("%s: verify = %v, asked %d times; want %v, %d", step.name, err, asked, step.want, step.asked)
		}
	}
}

// A name that leads into one's own network is not asked for keys, nor is whoever redirects.
func TestKeysFromOutside(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := GitHubKeysAt(server.URL).fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "private address") {
		t.Errorf("keys at a loopback address: %v", err)
	}
	for address, private := range map[string]bool{
		"127.0.0.1:443": true, "10.1.2.3:443": true, "[::1]:443": true, "[::ffff:10.0.0.1]:443": true, "169.254.169.254:80": true,
		"[fd00::1]:443": true, "[fe80::1]:443": true, "0.0.0.0:443": true, "224.0.0.1:443": true, "140.82.112.5:443": false, "[2606:50c0:8000::153]:443": false,
	} {
		if err := onlyPublic("tcp", address, nil); (err != nil) != private {
			t.Errorf("onlyPublic(%s) = %v, want an error: %t", address, err, private)
		}
	}
	for _, text := range []string{`{}`, `{"public_keys":[{"key_identifier":"a","key":"none"}]}`, `[`} {
		if _, err := FixedGitHubKeys([]byte(text)); err == nil {
			t.Errorf("FixedGitHubKeys(%s) takes it", text)
		}
	}
}

// Reports of the same secrets in different orders do not hold each other up.
func TestReportsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var texts []string
		for i := range 10 {
			_, secret := w.create(fmt.Sprint("client ", i))
			texts = append(texts, secret)
		}
		var reporters sync.WaitGroup
		for i := range 4 {
			reporters.Go(func() {
				mine := slices.Clone(texts)
				if i%2 == 1 {
					slices.Reverse(mine)
				}
				if answer := post(&Handler{Reports: w.Reports}, report(mine...), "", ""); answer.Code != http.StatusAccepted {
					t.Errorf("a report is answered %d", answer.Code)
				}
			})
		}
		reporters.Wait()
		if n := w.count(`SELECT count(*) FROM audit_events WHERE action = 'secret.delete'`); n != len(texts) {
			t.Errorf("%d secrets were revoked, want each of %d once", n, len(texts))
		}
	})
}

// Who hangs up does not keep the keys of GitHub from being fetched for the others.
func TestHangingUpStopsNoFetch(t *testing.T) {
	hub := newGitHub(t, "hub")
	asked, answer := make(chan bool), make(chan bool)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-answer
		_, _ = w.Write(document(t, hub))
	}))
	defer server.Close()
	keys := GitHubKeysAt(server.URL)
	keys.client = server.Client()
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- keys.verify(ctx, []byte("[]"), "hub", hub.sign(t, "[]"), time.Now()) }()
	<-asked
	hangUp()
	close(answer)
	if err := <-done; err != nil {
		t.Errorf("verify = %v, although the keys came", err)
	}
}

// Only some large reports are read at a time.
func TestLargeReportsAreFew(t *testing.T) {
	hub := newGitHub(t, "hub")
	keys, err := FixedGitHubKeys(document(t, hub))
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{GitHub: keys}
	h.reading.Store(maxReading)
	if answer := post(h, "[]", "hub", hub.sign(t, "[]")); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("one report too many is answered %d, %v", answer.Code, answer.Header())
	}
	if n := h.reading.Load(); n != maxReading {
		t.Errorf("after it %d are being read, want %d", n, maxReading)
	}
}
