package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/verify"
)

// bubble runs a test in which time is faked, with an issuer of one key.
func bubble(t *testing.T, test func(t *testing.T, i *issuer, v *verify.Verifier, key signer)) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i := newIssuer(key)
		v := i.verifier(t)
		test(t, i, v, key)
	})
}

// expect verifies a token made now and waits for what that may have begun.
func expect(t *testing.T, v *verify.Verifier, s signer, want error) {
	t.Helper()
	if _, err := v.Verify(t.Context(), s.token(nil)); !errors.Is(err, want) {
		t.Errorf("Verify = %v, want %v", err, want)
	}
	synctest.Wait()
}

func expectFetches(t *testing.T, i *issuer, want int) {
	t.Helper()
	if got := i.fetches(); got != want {
		t.Errorf("the keys were fetched %d times, want %d", got, want)
	}
}

func TestFirstTokensShareOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		i.hold = make(chan struct{})
		var tokens sync.WaitGroup
		for range 100 {
			tokens.Go(func() {
				if _, err := v.Verify(t.Context(), key.token(nil)); err != nil {
					t.Errorf("Verify = %v, want no error", err)
				}
			})
		}
		synctest.Wait()
		close(i.hold)
		tokens.Wait()
		expectFetches(t, i, 1)
	})
}

// TestWaitIsBounded holds that each token waits no longer than its own context,
// and that the fetch goes on for the others.
func TestWaitIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		i.hold = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Verify(ctx, key.token(nil))
		if !errors.Is(err, verify.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Verify = %v, want ErrUnavailable because of the deadline", err)
		}
		close(i.hold)
		synctest.Wait()
		expect(t, v, key, nil)
		expectFetches(t, i, 1)
	})
}

func TestIssuerThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		i.hold = make(chan struct{}) // never closed
		start := time.Now()
		expect(t, v, key, verify.ErrUnavailable)
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("Verify waited for %v, want 10s", waited)
		}
	})
}

// TestFreshness holds when keys are fetched again, and that nobody waits for it.
func TestFreshness(t *testing.T) {
	for _, tt := range []struct {
		cacheControl string
		fresh        time.Duration
	}{
		{"", 5 * time.Minute},
		{"public, max-age=300", 5 * time.Minute},
		{"public,MAX-AGE=600", 10 * time.Minute},
		{"max-age=0", 30 * time.Second},
		{"max-age=86400", time.Hour},
		{"max-age=99999999999999999999", 5 * time.Minute},
		{"max-age=-1", 5 * time.Minute},
		{"max-age=soon", 5 * time.Minute},
		{"s-maxage=600", 5 * time.Minute},
		{"no-cache", 30 * time.Second},
		{"no-store, max-age=600", 30 * time.Second},
	} {
		t.Run(tt.cacheControl, func(t *testing.T) {
			bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
				i.cacheControl = tt.cacheControl
				expect(t, v, key, nil)
				time.Sleep(tt.fresh - 1)
				expect(t, v, key, nil)
				expectFetches(t, i, 1)

				i.set(func() { i.hold = make(chan struct{}) })
				time.Sleep(time.Nanosecond)
				start := time.Now()
				for range 10 {
					expect(t, v, key, nil)
				}
				if waited := time.Since(start); waited != 0 {
					t.Errorf("Verify waited for %v, want not at all", waited)
				}
				close(i.hold)
				synctest.Wait()
				expectFetches(t, i, 2)
			})
		})
	}
}

// TestUnknownKeys holds that a flood of tokens that name random keys leads to one
// fetch in 30 seconds (M-07).
func TestUnknownKeys(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		i.cacheControl = "max-age=3600"
		expect(t, v, key, nil)
		const seconds = 600
		for second := range seconds {
			for n := range 5 {
				expect(t, v, newEdDSA(fmt.Sprint(second, n), "EdDSA", 2), verify.ErrSignature)
			}
			expect(t, v, key, nil)
			time.Sleep(time.Second)
		}
		expectFetches(t, i, seconds/30)
	})
}

// TestUnknownKeysWait holds that tokens of an unknown key that arrive during a
// fetch wait for it.
func TestUnknownKeysWait(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		time.Sleep(time.Minute)
		next := newES256("2", 2)
		i.publish(key, next)
		i.set(func() { i.hold = make(chan struct{}) })
		var tokens sync.WaitGroup
		for range 100 {
			tokens.Go(func() {
				if _, err := v.Verify(t.Context(), next.token(nil)); err != nil {
					t.Errorf("Verify = %v, want no error", err)
				}
			})
		}
		synctest.Wait()
		expect(t, v, key, nil) // a known key does not
		close(i.hold)
		tokens.Wait()
		expectFetches(t, i, 2)
	})
}

// TestRotation holds that a key that is published before it signs, and goes on
// being published after, is never refused (M-05), and is gone when withdrawn (M-06).
func TestRotation(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, old signer) {
		next := newES256("2", 2)
		for minute := range 40 {
			if minute == 10 {
				i.publish(old, next)
			}
			if minute == 30 {
				i.publish(next)
			}
			if minute < 30 {
				expect(t, v, old, nil)
			}
			if minute >= 15 {
				expect(t, v, next, nil)
			}
			time.Sleep(time.Minute)
		}
		expect(t, v, old, verify.ErrSignature)
	})
}

// TestWithdrawnKey holds that after a long silence the first token does not
// pass by a key that is gone.
func TestWithdrawnKey(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		i.publish(newES256("2", 2))
		time.Sleep(10 * time.Minute)
		expect(t, v, key, verify.ErrSignature)
	})
}

// TestIssuerAway holds that the last keys are used for a day (M-10), that nobody
// waits for an issuer that does not answer more than once, and that it is left in peace.
func TestIssuerAway(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		start := time.Now()
		i.set(func() { i.hold = make(chan struct{}) })
		for time.Since(start) < 24*time.Hour {
			before := time.Now()
			expect(t, v, key, nil)
			if waited := time.Since(before); waited > 0 {
				t.Fatalf("Verify waited for %v after %v", waited, time.Since(start))
			}
			time.Sleep(time.Minute)
		}
		if n := i.fetches(); n > 24*60 {
			t.Errorf("the keys were fetched %d times in a day", n)
		}
		expect(t, v, key, verify.ErrUnavailable)
		close(i.hold)
		time.Sleep(time.Minute)
		expect(t, v, key, nil)
	})
}

// TestUnknownKeyWhileAway holds that nobody says no who could not ask.
func TestUnknownKeyWhileAway(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		next := newES256("2", 2)
		expect(t, v, key, nil)
		i.publish(key, next)
		i.set(func() { i.away = true })
		time.Sleep(time.Minute)
		for range 100 {
			expect(t, v, next, verify.ErrUnavailable)
			expect(t, v, key, nil)
		}
		expectFetches(t, i, 2)
		i.set(func() { i.away = false })
		time.Sleep(30 * time.Second)
		expect(t, v, next, nil)
	})
}

// TestSilenceWhileAway holds that an old failure does not let old keys pass
// without a new question.
func TestSilenceWhileAway(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		i.set(func() { i.away = true })
		time.Sleep(10 * time.Minute)
		expect(t, v, key, nil)
		i.set(func() { i.away = false })
		i.publish(newES256("2", 2))
		time.Sleep(time.Hour)
		expect(t, v, key, verify.ErrSignature)
	})
}

// TestBadSetKeepsLastGood holds that a set that is refused does not replace one that is not.
func TestBadSetKeepsLastGood(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		i.serve(`{"keys":[{"kty":"oct","kid":"1","k":"AAAA","alg":"HS256"}]}`)
		for range 20 {
			time.Sleep(5 * time.Minute)
			expect(t, v, key, nil)
		}
	})
}

// TestStartBeforeIssuer holds that a resource server that starts first works
// soon after the issuer does, and does not ask at every token.
func TestStartBeforeIssuer(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		i.away = true
		start := time.Now()
		for time.Since(start) < 5*time.Minute {
			expect(t, v, key, verify.ErrUnavailable)
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(i.requests); n != 14 { // after 1, 2, 4, 8, 16, 30, 30… seconds
			t.Errorf("%d requests in 5 minutes, want 14", n)
		}
		i.set(func() { i.away = false })
		time.Sleep(30 * time.Second)
		expect(t, v, key, nil)

		i.set(func() { i.away = true }) // long enough to be without keys again
		time.Sleep(25 * time.Hour)
		expect(t, v, key, verify.ErrUnavailable)
		i.set(func() { i.away = false })
		time.Sleep(time.Second)
		expect(t, v, key, nil)
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		expect(t, v, key, nil)
		i.hold = make(chan struct{}) // never closed
		time.Sleep(6 * time.Minute)
		expect(t, v, key, nil)
		v.Close()
		v.Close()
		expectFetches(t, i, 2)
		time.Sleep(12 * time.Hour)
		expect(t, v, key, nil)
		expectFetches(t, i, 2)
		time.Sleep(12 * time.Hour)
		expect(t, v, key, verify.ErrUnavailable)
	})
}

// TestCloseWaits holds that Close ends a refresh, and returns when it has ended.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			time.Sleep(time.Second)
			return nil, r.Context().Err()
		})
		v := newIssuer().verifier(t, verify.WithHTTPClient(&http.Client{Transport: slow}))
		go v.Verify(t.Context(), newES256("1", 1).token(nil))
		synctest.Wait()
		start := time.Now()
		v.Close()
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("Close took %v, want 1s", waited)
		}
	})
}

func TestCloseBeforeUse(t *testing.T) {
	bubble(t, func(t *testing.T, i *issuer, v *verify.Verifier, key signer) {
		v.Close()
		_, err := v.Verify(t.Context(), key.token(nil))
		if !errors.Is(err, verify.ErrUnavailable) || strings.Contains(err.Error(), "%!") {
			t.Errorf("Verify = %v, want ErrUnavailable", err)
		}
		expectFetches(t, i, 0)
	})
}

// TestFailureIsLogged holds that somebody hears of a refresh that fails behind
// everybody's back, once.
func TestFailureIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i := newIssuer(key)
		var log bytes.Buffer
		v := i.verifier(t, verify.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		expect(t, v, key, nil)
		i.set(func() { i.away = true })
		time.Sleep(5 * time.Minute)
		for range 10 {
			expect(t, v, key, nil)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "connection refused") {
			t.Errorf("logged %q, want one warning", got)
		}
	})
}

func TestWithJWKSURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i := newIssuer(key)
		const address = "http://wardkey:8080/.well-known/jwks.json"
		v := i.verifier(t, verify.WithJWKSURL(address))
		for range 2 {
			expect(t, v, key, nil)
			time.Sleep(5 * time.Minute)
		}
		if fmt.Sprint(i.requests) != fmt.Sprint([]string{address, address}) {
			t.Errorf("requests %v, want only %s", i.requests, address)
		}
	})
}

// TestPastCaches holds that no cache on the way makes a withdrawn key live longer.
func TestPastCaches(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	spy := roundTripper(func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s was asked for with Cache-Control %q, want no-cache", r.URL, got)
		}
		return i.RoundTrip(r)
	})
	v := i.verifier(t, verify.WithHTTPClient(&http.Client{Transport: spy}))
	if _, err := v.Verify(t.Context(), key.token(nil)); err != nil {
		t.Errorf("Verify = %v, want no error", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
