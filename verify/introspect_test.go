package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/verify"
)

const (
	introspectPath = "/oauth/introspect"
	introspectURL  = issuerURL + introspectPath

	rsID, rsSecret = "the api", "s3cret/+&"
)

// introspected runs a test in which time is faked, with an issuer that answers
// introspection: all tokens are active but those revoked.
func introspected(t *testing.T, test func(t *testing.T, i *issuer, key signer, revoked map[string]bool)) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i := newIssuer(key)
		revoked := map[string]bool{}
		i.metadata["introspection_endpoint"] = introspectURL
		i.others = map[string]http.HandlerFunc{introspectPath: func(w http.ResponseWriter, r *http.Request) {
			id, secret, _ := r.BasicAuth()
			if r.Method != http.MethodPost || id != url.QueryEscape(rsID) || secret != url.QueryEscape(rsSecret) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprintf(w, `{"active": %v}`, !revoked[r.PostFormValue("token")])
		}}
		test(t, i, key, revoked)
	})
}

func asking(maxAge time.Duration) verify.Option {
	return verify.WithIntrospection(rsID, rsSecret, maxAge)
}

func expectQuestions(t *testing.T, i *issuer, want int) {
	t.Helper()
	if got := i.asked(introspectURL); got != want {
		t.Errorf("the issuer was asked %d times, want %d", got, want)
	}
}

func TestIntrospection(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		v := i.verifier(t, asking(0))
		one, other := key.token(object{"jti": "one"}), key.token(object{"jti": "other"})
		revoked[other] = true
		for range 3 {
			expectToken(t, v, one, nil)
			expectToken(t, v, other, verify.ErrRevoked)
		}
		expectQuestions(t, i, 4) // what is not active is remembered for a while
		_, err := v.Verify(t.Context(), other)
		refused(t, "not active", other, err)

		revoked[one] = true
		expectToken(t, v, one, verify.ErrRevoked)

		revoked[other] = false // its client was disabled, and is enabled again
		time.Sleep(10 * time.Second)
		expectToken(t, v, other, nil)
	})
}

// TestOddTokenSilencesNobody holds that a token which the issuer does not want to be asked about
// is not accepted, and does not keep others from being asked about.
func TestOddTokenSilencesNobody(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge} {
		introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
			odd, good, bad := key.token(object{"jti": "odd"}), key.token(object{"jti": "good"}), key.token(object{"jti": "bad"})
			answer := i.others[introspectPath]
			i.others[introspectPath] = func(w http.ResponseWriter, r *http.Request) {
				if r.PostFormValue("token") == odd {
					w.WriteHeader(status)
					return
				}
				answer(w, r)
			}
			revoked[bad] = true
			v := i.verifier(t, asking(0), verify.WithOutage(verify.FailOpen))
			for range 3 {
				_, _ = v.Verify(t.Context(), odd)
				expectToken(t, v, good, nil)
				expectToken(t, v, bad, verify.ErrRevoked)
			}
			closed := i.verifier(t, asking(0))
			expectToken(t, closed, odd, verify.ErrUnavailable)
			expectToken(t, closed, good, nil)
		})
	}
}

// TestWrongCredentialsAreNoOutage holds that FailOpen opens nothing to those who are asked about
// with a secret that the issuer refuses.
func TestWrongCredentialsAreNoOutage(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, _ map[string]bool) {
		v := i.verifier(t, verify.WithIntrospection(rsID, "another", 0), verify.WithOutage(verify.FailOpen))
		for range 3 { // also while the issuer is left alone
			expectToken(t, v, key.token(nil), verify.ErrUnavailable)
		}
	})
}

// TestIntrospectionComesLast holds that the issuer is asked about tokens that are good
// in themselves, and about no others.
func TestIntrospectionComesLast(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		l := newList(key, 1)
		i.others[listPath] = l.ServeHTTP
		v := i.verifier(t, asking(0))
		expectToken(t, v, key.token(object{"exp": 1}), verify.ErrExpired)
		expectToken(t, v, key.token(object{"aud": "x"}), verify.ErrAudience)
		expectToken(t, v, newES256("1", 2).token(nil), verify.ErrSignature)
		expectToken(t, v, "x", verify.ErrMalformed)
		expectToken(t, v, key.listed(1), verify.ErrRevoked)
		expectQuestions(t, i, 0)
		expectToken(t, v, key.listed(0), nil)
		expectQuestions(t, i, 1)
	})
}

// TestOpinions holds how long an answer counts.
func TestOpinions(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		v := i.verifier(t, asking(time.Minute))
		token := key.token(nil)
		for range 60 {
			expectToken(t, v, token, nil)
			time.Sleep(time.Second)
		}
		expectQuestions(t, i, 1)
		revoked[token] = true
		for range 600 {
			expectToken(t, v, token, verify.ErrRevoked)
			time.Sleep(time.Second)
		}
		expectQuestions(t, i, 61) // that it is not active is relied on for ten seconds
		time.Sleep(4 * time.Minute)
		expectToken(t, v, token, verify.ErrExpired)
	})
}

// TestOneTokenOneQuestion holds that all who have one token wait for one answer, which
// does not depend on whether the first of them still waits.
func TestOneTokenOneQuestion(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		v := i.verifier(t, asking(0), verify.WithOutage(verify.FailOpen))
		expectToken(t, v, key.token(object{"jti": "0"}), nil)
		i.set(func() { i.hold = make(chan struct{}) })
		token := key.token(nil)
		ctx, cancel := context.WithCancel(t.Context())
		var tokens sync.WaitGroup
		tokens.Go(func() {
			if _, err := v.Verify(ctx, token); !errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("Verify = %v, want ErrUnavailable for who did not wait", err)
			}
		})
		synctest.Wait()
		for range 100 {
			tokens.Go(func() { expectToken(t, v, token, nil) })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(i.hold)
		tokens.Wait()
		expectQuestions(t, i, 2)
	})
}

// TestIntrospectionAway holds what an outage does, that nobody waits for it for long,
// and that it is over when the issuer is back.
func TestIntrospectionAway(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"500":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"404":            http.NotFound,
		"redirect":       func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) },
		"no JSON":        func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"active missing": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{}`)) },
		"active text":    func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"active":"true"}`)) },
		"active twice":   func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"active":false,"active":true}`)) },
	}
	for name, answer := range answers {
		for outage, want := range map[verify.Outage]error{verify.FailClosed: verify.ErrUnavailable, verify.FailOpen: nil} {
			introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
				v := i.verifier(t, asking(0), verify.WithOutage(outage))
				good := i.others[introspectPath]
				i.others[introspectPath] = answer
				_, err := v.Verify(t.Context(), key.token(nil))
				if !errors.Is(err, want) || errors.Is(err, verify.ErrInvalidToken) {
					t.Errorf("%s: Verify = %v, want %v", name, err, want)
				}
				i.set(func() { i.others[introspectPath] = good })
				time.Sleep(time.Second)
				expectToken(t, v, key.token(nil), nil)
				expectQuestions(t, i, 2)
				if n := i.asked(issuerURL + "/x"); n != 0 {
					t.Error("followed a redirect, with the secret")
				}
			})
		}
	}
}

func TestIntrospectionHangs(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		v := i.verifier(t, asking(0))
		expectToken(t, v, key.token(object{"jti": "0"}), nil)
		i.set(func() { i.hold = make(chan struct{}) })
		waits := 0
		for n := range 600 {
			before := time.Now()
			expectToken(t, v, key.token(object{"jti": fmt.Sprint(n)}), verify.ErrUnavailable)
			if time.Since(before) > 0 {
				waits++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if waits > 10 {
			t.Errorf("%d tokens of 600 in a minute waited", waits)
		}
		for before := time.Now(); time.Since(before) < 10*time.Second; time.Sleep(time.Second) {
			before = time.Now()
			expectToken(t, v, key.token(nil), verify.ErrUnavailable)
		}
		close(i.hold) // just after a failure
		time.Sleep(9 * time.Second)
		expectToken(t, v, key.token(nil), nil)
	})
}

// TestIntrospectionEndpoint holds where the secret is sent.
func TestIntrospectionEndpoint(t *testing.T) {
	for _, tt := range []struct {
		endpoint any
		ok       bool
	}{
		{introspectURL, true},
		{nil, false},
		{"http://auth.example" + introspectPath, false},
		{"http://localhost" + introspectPath, false},
		{introspectPath, false},
	} {
		introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
			i.metadata["introspection_endpoint"] = tt.endpoint
			v := i.verifier(t, asking(0), verify.WithJWKSURL(jwksURL))
			if _, err := v.Verify(t.Context(), key.token(nil)); tt.ok && err != nil || !tt.ok && !errors.Is(err, verify.ErrUnavailable) {
				t.Errorf("with endpoint %v: Verify = %v, want ok %v", tt.endpoint, err, tt.ok)
			}
		})
	}
}

// TestMovedEndpoint holds that the metadata is read once, and again when the endpoint is
// no longer where it said.
func TestMovedEndpoint(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		v := i.verifier(t, asking(0), verify.WithJWKSURL(jwksURL))
		for range 3 {
			expectToken(t, v, key.token(nil), nil)
		}
		i.set(func() {
			i.others = map[string]http.HandlerFunc{"/moved": i.others[introspectPath]}
			i.metadata["introspection_endpoint"] = issuerURL + "/moved"
		})
		expectToken(t, v, key.token(nil), verify.ErrUnavailable)
		time.Sleep(time.Second)
		expectToken(t, v, key.token(nil), nil)
		if n := i.asked(metadataURL); n != 2 {
			t.Errorf("the metadata was read %d times, want twice", n)
		}
	})
}

// TestIntrospectionLog holds that an outage is told to the log when it begins and when it ends.
func TestIntrospectionLog(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		var log bytes.Buffer
		v := i.verifier(t, asking(0), verify.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		good := i.others
		for range 2 {
			for _, answers := range []map[string]http.HandlerFunc{good, nil} {
				i.set(func() { i.others = answers })
				for range 30 {
					_, _ = v.Verify(t.Context(), key.token(nil)) // the log is what matters
					time.Sleep(time.Second)
				}
			}
		}
		v.Close()
		text := log.String()
		if strings.Count(text, "level=WARN") != 2 || strings.Count(text, "level=INFO") != 1 || strings.Count(text, "\n") != 3 {
			t.Errorf("logged %s, want a warning, the recovery, and a warning", text)
		}
	})
}

// TestOpinionsAreBounded holds that of many tokens the last are remembered, and of few
// those whose opinion still counts.
func TestOpinionsAreBounded(t *testing.T) {
	for _, tt := range []struct {
		tokens         int
		every, lasting time.Duration
		oldest, count  int
	}{
		{10_000, 0, time.Minute, 0, 10_000},
		{10_003, 0, time.Minute, 3, 10_000},
		{100, time.Second, 10 * time.Second, 90, 10},
		{5, time.Second, 0, -1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			oldest, count := verify.Remembered(tt.tokens, tt.every, tt.lasting)
			if oldest != tt.oldest || count != tt.count {
				t.Errorf("of %d tokens %d are remembered, from %d on; want %d from %d on", tt.tokens, count, oldest, tt.count, tt.oldest)
			}
		})
	}
}

// TestSecretIsNotTold holds that neither the secret nor the token is in an error, in
// the log, or in a Verifier that is printed.
func TestSecretIsNotTold(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		var log bytes.Buffer
		v := i.verifier(t, asking(0), verify.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		token := key.token(nil)
		expectToken(t, v, token, nil)
		for n, change := range []func(){
			func() { i.others[introspectPath] = http.NotFound },
			func() { i.away = true },
		} {
			i.set(change)
			time.Sleep(time.Minute)
			_, err := v.Verify(t.Context(), token)
			synctest.Wait()
			told := fmt.Sprintf("%v %+v %#v", err, v, v) + log.String()
			for _, s := range []string{rsSecret, url.QueryEscape(rsSecret), token[strings.LastIndex(token, ".")+1:]} {
				if strings.Contains(told, s) {
					t.Errorf("after change %d, %q is told: %s", n, s, told)
				}
			}
		}
		if text := log.String(); strings.Count(text, "level=WARN") != 1 {
			t.Errorf("logged %s, want one warning", text)
		}
	})
}

// TestCloseDuringQuestion holds that Close does not wait for an issuer that hangs.
func TestCloseDuringQuestion(t *testing.T) {
	introspected(t, func(t *testing.T, i *issuer, key signer, revoked map[string]bool) {
		v := i.verifier(t, asking(time.Minute))
		remembered := key.token(object{"jti": "0"})
		expectToken(t, v, remembered, nil)
		i.set(func() { i.hold = make(chan struct{}) })
		var tokens sync.WaitGroup
		tokens.Go(func() { expectToken(t, v, key.token(nil), verify.ErrUnavailable) })
		synctest.Wait()
		start := time.Now()
		v.Close()
		tokens.Wait()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("Close waited for %v", waited)
		}
		expectToken(t, v, remembered, nil)
		expectToken(t, v, key.token(nil), verify.ErrUnavailable)
		expectQuestions(t, i, 2)
	})
}
