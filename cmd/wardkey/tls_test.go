package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// copyFiles puts files in the place of others.
func copyFiles(t *testing.T, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		text, err := os.ReadFile(pairs[i])
		must(t, err)
		must(t, os.WriteFile(pairs[i+1], text, 0o600))
	}
}

// Files that change are read again. What cannot be used leaves the certificate as it was, and is
// said in the log.
func TestCertificateFiles(t *testing.T) {
	now := time.Now()
	oldCert, oldKey := certify(t, now, now.Add(time.Hour))
	newCert, newKey := certify(t, now, now.Add(2*time.Hour))
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	nonsense := filepath.Join(dir, "nonsense")
	must(t, os.WriteFile(nonsense, []byte("nonsense"), 0o600))
	copyFiles(t, oldCert, cert, oldKey, key)
	var log strings.Builder
	c := &config{tlsCert: cert, tlsKey: key}
	opened, err := c.openCertificate(slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	f := opened.(*certificateFile)
	for _, tt := range []struct {
		name    string
		files   []string // from, to
		fresh   bool
		message string
	}{
		{"a certificate without its key", []string{newCert, cert}, false, "private key does not match"},
		{"with its key", []string{newKey, key}, true, "read again"},
		{"nonsense", []string{nonsense, cert}, true, "going on with the one before"},
		{"the old pair", []string{oldCert, cert, oldKey, key}, false, "read again"},
	} {
		log.Reset()
		copyFiles(t, tt.files...)
		f.reload(t.Context())
		shown, err := f.config().GetCertificate(&tls.ClientHelloInfo{})
		must(t, err)
		if fresh := shown.Leaf.NotAfter.After(now.Add(90 * time.Minute)); fresh != tt.fresh || !strings.Contains(log.String(), tt.message) {
			t.Errorf("%s: the new certificate is shown: %t; want %t, with %q in the log:\n%s", tt.name, fresh, tt.fresh, tt.message, &log)
		}
		if stamps, err := f.stamps(); err != nil || stamps != f.tried {
			t.Errorf("%s: %v, and the files would be read again without a change", tt.name, err)
		}
	}
	for _, tt := range []struct {
		name    string
		change  func()
		message string // in the log, once
	}{
		{"nothing changed", func() {}, ""},
		{"the key is gone", func() { must(t, os.Remove(key)) }, "cannot be read again"},
		{"the new pair", func() { copyFiles(t, newCert, cert, newKey, key) }, "was read again"},
		{"the certificate is gone", func() { must(t, os.Remove(cert)) }, "cannot be read again"},
	} {
		log.Reset()
		tt.change()
		f.refresh(t.Context())
		f.refresh(t.Context())
		if lines := strings.Count(log.String(), "\n"); !strings.Contains(log.String(), tt.message) || lines > 1 || (lines == 1) != (tt.message != "") {
			t.Errorf("%s: the log says, want %q once:\n%s", tt.name, tt.message, &log)
		}
	}
}

// A running server shows a new certificate after SIGHUP, and lives on.
func TestHangup(t *testing.T) {
	now := time.Now()
	oldCert, oldKey := certify(t, now, now.Add(time.Hour))
	newCert, newKey := certify(t, now, now.Add(2*time.Hour))
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	copyFiles(t, oldCert, cert, oldKey, key)
	process, n := startProcess(t, "--database", databasetest.SQLiteURL(t), "--data-dir", dir, "--tls-cert", cert, "--tls-key", key)
	address := strings.TrimPrefix(n.url, "http://")
	trusted := x509.NewCertPool()
	for _, path := range []string{oldCert, newCert} {
		text, err := os.ReadFile(path)
		must(t, err)
		trusted.AppendCertsFromPEM(text)
	}
	end := func() time.Time {
		dialer := &net.Dialer{Timeout: 30 * time.Second}
		conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{RootCAs: trusted, ServerName: "localhost"})
		must(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	if got := end(); got.After(now.Add(90 * time.Minute)) {
		t.Fatalf("the first certificate ends %s", got)
	}
	copyFiles(t, newCert, cert, newKey, key)
	must(t, process.Signal(syscall.SIGHUP))
	for deadline := time.Now().Add(30 * time.Second); end().Before(now.Add(90 * time.Minute)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not shown")
		}
	}
	must(t, process.Signal(syscall.SIGTERM))
	state, err := process.Wait()
	if err != nil || state.ExitCode() != 0 {
		t.Errorf("it ended with %v, %v", state, err)
	}
}

// TestDrainFlags holds how long a server serves on when nothing is said.
func TestDrainFlags(t *testing.T) {
	for _, tt := range []struct {
		delay    time.Duration
		listen   string
		embedded bool
		want     time.Duration
	}{
		{unset, "127.0.0.1:8080", true, 0},
		{unset, "127.0.0.1:8080", false, 0},
		{unset, "0.0.0.0:8080", true, 0},
		{unset, "0.0.0.0:8080", false, balancerDelay},
		{unset, ":8080", false, balancerDelay},
		{0, ":8080", false, 0},
		{time.Minute, "127.0.0.1:8080", true, time.Minute},
	} {
		c := &config{shutdownDelay: tt.delay, listen: tt.listen}
		if got := c.lingers(tt.embedded); got != tt.want {
			t.Errorf("with %s at %s, embedded %t: %s; want %s", tt.delay, tt.listen, tt.embedded, got, tt.want)
		}
	}
}

// TestACMEFlags holds what is refused before anybody is asked for a certificate.
func TestACMEFlags(t *testing.T) {
	const directory = "https://acme.test/directory"
	for _, tt := range []struct {
		config config
		want   string
	}{
		{config{acmeDirectory: directory}, ""},
		{config{acmeDirectory: directory, acmeDomains: []string{"auth.example.com"}}, ""},
		{config{acmeDirectory: directory, acmeDomains: []string{"auth.example.com"}, acmeListen: ":80"}, ""},
		{config{acmeDirectory: directory, acmeListen: ":80"}, "--acme-listen needs an --acme-domain"},
		{config{acmeDirectory: directory, acmeDomains: []string{"auth.example.com"}, acmeListen: "80"}, "--acme-listen must be HOST:PORT"},
		{config{acmeDirectory: directory, acmeDomains: []string{"auth.example.com"}, tlsCert: "cert.pem"}, "give one of them"},
		{config{acmeDirectory: "http://acme.test", acmeDomains: []string{"auth.example.com"}}, "must be an https:// URL"},
		{config{acmeDirectory: directory, acmeDomains: []string{"*.example.com"}}, "--acme-domain must be a name"},
		{config{acmeDirectory: directory, acmeDomains: []string{"https://auth.example.com"}}, "--acme-domain must be a name"},
		{config{acmeDirectory: directory, acmeDomains: []string{"Auth.example.com"}}, "in lower case"},
		{config{acmeDirectory: directory, acmeDomains: []string{"10.0.0.1"}}, "--acme-domain must be a name"},
		{config{acmeDirectory: directory, acmeDomains: []string{"localhost"}}, "--acme-domain must be a name"},
	} {
		if got := fmt.Sprint(tt.config.checkACME()); tt.want == "" && got != "<nil>" || !strings.Contains(got, tt.want) {
			t.Errorf("checkACME(%v) = %s; want %q", tt.config.acmeDomains, got, tt.want)
		}
	}
}
