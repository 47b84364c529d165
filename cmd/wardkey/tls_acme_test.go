package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/tokens"
)

// What servers share for ACME is sealed, each row for itself.
func TestACMECache(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		cache := newACMECache(db, tokens.NewMasterKey())
		if _, err := cache.Get(ctx, "a"); !errors.Is(err, autocert.ErrCacheMiss) {
			t.Errorf("what is not there: %v", err)
		}
		must(t, cache.Put(ctx, "a", []byte("first")))
		must(t, cache.Put(ctx, "a", []byte("private key")))
		must(t, cache.Put(ctx, "b", []byte("other")))
		if got, err := cache.Get(ctx, "a"); err != nil || string(got) != "private key" {
			t.Errorf("Get = %q, %v", got, err)
		}
		var sealed string
		must(t, db.QueryRow(ctx, `SELECT sealed FROM acme_files WHERE name = 'a'`).Scan(&sealed))
		raw, err := base64.StdEncoding.DecodeString(sealed)
		if err != nil || bytes.Contains(raw, []byte("private")) {
			t.Errorf("the store has %q, %v", raw, err)
		}
		if _, err := newACMECache(db, tokens.NewMasterKey()).Get(ctx, "a"); !errors.Is(err, tokens.ErrMasterKey) {
			t.Errorf("with another master key: %v", err)
		}
		for _, row := range []string{`(SELECT sealed FROM acme_files WHERE name = 'b')`, `'AAAA'`, `'?'`} {
			_, err := db.Exec(ctx, `UPDATE acme_files SET sealed = `+row+` WHERE name = 'a'`)
			must(t, err)
			if got, err := cache.Get(ctx, "a"); err == nil {
				t.Errorf("a row that became %s reads %q", row, got)
			}
		}
		must(t, cache.Delete(ctx, "a"))
		must(t, cache.Delete(ctx, "a"))
		if _, err := cache.Get(ctx, "a"); !errors.Is(err, autocert.ErrCacheMiss) {
			t.Errorf("what was deleted: %v", err)
		}
	})
}

// An authority is an ACME server (RFC 8555) that believes every signature, and checks that a
// domain is whose it says at the address it is given.
type authority struct {
	*httptest.Server
	key    crypto.Signer
	domain string
	verify func(domain string) error

	mu       sync.Mutex
	proved   bool
	chain    []byte
	orders   int
	problems []error
}

func newAuthority(t *testing.T, domain string, verify func(string) error) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a := &authority{key: key, domain: domain, verify: verify}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Replay-Nonce", rand.Text())
	w.Header().Set("Content-Type", "application/json")
	var body any
	status := http.StatusOK
	switch r.URL.Path {
	case "/directory":
		body = map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/new-order"}
	case "/nonce":
		return
	case "/account":
		w.Header().Set("Location", a.URL+"/account/1")
		status, body = http.StatusCreated, map[string]string{"status": "valid"}
	case "/new-order":
		w.Header().Set("Location", a.URL+"/order")
		a.orders++
		status, body = http.StatusCreated, a.order()
	case "/order":
		body = a.order()
	case "/authorization":
		body = a.authorization()
	case "/challenge":
		if err := a.verify(a.domain); err != nil {
			a.problems = append(a.problems, err)
		} else {
			a.proved = true
		}
		body = a.authorization()["challenges"].([]any)[0]
	case "/finalize":
		if err := a.sign(r); err != nil {
			a.problems = append(a.problems, err)
		}
		w.Header().Set("Location", a.URL+"/order")
		body = a.order()
	case "/certificate":
		_, _ = w.Write(a.chain)
		return
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (a *authority) order() map[string]any {
	order := map[string]any{
		"status": "pending", "identifiers": []any{map[string]string{"type": "dns", "value": a.domain}},
		"authorizations": []string{a.URL + "/authorization"}, "finalize": a.URL + "/finalize",
	}
	switch {
	case a.chain != nil:
		order["status"], order["certificate"] = "valid", a.URL+"/certificate"
	case a.proved:
		order["status"] = "ready"
	}
	return order
}

func (a *authority) authorization() map[string]any {
	status := map[bool]string{false: "pending", true: "valid"}[a.proved]
	return map[string]any{
		"status": status, "identifier": map[string]string{"type": "dns", "value": a.domain},
		"challenges": []any{map[string]string{"type": "tls-alpn-01", "url": a.URL + "/challenge", "token": "token", "status": status}},
	}
}

// sign makes the certificate that was asked for.
func (a *authority) sign(r *http.Request) error {
	var envelope struct{ Payload string }
	var payload struct{ CSR string }
	err := json.NewDecoder(r.Body).Decode(&envelope)
	text, err2 := base64.RawURLEncoding.DecodeString(envelope.Payload)
	if err := errors.Join(err, err2, json.Unmarshal(text, &payload)); err != nil {
		return err
	}
	der, err := base64.RawURLEncoding.DecodeString(payload.CSR)
	if err != nil {
		return err
	}
	asked, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: a.domain}, DNSNames: asked.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, asked.PublicKey, a.key)
	a.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return err
}

// acmeNode answers TLS as a server with --acme-domain does.
func acmeNode(t *testing.T, db *database.DB, master tokens.MasterKey, domain string, a *authority) (address string) {
	t.Helper()
	c := &config{acmeDomains: []string{domain}, acmeDirectory: a.URL + "/directory"}
	certificates := c.newACME(db, master)
	certificates.Client.HTTPClient = a.Client()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", certificates.config())
	must(t, err)
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); wg.Wait() })
	return listener.Addr().String()
}

func handshake(address, domain string, protocols ...string) (*x509.Certificate, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{ServerName: domain, NextProtos: protocols, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// Two servers of one database: the first is asked for its certificate, the challenge reaches the
// second, and from then on both have it, with one order. A stranger's name gets nothing.
func TestACME(t *testing.T) {
	const domain = "auth.example.com"
	db, master := databasetest.SQLite(t), tokens.NewMasterKey()
	var second string
	identifier := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31} // RFC 8737 §6.1
	a := newAuthority(t, domain, func(domain string) error {
		proof, err := handshake(second, domain, acme.ALPNProto)
		if err != nil {
			return fmt.Errorf("the second server: %w", err)
		}
		for _, extension := range proof.Extensions {
			if extension.Id.Equal(identifier) {
				return nil
			}
		}
		return errors.New("the second server proves nothing")
	})
	first := acmeNode(t, db, master, domain, a)
	second = acmeNode(t, db, master, domain, a)
	for _, address := range []string{first, second, first} {
		got, err := handshake(address, domain, "h2", "http/1.1")
		if err != nil || got.VerifyHostname(domain) != nil || strings.Contains(got.Subject.CommonName, "Go") {
			t.Fatalf("handshake = %v, %v; the authority says %v", got, err, a.problems)
		}
	}
	if a.orders != 1 || len(a.problems) > 0 {
		t.Errorf("%d orders, %v; want one", a.orders, a.problems)
	}
	if _, err := handshake(first, "other.example.com", "h2"); err == nil {
		t.Error("a name that is not ours gets a certificate")
	}
	if a.orders != 1 {
		t.Error("a stranger's name makes an order")
	}
}
