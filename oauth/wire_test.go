package oauth

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// These tests hold what only a connection shows: what net/http does with a request before the
// handler sees it. The limits are those of cmd/wardkey.

// listen starts a server on a free port of this machine.
func (w *world) listen(start func(*httptest.Server)) *httptest.Server {
	server := httptest.NewUnstartedServer(w.handler)
	server.Config.ReadHeaderTimeout = 5 * time.Second
	server.Config.ReadTimeout = 10 * time.Second
	server.Config.MaxHeaderBytes = 32 << 10
	server.Config.DisableGeneralOptionsHandler = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	start(server)
	w.t.Cleanup(server.Close)
	return server
}

// A wire is a connection, written to and read from by hand.
type wire struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, server *httptest.Server) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t, conn, bufio.NewReader(conn)}
}

// send writes text; whether the server still reads does not matter.
func (c *wire) send(text string) { _, _ = io.WriteString(c, text) }

// answer reads one answer to its end.
func (c *wire) answer() (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("half an answer: %v", err)
	}
	return r, string(body)
}

// closed says whether the server has closed its side, and sent nothing more.
func (c *wire) closed() bool {
	_, err := c.in.ReadByte()
	return err != nil
}

// grant is the least body of a token request.
const grant = "grant_type=client_credentials"

// head begins a token request of the client billing; what follows ends it.
func (w *world) head(lines ...string) string {
	return "POST /oauth/token HTTP/1.1\r\nHost: auth.example\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: " +
		w.clients["billing"].basic() + "\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

func sized(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

func TestWireAccepts(t *testing.T) {
	w := newWorld(t)
	server := w.listen((*httptest.Server).Start)
	for name, text := range map[string]string{
		"a body with its length": w.head(sized(len(grant))) + grant,
		"a body in chunks":       w.head("Transfer-Encoding: chunked") + "a\r\ngrant_type\r\n13\r\n=client_credentials\r\n0\r\n\r\n",
		"an absolute target":     strings.Replace(w.head(sized(len(grant))), "/oauth", "http://auth.example/oauth", 1) + grant,
		"1000 cookies":           w.head("Cookie: "+strings.Repeat("a=b; ", 1000), sized(len(grant))) + grant,
		"a wish for HTTP/2": w.head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
			"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", sized(len(grant))) + grant,
	} {
		c := dial(t, server)
		c.send(text)
		if r, reply := c.answer(); r.StatusCode != 200 || !strings.Contains(reply, "access_token") || r.Header.Get("Server") != "" {
			t.Errorf("%s: %s %v %s", name, r.Status, r.Header, reply)
		}
	}
}

// TestWireExpect holds that a client that asks first is told to go on (RFC 9110 §10.1.1).
func TestWireExpect(t *testing.T) {
	w := newWorld(t)
	c := dial(t, w.listen((*httptest.Server).Start))
	c.send(w.head("Expect: 100-continue", sized(len(grant))))
	if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	if line, err := c.in.ReadString('\n'); line != "\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	c.send(grant)
	if r, reply := c.answer(); r.StatusCode != 200 {
		t.Errorf("%s %s", r.Status, reply)
	}
}

// TestWireRefuses holds that what two parties could read in two ways, and what is too large, is
// refused, and that the connection is then closed: nothing behind it is taken for a request.
func TestWireRefuses(t *testing.T) {
	w := newWorld(t)
	server := w.listen((*httptest.Server).Start)
	next := w.head(sized(len(grant))) + grant
	for _, tt := range []struct {
		name, text string
		status     int
	}{
		{"two lengths", w.head(sized(len(grant)), sized(len(grant)+1)) + grant, 400},
		{"a length that is no number", w.head("Content-Length: 1x") + grant, 400},
		{"a length with a sign", w.head("Content-Length: +29") + grant, 400},
		{"an unknown transfer encoding", w.head("Transfer-Encoding: gzip, chunked") + grant, 501},
		{"two transfer encodings", w.head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + grant, 501},
		{"a chunk that ends with a bare LF", w.head("Transfer-Encoding: chunked") + "1d\n" + grant + "\r\n0\r\n\r\n", 400},
		{"a chunk of no length", w.head("Transfer-Encoding: chunked") + "\r\n" + grant + "\r\n0\r\n\r\n", 400},
		{"a blank before the colon", w.head("Content-Length : 29") + grant, 400},
		{"a header of 64 KiB", w.head("X: "+strings.Repeat("x", 64<<10), sized(len(grant))) + grant, 431},
		{"10,000 headers", w.head(strings.Repeat("X: y\r\n", 10_000)+sized(len(grant))) + grant, 431},
		{"a URL of 64 KiB", strings.Replace(w.head(sized(len(grant))), "/oauth/token", "/oauth/token?"+strings.Repeat("a&", 32<<10), 1) + grant, 431},
		{"no Host", strings.Replace(w.head(sized(len(grant))), "Host: auth.example\r\n", "", 1) + grant, 400},
		{"two Hosts", w.head("Host: evil.example", sized(len(grant))) + grant, 400},
		{"NUL in a header", w.head("X: a\x00b", sized(len(grant))) + grant, 400},
		{"a method with a blank", "POST X /oauth/token HTTP/1.1\r\n\r\n", 400},
		{"HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404},
		{"a body of 64 MiB", w.head(sized(64<<20)) + strings.Repeat("a", 300<<10), 413},
		{"a long body in chunks", w.head("Transfer-Encoding: chunked") + strings.Repeat("8000\r\n"+strings.Repeat("a", 0x8000)+"\r\n", 10), 413},
	} {
		c := dial(t, server)
		c.send(tt.text + next)
		r, reply := c.answer()
		if r.StatusCode != tt.status || strings.Contains(reply, "access_token") || strings.Contains(reply, "<html") {
			t.Errorf("%s: %s %s, want %d", tt.name, r.Status, reply, tt.status)
		}
		if !c.closed() {
			t.Errorf("%s: the connection goes on after %s", tt.name, r.Status)
		}
	}
}

// TestWireAmbiguity holds the two ambiguities that net/http resolves as RFC 9112 allows instead
// of refusing: Transfer-Encoding wins over Content-Length (§6.3), and a folded header is one line
// (§5.2).
func TestWireAmbiguity(t *testing.T) {
	w := newWorld(t)
	server := w.listen((*httptest.Server).Start)
	c := dial(t, server)
	c.send(w.head("Content-Length: 5", "Transfer-Encoding: chunked") + "1d\r\n" + grant + "\r\n0\r\n\r\n")
	if r, reply := c.answer(); r.StatusCode != 200 {
		t.Errorf("a length beside chunks: %s %s", r.Status, reply)
	}
	c = dial(t, server)
	c.send(w.head("X: a\r\n b", sized(len(grant))) + grant)
	if r, reply := c.answer(); r.StatusCode != 200 {
		t.Errorf("a folded header: %s %s", r.Status, reply)
	}
	c = dial(t, server)
	c.send(strings.Replace(w.head(sized(len(grant))), "Authorization: Basic ", "Authorization:\r\n Basic ", 1) + grant)
	if r, reply := c.answer(); r.StatusCode != 200 {
		t.Errorf("folded credentials: %s %s", r.Status, reply)
	}
}

// TestWireTLS holds that nothing older than TLS 1.2 is spoken, and that whoever came with TLS is
// told to come so again.
func TestWireTLS(t *testing.T) {
	w := newWorld(t)
	server := w.listen((*httptest.Server).StartTLS)
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{
			RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com",
			MinVersion: version, MaxVersion: version, //nolint:gosec // it is what must be refused
		})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
	for want, start := range map[string]func(*httptest.Server){"max-age=63072000": (*httptest.Server).StartTLS, "": (*httptest.Server).Start} {
		server := w.listen(start)
		answer, err := server.Client().Get(server.URL + "/healthz")
		w.must(err)
		answer.Body.Close()
		if got := answer.Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s/healthz has Strict-Transport-Security %q, want %q", server.URL, got, want)
		}
	}
}

// TestWireHTTP2 holds that HTTP/1.1 and HTTP/2 give the same answers.
func TestWireHTTP2(t *testing.T) {
	w := newWorld(t)
	server := w.listen((*httptest.Server).StartTLS)
	two := server.Client()
	one := &http.Client{Transport: &http.Transport{TLSClientConfig: two.Transport.(*http.Transport).TLSClientConfig.Clone()}}
	one.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	t.Cleanup(one.CloseIdleConnections)
	ask := func(client *http.Client, method, path, authorization string) (proto, answer string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(grant))
		w.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		reply, err := client.Do(r)
		w.must(err)
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		w.must(err)
		for _, name := range []string{"Date", "Content-Length", "Connection"} { // of the connection, not of the answer
			reply.Header.Del(name)
		}
		answer = accessToken.ReplaceAllString(errorID.ReplaceAllString(string(text), "an error_id"), "a token")
		return reply.Proto, fmt.Sprintln(reply.StatusCode, reply.Header, answer)
	}
	for _, tt := range []struct{ method, path, authorization string }{
		{"POST", "/oauth/token", w.clients["billing"].basic()},
		{"POST", "/oauth/token", "Basic x"},
		{"POST", "/oauth/token?client_secret=x", ""},
		{"GET", "/oauth/token", ""},
		{"OPTIONS", "/oauth/token", ""},
		{"HEAD", "/.well-known/jwks.json", ""},
		{"GET", "/.well-known/openid-configuration", ""},
		{"POST", "//oauth/token", w.clients["billing"].basic()},
	} {
		protoOne, answerOne := ask(one, tt.method, tt.path, tt.authorization)
		protoTwo, answerTwo := ask(two, tt.method, tt.path, tt.authorization)
		if protoOne != "HTTP/1.1" || protoTwo != "HTTP/2.0" || answerOne != answerTwo {
			t.Errorf("%s %s: %s answers\n%s and %s\n%s", tt.method, tt.path, protoOne, answerOne, protoTwo, answerTwo)
		}
	}
}
