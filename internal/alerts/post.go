package alerts

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// signature is that of Standard Webhooks: HMAC-SHA256 over id, time of the attempt and body.
func signature(secret Secret, id string, at time.Time, body string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), secretPrefix))
	if err != nil {
		return "", errors.New("the secret of the webhook is damaged")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// post sends a delivery to its webhook. An error is for admins to read, and does not hold the
// address, which may be somebody's secret.
func (d *Dispatcher) post(ctx context.Context, claimed Delivery) (outcome string, err error) {
	webhook, secret, err := d.Store.secret(ctx, claimed.WebhookID)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", fmt.Errorf("%w: the webhook was deleted", errNobody)
	case err != nil:
		return "", err
	case !webhook.DisabledAt.IsZero():
		return "", fmt.Errorf("%w: the webhook is switched off", errNobody)
	}
	body := &guarded{Reader: strings.NewReader(claimed.event), guard: func() error { return d.mine(ctx, claimed) }}
	request, err := signed(ctx, webhook, secret, claimed, body)
	if err != nil {
		return "", err
	}
	answer, err := d.client(request.URL.Scheme == "http").Do(request)
	if err != nil {
		return "", inWords(ctx, err, claimed.within())
	}
	defer answer.Body.Close()                                     //nolint:errcheck // nothing of it is needed
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4096)) // some receivers take offence otherwise
	outcome = "answered " + strconv.Itoa(answer.StatusCode)
	switch status := answer.StatusCode; {
	case status == http.StatusGone:
		return "", errGone
	case status >= 300 && status < 400:
		return "", errors.New(outcome + ": redirects are not followed; give the address that it leads to")
	case status < 200 || status >= 300:
		return "", errors.New(outcome)
	}
	return outcome, nil
}

// errNobody means that there is nobody any more to send to.
var errNobody = errors.New("not sent")

// guarded is what is sent if a guard allows it, which is asked before the first byte is read: a
// receiver that was found, and has its connection, is sent the head of the request alone otherwise.
type guarded struct {
	io.Reader
	guard func() error // nil: it was asked
}

func (g *guarded) Read(p []byte) (int, error) {
	if g.guard != nil {
		if err := g.guard(); err != nil {
			return 0, err
		}
		g.guard = nil
	}
	return g.Reader.Read(p)
}

func signed(ctx context.Context, webhook Webhook, secret Secret, claimed Delivery, body io.Reader) (*http.Request, error) {
	now := time.Now()
	sum, err := signature(secret, claimed.ID, now, claimed.event)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, webhook.URL, body)
	if err != nil {
		return nil, errors.New("its address cannot be read")
	}
	request.ContentLength = int64(len(claimed.event))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "wardkey")
	request.Header.Set("webhook-id", claimed.ID)
	request.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	request.Header.Set("webhook-signature", sum)
	return request, nil
}

// client reaches only what webhooks may reach, follows no redirect, knows no proxy and keeps nothing.
func (d *Dispatcher) client(plainText bool) *http.Client {
	lookup := d.lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            outward{d.Store.Private, plainText, lookup}.dial,
			TLSClientConfig:        &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// maxOutcome is how much is kept of what went wrong.
const maxOutcome = 300

// inWords is what went wrong on the way to a receiver, without the address that it was on the way
// to. That nothing was sent stays what it is.
func inWords(ctx context.Context, err error, within time.Duration) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, errNotMine) {
		return err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("did not answer before this server ended")
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		return fmt.Errorf("did not answer within %s", within)
	}
	text := strings.ReplaceAll(err.Error(), "\x00", "") // which PostgreSQL takes for no text
	return errors.New("could not be reached: " + strings.ToValidUTF8(text[:min(len(text), maxOutcome)], ""))
}

// hostOf is the host of an address, which is no secret as the rest may be.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address"
	}
	return cmp.Or(u.Hostname(), "an address")
}
