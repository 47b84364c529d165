package verify_test

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/verify"
)

const (
	listPath = "/oauth/status/0"
	listURL  = issuerURL + listPath
)

// A list is a status list that an issuer serves. It is signed anew each time.
type list struct {
	key     signer
	lst     string
	claims  object // that differ from those of a good list of one bit
	header  object
	noETags bool
}

// newList returns a list of 16 tokens in which those at the indices are revoked.
func newList(key signer, revoked ...int) *list {
	l := &list{key: key}
	l.revoke(revoked...)
	return l
}

func (l *list) revoke(indices ...int) {
	var statuses [2]byte
	for _, i := range indices {
		statuses[i/8] |= 1 << (i % 8)
	}
	l.lst = deflate(statuses[:])
}

// jwt is the list as it is now.
func (l *list) jwt() string {
	now := time.Now().Unix()
	claims := object{
		"sub": listURL, "iat": now, "exp": now + 1800, "ttl": 10,
		"status_list": object{"bits": 1, "lst": l.lst},
	}
	header := object{"typ": "statuslist+jwt", "alg": l.key.jwk["alg"], "kid": l.key.jwk["kid"]}
	return l.key.compact(string(encode(changed(header, l.header))), string(encode(changed(claims, l.claims))))
}

func (l *list) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	etag := `W/"` + l.lst + `"`
	if !l.noETags {
		w.Header().Set("ETag", etag)
	}
	if !l.noETags && r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Cache-Control", "max-age=86400") // which does not count (U-08)
	w.Header().Set("Content-Type", "application/statuslist+jwt")
	w.Write([]byte(l.jwt()))
}

func deflate(data []byte) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b64(b.Bytes())
}

// listed is a token whose status stands at index of the list.
func (s signer) listed(index int) string {
	return s.token(object{"status": object{"status_list": object{"idx": index, "uri": listURL}}})
}

// serveList has i serve the list.
func (i *issuer) serveList(l *list) {
	i.set(func() { i.others = map[string]http.HandlerFunc{listPath: l.ServeHTTP} })
}

func expectToken(t *testing.T, v *verify.Verifier, token string, want error) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("Verify = %v, want %v", err, want)
	}
}

// TestStatusLists holds how a status stands in a list (U-04, U-05, U-06). The first
// two are the examples of Token Status List §4.1.
func TestStatusLists(t *testing.T) {
	for _, tt := range []struct {
		bits int
		lst  string
		want string // a digit for each status
	}{
		{1, "eNrbuRgAAhcBXQ", "1001110111000101"},
		{2, "eNo76fITAAPfAgc", "120301011233"},
		{4, deflate([]byte{0x10, 0xf2}), "012f"},
		{8, deflate([]byte{0, 1, 2, 0}), "0120"},
		{1, deflate(nil), ""},
	} {
		t.Run(fmt.Sprint(tt.bits, tt.want), func(t *testing.T) {
			key := newES256("1", 1)
			i, l := newIssuer(key), newList(key)
			l.claims = object{"status_list": object{"bits": tt.bits, "lst": tt.lst}}
			i.serveList(l)
			v := i.verifier(t)
			for index, status := range tt.want + "e" { // e: beyond the end
				_, err := v.Verify(t.Context(), key.listed(index))
				if status == '0' && err != nil || status != '0' && !errors.Is(err, verify.ErrRevoked) {
					t.Errorf("Verify at %d = %v, want its status to be %c", index, err, status)
				}
				refused(t, "revoked", key.listed(index), err)
			}
			expectToken(t, v, key.listed(1<<62), verify.ErrRevoked)
		})
	}
}

// TestStatusClaim holds what a token may say of its status, and who is asked then.
func TestStatusClaim(t *testing.T) {
	key := newES256("1", 1)
	status := func(idx, uri any) object { return object{"status_list": object{"idx": idx, "uri": uri}} }
	for _, tt := range []struct {
		name   string
		status any
		err    error
	}{
		{"good", status(0, listURL), nil},
		{"good, host in capitals", status(0, strings.Replace(listURL, "auth", "AUTH", 1)), verify.ErrUnavailable}, // not its sub
		{"none", nil, nil},
		{"another mechanism", object{"x": 1}, nil},
		{"another besides", object{"status_list": object{"idx": 0, "uri": listURL, "y": 1}, "x": 1}, nil},
		{"null", json.RawMessage("null"), verify.ErrMalformed},
		{"text", "status_list", verify.ErrMalformed},
		{"an array", []any{status(0, listURL)}, verify.ErrMalformed},
		{"list is null", object{"status_list": nil}, verify.ErrMalformed},
		{"list is text", object{"status_list": listURL}, verify.ErrMalformed},
		{"no idx", status(nil, listURL), verify.ErrMalformed},
		{"idx negative", status(-1, listURL), verify.ErrMalformed},
		{"idx minus zero", status(json.RawMessage("-0"), listURL), verify.ErrMalformed},
		{"idx text", status("0", listURL), verify.ErrMalformed},
		{"idx fraction", status(0.5, listURL), verify.ErrMalformed},
		{"idx exponent", status(json.RawMessage("1e0"), listURL), verify.ErrMalformed},
		{"idx 2^64", status(json.RawMessage("18446744073709551616"), listURL), verify.ErrMalformed},
		{"no uri", status(0, nil), verify.ErrMalformed},
		{"uri empty", status(0, ""), verify.ErrMalformed},
		{"uri a number", status(0, 1), verify.ErrMalformed},
		{"uri a path", status(0, listPath), verify.ErrMalformed},
		{"uri elsewhere", status(0, "https://evil.example"+listPath), verify.ErrMalformed},
		{"uri of a host that begins with ours", status(0, issuerURL+".evil.example"+listPath), verify.ErrMalformed},
		{"uri with a user", status(0, "https://auth.example@evil.example"+listPath), verify.ErrMalformed},
		{"uri with a user at ours", status(0, "https://a@auth.example"+listPath), verify.ErrMalformed},
		{"uri with another port", status(0, issuerURL+":8443"+listPath), verify.ErrMalformed},
		{"uri without TLS", status(0, "http://auth.example"+listPath), verify.ErrMalformed},
		{"uri with a fragment", status(0, listURL+"#"), verify.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newIssuer(key)
			i.serveList(newList(key))
			token := key.token(object{"status": tt.status})
			expectToken(t, i.verifier(t), token, tt.err)
			for _, r := range i.requests {
				if !strings.HasPrefix(strings.ToLower(r), issuerURL+"/") || errors.Is(tt.err, verify.ErrMalformed) && strings.Contains(r, "status") {
					t.Errorf("asked for %s", r)
				}
			}
		})
	}
}

// TestStatusListRefused holds what is no list to rely on (U-07, U-13, U-14): then there
// is none.
func TestStatusListRefused(t *testing.T) {
	key := newES256("1", 1)
	now := time.Now().Unix()
	good := func() *list { return newList(key) }
	claims := func(changes object) func() string {
		return func() string { l := good(); l.claims = changes; return l.jwt() }
	}
	header := func(changes object) func() string {
		return func() string { l := good(); l.header = changes; return l.jwt() }
	}
	lst := func(bits any, lst any) func() string {
		return claims(object{"status_list": object{"bits": bits, "lst": lst}})
	}
	for _, tt := range []struct {
		name string
		jwt  func() string
		ok   bool
	}{
		{"good", good().jwt, true},
		{"typ with its prefix", header(object{"typ": "application/statuslist+jwt"}), true},
		{"no ttl", claims(object{"ttl": nil}), true},
		{"ttl with a fraction", claims(object{"ttl": 2.5}), true},
		{"ttl of a century", claims(object{"ttl": 3_000_000_000}), true},
		{"iat a little ahead", claims(object{"iat": now + 5}), true},
		{"as long as may be", lst(1, deflate(make([]byte, 1<<20))), true},

		{"an access token", func() string {
			return key.token(object{"sub": listURL, "status_list": object{"bits": 1, "lst": good().lst}})
		}, false},
		{"typ JWT", header(object{"typ": "JWT"}), false},
		{"no typ", header(object{"typ": nil}), false},
		{"crit", header(object{"crit": []string{"x"}}), false},
		{"alg none", func() string {
			return b64(`{"typ":"statuslist+jwt","alg":"none"}`) + "." + strings.Split(good().jwt(), ".")[1] + "."
		}, false},
		{"another's key", newList(newES256("1", 2)).jwt, false},
		{"unknown kid", newList(newES256("2", 2)).jwt, false},
		{"alg of another key", header(object{"alg": "RS256"}), false},
		{"altered", func() string { return strings.Replace(good().jwt(), ".e", ".f", 1) }, false},
		{"line feed behind", func() string { return good().jwt() + "\n" }, false},
		{"no JWT", func() string { return "<html>" }, false},
		{"empty", func() string { return "" }, false},
		{"longer than may be", func() string { return strings.Repeat("a", 1<<20+1) }, false},

		{"sub of another list", claims(object{"sub": issuerURL + "/oauth/status/1"}), false},
		{"no sub", claims(object{"sub": nil}), false},
		{"no iat", claims(object{"iat": nil}), false},
		{"iat in the future", claims(object{"iat": now + 60}), false},
		{"no exp", claims(object{"exp": nil}), false},
		{"exp past", claims(object{"exp": now - 1}), false},
		{"exp text", claims(object{"exp": fmt.Sprint(now + 900)}), false},
		{"ttl text", claims(object{"ttl": "10"}), false},
		{"ttl negative", claims(object{"ttl": -1}), false},
		{"no status_list", claims(object{"status_list": nil}), false},
		{"bits 3", lst(3, good().lst), false},
		{"bits 0", lst(0, good().lst), false},
		{"bits 16", lst(16, good().lst), false},
		{"bits text", lst("1", good().lst), false},
		{"bits 1.0", lst(json.RawMessage("1.0"), good().lst), false},
		{"no lst", lst(1, nil), false},
		{"lst a number", lst(1, 1), false},
		{"lst with padding", lst(1, good().lst+"="), false},
		{"lst without ZLIB", lst(1, b64([]byte{0, 0})), false},
		{"lst cut off", lst(1, deflate(bytes.Repeat([]byte("abc"), 99))[:12]), false},
		{"lst a bomb", lst(1, deflate(make([]byte, 1<<20+1))), false},
	} {
		for outage, whenRefused := range map[verify.Outage]error{verify.FailClosed: verify.ErrUnavailable, verify.FailOpen: nil} {
			i := newIssuer(key)
			i.set(func() {
				i.others = map[string]http.HandlerFunc{listPath: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(tt.jwt())) }}
			})
			_, err := i.verifier(t, verify.WithOutage(outage)).Verify(t.Context(), key.listed(3))
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, whenRefused) {
				t.Errorf("%s: Verify = %v, want ok %v", tt.name, err, tt.ok)
			}
			if errors.Is(err, verify.ErrInvalidToken) {
				t.Errorf("%s: Verify = %v, which blames the token", tt.name, err)
			}
		}
	}
}

// TestStatusListIsNoAccessToken holds that what the issuer signs for one purpose
// is not taken for another (U-14).
func TestStatusListIsNoAccessToken(t *testing.T) {
	key := newES256("1", 1)
	l := newList(key)
	l.claims = goodClaims()
	expectToken(t, newIssuer(key).verifier(t), l.jwt(), verify.ErrMalformed)
}

// TestStatusRedirects holds that a list is where the token says or nowhere (U-16).
func TestStatusRedirects(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	i.others = map[string]http.HandlerFunc{
		listPath: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	}
	expectToken(t, i.verifier(t), key.listed(0), verify.ErrUnavailable)
	if n := i.asked(issuerURL + "/elsewhere"); n != 0 {
		t.Errorf("followed a redirect %d times", n)
	}
}

// TestStatusRequest holds how a list is asked for (U-02).
func TestStatusRequest(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	l := newList(key)
	i.others = map[string]http.HandlerFunc{listPath: func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept"); got != "application/statuslist+jwt" {
			t.Errorf("Accept is %q", got)
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("the token was sent along")
		}
		l.ServeHTTP(w, r)
	}}
	expectToken(t, i.verifier(t), key.listed(0), nil)
}

func TestWithoutStatusLists(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	i.serveList(newList(key, 0))
	expectToken(t, i.verifier(t, verify.WithoutStatusLists()), key.listed(0), nil)
	if n := i.asked(listURL); n != 0 {
		t.Errorf("the list was fetched %d times", n)
	}
}

// TestRevokedAnswer holds what the client is told (RFC 6750 §3.1).
func TestRevokedAnswer(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	i.serveList(newList(key, 7))
	handler := i.verifier(t).Require()(http.NotFoundHandler())
	w := get(handler, key.listed(7))
	want := `Bearer realm="https://api.example", error="invalid_token", error_description="the token was revoked"`
	if got := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusUnauthorized || got != want {
		t.Errorf("a revoked token is answered %d, %s; want 401, %s", w.Code, got, want)
	}
	i.set(func() { i.others = nil })
	w = get(i.verifier(t).Require()(http.NotFoundHandler()), key.listed(7))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("without a list the answer is %d, %v; want 503 with Retry-After", w.Code, w.Header())
	}
}

// TestStatusCostsNothing holds that a token is checked against its list without a
// byte of memory, and so without anything to wait for.
func TestStatusCostsNothing(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	i.serveList(newList(key))
	v := i.verifier(t)
	ctx := t.Context()
	check := func() {
		if err := v.CheckStatus(ctx, listURL, 3); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, check); n != 0 {
		t.Errorf("checking a status allocates %v times, want 0", n)
	}
}

func BenchmarkStatus(b *testing.B) {
	key := newES256("1", 1)
	i := newIssuer(key)
	i.serveList(newList(key))
	v := i.verifier(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := v.CheckStatus(b.Context(), listURL, 3); err != nil {
				b.Fatal(err)
			}
		}
	})
}
