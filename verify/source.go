package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	metadataPath  = "/.well-known/oauth-authorization-server"
	maxDocument   = 1 << 20
	defaultMaxAge = 5 * time.Minute
	longestMaxAge = time.Hour
)

// A source is where an issuer answers.
type source struct {
	issuer     string
	client     *http.Client
	configured string // the address of the keys, if the program gave it
	discovered string // if it did not, and the issuer has been asked
}

// An answer is what the issuer said to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// keys fetches the issuer's keys. It is not called concurrently.
func (s *source) keys(ctx context.Context) (*keySet, error) {
	address := s.configured
	if address == "" {
		if err := s.discover(ctx); err != nil {
			return nil, err
		}
		address = s.discovered
	}
	set, err := s.fetch(ctx, address)
	if err != nil {
		s.discovered = "" // it may have moved
		return nil, fmt.Errorf("read keys of the issuer: %w", err)
	}
	return set, nil
}

func (s *source) fetch(ctx context.Context, address string) (*keySet, error) {
	fetched := time.Now()
	document, err := s.get(ctx, address)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(document.body)
	if err != nil {
		return nil, err
	}
	return &keySet{keys: keys, fetched: fetched, maxAge: maxAge(document.header)}, nil
}

// discover learns where the keys are, unless it is known.
func (s *source) discover(ctx context.Context) (err error) {
	if s.discovered == "" {
		s.discovered, err = s.endpoint(ctx, "jwks_uri")
	}
	return err
}

// endpoint reads an address from the issuer's metadata.
func (s *source) endpoint(ctx context.Context, name string) (string, error) {
	address, err := s.lookUp(ctx, name)
	if err != nil {
		return "", fmt.Errorf("read metadata of the issuer: %w", err)
	}
	return address, nil
}

// lookUp fetches the metadata (RFC 8414 §3) for one address in it.
func (s *source) lookUp(ctx context.Context, name string) (string, error) {
	issuer, err := parseURL(s.issuer)
	if err != nil {
		return "", err
	}
	// RFC 8414 §3.1: before the issuer's path, not behind it.
	path := metadataPath + strings.TrimSuffix(issuer.EscapedPath(), "/")
	document, err := s.get(ctx, issuer.Scheme+"://"+issuer.Host+path)
	if err != nil {
		return "", err
	}
	metadata, err := decodeObject(document.body)
	if err != nil {
		return "", err
	}
	if metadata["issuer"] != s.issuer { // RFC 8414 §3.3
		return "", errors.New("it is that of another issuer")
	}
	address, _ := metadata[name].(string)
	u, err := parseURL(address)
	if err != nil || issuer.Scheme == "https" && u.Scheme != "https" || !private(u) {
		return "", fmt.Errorf("%s is not an https URL", name)
	}
	return address, nil
}

// get reads a document, past any cache on the way: a key that was withdrawn in a
// hurry must not live longer than we say.
func (s *source) get(ctx context.Context, address string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/jwk-set+json")
	r.Header.Set("Cache-Control", "no-cache")
	return s.ask(r)
}

// ask sends a request whose answer must be 200, or 304 if it names what we have.
func (s *source) ask(r *http.Request) (*answer, error) {
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	unchanged := response.StatusCode == http.StatusNotModified && r.Header.Get("If-None-Match") != ""
	if response.StatusCode != http.StatusOK && !unchanged {
		return nil, &statusError{r.Method, r.URL.String(), response.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL, err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("%s %s: longer than %d bytes", r.Method, r.URL, maxDocument)
	}
	return &answer{response.StatusCode, response.Header, body}, nil
}

// A statusError is an answer that is none.
type statusError struct {
	method, url string
	status      int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: status %d", e.method, e.url, e.status)
}

// maxAge says how long an answer is fresh (RFC 9111 §5.2.2.1), within our bounds.
func maxAge(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "no-cache") || strings.EqualFold(name, "no-store") {
			return refreshInterval
		}
		if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && strings.EqualFold(name, "max-age") {
			return min(max(time.Duration(seconds)*time.Second, refreshInterval), longestMaxAge)
		}
	}
	return defaultMaxAge
}

// withoutRedirects returns client so that it follows no redirect. Keys are at
// the address that the issuer names, not where somebody sends us from there.
func withoutRedirects(client *http.Client) *http.Client {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
