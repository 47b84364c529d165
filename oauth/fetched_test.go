package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/request"
)

// Who has the keys is told: who was given them, and who showed that he has them. Nobody else is.
func TestFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, current := w.keys.JWKS()
		type fetch struct {
			userAgent, address, etag string
			at                       time.Time
		}
		var told []fetch
		w.oauth.Fetched = func(userAgent, address, etag string, at time.Time) {
			told = append(told, fetch{userAgent, address, etag, at})
		}
		proxied := request.BehindProxies([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, w.handler)
		for _, tt := range []struct {
			name, method, path, ifNoneMatch string
			status                          int
			told                            bool
		}{
			{"given", "GET", "/.well-known/jwks.json", "", 200, true},
			{"given, having others", "GET", "/.well-known/jwks.json", `"other"`, 200, true},
			{"shown", "GET", "/.well-known/jwks.json", current, 304, true},
			{"shown, weakly and among others", "GET", "/.well-known/jwks.json", `"other", W/` + current, 304, true},
			{"having any", "GET", "/.well-known/jwks.json", "*", 304, false},
			{"not given", "HEAD", "/.well-known/jwks.json", "", 200, false},
			{"refused", "POST", "/.well-known/jwks.json", "", 405, false},
			{"something else", "GET", "/.well-known/openid-configuration", "", 200, false},
		} {
			told = nil
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			r.Header = http.Header{"User-Agent": {"shop/1.0"}, "If-None-Match": {tt.ifNoneMatch}, "X-Forwarded-For": {"203.0.113.9"}}
			if tt.ifNoneMatch == "" {
				r.Header.Del("If-None-Match")
			}
			r.RemoteAddr = "192.0.2.1:1234"
			answer := httptest.NewRecorder()
			proxied.ServeHTTP(answer, r)
			if answer.Code != tt.status {
				t.Errorf("%s: %d; want %d", tt.name, answer.Code, tt.status)
			}
			want := fetch{"shop/1.0", "203.0.113.9", current, time.Now()}
			if tt.told != (len(told) == 1) || tt.told && told[0] != want {
				t.Errorf("%s: told of %v; want %v: %t", tt.name, told, want, tt.told)
			}
		}
	})
}
