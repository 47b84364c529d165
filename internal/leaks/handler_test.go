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
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/databasetest"
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
	return send(h, "192.0.2.1:1", strings.NewReader(body), id, signature)
}

// send posts a report from somewhere.
func send(h http.Handler, from string, body io.Reader, id, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/security/leaked-secrets", body)
	r.RemoteAddr = from
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
		_, third := w.create("Shop")
		var reporters sync.WaitGroup
		var answers sync.Map
		for _, body := range []string{
			report(w.first), report(w.first), report(clients.NewSecret().Reveal()), report("wks_short"),
			`[{"token":7},{"token":"` + third + `","url":null,"type":{}},true]`,
		} {
			reporters.Go(func() {
				got := post(handler, body, "", "")
				answers.Store(fmt.Sprint(got.Code, got.Header(), got.Body), true)
			})
		}
		reporters.Wait()
		different := 0
		answers.Range(func(any, any) bool { different++; return true })
		revoked := w.count(`SELECT count(*) FROM client_secrets WHERE revoked_at > 0`)
		if different != 1 || w.opens(w.first) || !w.opens(w.second) || revoked != 2 {
			t.Errorf("%d different answers, the first opens: %t, the other: %t, %d were revoked", different, w.opens(w.first), w.opens(w.second), revoked)
		}
		if n := w.count(`SELECT count(*) FROM audit_events WHERE actor_kind = 'nobody' AND ip = '192.0.2.1'`); n != 2 {
			t.Errorf("%d events of it, want 2", n)
		}
		for _, tt := range []struct {
			name, body string
			want       int
		}{
			{"nothing", "", 400},
			{"an object", `{"token":"` + w.second + `"}`, 400},
			{"101 of them", report(make([]string, 101)...), 400},
			{"64 KB and a byte", strings.Repeat(" ", 64<<10-1) + "[]", 413},
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

// The time of the answer to a stranger does not tell what was done.
func TestTimeOfTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		w.Leaked = func(context.Context, Leak) error {
			time.Sleep(300 * time.Millisecond)
			return nil
		}
		hub := newGitHub(t, "hub")
		keys, err := FixedGitHubKeys(document(t, hub))
		if err != nil {
			t.Fatal(err)
		}
		h := &Handler{Reports: w.Reports, GitHub: keys}
		after := func(body io.Reader, signature string) time.Duration {
			start := time.Now()
			if answer := send(h, "192.0.2.1:1", body, "hub", signature); answer.Code >= 400 {
				t.Errorf("a report is answered %d", answer.Code)
			}
			return time.Since(start)
		}
		unknown := report(clients.NewSecret().Reveal())
		for name, body := range map[string]string{"live": report(w.first), "unknown": unknown, "damaged": report("wks_short")} {
			if took := after(strings.NewReader(body), ""); took != time.Second {
				t.Errorf("%s: answered after %v, want a second", name, took)
			}
		}
		if w.opens(w.first) {
			t.Error("the live one was not revoked")
		}
		if took := after(&late{Reader: strings.NewReader(report(w.second)), by: 900 * time.Millisecond}, ""); took != 1900*time.Millisecond {
			t.Errorf("a report that came late is answered after %v, want a second from its end", took)
		}
		if took := after(strings.NewReader(unknown), hub.sign(t, unknown)); took != 0 {
			t.Errorf("GitHub is answered after %v, want at once", took)
		}
	})
}

// A report that takes long is answered all the same, though the server allows other requests less.
func TestLongReportIsAnswered(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	server := httptest.NewUnstartedServer(&Handler{Reports: w.Reports})
	server.Config.WriteTimeout = 10 * time.Millisecond // a stranger is answered after a second
	server.Start()
	defer server.Close()
	answer, err := server.Client().Post(server.URL, "application/json", strings.NewReader(report(w.first)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Errorf("a report is answered %d", answer.StatusCode)
	}
}

// A late reader begins after some time.
type late struct {
	io.Reader
	by time.Duration
}

func (l *late) Read(p []byte) (int, error) {
	time.Sleep(l.by)
	l.by = 0
	return l.Reader.Read(p)
}

// Strangers wait for the next minute, each network by itself, and all together.
func TestStrangersWait(t *testing.T) {
	now := time.Unix(600, 0)
	taken := func(s *strangers, n int, address string) (taken int) {
		for i := range n {
			if s.wait(strings.ReplaceAll(address, "#", strconv.Itoa(i)), now) == 0 {
				taken++
			}
		}
		return taken
	}
	var s strangers
	for _, tt := range []struct {
		address string
		want    int
	}{{"2001:db8::#", 10}, {"2001:db8:0:0:8000::#", 0}, {"2001:db8:0:1::#", 10}, {"192.0.2.1", 10}, {"::ffff:192.0.2.1", 0}, {"", 10}, {"198.51.100.#", 100}} {
		if got := taken(&s, 100, tt.address); got != tt.want {
			t.Errorf("of 100 reports from %s %d are taken, want %d", tt.address, got, tt.want)
		}
	}
	if got := taken(&s, 400, "2001:db8:1:#::1"); got != 300-140 {
		t.Errorf("after 140 reports %d more are taken, want %d", got, 300-140)
	}
	if wait := s.wait("203.0.113.1", now.Add(20*time.Second)); wait != 40 {
		t.Errorf("after too many from all, one waits %d seconds, want 40", wait)
	}
	now = now.Add(time.Minute)
	if got := taken(&s, 11, "2001:db8::#"); got != 10 {
		t.Errorf("a minute later %d are taken, want 10", got)
	}
}

// Strangers who report too often are told when to come again; so is one with a signature, where
// there are no keys to check it with. GitHub is not limited.
func TestTooManyReports(t *testing.T) {
	hub := newGitHub(t, "hub")
	keys, err := FixedGitHubKeys(document(t, hub))
	if err != nil {
		t.Fatal(err)
	}
	signature := hub.sign(t, "[]")
	for _, tt := range []struct {
		name, signature string
		keys            *GitHubKeys
		code, taken     int
	}{
		{"a stranger", "", keys, http.StatusBadRequest, 10},
		{"a signature without keys", signature, nil, http.StatusBadRequest, 10},
		{"GitHub", signature, keys, http.StatusUnauthorized, 12},
	} {
		h := &Handler{GitHub: tt.keys}
		taken := 0
		for range 12 {
			answer := post(h, "{}", "hub", tt.signature) // which is no report, so it is answered at once
			if answer.Code == tt.code {
				taken++
			} else if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Retry-After") == "" {
				t.Errorf("%s: answered %d, Retry-After %q", tt.name, answer.Code, answer.Header().Get("Retry-After"))
			}
		}
		if taken != tt.taken {
			t.Errorf("%s: %d of 12 are taken, want %d", tt.name, taken, tt.taken)
		}
		if answer := send(h, "198.51.100.1:1", strings.NewReader("{}"), "hub", tt.signature); answer.Code != tt.code {
			t.Errorf("%s: one from elsewhere is answered %d, want %d", tt.name, answer.Code, tt.code)
		}
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
		{"one more soon, which may be new", document(t, second), time.Second, first, errNoKeys, 4},
		{"known meanwhile", document(t, second), time.Second, second, nil, 4},
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
	other := newGitHub(t, "other")
	other.key, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for _, text := range []string{string(document(t, other)), `{}`, `{"public_keys":[{"key_identifier":"a","key":"none"}]}`, `[`} {
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

// slowKeys are the keys of a GitHub that says when it is asked, and answers when it is told to.
func slowKeys(t *testing.T, hub github) (keys *GitHubKeys, asked, answer chan bool) {
	t.Helper()
	asked, answer = make(chan bool), make(chan bool)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-answer
		_, _ = w.Write(document(t, hub))
	}))
	t.Cleanup(server.Close)
	keys = GitHubKeysAt(server.URL)
	keys.client = server.Client()
	return keys, asked, answer
}

// Who hangs up does not keep the keys of GitHub from being fetched for the others.
func TestHangingUpStopsNoFetch(t *testing.T) {
	hub := newGitHub(t, "hub")
	keys, asked, answer := slowKeys(t, hub)
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

// Only some large reports are read at a time, and small ones wait for none of them.
func TestLargeReportsAreFew(t *testing.T) {
	hub := newGitHub(t, "hub")
	keys, err := FixedGitHubKeys(document(t, hub))
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{GitHub: keys, Reports: &Reports{}}
	for _, tt := range []struct {
		name          string
		bytes         int
		reading, code int
	}{
		{"a small one", 64 << 10, 8, http.StatusOK},
		{"a large one", 64<<10 + 1, 7, http.StatusOK},
		{"a large one too many", 64<<10 + 1, 8, http.StatusServiceUnavailable},
		{"the largest", 4 << 20, 0, http.StatusOK},
		{"too large", 4<<20 + 1, 0, http.StatusRequestEntityTooLarge},
	} {
		h.reading.Store(int32(tt.reading))
		body := strings.Repeat(" ", tt.bytes-2) + "[]"
		answer := post(h, body, "hub", hub.sign(t, body))
		if answer.Code != tt.code || (answer.Header().Get("Retry-After") != "") != (tt.code == http.StatusServiceUnavailable) {
			t.Errorf("%s is answered %d, Retry-After %q; want %d", tt.name, answer.Code, answer.Header().Get("Retry-After"), tt.code)
		}
		if n := h.reading.Load(); n != int32(tt.reading) {
			t.Errorf("after %s %d are being read, want %d", tt.name, n, tt.reading)
		}
	}
}

// While GitHub is asked for a key that nobody knows, reports with a known one are not held up.
func TestAskingHoldsUpNobody(t *testing.T) {
	hub := newGitHub(t, "hub")
	keys, asked, answer := slowKeys(t, hub)
	now := time.Now()
	verify := func(id string, after time.Duration) error {
		return keys.verify(t.Context(), []byte("[]"), id, hub.sign(t, "[]"), now.Add(after))
	}
	for _, tt := range []struct {
		name, id string
		after    time.Duration
		want     error
	}{
		{"the first time", "hub", 0, nil},
		{"when it is unknown", "other", 2 * time.Minute, errNoKey},
		{"when it is old", "hub", 2 * time.Hour, nil},
	} {
		done := make(chan error, 1)
		go func() { done <- verify(tt.id, tt.after) }()
		<-asked
		if keys.keys != nil {
			if err := verify("hub", tt.after); err != nil {
				t.Errorf("asked %s, a known key: %v", tt.name, err)
			}
		}
		answer <- true
		if err := <-done; !errors.Is(err, tt.want) {
			t.Errorf("asked %s: verify = %v, want %v", tt.name, err, tt.want)
		}
	}
}

// However many name keys that nobody knows, GitHub is asked once, and all but one are to come again.
func TestManyAskOnce(t *testing.T) {
	hub := newGitHub(t, "hub")
	var asked atomic.Int32
	answer := make(chan bool)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-answer
		_, _ = w.Write(document(t, hub))
	}))
	defer server.Close()
	keys := GitHubKeysAt(server.URL)
	keys.client = server.Client()
	now, signature, refused := time.Now(), hub.sign(t, "[]"), make(chan error, 20)
	var begun sync.WaitGroup
	begun.Add(cap(refused))
	for range cap(refused) {
		go func() {
			begun.Done()
			refused <- keys.verify(t.Context(), []byte("[]"), "other", signature, now)
		}()
	}
	begun.Wait()
	close(answer)
	unknown := 0
	for range cap(refused) {
		err := <-refused
		if errors.Is(err, errNoKey) {
			unknown++
		} else if !errors.Is(err, errNoKeys) {
			t.Errorf("verify = %v, want %v", err, errNoKeys)
		}
	}
	if unknown != 1 || asked.Load() != 1 {
		t.Errorf("GitHub was asked %d times, and %d were told that there is no such key; want one", asked.Load(), unknown)
	}
}

// Of a report of a hundred one that is not as it should be keeps no other from being taken, and a
// key of another kind no key from being used.
func TestOneIsMalformed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		hub := newGitHub(t, "hub")
		list := strings.Replace(string(document(t, hub)), `[`, `[{"key_identifier":"rsa","key":"none"},`, 1)
		keys, err := FixedGitHubKeys([]byte(list))
		if err != nil {
			t.Fatal(err)
		}
		texts := make([]string, 98)
		for i := range texts {
			texts[i] = clients.NewSecret().Reveal()
		}
		body := strings.TrimSuffix(report(append(texts, w.first)...), "]") + `,{"token":["wks_"],"type":"wardkey_client_secret","url":"https://git.example/a"}]`
		got := post(&Handler{Reports: w.Reports, GitHub: keys}, body, "hub", hub.sign(t, body))
		var answer []feedback
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code != http.StatusOK || len(answer) != 99 {
			t.Fatalf("a report = %d, %d of feedback, %v; want 200, 99", got.Code, len(answer), err)
		}
		if answer[97].Label != "false_positive" || answer[98].Label != "true_positive" || w.opens(w.first) || !w.opens(w.second) {
			t.Errorf("feedback %+v; the first opens: %t, the other: %t", answer[97:], w.opens(w.first), w.opens(w.second))
		}
		body = report("some_token")
		if got := post(&Handler{Reports: w.Reports, GitHub: keys}, body, "rsa", hub.sign(t, body)); got.Code != http.StatusUnauthorized {
			t.Errorf("signed by a key of another kind: %d, want 401", got.Code)
		}
	})
}
