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

// watched runs a test in which time is faked, with an issuer of one key and one list.
func watched(t *testing.T, test func(t *testing.T, i *issuer, l *list, key signer)) {
	synctest.Test(t, func(t *testing.T) {
		key := newES256("1", 1)
		i, l := newIssuer(key), newList(key)
		i.serveList(l)
		test(t, i, l, key)
	})
}

// use verifies a new token every interval, and returns at once when one is not accepted.
func use(t *testing.T, v *verify.Verifier, key signer, interval, total time.Duration) {
	t.Helper()
	for start := time.Now(); time.Since(start) < total; time.Sleep(interval) {
		before := time.Now()
		if _, err := v.Verify(t.Context(), key.listed(0)); err != nil {
			t.Fatalf("Verify after %v = %v, want no error", time.Since(start), err)
		}
		if waited := time.Since(before); waited > 0 && before != start {
			t.Fatalf("Verify after %v waited for %v", time.Since(start), waited)
		}
	}
}

func TestFirstTokensShareOneList(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		i.hold = make(chan struct{})
		var tokens sync.WaitGroup
		for range 1000 {
			tokens.Go(func() { expectToken(t, v, key.listed(0), nil) })
		}
		synctest.Wait()
		close(i.hold)
		tokens.Wait()
		if n := i.asked(listURL); n != 1 {
			t.Errorf("the list was fetched %d times, want once", n)
		}
	})
}

// TestPolling holds how often a list is fetched, however many tokens name it.
func TestPolling(t *testing.T) {
	for _, tt := range []struct {
		name     string
		claims   object
		options  []verify.Option
		interval time.Duration
	}{
		{"ttl", object{"ttl": 60}, nil, time.Minute},
		{"no ttl", object{"ttl": nil}, nil, 10 * time.Second},
		{"ttl 0", object{"ttl": 0}, nil, time.Second},
		{"ttl of a day", object{"ttl": 86400, "exp": 4_000_000_000}, nil, time.Hour},
		{"ttl of an age", object{"ttl": 250_000_000_000, "exp": 4_000_000_000}, nil, time.Hour},
		{"expires before the ttl", object{"ttl": 3600}, nil, 15 * time.Minute},
		{"more often than the ttl", nil, []verify.Option{verify.WithStatusTTL(2 * time.Second)}, 2 * time.Second},
		{"less often than the ttl", nil, []verify.Option{verify.WithStatusTTL(time.Minute)}, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
				l.claims, l.noETags = tt.claims, true
				v := i.verifier(t, tt.options...)
				const polls = 40
				use(t, v, key, tt.interval/4, polls*tt.interval)
				if n := i.asked(listURL); n < polls || n > polls*10/8+1 {
					t.Errorf("the list was fetched %d times, want %d to %d", n, polls, polls*10/8+1)
				}
			})
		})
	}
}

// TestRevocationArrives holds the promise of the package: within ttl (figure: and 2
// seconds) of the list's change. A revocation that is taken back arrives as well.
func TestRevocationArrives(t *testing.T) {
	for _, tt := range []struct {
		options []verify.Option
		within  time.Duration
	}{
		{nil, 10 * time.Second},
		{[]verify.Option{verify.WithStatusTTL(2 * time.Second)}, 2 * time.Second},
	} {
		watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
			v := i.verifier(t, tt.options...)
			for range 20 {
				use(t, v, key, time.Second, 17*time.Second)
				i.set(func() { l.revoke(0) })
				time.Sleep(tt.within)
				expectToken(t, v, key.listed(0), verify.ErrRevoked)
				expectToken(t, v, key.listed(1), nil)
				i.set(func() { l.revoke() })
				time.Sleep(tt.within)
			}
		})
	}
}

// TestUnchangedList holds that a list that has not changed is not sent again, and that
// "not modified" does not make it live longer than it says itself (U-08).
func TestUnchangedList(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		sent := 0
		answer := func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") == "" {
				sent++
			}
			l.ServeHTTP(w, r)
		}
		i.others = map[string]http.HandlerFunc{listPath: answer}
		v := i.verifier(t)
		use(t, v, key, 5*time.Second, 29*time.Minute-time.Second)
		i.set(func() {
			if sent != 1 {
				t.Errorf("the list was sent %d times before its last minute, want once", sent)
			}
		})
		use(t, v, key, 5*time.Second, time.Hour)
		i.set(func() {
			if sent < 3 || sent > 4 {
				t.Errorf("the list was sent %d times in 90 minutes, want 3 or 4", sent)
			}
			i.others[listPath] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }
		})
		time.Sleep(30 * time.Minute)
		expectToken(t, v, key.listed(0), verify.ErrUnavailable)
	})
}

// TestIssuerAwayWithLists holds that an outage refuses nobody before the list
// expires, and what does then.
func TestIssuerAwayWithLists(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []verify.Option
		after   error
	}{
		{"default", nil, verify.ErrUnavailable},
		{"FailClosed", []verify.Option{verify.WithOutage(verify.FailClosed)}, verify.ErrUnavailable},
		{"FailOpen", []verify.Option{verify.WithOutage(verify.FailOpen)}, nil},
	} {
		for _, interval := range []time.Duration{time.Second, 4 * time.Minute} { // between two tokens
			t.Run(fmt.Sprint(tt.name, interval), func(t *testing.T) {
				watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
					i.set(func() { l.revoke(1) })
					v := i.verifier(t, tt.options...)
					expectToken(t, v, key.listed(0), nil)
					i.set(func() { i.away = true })
					use(t, v, key, interval, 28*time.Minute)
					expectToken(t, v, key.listed(1), verify.ErrRevoked)
					time.Sleep(2 * time.Minute)
					expectToken(t, v, key.listed(0), tt.after)
					expectToken(t, v, key.listed(1), tt.after)

					i.set(func() { i.away = false })
					time.Sleep(30 * time.Second)
					expectToken(t, v, key.listed(0), nil)
					expectToken(t, v, key.listed(1), verify.ErrRevoked)
				})
			})
		}
	}
}

// TestBadListKeepsLastGood holds that a list that is refused does not replace one that is not.
func TestBadListKeepsLastGood(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		i.set(func() { l.revoke(1) })
		v := i.verifier(t)
		use(t, v, key, time.Second, time.Minute)
		for _, bad := range []object{{"exp": time.Now().Unix() - 1}, {"sub": issuerURL}, {"status_list": object{}}} {
			i.set(func() { l.claims = bad; l.noETags = true })
			use(t, v, key, time.Second, time.Minute)
			expectToken(t, v, key.listed(1), verify.ErrRevoked)
		}
	})
}

// TestListThatHangs holds that nobody waits for a list that cannot be had more than
// once, and that it is asked for a bounded number of times.
func TestListThatHangs(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		expect(t, v, key, nil) // the keys are there
		i.set(func() { i.hold = make(chan struct{}) })
		start := time.Now()
		expectToken(t, v, key.listed(0), verify.ErrUnavailable)
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("the first token waited for %v, want 10s", waited)
		}
		for range 600 {
			before := time.Now()
			expectToken(t, v, key.listed(0), verify.ErrUnavailable)
			if waited := time.Since(before); waited > 0 {
				t.Fatalf("Verify waited for %v", waited)
			}
			time.Sleep(time.Second)
		}
		if n := i.asked(listURL); n > 40 {
			t.Errorf("the list was asked for %d times in 10 minutes", n)
		}
		close(i.hold)
		time.Sleep(10 * time.Second)
		expectToken(t, v, key.listed(0), nil)
	})
}

// TestWaitForListIsBounded holds that each token waits no longer than its own
// context, which is not the issuer's outage: FailOpen does not let it in.
func TestWaitForListIsBounded(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t, verify.WithOutage(verify.FailOpen))
		expect(t, v, key, nil)
		i.set(func() { i.hold = make(chan struct{}) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.Verify(ctx, key.listed(0)); !errors.Is(err, verify.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Verify = %v, want ErrUnavailable at the deadline", err)
		}
		close(i.hold)
		synctest.Wait()
		expectToken(t, v, key.listed(0), nil)
		if n := i.asked(listURL); n != 1 {
			t.Errorf("the list was fetched %d times, want once", n)
		}
	})
}

// TestUnusedList holds that a list that no token names is left alone, and is fetched
// before it is relied on again.
func TestUnusedList(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		expectToken(t, v, key.listed(0), nil)
		time.Sleep(2 * time.Minute)
		n := i.asked(listURL)
		time.Sleep(10 * time.Minute)
		if later := i.asked(listURL); n > 16 || later != n {
			t.Errorf("an unused list was fetched %d times in 2 minutes and %d times after", n, later-n)
		}
		i.set(func() { l.revoke(0) })
		expectToken(t, v, key.listed(0), verify.ErrRevoked)
	})
}

// TestManyLists holds that there is a bound on the lists that are watched.
func TestManyLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newEdDSA("1", "EdDSA", 1)
		i := newIssuer(key)
		i.others = map[string]http.HandlerFunc{}
		named := func(n int) string {
			return key.token(object{"status": object{"status_list": object{"idx": 0, "uri": fmt.Sprint(issuerURL, "/", n)}}})
		}
		v := i.verifier(t)
		const most = 1024
		for n := range most + 1 {
			l := newList(key)
			l.claims = object{"sub": fmt.Sprint(issuerURL, "/", n), "ttl": 3600, "exp": 4_000_000_000}
			i.set(func() { i.others[fmt.Sprint("/", n)] = l.ServeHTTP })
			want := error(nil)
			if n == most {
				want = verify.ErrUnavailable
			}
			expectToken(t, v, named(n), want)
		}
		time.Sleep(24 * time.Hour) // none is named
		expectToken(t, v, named(most), nil)
	})
}

// TestStatusLog holds that an outage is told to the log when it begins and when it ends.
func TestStatusLog(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		var log bytes.Buffer
		v := i.verifier(t, verify.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		// An outage shorter than the keys are fresh, so that only the list is missed.
		for range 2 {
			use(t, v, key, time.Second, 20*time.Second)
			i.set(func() { delete(i.others, listPath) })
			use(t, v, key, time.Second, time.Minute)
			i.serveList(l)
			use(t, v, key, time.Second, 20*time.Second)
		}
		v.Close()
		text := log.String()
		if strings.Count(text, "level=WARN") != 2 || strings.Count(text, "level=INFO") != 2 || strings.Count(text, "\n") != 4 || !strings.Contains(text, "status 404") {
			t.Errorf("logged %s, want a warning and the recovery, twice", text)
		}
	})
}

// TestClosedWithLists holds that a closed verifier goes on with what it has, until
// that has expired. That no goroutine is left is what every bubble holds.
func TestClosedWithLists(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		expectToken(t, v, key.listed(0), nil)
		v.Close()
		n := len(i.requests)
		use(t, v, key, time.Minute, 30*time.Minute)
		expectToken(t, v, key.listed(0), verify.ErrUnavailable)
		other := key.token(object{"status": object{"status_list": object{"idx": 0, "uri": issuerURL + "/oauth/status/1"}}})
		expectToken(t, v, other, verify.ErrUnavailable)
		if len(i.requests) != n {
			t.Errorf("requests after Close: %v", i.requests[n:])
		}
	})
}

// TestCloseDuringFetch holds that Close does not wait for an issuer that hangs.
func TestCloseDuringFetch(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		var log bytes.Buffer
		v := i.verifier(t, verify.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		expect(t, v, key, nil)
		i.set(func() { i.hold = make(chan struct{}) })
		var tokens sync.WaitGroup
		tokens.Go(func() { expectToken(t, v, key.listed(0), verify.ErrUnavailable) })
		synctest.Wait()
		start := time.Now()
		v.Close()
		tokens.Wait()
		if waited := time.Since(start); waited != 0 || log.Len() != 0 {
			t.Errorf("Close waited for %v, and logged %q", waited, log.String())
		}
	})
}

// TestRotationWithLists holds that no token is refused while keys change and the
// lists are signed with them: 20 times, each new key published before it signs.
func TestRotationWithLists(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		old := key
		for n := range 20 {
			next := newES256(fmt.Sprint("next", n), byte(n+2))
			i.publish(old, next)
			use(t, v, old, 2*time.Second, 6*time.Minute) // longer than keys are fresh
			i.set(func() { l.key = next })
			use(t, v, next, time.Second, time.Minute)
			use(t, v, old, 3*time.Second, 9*time.Minute)
			i.publish(next)
			old = next
		}
		use(t, v, old, time.Second, time.Minute)
		// Each list is of its time: with the last key gone, so is the last list.
		i.publish(newES256("new", 99))
		time.Sleep(11 * time.Minute)
		expectToken(t, v, old.listed(0), verify.ErrSignature)
	})
}

// TestListOfUnpublishedKey holds that a list signed with a key that was not published
// before it signs fetches the keys, and that such lists do so no more often than
// such tokens (M-07).
func TestListOfUnpublishedKey(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		use(t, v, key, time.Second, time.Minute)
		next := newES256("2", 2)
		i.publish(key, next)
		i.set(func() { l.key = next; l.revoke(0) })
		time.Sleep(10 * time.Second)
		expectToken(t, v, key.listed(0), verify.ErrRevoked)

		i.set(func() { l.key = newES256("3", 3); l.revoke() })
		n := i.fetches()
		time.Sleep(time.Minute)
		for range 60 {
			expectToken(t, v, key.listed(0), verify.ErrRevoked) // the last list that could be believed
			time.Sleep(time.Second)
		}
		if more := i.fetches() - n; more > 5 {
			t.Errorf("the keys were fetched %d times in 2 minutes", more)
		}
	})
}

// TestSettings holds which settings of status lists and introspection are refused.
func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		issuer string
		option verify.Option
		ok     bool
	}{
		{"a second", issuerURL, verify.WithStatusTTL(time.Second), true},
		{"less than a second", issuerURL, verify.WithStatusTTL(time.Second - 1), false},
		{"none", issuerURL, verify.WithStatusTTL(0), false},
		{"no outage", issuerURL, verify.WithOutage(verify.Outage(7)), false},
		{"introspection", issuerURL, verify.WithIntrospection("a", "b", 0), true},
		{"introspection on this machine", "http://localhost:8080", verify.WithIntrospection("a", "b", 0), true},
		{"introspection without id", issuerURL, verify.WithIntrospection("", "b", 0), false},
		{"introspection without secret", issuerURL, verify.WithIntrospection("a", "", 0), false},
		{"introspection with a negative age", issuerURL, verify.WithIntrospection("a", "b", -1), false},
		{"introspection without TLS", "http://auth.example", verify.WithIntrospection("a", "b", 0), false},
	} {
		_, err := verify.New(tt.issuer, audience, tt.option, verify.WithJWKSURL(jwksURL))
		if (err == nil) != tt.ok {
			t.Errorf("New with %s = %v, want ok %v", tt.name, err, tt.ok)
		}
	}
}

// TestOlderListIsNotTaken holds that a server which has lost touch with the others brings no
// revoked token back, while clocks that are a little apart keep no newer list out.
func TestOlderListIsNotTaken(t *testing.T) {
	watched(t, func(t *testing.T, i *issuer, l *list, key signer) {
		v := i.verifier(t)
		time.Sleep(5 * time.Minute)
		revoked := object{"status": object{"status_list": object{"idx": 3, "uri": listURL}}}
		l.revoke(3)
		expectToken(t, v, key.token(revoked), verify.ErrRevoked)

		stale := newList(key)
		stale.claims = object{"iat": time.Now().Add(-2 * time.Minute).Unix()}
		i.serveList(stale)
		for range 10 {
			time.Sleep(10 * time.Second)
			expectToken(t, v, key.token(revoked), verify.ErrRevoked)
		}

		slow := newList(key, 4)
		slow.claims = object{"iat": time.Now().Add(-2 * time.Minute).Unix()} // a minute before the one that is held
		i.serveList(slow)
		time.Sleep(11 * time.Second)
		expectToken(t, v, key.listed(4), verify.ErrRevoked)
	})
}
