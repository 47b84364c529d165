package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
)

// An onceSender sends requests to the admin API. A POST whose answer nobody heard is sent once
// more with the same Idempotency-Key, so that it is done once.
type onceSender struct{ *remote }

// Do sends a request; the generated client calls it.
func (s onceSender) Do(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost {
		return s.remote.Do(req)
	}
	req.Header.Set("Idempotency-Key", rand.Text())
	resp, err := s.hear(req)
	if !mayBeDone(err) || req.Context().Err() != nil {
		return resp, err
	}
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	resp, err = s.hear(again)
	if err != nil {
		return nil, fmt.Errorf("%w\nthe connection broke before an answer came, so it may have been done; look before you repeat it", err)
	}
	return resp, nil
}

// hear sends a request and waits for the whole answer: half of one tells no secret.
func (s onceSender) hear(req *http.Request) (*http.Response, error) {
	resp, err := s.remote.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &unheard{req.URL.Scheme + "://" + req.URL.Host, err}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// An unheard is the error of a request that got no answer.
type unheard struct {
	host string
	err  error
}

func (u *unheard) Error() string { return fmt.Sprintf("reach %s: %v", u.host, u.err) }
func (u *unheard) Unwrap() error { return u.err }

// mayBeDone says whether the server may have done what err is of: it was sent, and the answer got
// lost.
func mayBeDone(err error) bool {
	if _, ok := errors.AsType[*unheard](err); !ok {
		return false
	}
	dial, ok := errors.AsType[*net.OpError](err)
	_, stranger := errors.AsType[*tls.CertificateVerificationError](err)
	return !stranger && (!ok || dial.Op != "dial")
}

// lost are the requests whose answer shows something that no other answer does, and what to do
// when that got lost. %[1]s is what the request made, %[2]s the id in the path.
var lost = []struct {
	path *regexp.Regexp
	text string
}{
	{
		regexp.MustCompile(`/clients$()`),
		"it made client %[1]s, whose secret got lost with the answer; get another with: wardkey client rotate %[1]s --now",
	},
	{
		regexp.MustCompile(`/clients/([^/]+)/secrets$`),
		"it made secret %[1]s, which got lost with the answer; end it with: wardkey secret revoke %[1]s --client %[2]s\nand then add another",
	},
	{
		regexp.MustCompile(`/admins$()`),
		"it made admin %[1]s, whose one-time password got lost with the answer; get another with: wardkey admin reset-password %[1]s",
	},
	{
		regexp.MustCompile(`/admins/([^/]+)/reset-password$`),
		"the one-time password got lost with the answer; get another with: wardkey admin reset-password %[2]s",
	},
}

// alreadyDone says what a request did whose answer nobody heard, and how to go on.
func (r *refusal) alreadyDone() string {
	made := ""
	if r.Made != nil {
		made = clean(*r.Made)
	}
	text := "it made " + made
	for _, l := range lost {
		if m := l.path.FindStringSubmatch(r.path); m != nil {
			text = fmt.Sprintf(l.text, made, clean(m[1]))
		}
	}
	return "the connection broke before the answer came, but it was done: " + text
}
