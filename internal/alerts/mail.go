package alerts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/netip"
	"net/smtp"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// A Mailer hands mails to a server (RFC 5321).
type Mailer struct {
	host, port string
	wrapped    bool // TLS from the beginning (RFC 8314), not by STARTTLS
	user       string
	password   *string // nil: the server asks for none; fmt does not look through it
	from       mail.Address

	dial  func(ctx context.Context, network, address string) (net.Conn, error) // nil: as it says; tests fake it
	roots *x509.CertPool                                                       // nil: those of the system
}

// NewMailer reads a smtp:// or smtps:// URL, smtp://user@mail.example.com:587, and an address for
// the From of mails. The password is not part of the URL, because others see that.
func NewMailer(address, password, from string) (*Mailer, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("the mail server is smtp://USER@HOST:587, or smtps://USER@HOST:465 with TLS from the beginning")
	}
	if _, ok := u.User.Password(); ok {
		return nil, errors.New("the password does not belong into the address of the mail server, where others see it")
	}
	m := &Mailer{host: u.Hostname(), wrapped: u.Scheme == "smtps", user: u.User.Username()}
	m.port = cmp.Or(u.Port(), map[bool]string{false: "587", true: "465"}[m.wrapped])
	if (m.user == "") != (password == "") {
		return nil, errors.New("a mail server that wants a user name wants a password, and the other way round")
	}
	if password != "" {
		m.password = &password
	}
	sender, err := mail.ParseAddress(from)
	if err != nil || !plainAddress(sender.Address) {
		return nil, errors.New("the sender is an e-mail address, as alerts@example.com or Wardkey <alerts@example.com>")
	}
	m.from = *sender
	return m, nil
}

// mail sends a delivery to its admin.
func (d *Dispatcher) mail(ctx context.Context, claimed Delivery) (outcome string, err error) {
	if d.Mailer == nil {
		return "", errors.New("this server has no mail server: --smtp-url names one")
	}
	var to string
	err = d.Store.DB.QueryRow(ctx, `SELECT email FROM admins WHERE id = $1`, claimed.AdminID).Scan(&to)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: the admin was removed", errNobody)
	}
	if err != nil {
		return "", fmt.Errorf("read the e-mail of an admin: %w", err)
	}
	text, err := d.Mailer.message(claimed, to)
	if err != nil {
		return "", err
	}
	if err := d.Mailer.hand(ctx, to, text, func() error { return d.mine(ctx, claimed) }); err != nil {
		return "", inWords(ctx, err, claimed.within())
	}
	return "taken by " + d.Mailer.host, nil
}

// plainAddress says whether an address can stand in a command and a header as it is.
func plainAddress(address string) bool {
	return strings.Count(address, "@") == 1 && !strings.ContainsFunc(address, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>()[]\,;:"`, r) || unicode.IsControl(r)
	})
}

// message is a mail (RFC 5322) in plain text.
func (m *Mailer) message(claimed Delivery, to string) ([]byte, error) {
	var e event
	if err := json.Unmarshal([]byte(claimed.event), &e); err != nil {
		return nil, fmt.Errorf("read what is to be sent: %w", err)
	}
	if !plainAddress(to) {
		return nil, fmt.Errorf("%w: the e-mail of the admin is no address", errNobody)
	}
	subject := "Wardkey: " + e.Data.Title
	body := e.Data.Text + "\n"
	if e.Data.ClientName != "" {
		subject += ": " + e.Data.ClientName
		body = fmt.Sprintf("Key: %s (%s)\n\n%s", e.Data.ClientName, e.Data.ClientID, body)
	}
	_, domain, _ := strings.Cut(m.from.Address, "@")
	var text bytes.Buffer
	for _, line := range [][2]string{
		{"From", m.from.String()},
		{"To", "<" + to + ">"},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(subject))},
		{"Date", claimed.CreatedAt.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + claimed.ID + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody is away from a program
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&text, "%s: %s\r\n", line[0], line[1])
	}
	text.WriteString("\r\n")
	w := quotedprintable.NewWriter(&text)
	fmt.Fprintf(w, "%s\n%s\n\nYou get this because you are an admin there. On that page you can say what you want no mail of.\n", body, e.Data.URL)
	return text.Bytes(), w.Close()
}

// oneLine is a text for a header: whatever could end one is a blank.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// loopback says whether the mail server is on this machine, where nobody listens in between.
func (m *Mailer) loopback() bool {
	a, err := netip.ParseAddr(m.host)
	return m.host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// hand gives a mail to the server, within the time of ctx, if a guard allows it. That is asked when
// nothing but the end of the mail is to be said, without which nothing is sent (RFC 5321 §4.1.1.10).
func (m *Mailer) hand(ctx context.Context, to string, text []byte, guard func() error) error {
	conn, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // Quit has the last word
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	client, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return err
	}
	if err := m.protect(client); err != nil {
		return err
	}
	if err := client.Mail(m.from.Address); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := guard(); err != nil {
		return err // and no QUIT, which would end the mail first
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = client.Quit() // it has the mail
	return nil
}

func (m *Mailer) connect(ctx context.Context) (net.Conn, error) {
	dial := m.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(m.host, m.port))
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if m.wrapped {
		return tls.Client(conn, m.tls()), nil
	}
	return conn, nil
}

func (m *Mailer) tls() *tls.Config {
	return &tls.Config{ServerName: m.host, RootCAs: m.roots, MinVersion: tls.VersionTLS12}
}

// protect turns to TLS, which only a server on this machine may do without, and signs in.
func (m *Mailer) protect(client *smtp.Client) error {
	offered, _ := client.Extension("STARTTLS")
	switch {
	case m.wrapped:
	case offered:
		if err := client.StartTLS(m.tls()); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	case !m.loopback():
		return errors.New("the mail server offers no STARTTLS, and nothing is sent in plain text")
	}
	if m.password == nil {
		return nil
	}
	return client.Auth(smtp.PlainAuth("", m.user, *m.password, m.host))
}
