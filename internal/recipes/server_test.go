package recipes

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/attacks"
)

// TestServer has every example accept a token that wardkey serve made, and refuse it altered.
func TestServer(t *testing.T) {
	t.Parallel()
	if err := build(t.Context(), "./cmd/wardkey"); err != nil {
		t.Fatal(err)
	}
	plain := wardkey(t)
	secured := wardkey(t, "--tls-cert", "cert.pem", "--tls-key", "key.pem")
	each(t, func(t *testing.T, r recipe) {
		server := plain
		if r.https {
			server = secured
		}
		tr := &trial{recipe: r}
		tr.place = r.start(t, place{issuer: server.issuer, trusted: server.trusted, audience: audience, api: backend(t)})
		token := server.token(t)
		if got := tr.ask(t, bearer(token)); got.status != http.StatusOK {
			t.Errorf("%s answers a token of wardkey serve with %d", r.name, got.status)
		}
		unsigned := token[:strings.LastIndexByte(token, '.')+1]
		if got := tr.ask(t, bearer(unsigned)); !attacks.Refused(got.status) {
			t.Errorf("%s answers a token of wardkey serve without its signature with %d", r.name, got.status)
		}
	})
}

// A server is a running wardkey.
type server struct {
	issuer  string
	trusted string // a file with its certificate
	client  *http.Client
	id      string // of the client to play with
	secret  string
}

var demoCurl = regexp.MustCompile(`curl -s .*-u ([^: ]+):([^ ]+) -d grant_type=client_credentials (http\S+)/oauth/token`)

// wardkey starts a server that stops when the tests end. The files that its arguments name are
// there.
func wardkey(t *testing.T, args ...string) *server {
	t.Helper()
	dir := directory(t)
	s := &server{trusted: filepath.Join(dir, "cert.pem"), client: certify(t, dir)}
	args = append([]string{
		"serve", "--demo", "--listen", "127.0.0.1:0", "--data-dir", "data", "--bootstrap-file", "bootstrap.json",
		"--audience", audience, "--audience-scp", audience,
	}, args...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "wardkey"), args...)
	var stderr bytes.Buffer // read when the command has ended
	cmd.Dir, cmd.Stderr = dir, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // its context has stopped it
		if err := cmd.Wait(); t.Failed() {
			t.Logf("wardkey serve: %v\n%s", err, stderr.Bytes())
		}
	})
	s.read(t, stdout)
	return s
}

// read reads what the server prints when it is ready; the curl line comes last.
func (s *server) read(t *testing.T, stdout io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if m := demoCurl.FindStringSubmatch(lines.Text()); m != nil {
			s.id, s.secret, s.issuer = m[1], m[2], m[3]
			return
		}
	}
	t.Fatalf("wardkey serve ended, or printed no curl that gets a token: %v", lines.Err())
}

func (s *server) token(t *testing.T) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {allowed}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.id, s.secret)
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.AccessToken == "" {
		t.Fatalf("POST %s = %s without a token: %v", r.URL, res.Status, err)
	}
	return got.AccessToken
}

// certify writes a certificate for localhost and its key, and returns a client that trusts it.
func certify(t *testing.T, dir string) *http.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", certificate)
	writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", private)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
}

func writePEM(t *testing.T, path, kind string, der []byte) []byte {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return text
}
