package request

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A line is one line of the log.
type line map[string]any

// serve sends one request through Wrap and returns the answer and the lines in the log.
func serve(t *testing.T, h http.HandlerFunc, r *http.Request) (*http.Response, []line) {
	t.Helper()
	var log bytes.Buffer
	w := httptest.NewRecorder()
	Wrap(slog.New(slog.NewJSONHandler(&log, nil)), h).ServeHTTP(w, r)
	var lines []line
	for text := range strings.Lines(log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("a line of the log: %v", err)
		}
		lines = append(lines, l)
	}
	return w.Result(), lines
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return string(text)
}

// A handler that fails answers 500 in JSON with an id. Why it failed is in the log under that id,
// and nowhere else.
func TestPanic(t *testing.T) {
	answer, log := serve(t, func(http.ResponseWriter, *http.Request) {
		panic("the secret is wks_0123")
	}, httptest.NewRequest("GET", "/oauth/token", nil))
	text := body(t, answer)
	var problem struct {
		Error   string `json:"error"`
		ErrorID string `json:"error_id"`
		Status  int    `json:"status"`
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Error != "server_error" || problem.Status != 500 {
		t.Errorf("the answer is %q, %v", text, err)
	}
	if answer.StatusCode != 500 || answer.Header.Get("Content-Type") != "application/json" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the answer has status %d and headers %v", answer.StatusCode, answer.Header)
	}
	for _, inside := range []string{"wks_", "goroutine", ".go", "panic", "/work"} {
		if strings.Contains(text, inside) {
			t.Errorf("the answer tells %q: %s", inside, text)
		}
	}
	if len(log) != 1 {
		t.Fatalf("the log has %d lines: %v", len(log), log)
	}
	stack, _ := log[0]["stack"].(string)
	if log[0]["level"] != "ERROR" || log[0]["panic"] != "the secret is wks_0123" || !strings.Contains(stack, "request_test.go") {
		t.Errorf("the log says %v", log[0])
	}
	if problem.ErrorID == "" || log[0]["request_id"] != problem.ErrorID {
		t.Errorf("the answer has the id %q, the log %v", problem.ErrorID, log[0]["request_id"])
	}
}

// An answer whose handler failed in the middle is cut: nobody takes the part for the whole.
func TestPanicInTheMiddle(t *testing.T) {
	server := httptest.NewServer(Wrap(slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[`)
		_ = http.NewResponseController(w).Flush()
		panic("a bug")
	})))
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("the answer ended well, with %q", text)
	}
}

// One line says all that is needed of a request, and nothing that may hold a secret.
func TestLog(t *testing.T) {
	r := httptest.NewRequest("POST", "/clients/wks_path/secrets?client_secret=wks_query", strings.NewReader("client_secret=wks_body"))
	r.RemoteAddr = "192.0.2.1:1234"
	r.Header.Set("Authorization", "Basic wks_header")
	r.Header.Set("Cookie", "session=wks_cookie")
	answer, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
		Note(r.Context(), slog.String("client_id", "c1"), slog.String("error", "invalid_client"))
		w.WriteHeader(http.StatusUnauthorized)
		w.WriteHeader(http.StatusOK) // too late
	}, r)
	if len(log) != 1 {
		t.Fatalf("the log has %d lines: %v", len(log), log)
	}
	wanted := line{
		"level": "INFO", "msg": "request", "method": "POST", "path": "/clients/[secret]/secrets", "status": 401.0,
		"ip": "192.0.2.1", "client_id": "c1", "error": "invalid_client",
	}
	for key, want := range wanted {
		if log[0][key] != want {
			t.Errorf("the log says %s = %v; want %v", key, log[0][key], want)
		}
	}
	if all, _ := json.Marshal(log); bytes.Contains(all, []byte("wks_")) {
		t.Errorf("the log holds a secret: %s", all)
	}
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the answer has status %d", answer.StatusCode)
	}
}

func TestLogLevels(t *testing.T) {
	for status, want := range map[int]string{200: "INFO", 404: "INFO", 499: "INFO", 500: "ERROR", 503: "ERROR"} {
		_, log := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, httptest.NewRequest("GET", "/", nil))
		if log[0]["level"] != want || log[0]["status"] != float64(status) {
			t.Errorf("%d is logged as %v", status, log[0])
		}
	}
	_, log := serve(t, func(w http.ResponseWriter, r *http.Request) { Meant(r.Context()); w.WriteHeader(503) }, httptest.NewRequest("GET", "/", nil))
	if log[0]["level"] != "INFO" || log[0]["status"] != 503.0 {
		t.Errorf("503 that is meant is logged as %v", log[0])
	}
	_, log = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, httptest.NewRequest("GET", "/", nil))
	if log[0]["status"] != 200.0 {
		t.Errorf("an answer without a status is logged as %v", log[0])
	}
	var quiet bytes.Buffer
	Wrap(slog.New(slog.NewTextHandler(&quiet, &slog.HandlerOptions{Level: slog.LevelWarn})), http.NotFoundHandler()).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if quiet.Len() > 0 {
		t.Errorf("at level warn the log says %s", &quiet)
	}
}

// Nobody can write lines of their own into the log, nor fill it with one request.
func TestLogIsNotTheStrangers(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.Path = "/a\nlevel=INFO msg=forged" + strings.Repeat("\x00x", 10_000)
	var log bytes.Buffer
	Wrap(slog.New(slog.NewTextHandler(&log, nil)), http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if got := strings.Count(log.String(), "\n"); got != 1 || log.Len() > 2000 {
		t.Errorf("one request makes %d lines of %d bytes in the log", got, log.Len())
	}
}

// Every answer says that its type is meant, whoever wrote it.
func TestNosniff(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"an answer":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<script>") },
		"no answer":  func(http.ResponseWriter, *http.Request) {},
		"not found":  http.NotFound,
		"http.Error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 400) },
		"a panic":    func(http.ResponseWriter, *http.Request) { panic("a bug") },
	} {
		answer, _ := serve(t, h, httptest.NewRequest("GET", "/", nil))
		if got := answer.Header["X-Content-Type-Options"]; len(got) != 1 || got[0] != "nosniff" {
			t.Errorf("%s has X-Content-Type-Options %q", name, got)
		}
	}
}

func TestID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		_, log := serve(t, func(_ http.ResponseWriter, r *http.Request) { seen[ID(r.Context())] = true }, httptest.NewRequest("GET", "/", nil))
		if id, _ := log[0]["request_id"].(string); !seen[id] {
			t.Fatalf("the log has the id %q, its handler another", id)
		}
	}
	if len(seen) != 100 || seen[""] {
		t.Errorf("100 requests have %d ids", len(seen))
	}
	Note(context.Background(), slog.String("a", "b")) // outside of a request it does nothing
	if id := ID(context.Background()); id != "" {
		t.Errorf("outside of a request, the id is %q", id)
	}
}

func TestAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "[fe80::1%eth0]:80": "fe80::1%eth0", "@": "@", "": "",
	} {
		if got := Address(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("Address of %q = %q; want %q", remote, got, want)
		}
	}
}
