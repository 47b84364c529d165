package verify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/verify"
)

func TestVerify(t *testing.T) {
	for _, s := range []signer{
		newES256("ec", 1), newEdDSA("ed", "EdDSA", 1), newEdDSA("ed", "Ed25519", 1), newRS256("rsa", rsaKey()),
	} {
		t.Run(fmt.Sprint(s.jwk["alg"]), func(t *testing.T) {
			claims := object{"iat": 1_700_000_000, "exp": 4_000_000_000.5, "aud": []string{"https://other.example", audience}}
			got, err := newIssuer(s).verifier(t).Verify(t.Context(), s.token(claims))
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			want := &verify.Token{
				Issuer: issuerURL, Subject: "billing", ClientID: "billing", ID: "1",
				Audience: []string{"https://other.example", audience}, Scope: "section:nordic email:read",
				IssuedAt: time.Unix(1_700_000_000, 0), ExpiresAt: time.Unix(4_000_000_000, 500_000_000),
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Verify = %+v, want %+v", got, want)
			}
		})
	}
}

// TestClaims holds the rules for what the issuer says in a token that it did sign.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		v := newIssuer(key).verifier(t)
		now := time.Now().Unix()
		for _, tt := range []struct {
			name    string
			changes object
			err     error
		}{
			{"a good token", nil, nil},

			{"no iss", object{"iss": nil}, verify.ErrMalformed},
			{"another iss", object{"iss": "https://evil.example"}, verify.ErrIssuer},
			{"iss with a slash more", object{"iss": issuerURL + "/"}, verify.ErrIssuer},
			{"iss in capitals", object{"iss": strings.ToUpper(issuerURL)}, verify.ErrIssuer},
			{"iss is an array", object{"iss": []string{issuerURL}}, verify.ErrMalformed},

			{"no aud", object{"aud": nil}, verify.ErrMalformed},
			{"another aud", object{"aud": issuerURL}, verify.ErrAudience},
			{"aud begins with ours", object{"aud": audience + "/admin"}, verify.ErrAudience},
			{"aud array with ours", object{"aud": []string{"a", audience}}, nil},
			{"aud array without ours", object{"aud": []string{"a", "b"}}, verify.ErrAudience},
			{"aud empty array", object{"aud": []string{}}, verify.ErrAudience},
			{"aud array with a number", object{"aud": []any{audience, 1}}, verify.ErrMalformed},
			{"aud array with null", object{"aud": []any{audience, nil}}, verify.ErrMalformed},
			{"aud array in an array", object{"aud": []any{[]any{audience}}}, verify.ErrMalformed},
			{"aud object", object{"aud": object{audience: true}}, verify.ErrMalformed},
			{"aud null", object{"aud": json.RawMessage("null")}, verify.ErrMalformed},
			{"aud empty", object{"aud": ""}, verify.ErrMalformed},

			{"no exp", object{"exp": nil}, verify.ErrMalformed},
			{"exp now", object{"exp": now}, verify.ErrExpired},
			{"exp half a second ago", object{"exp": float64(now) - 0.5}, verify.ErrExpired},
			{"exp in half a second", object{"exp": float64(now) + 0.5}, nil},
			{"exp in a second", object{"exp": now + 1}, nil},
			{"exp is text", object{"exp": fmt.Sprint(now + 900)}, verify.ErrMalformed},
			{"exp null", object{"exp": json.RawMessage("null")}, verify.ErrMalformed},
			{"exp 1e3", object{"exp": json.RawMessage("1e3")}, verify.ErrExpired},
			{"exp 1e400", object{"exp": json.RawMessage("1e400")}, verify.ErrMalformed},
			{"exp 2^63", object{"exp": json.RawMessage("9223372036854775808")}, verify.ErrMalformed},
			{"exp the year 10000", object{"exp": json.RawMessage("253402300800")}, verify.ErrMalformed},
			{"exp negative", object{"exp": -1}, verify.ErrMalformed},
			{"exp in milliseconds", object{"exp": (now + 900) * 1000}, verify.ErrMalformed},

			{"no iat", object{"iat": nil}, verify.ErrMalformed},
			{"iat is text", object{"iat": fmt.Sprint(now)}, verify.ErrMalformed},
			{"iat a little ahead", object{"iat": now + 10}, nil},
			{"iat in the future", object{"iat": now + 11}, verify.ErrNotYetValid},

			{"nbf past", object{"nbf": now - 1}, nil},
			{"nbf a little ahead", object{"nbf": now + 10}, nil},
			{"nbf in the future", object{"nbf": now + 11}, verify.ErrNotYetValid},
			{"nbf is text", object{"nbf": fmt.Sprint(now)}, verify.ErrMalformed},

			{"no sub", object{"sub": nil}, verify.ErrMalformed},
			{"sub empty", object{"sub": ""}, verify.ErrMalformed},
			{"sub is a number", object{"sub": 1}, verify.ErrMalformed},
			{"no client_id", object{"client_id": nil}, verify.ErrMalformed},
			{"no jti", object{"jti": nil}, verify.ErrMalformed},

			{"no scope", object{"scope": nil}, nil},
			{"scope is an array", object{"scope": []string{"section:*"}}, verify.ErrMalformed},
			{"scope null", object{"scope": json.RawMessage("null")}, verify.ErrMalformed},

			{"bound by DPoP", object{"cnf": object{"jkt": "x"}}, verify.ErrBound},
			{"bound to a certificate", object{"cnf": object{"x5t#S256": "x"}}, verify.ErrBound},
			{"cnf null", object{"cnf": json.RawMessage("null")}, verify.ErrBound},

			{"the unknown", object{"x": []any{1}}, nil},
			{"names have a case", object{"exp": nil, "EXP": now + 900, "Exp": now + 900}, verify.ErrMalformed},
		} {
			token := key.token(tt.changes)
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, tt.err) {
				t.Errorf("%s: Verify = %v, want %v", tt.name, err, tt.err)
			} else {
				refused(t, tt.name, token, err)
			}
		}
	})
}

// refused holds what is true of every refusal.
func refused(t *testing.T, name, token string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if !errors.Is(err, verify.ErrInvalidToken) || errors.Is(err, verify.ErrUnavailable) {
		t.Errorf("%s: %v does not match ErrInvalidToken alone", name, err)
	}
	for segment := range strings.SplitSeq(token, ".") {
		if len(segment) > 8 && strings.Contains(err.Error(), segment) {
			t.Errorf("%s: the error has the token in it: %v", name, err)
		}
	}
}

func TestExpiryWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		v := newIssuer(key).verifier(t)
		token := key.token(nil)
		for _, tt := range []struct {
			after time.Duration
			err   error
		}{{0, nil}, {900*time.Second - 1, nil}, {1, verify.ErrExpired}, {time.Hour, verify.ErrExpired}} {
			time.Sleep(tt.after)
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, tt.err) {
				t.Errorf("Verify after %v more = %v, want %v", tt.after, err, tt.err)
			}
		}
	})
}

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		issuer, audience string
		options          []verify.Option
		ok               bool
	}{
		{"https://auth.example", "api", nil, true},
		{"https://auth.example/tenant", "https://api.example/v1", nil, true},
		{"http://localhost:8080", "api", nil, true},
		{"http://127.0.0.1:8080", "api", nil, true},
		{"http://[::1]:8080", "api", nil, true},
		{"http://auth.example", "api", nil, false},
		{"http://localhost.evil.example", "api", nil, false},
		{"http://127.0.0.1.evil.example", "api", nil, false},
		{"http://auth.example", "api", []verify.Option{verify.WithJWKSURL("http://wardkey:8080/.well-known/jwks.json")}, true},
		{"https://auth.example", "api", []verify.Option{verify.WithJWKSURL("file:///etc/passwd")}, false},
		{"https://auth.example", "api", []verify.Option{verify.WithHTTPClient(nil)}, false},
		{"https://auth.example", "api", []verify.Option{verify.WithLogger(nil)}, false},
		{"", "api", nil, false},
		{"auth.example", "api", nil, false},
		{"ftp://auth.example", "api", nil, false},
		{"https://", "api", nil, false},
		{"https://user@auth.example", "api", nil, false},
		{"https://auth.example?a=b", "api", nil, false},
		{"https://auth.example#", "api", nil, false},
		{"https://auth.example", "", nil, false},
		{"https://auth.example", `a"b`, nil, false},
		{"https://auth.example", `a\b`, nil, false},
		{"https://auth.example", "a b", nil, false},
		{"https://auth.example", "å", nil, false},
		{"https://auth.example", "a\x7f", nil, false},
	} {
		_, err := verify.New(tt.issuer, tt.audience, tt.options...)
		if (err == nil) != tt.ok {
			t.Errorf("New(%q, %q) = %v, want ok %v", tt.issuer, tt.audience, err, tt.ok)
		}
	}
}

// TestNewIsQuiet holds that nothing happens until a token arrives.
func TestNewIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		i := newIssuer()
		if _, err := verify.New(issuerURL, audience, verify.WithHTTPClient(&http.Client{Transport: i})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if len(i.requests) != 0 {
			t.Errorf("New led to requests: %v", i.requests)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, s := range []signer{newES256("ec", 1), newEdDSA("ed", "EdDSA", 1), newRS256("rsa", rsaKey())} {
		b.Run(fmt.Sprint(s.jwk["alg"]), func(b *testing.B) {
			v, token := newIssuer(s).verifier(b), s.token(nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
