package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestVerdict holds for tokens of every kind that they are refused exactly if a check failed, and
// that it is the right one.
func TestVerdict(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	p := fakeServer(t, map[string]http.HandlerFunc{"/.well-known/jwks.json": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`,
			base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]))
	}})
	remote, err := newRemote(p.URL, "", false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for _, tt := range []struct {
		name    string
		changes jwt.MapClaims
		fails   string
	}{
		{"good", nil, ""},
		{"for two", jwt.MapClaims{"aud": []string{"https://other.example", "https://api.example"}}, ""},
		{"expired", jwt.MapClaims{"exp": now - 1}, "time"},
		{"of tomorrow", jwt.MapClaims{"iat": now + 86400, "exp": now + 90000}, "time"},
		{"not before tomorrow", jwt.MapClaims{"nbf": now + 86400}, "time"},
		{"of another issuer", jwt.MapClaims{"iss": "https://evil.example"}, "issuer"},
		{"for another", jwt.MapClaims{"aud": "https://other.example"}, "audience"},
		{"for nobody", jwt.MapClaims{"aud": []string{}}, "audience"},
		{"bound to a key", jwt.MapClaims{"cnf": map[string]string{"jkt": "x"}}, "bearer"},
		{"without a client", jwt.MapClaims{"client_id": 1}, "form"},
		{"all wrong", jwt.MapClaims{"iss": "x", "aud": "x", "exp": 1, "cnf": nil}, "issuer audience time bearer"},
		{"with a terminal's codes", jwt.MapClaims{"iss": "\x1b[2J"}, "issuer"},
	} {
		claims := jwt.MapClaims{"iss": "https://issuer.example", "aud": "https://api.example", "sub": "c", "client_id": "c", "jti": "1", "iat": now, "exp": now + 900}
		maps.Copy(claims, tt.changes)
		unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		unsigned.Header["typ"], unsigned.Header["kid"] = "at+jwt", "k"
		token, err := unsigned.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, audience := range []string{"https://api.example", ""} {
			fails := tt.fails
			if audience == "" && tt.name != "for nobody" { // any will do
				fails = strings.Join(strings.Fields(strings.Replace(fails, "audience", "", 1)), " ")
			}
			v, err := examine(t.Context(), remote, token, audience)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			var failing []string
			for _, c := range v.Checks {
				if c.Result == failed {
					failing = append(failing, c.Name)
				}
			}
			if got := strings.Join(failing, " "); got != fails || v.Valid != (fails == "") || (v.refused == nil) != v.Valid {
				t.Errorf("%s for %q: %q fail, valid %v, refused %v; want %q", tt.name, audience, got, v.Valid, v.refused, fails)
			}
			var shown strings.Builder
			if err := v.print(&printer{w: &shown}); err != nil || strings.Contains(shown.String(), "\x1b") || strings.Contains(fmt.Sprint(v.refused), "\x1b") {
				t.Errorf("%s: prints %q, %v", tt.name, shown.String(), err)
			}
		}
	}
}

// FuzzSegment holds that no text makes segment panic, and that what it returns can be shown.
func FuzzSegment(f *testing.F) {
	f.Add("eyJhIjoxfQ.eyJhIjoxfQ.x")
	f.Add("..")
	f.Add("bnVsbA.W10.MQ")
	f.Fuzz(func(t *testing.T, token string) {
		e := explanation{header: segment(token, 0), claims: segment(token, 1), now: time.Now()}
		if _, err := json.Marshal(e.claims); err != nil {
			t.Error(err)
		}
		if len(e.checks()) != 6 {
			t.Errorf("checks of %q: %v", token, e.checks())
		}
	})
}
