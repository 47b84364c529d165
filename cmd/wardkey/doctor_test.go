package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/tokens"
)

// examineStore looks at a store as wardkey doctor --full does.
func examineStore(t *testing.T, s *store, now time.Time) *examination {
	t.Helper()
	c := *s.config
	c.masterKey = testMasterKey
	x := &examination{config: &c, now: now, db: s.db}
	x.clock(t.Context())
	x.masterKey(t.Context())
	if x.schema(t.Context()) {
		x.signingKeys(t.Context())
		x.journal(t.Context())
		x.auditLog(t.Context(), true)
		x.endings(t.Context())
	}
	return x
}

// finds checks what a check found, by the beginning of its detail.
func (x *examination) finds(t *testing.T, check, result, detail string) {
	t.Helper()
	if !slices.ContainsFunc(x.findings, func(f finding) bool {
		return f.Check == check && f.Result == result && regexp.MustCompile(detail).MatchString(f.Detail)
	}) {
		t.Errorf("%s is not %s with %q in %+v", check, result, detail, x.findings)
	}
}

func TestDoctor(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		s := openTestStore(t, url, t.TempDir())
		p := s.populate(t, small)
		s.start(t)
		x := examineStore(t, s, time.Now())
		x.finds(t, "journal", passed, "has 0 revocations$")
		x.finds(t, "signing keys", passed, "^ES256: key .{43} signs, the next takes over in 3 months$")
		x.finds(t, "audit log", passed, "^whole: ")
		if len(x.findings) != 7 || x.faults() != 0 {
			t.Errorf("a store that is well: %+v", x.findings)
		}

		s.revoke(t, p)
		examineStore(t, s, time.Now()).finds(t, "journal", warning, "^15 revocations are not in it yet, but in the audit log")
		must(t, s.journal.follow(t.Context()))
		old, err := s.db.Exec(t.Context(), `UPDATE client_secrets SET revoked_at = 0 WHERE id = $1`, p.secretIDs[0])
		if old != 1 || err != nil {
			t.Fatal(old, err)
		}
		examineStore(t, s, time.Now()).finds(t, "journal", warning, "^1 revocation is known to it and not in effect in this database")

		later := examineStore(t, s, time.Now().Add(tokens.DefaultSchedule.Rotate+time.Hour))
		later.finds(t, "signing keys", warning, "the key that signs is due to be replaced.*; a running server does that within a second")

		_, err = s.db.Exec(t.Context(), `UPDATE audit_events SET actor_name = 'eva' WHERE seq = 3`)
		must(t, err)
		examineStore(t, s, time.Now()).finds(t, "audit log", fault, "^event 3 was changed.*; the 2 events before it")
	})
}

func TestDoctorCountsWhatEnds(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		s := openTestStore(t, url, t.TempDir())
		p := s.populate(t, size{clients: 4})
		store, now := clients.NewStore(s.db), time.Now()
		for i, end := range []time.Duration{-time.Hour, -time.Minute, 13 * day, 15 * day} {
			c, err := store.Client(t.Context(), p.clients[i].ID)
			must(t, err)
			c.ExpiresAt = now.Add(end)
			must(t, store.Update(t.Context(), c))
		}
		_, _, err := store.AddSecret(t.Context(), p.clients[3].ID, now.Add(time.Hour), nil, now)
		must(t, err)
		examineStore(t, s, now).finds(t, "endings", passed, "^2 clients have ended; 1 client ends and 1 secret ends within 14 days$")
	})
}

// A release also runs on the schema of its successor, and says so; it cannot look into that of its
// predecessor.
func TestDoctorSchema(t *testing.T) {
	eachStore(t, func(t *testing.T, url string) {
		s := openTestStore(t, url, t.TempDir())
		s.start(t)
		_, err := s.db.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
		must(t, err)
		x := examineStore(t, s, time.Now())
		x.finds(t, "schema", warning, "^it has version 9999, newer than this program's")
		x.finds(t, "endings", passed, "")
		_, err = s.db.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id > 1`)
		must(t, err)
		x = examineStore(t, s, time.Now())
		x.finds(t, "schema", warning, "^it has version 1, this program's is .*; the next start brings it up to date, or wardkey migrate")
		if last := x.findings[len(x.findings)-1]; last.Check != "schema" {
			t.Errorf("it went on to %+v", last)
		}
	})
}

func TestDoctorClock(t *testing.T) {
	for _, tt := range []struct {
		ahead, unsure time.Duration
		want          string
	}{
		{0, 0, passed},
		{2 * time.Second, 0, passed},
		{3 * time.Second, time.Second, passed},
		{-3 * time.Second, 0, warning},
		{30 * time.Second, 0, warning},
		{31 * time.Second, 0, fault},
		{-31 * time.Second, 0, fault},
		{-31 * time.Second, time.Second, warning},
	} {
		x := &examination{}
		x.offset("it", tt.ahead, tt.unsure)
		if got := x.findings[0]; got.Result != tt.want || strings.Contains(got.Detail, "ahead") != (tt.ahead > 0 && tt.want != passed) {
			t.Errorf("%s ahead, give or take %s: %+v; want %s", tt.ahead, tt.unsure, got, tt.want)
		}
	}
}

func TestDoctorDisk(t *testing.T) {
	const tera = 1 << 40
	for _, tt := range []struct {
		room room
		want string
	}{
		{room{known: true, free: tera / 2, total: tera, freeFiles: 1e6, totalFiles: 2e6}, passed},
		{room{known: true, free: tera / 2, total: tera}, passed}, // a file system that counts no files
		{room{known: true, free: tera/10 - 1, total: tera}, warning},
		{room{known: true, free: gibibyte - 1, total: gibibyte}, warning},
		{room{known: true, free: 100*mebibyte - 1, total: gibibyte / 2}, fault},
		{room{known: true, free: tera / 2, total: tera, freeFiles: 2000, totalFiles: 1e6}, warning},
		{room{known: true, free: tera / 2, total: tera, freeFiles: 999, totalFiles: 1e6}, fault},
		{room{}, skipped},
	} {
		if got := tt.room.judge(); got != tt.want || strings.Contains(tt.room.String(), "make room") != (got == warning || got == fault) {
			t.Errorf("%+v is %s: %s; want %s", tt.room, got, tt.room, tt.want)
		}
	}
}

// certify writes a certificate for localhost and its key.
func certify(t *testing.T, from, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

func TestDoctorCertificate(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		issuer      string
		from, until time.Time
		result      string
		detail      string
	}{
		{"https://localhost:1", now.Add(-day), now.Add(30 * day), passed, "^for localhost, ends in 30 days$"},
		{"https://localhost:1", now.Add(-day), now.Add(13 * day), warning, "^it ends in 13 days; renew it"},
		{"https://localhost:1", now.Add(-3 * day), now.Add(-2 * day), fault, "^it ended 2 days ago; renew it"},
		{"https://localhost:1", now.Add(2 * day), now.Add(30 * day), fault, "^it begins in 2 days; "},
		{"https://auth.example.com", now.Add(-day), now.Add(30 * day), warning, "^it is not for auth.example.com, the host of the issuer"},
	} {
		cert, key := certify(t, tt.from, tt.until)
		x := &examination{config: &config{issuer: tt.issuer, tlsCert: cert, tlsKey: key}, now: now}
		x.certificate()
		x.finds(t, "certificate", tt.result, tt.detail)
	}
}

// A server that speaks TLS is asked by TLS, with its own certificate, whoever signed it.
func TestDoctorAsksByTLS(t *testing.T) {
	cert, key := certify(t, time.Now().Add(-day), time.Now().Add(30*day))
	dir := t.TempDir()
	n, _ := runNode(t, "--data-dir", dir, "--tls-cert", cert, "--tls-key", key, "--issuer", "https://localhost:1")
	var out, said bytes.Buffer
	code := run(t.Context(), []string{
		"doctor", "--data-dir", dir, "--tls-cert", cert, "--tls-key", key, "--issuer", "https://localhost:1",
		"--listen", strings.TrimPrefix(n.url, "http://"),
	}, nothingSet, &out, &said)
	if code != exitDone || !strings.Contains(out.String(), "is alive and ready") || !strings.Contains(out.String(), "server ") {
		t.Errorf("doctor ends with %d, %s: %s", code, said.String(), out.String())
	}
}
