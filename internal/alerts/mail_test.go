package alerts

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// A mailServer speaks as much SMTP as these tests need, and remembers what it heard.
type mailServer struct {
	t        *testing.T
	starttls bool
	pause    time.Duration // before it answers that it took a mail
	tls      *tls.Config
	listener net.Listener
	talks    sync.WaitGroup

	mu     sync.Mutex
	plain  string   // all that came before TLS
	mails  []string // as they came
	logins []string
	rcpts  []string
}

func newMailServer(t *testing.T, starttls bool) *mailServer {
	certificate := httptest.NewTLSServer(nil) // for example.com and 127.0.0.1
	t.Cleanup(certificate.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &mailServer{t: t, starttls: starttls, listener: listener, tls: &tls.Config{Certificates: certificate.TLS.Certificates}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.talks.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait(); s.wait() })
	return s
}

// wait returns when all that was said to it was heard.
func (s *mailServer) wait() { s.talks.Wait() }

func (s *mailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	secure, r := false, bufio.NewReader(conn)
	say := func(lines ...string) { _, _ = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n") }
	say("220 mail.example ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		if !secure {
			s.plain += line + "\n"
		}
		s.mu.Unlock()
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); {
		case verb == "EHLO" && s.starttls && !secure:
			say("250-mail.example", "250-AUTH PLAIN", "250 STARTTLS")
		case verb == "EHLO":
			say("250-mail.example", "250 AUTH PLAIN")
		case verb == "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.tls)
			secure, r = true, bufio.NewReader(conn)
		case verb == "AUTH":
			s.mu.Lock()
			s.logins = append(s.logins, strings.Fields(line)[2])
			s.mu.Unlock()
			say("235 welcome")
		case verb == "RCPT":
			s.mu.Lock()
			s.rcpts = append(s.rcpts, line)
			s.mu.Unlock()
			say("250 yes")
		case verb == "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			s.mu.Lock()
			s.mails = append(s.mails, text.String())
			s.mu.Unlock()
			time.Sleep(s.pause)
			say("250 taken")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 yes")
		}
	}
}

// mailer is one that finds the server by whatever name.
func (s *mailServer) mailer(address, password string) *Mailer {
	s.t.Helper()
	m, err := NewMailer(address, password, "Wardkey <alerts@example.com>")
	must(s.t, err)
	m.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.listener.Addr().String())
	}
	pool := httptest.NewTLSServer(nil) // all of them have the same certificate
	defer pool.Close()
	m.roots = pool.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return m
}

// Mails are handed over with TLS, or on this machine without; otherwise nothing is said.
func TestMailServers(t *testing.T) {
	for _, tt := range []struct {
		name, address string
		password      string
		starttls      bool
		arrives       bool
		outcome       string
	}{
		{"with STARTTLS and a password", "smtp://eva@example.com", "open sesame", true, true, "taken by example.com"},
		{"with STARTTLS", "smtp://example.com", "", true, true, "taken by example.com"},
		{"without STARTTLS", "smtp://eva@example.com", "open sesame", false, false, "offers no STARTTLS"},
		{"with another's certificate", "smtp://eva@other.example", "open sesame", true, false, "certificate"},
		{"on this machine", "smtp://127.0.0.1:25", "", false, true, "taken by 127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t))
			w.Mails = true
			w.admin("eva", "owner")
			server, d := newMailServer(t, tt.starttls), w.dispatcher()
			d.Mailer = server.mailer(tt.address, tt.password)
			w.raise(SecretLeaked, "x", w.client("CRM", time.Now()))
			w.flush(d)
			found, err := w.Deliveries(t.Context(), "", Position{}, 1)
			must(t, err)
			if got := found[0]; (got.State == Delivered) != tt.arrives || !strings.Contains(got.Outcome, tt.outcome) || (len(server.mails) > 0) != tt.arrives {
				t.Errorf("the delivery is %s, %q, with %d mails; want that it arrives: %t, %q", got.State, got.Outcome, len(server.mails), tt.arrives, tt.outcome)
			}
			if tt.name != "on this machine" && strings.Contains(server.plain, "MAIL") {
				t.Errorf("in plain text came %q", server.plain)
			}
			if strings.Contains(server.plain, "AUTH") || strings.Contains(found[0].Outcome, tt.password) && tt.password != "" {
				t.Errorf("the password came in plain text, or stands in the outcome %q", found[0].Outcome)
			}
			want := []string{}
			if tt.password != "" && tt.arrives {
				want = append(want, base64.StdEncoding.EncodeToString([]byte("\x00eva\x00"+tt.password)))
			}
			if strings.Join(server.logins, " ") != strings.Join(want, " ") {
				t.Errorf("signed in as %q; want %q", server.logins, want)
			}
		})
	}
}

// A mail of which a server that ended made no note is sent again to the byte as it was, with its
// Message-ID. One that was stopped while it spoke to the mail server, and goes on when another has
// sent the mail, leaves it unsent.
func TestMailOnce(t *testing.T) {
	each(t, func(w *world) {
		w.Mails = true
		w.admin("eva", "owner")
		server, first, second := newMailServer(w.t, true), w.dispatcher(), w.dispatcher()
		first.Mailer, second.Mailer = server.mailer("smtp://example.com", ""), server.mailer("smtp://example.com", "")

		w.raise(SecretLeaked, "ended", nil)
		ended, err := first.claim(w.t.Context(), "")
		must(w.t, err)
		if _, err := first.deliver(w.t.Context(), *ended); err != nil { // and no note of it
			w.t.Fatal(err)
		}
		w.later()
		w.flush(second)
		if len(server.mails) != 2 || server.mails[0] != server.mails[1] || !strings.Contains(server.mails[0], "Message-ID: <"+ended.ID+"@example.com>\r\n") {
			w.t.Errorf("the mails are %q; want the same twice, with the id %s", server.mails, ended.ID)
		}

		w.raise(SecretLeaked, "stopped", nil)
		stopped, err := first.claim(w.t.Context(), "")
		must(w.t, err)
		dial := first.Mailer.dial
		first.Mailer.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			w.later()
			w.flush(second)
			return dial(ctx, network, address)
		}
		if err := first.try(w.t.Context(), *stopped); !errors.Is(err, errNotMine) {
			w.t.Errorf("try = %v; want errNotMine", err)
		}
		server.wait()
		if len(server.mails) != 3 {
			w.t.Errorf("the mail that another sent meanwhile came %d times; want once", len(server.mails)-2)
		}
		if got := w.deliveries(); !slices.Equal(got, []string{"eva delivered 2", "eva delivered 2"}) {
			w.t.Errorf("the log says %q; want each delivered at the second attempt", got)
		}
	})
}

// A mail server that looks into a mail for long before it takes it has it once. One that never says
// so has a minute, or ten seconds more when this server is to end.
func TestSlowMailServer(t *testing.T) {
	for _, tt := range []struct {
		name         string
		pause, after time.Duration // until it says that it took the mail; until this server is to end
		state        DeliveryState
		outcome      string
		took         time.Duration
	}{
		{"looks into it", 40 * time.Second, time.Hour, Delivered, "taken by 127.0.0.1", 40 * time.Second},
		{"says nothing", time.Hour, time.Hour, Waiting, "did not answer within 1m0s", time.Minute},
		{"says nothing before the end", time.Hour, 5 * time.Second, Waiting, "did not answer before this server ended", 15 * time.Second},
		{"is quick enough before the end", 12 * time.Second, 5 * time.Second, Delivered, "taken by 127.0.0.1", 12 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, func(w *world) {
				w.Mails = true
				w.admin("eva", "owner")
				w.raise(SecretLeaked, "x", nil)
				server, d := &mailServer{t: w.t, pause: tt.pause}, w.dispatcher()
				var err error
				d.Mailer, err = NewMailer("smtp://127.0.0.1", "", "alerts@example.com")
				must(w.t, err)
				d.Mailer.dial = func(context.Context, string, string) (net.Conn, error) {
					here, there := net.Pipe()
					server.talks.Go(func() { server.serve(there) })
					return here, nil
				}
				ctx, stop := context.WithTimeout(w.t.Context(), tt.after)
				defer stop()
				claimed, err := d.claim(ctx, "")
				must(w.t, err)
				began := time.Now()
				must(w.t, d.try(ctx, *claimed))
				found, err := w.Deliveries(w.t.Context(), "", Position{}, 1)
				must(w.t, err)
				if got := found[0]; got.State != tt.state || !strings.HasPrefix(got.Outcome, tt.outcome) || time.Since(began) != tt.took {
					w.t.Errorf("after %s it is %s, %q; want after %s %s, %q", time.Since(began), got.State, got.Outcome, tt.took, tt.state, tt.outcome)
				}
				server.wait()
			})
		})
	}
}

// Whatever a key is called, it stands in the subject and in no other header.
func TestMailText(t *testing.T) {
	server := newMailServer(t, true)
	for _, name := range []string{
		"CRM", "CRM\r\nBcc: all@example.com", "CRM\nBcc: all@example.com\n\nHello", "Käse ✓ – 日本", "=?utf-8?q?Bcc:_all?=", strings.Repeat("long ", 100),
		"\u2028Bcc: all@example.com", "\x00.\r\n.\r\nMAIL FROM:<all@example.com>",
	} {
		server.mails, server.rcpts = nil, nil
		d := &Dispatcher{Mailer: server.mailer("smtp://example.com", "")}
		text, err := (&Store{Pages: "https://auth.example/admin"}).event(Alert{ID: "a1", Kind: SecretLeaked, ClientID: "c1", ClientName: name, Text: "Its secret was found.\r\n.\r\nBcc: x", At: at})
		must(t, err)
		message, err := d.Mailer.message(Delivery{ID: "D1", event: text, CreatedAt: at}, "eva@example.com")
		must(t, err)
		must(t, d.Mailer.hand(t.Context(), "eva@example.com", message, func() error { return nil }))
		if len(server.mails) != 1 || strings.Join(server.rcpts, "") != "RCPT TO:<eva@example.com>" {
			t.Fatalf("%q: %d mails to %q", name, len(server.mails), server.rcpts)
		}
		m, err := mail.ReadMessage(strings.NewReader(server.mails[0]))
		must(t, err)
		if len(m.Header) != 9 || m.Header.Get("Bcc") != "" || m.Header.Get("To") != "<eva@example.com>" || m.Header.Get("Message-Id") != "<D1@example.com>" || m.Header.Get("From") != `"Wardkey" <alerts@example.com>` {
			t.Errorf("%q: the headers are %v", name, m.Header)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		must(t, err)
		if !strings.HasPrefix(subject, "Wardkey: Leaked secret revoked: ") || strings.ContainsAny(subject, "\r\n\x00") {
			t.Errorf("%q: the subject is %q", name, subject)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		must(t, err)
		if !strings.Contains(string(body), "Its secret was found.") || !strings.Contains(string(body), "https://auth.example/admin/alerts") {
			t.Errorf("%q: the mail says %q", name, body)
		}
	}
}

// What is no mail server, or no sender, is refused when the program starts.
func TestNewMailer(t *testing.T) {
	for _, tt := range []struct {
		address, password, from string
		want                    string // host and port, "" if it is refused
	}{
		{"smtp://mail.example", "", "a@example.com", "mail.example:587"},
		{"smtps://mail.example/", "", "a@example.com", "mail.example:465"},
		{"smtp://eva@mail.example:25", "x", "Wardkey <a@example.com>", "mail.example:25"},
		{"smtp://eva@mail.example", "", "a@example.com", ""},
		{"smtp://mail.example", "x", "a@example.com", ""},
		{"smtp://eva:x@mail.example", "x", "a@example.com", ""},
		{"http://mail.example", "", "a@example.com", ""},
		{"smtp://", "", "a@example.com", ""},
		{"smtp://mail.example/x", "", "a@example.com", ""},
		{"smtp://mail.example", "", "", ""},
		{"smtp://mail.example", "", "nobody", ""},
		{"smtp://mail.example", "", "a@example.com\r\nBcc: b@example.com", ""},
		{"smtp://mail.example", "", "a@example.com, b@example.com", ""},
	} {
		m, err := NewMailer(tt.address, tt.password, tt.from)
		got := ""
		if err == nil {
			got = m.host + ":" + m.port
		}
		if got != tt.want {
			t.Errorf("NewMailer(%q, %q, %q) = %q, %v; want %q", tt.address, tt.password, tt.from, got, err, tt.want)
		}
		if tt.password != "" && strings.Contains(fmt.Sprintf("%v %+v %#v %v", m, m, m, err), tt.password+"\"") {
			t.Errorf("the password is printed: %+v", m)
		}
	}
}
