package verify_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/verify"
)

// TestMetadata holds what the issuer's metadata must say (RFC 8414 §3.3).
func TestMetadata(t *testing.T) {
	for _, tt := range []struct {
		name     string
		metadata object
		ok       bool
	}{
		{"good", object{"issuer": issuerURL, "jwks_uri": jwksURL, "token_endpoint": "x"}, true},
		{"keys on another host", object{"issuer": issuerURL, "jwks_uri": "https://keys.example/.well-known/jwks.json"}, true},
		{"another issuer", object{"issuer": "https://evil.example", "jwks_uri": jwksURL}, false},
		{"issuer with a slash more", object{"issuer": issuerURL + "/", "jwks_uri": jwksURL}, false},
		{"no issuer", object{"jwks_uri": jwksURL}, false},
		{"no jwks_uri", object{"issuer": issuerURL}, false},
		{"jwks_uri is a path", object{"issuer": issuerURL, "jwks_uri": "/.well-known/jwks.json"}, false},
		{"jwks_uri without TLS", object{"issuer": issuerURL, "jwks_uri": "http://auth.example/.well-known/jwks.json"}, false},
		{"jwks_uri on this machine", object{"issuer": issuerURL, "jwks_uri": "http://localhost/.well-known/jwks.json"}, false},
		{"jwks_uri is a file", object{"issuer": issuerURL, "jwks_uri": "file:///.well-known/jwks.json"}, false},
		{"issuer in capitals", object{"Issuer": issuerURL, "jwks_uri": jwksURL}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := newES256("1", 1)
			i := newIssuer(key)
			i.metadata = tt.metadata
			_, err := i.verifier(t).Verify(t.Context(), key.token(nil))
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("Verify = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

// TestLoopback holds that a server on this machine needs no TLS, and that its
// keys still may not come from elsewhere without it.
func TestLoopback(t *testing.T) {
	const local = "http://localhost:8080"
	key := newES256("1", 1)
	for jwks, ok := range map[string]bool{
		local + "/.well-known/jwks.json":             true,
		"http://127.0.0.1:9/.well-known/jwks.json":   true,
		"https://auth.example/.well-known/jwks.json": true,
		"http://auth.example/.well-known/jwks.json":  false,
	} {
		i := newIssuer(key)
		i.metadata = object{"issuer": local, "jwks_uri": jwks}
		v, err := verify.New(local, audience, verify.WithHTTPClient(&http.Client{Transport: i}), verify.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), key.token(object{"iss": local}))
		if ok && err != nil || !ok && !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("Verify with keys at %s = %v, want ok %v", jwks, err, ok)
		}
	}
}

// TestMetadataAddress holds where the metadata is looked for (RFC 8414 §3.1).
func TestMetadataAddress(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://auth.example":          "https://auth.example/.well-known/oauth-authorization-server",
		"https://auth.example/":         "https://auth.example/.well-known/oauth-authorization-server",
		"https://auth.example:8443":     "https://auth.example:8443/.well-known/oauth-authorization-server",
		"https://auth.example/a/b":      "https://auth.example/.well-known/oauth-authorization-server/a/b",
		"https://auth.example/a%2Fb/":   "https://auth.example/.well-known/oauth-authorization-server/a%2Fb",
		"https://[2001:db8::1]/tenant1": "https://[2001:db8::1]/.well-known/oauth-authorization-server/tenant1",
	} {
		var got string
		spy := roundTripper(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return nil, errors.New("refused")
		})
		v, err := verify.New(issuer, audience, verify.WithHTTPClient(&http.Client{Transport: spy}), verify.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatalf("New(%s): %v", issuer, err)
		}
		if _, err := v.Verify(t.Context(), newES256("1", 1).token(nil)); !errors.Is(err, verify.ErrUnavailable) || got != want {
			t.Errorf("New(%s) asks %s (%v), want %s", issuer, got, err, want)
		}
	}
}

// TestMovedKeys holds that the metadata is read again when the keys are no longer
// where it said, and not before.
func TestMovedKeys(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		time.Sleep(5 * time.Minute)
		expect(t, v, key, nil)
		i.set(func() { i.jwks = "gone" })
		time.Sleep(5 * time.Minute)
		expect(t, v, key, nil)
		time.Sleep(30 * time.Second)
		expect(t, v, key, nil)
		want := []string{metadataURL, jwksURL, jwksURL, jwksURL, metadataURL, jwksURL}
		if fmt.Sprint(i.requests) != fmt.Sprint(want) {
			t.Errorf("requests %v, want %v", i.requests, want)
		}
	})
}

// TestAnswersRefused holds that an answer is the keys or it is not: no redirect
// is followed, and only 200 counts.
func TestAnswersRefused(t *testing.T) {
	key := newES256("1", 1)
	for _, where := range []string{metadataURL, jwksURL} {
		for name, answer := range map[string]func(*httptest.ResponseRecorder){
			"redirect elsewhere":    redirect("https://evil.example/.well-known/jwks.json"),
			"redirect without TLS":  redirect("http://auth.example/.well-known/jwks.json"),
			"redirect to itself":    redirect(jwksURL),
			"not found":             func(w *httptest.ResponseRecorder) { w.WriteHeader(http.StatusNotFound) },
			"error with a document": func(w *httptest.ResponseRecorder) { w.WriteHeader(http.StatusInternalServerError) },
			"partial content":       func(w *httptest.ResponseRecorder) { w.WriteHeader(http.StatusPartialContent) },
		} {
			t.Run(name+" for "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					i := newIssuer(key)
					spy := roundTripper(func(r *http.Request) (*http.Response, error) {
						response, err := i.RoundTrip(r)
						if r.URL.String() != where || err != nil {
							return response, err
						}
						w := httptest.NewRecorder()
						answer(w)
						io.Copy(w, response.Body)
						return w.Result(), nil
					})
					v := i.verifier(t, verify.WithHTTPClient(&http.Client{Transport: spy}))
					expect(t, v, key, verify.ErrUnavailable)
					if last := i.requests[len(i.requests)-1]; last != where {
						t.Errorf("%s was asked, want nothing after %s", last, where)
					}
				})
			})
		}
	}
}

func redirect(address string) func(*httptest.ResponseRecorder) {
	return func(w *httptest.ResponseRecorder) {
		w.Header().Set("Location", address)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// TestEndlessAnswer holds that a document that does not end is not read to the end.
func TestEndlessAnswer(t *testing.T) {
	i := newIssuer()
	body := &counter{Reader: io.LimitReader(endless{}, 1<<30)}
	spy := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
	})
	v := i.verifier(t, verify.WithHTTPClient(&http.Client{Transport: spy}))
	if _, err := v.Verify(t.Context(), newES256("1", 1).token(nil)); !errors.Is(err, verify.ErrUnavailable) || !strings.Contains(err.Error(), "longer") {
		t.Errorf("Verify = %v, want ErrUnavailable because it is too long", err)
	}
	if body.n > 2<<20 {
		t.Errorf("%d bytes were read", body.n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}
