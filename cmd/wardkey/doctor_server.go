package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// configuration checks what the flags and the environment say.
func (x *examination) configuration() {
	c := x.config
	if err := c.checkListen(); err != nil {
		x.found("configuration", fault, "%v", err)
		_ = c.complete(c.listen) // the paths are needed all the same
		return
	}
	if err := c.complete(c.listen); err != nil {
		x.found("configuration", fault, "%v", err)
		return
	}
	issuer, _ := url.Parse(c.issuer) // complete read it already
	listen, _, _ := net.SplitHostPort(c.listen)
	host := net.ParseIP(issuer.Hostname())
	switch {
	case host != nil && host.IsUnspecified():
		x.found("configuration", warning, "the issuer is %s, where nobody can reach it; give --issuer the address that clients use", c.issuer)
	case isLoopback(issuer.Hostname()) && !isLoopback(listen):
		x.found("configuration", warning, "the issuer is %s, which only this machine can reach, but the server listens on %s; give --issuer the address that clients use", c.issuer, c.listen)
	case issuer.Scheme == "http" && c.secure():
		x.found("configuration", warning, "the issuer is %s, but the server speaks TLS; give --issuer an https:// address", c.issuer)
	case issuer.Scheme == "https" && !c.secure():
		x.found("configuration", passed, "issuer %s, listens on %s without TLS, so a proxy before it must end TLS", c.issuer, c.listen)
	default:
		x.found("configuration", passed, "issuer %s, listens on %s", c.issuer, c.listen)
	}
}

// certificateSoon is how long before its end a certificate should have been renewed.
const certificateSoon = 14 * day

// certificate checks the files of TLS.
func (x *examination) certificate() {
	c := x.config
	if c.tlsCert == "" || c.tlsKey == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
	if err != nil {
		x.found("certificate", fault, "%v; --tls-cert and --tls-key must name a certificate and its key (PEM)", err)
		return
	}
	issuer, err := url.Parse(c.issuer)
	switch end := pair.Leaf.NotAfter; {
	case !x.now.Before(end):
		x.found("certificate", fault, "it ended %s; renew it; a running server sees that it is new", ago(&end, x.now))
	case end.Before(x.now.Add(certificateSoon)):
		x.found("certificate", warning, "it ends %s; renew it; a running server sees that it is new", ago(&end, x.now))
	case x.now.Before(pair.Leaf.NotBefore):
		x.found("certificate", fault, "it begins %s; set the clock of this machine, or use another", ago(&pair.Leaf.NotBefore, x.now))
	case err == nil && pair.Leaf.VerifyHostname(issuer.Hostname()) != nil:
		x.found("certificate", warning, "it is not for %s, the host of the issuer; clients that ask there refuse it", issuer.Hostname())
	default:
		x.found("certificate", passed, "for %s, ends %s", issuer.Hostname(), ago(&end, x.now))
	}
}

// runningServer asks the server that has the store to itself how it is.
func (x *examination) runningServer(ctx context.Context) {
	base, client, err := x.reach()
	if err != nil {
		x.found("server", warning, "%v", err)
		return
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		answered, date, err := visit(ctx, client, base+path)
		switch {
		case err != nil:
			x.found("server", fault, "%s%s does not answer: %v; a process holds the database, but not as a server with --listen %s", base, path, err, x.config.listen)
			return
		case answered != http.StatusOK:
			x.found("server", fault, "%s%s answers %d; the log of the server says why", base, path, answered)
			return
		}
		if path == "/readyz" {
			x.found("server", passed, "%s is alive and ready", base)
			x.offset("its clock", time.Until(date), time.Second)
		}
	}
}

// reach is where the server listens, as seen from here, and a client that trusts its certificate.
func (x *examination) reach() (string, *http.Client, error) {
	host, port, err := net.SplitHostPort(x.config.listen)
	if err != nil || port == "0" {
		return "", nil, fmt.Errorf("--listen %s does not say where the server is; give doctor the flags of serve", x.config.listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	client := &http.Client{Timeout: 5 * time.Second}
	if x.config.tlsCert == "" {
		return "http://" + net.JoinHostPort(host, port), client, nil
	}
	text, err := os.ReadFile(x.config.tlsCert)
	if err != nil {
		return "", nil, err
	}
	own := x509.NewCertPool()
	own.AppendCertsFromPEM(text)
	config := &tls.Config{RootCAs: own, MinVersion: tls.VersionTLS12}
	if issuer, err := url.Parse(x.config.issuer); err == nil {
		config.ServerName = issuer.Hostname()
	}
	client.Transport = &http.Transport{TLSClientConfig: config}
	return "https://" + net.JoinHostPort(host, port), client, nil
}

// visit gets a page, and says what the clock of the server shows.
func visit(ctx context.Context, client *http.Client, address string) (status int, date time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, date, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, date, err
	}
	defer answer.Body.Close() //nolint:errcheck // nothing of it is read
	date, err = http.ParseTime(answer.Header.Get("Date"))
	return answer.StatusCode, date, err
}
