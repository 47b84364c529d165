package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits of what is waited for and read.
const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 64 << 20 // a page has 200 clients
)

// A hidden is a secret that cannot be printed by accident.
type hidden string

func (hidden) String() string   { return "[secret]" }
func (hidden) GoString() string { return "[secret]" }

// credentials are what a client proves itself with.
type credentials struct {
	id     string
	secret hidden
}

// A remote is a server, as the command line reaches it. Whatever the server says its address is,
// secrets go only to the one that the user gave.
type remote struct {
	url      string // of the public endpoints
	adminURL string // of the host of the admin API
	client   *http.Client
	known    *serverMetadata // once asked
}

func newRemote(publicURL, adminURL string, plainHTTP bool) (*remote, error) {
	if adminURL == "" {
		adminURL = publicURL
	}
	for _, address := range []string{publicURL, adminURL} {
		if err := checkAddress(address, plainHTTP); err != nil {
			return nil, err
		}
	}
	return &remote{
		url: strings.TrimRight(publicURL, "/"), adminURL: strings.TrimRight(adminURL, "/"),
		client: &http.Client{
			Transport:     userAgent{http.DefaultTransport},
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func checkAddress(address string, plainHTTP bool) error {
	u, err := url.Parse(address)
	switch {
	case strings.Contains(address, "@"):
		return usagef("the address of the server must not hold a user or a password")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(address, "?#"):
		return usagef("the address of the server must be like https://auth.example.com, not %q", address)
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !plainHTTP:
		return usagef("%s is not https, so others on the way could read secrets; if the network is yours, say --plain-http", address)
	}
	return nil
}

// userAgent says who asks.
type userAgent struct{ http.RoundTripper }

func (a userAgent) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", "wardkey/"+version)
	return a.RoundTripper.RoundTrip(req)
}

// Do sends a request; the generated client calls it too. It follows no redirect: credentials
// would go somewhere else.
func (r *remote) Do(req *http.Request) (*http.Response, error) {
	host := req.URL.Scheme + "://" + req.URL.Host
	resp, err := r.client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		if req.Context().Err() != nil {
			return nil, errInterrupted
		}
		return nil, &unheard{host, e.Err}
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		defer resp.Body.Close() //nolint:errcheck // nothing of it is read
		return nil, fmt.Errorf("%s redirects to %q, where nothing is sent; if the server is there, give that address", host, clean(resp.Header.Get("Location")))
	}
	return resp, nil
}

// exchange sends a request and reads the whole answer.
func (r *remote) exchange(req *http.Request) (status int, body []byte, err error) {
	resp, err := r.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("read what %s answers: %w", req.URL.Host, err)
	}
	return resp.StatusCode, body, nil
}

// serverMetadata is what the command line needs of RFC 8414 §2.
type serverMetadata struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`
}

// metadata asks the server who it is, once.
func (r *remote) metadata(ctx context.Context) (*serverMetadata, error) {
	if r.known != nil {
		return r.known, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/.well-known/oauth-authorization-server", nil)
	if err != nil {
		return nil, err
	}
	status, body, err := r.exchange(req)
	if err != nil {
		return nil, err
	}
	var m serverMetadata
	if status == http.StatusServiceUnavailable {
		return nil, fmt.Errorf("%s is not ready; try again soon", r.url)
	}
	if status != http.StatusOK || json.Unmarshal(body, &m) != nil || m.Issuer == "" {
		return nil, fmt.Errorf("there is no Wardkey at %s: it has no metadata (RFC 8414), status %d", r.url, status)
	}
	r.known = &m
	return r.known, nil
}

// A grant is an answer to a token request (RFC 6749 §5.1).
type grant struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

// A tokenRefusal is the other answer (RFC 6749 §5.2).
type tokenRefusal struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	ErrorID     string `json:"error_id"`
}

func (r *tokenRefusal) Error() string {
	text := fmt.Sprintf("the server gives no token: %s (%s)", clean(r.Description), clean(r.Code))
	if r.ErrorID != "" {
		text += "; an admin sees why with: wardkey why " + clean(r.ErrorID)
	}
	return text
}

// token asks for a token (RFC 6749 §4.4), for the client's default audience where resource is
// empty, and for all that it holds there where scope is.
func (r *remote) token(ctx context.Context, who credentials, scope string, resource []string) (*grant, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": resource}
	if scope != "" {
		form.Set("scope", scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(who.id), url.QueryEscape(string(who.secret))) // RFC 6749 §2.3.1
	status, body, err := r.exchange(req)
	if err != nil {
		return nil, err
	}
	if status == http.StatusOK {
		var g grant
		if err := json.Unmarshal(body, &g); err != nil || g.AccessToken == "" {
			return nil, fmt.Errorf("what %s answers is not a token", r.url)
		}
		return &g, nil
	}
	var refusal tokenRefusal
	if err := json.Unmarshal(body, &refusal); err != nil || refusal.Code == "" {
		return nil, fmt.Errorf("%s/oauth/token answers %d %s", r.url, status, http.StatusText(status))
	}
	return nil, &refusal
}
