package people

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	office = "2001:db8:1:2::1"
	abroad = "198.51.100.1"
)

// fail gives a wrong password so many times, and returns what the last one came to.
func (w world) fail(t *testing.T, times int, email, address string, now time.Time) (err error) {
	t.Helper()
	for range times {
		err = w.tryToSignIn(t.Context(), email, "wrong", address, now)
	}
	return err
}

// A stranger who takes each try as soon as there is one, from changing addresses, never holds up
// ann where she signed in before. To the stranger her account is like one that does not exist:
// her sign-ins neither show nor give more tries.
func TestStrangersHoldUpNobodyWhoIsKnown(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, office, noon))
		type answer struct {
			err    error
			hashes int64
		}
		var tries, checked int
		guess := func(email string, now time.Time) answer {
			tries++
			before := w.hashed.Load()
			err := w.tryToSignIn(t.Context(), email, "wrong", "2001:db8:f:"+strconv.Itoa(tries)+"::1", now)
			return answer{err, w.hashed.Load() - before}
		}
		for now, end := noon, noon.Add(time.Hour); now.Before(end); {
			got, want := guess("ann@example.com", now), guess("nobody@example.com", now)
			if got != want {
				t.Fatalf("at %s: %+v; without an account %+v", now, got, want)
			}
			for _, address := range []string{home, office, "2001:db8:1:2:ffff::"} {
				if err := w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, address, now); err != nil {
					t.Fatalf("at %s: ann at %s: %v", now, address, err)
				}
			}
			if early, blocked := errors.AsType[TooSoon](got.err); blocked {
				now = now.Add(early.RetryAfter)
			} else {
				checked++
			}
		}
		// Five for nothing, those with waits of 1 to 32 seconds, and one for each minute that is left.
		if most := freeFailures + 6 + 60; checked > most || checked < 60 {
			t.Errorf("the stranger had %d passwords checked in an hour; want at most %d", checked, most)
		}
	})
}

// Guessing where an account is known is slowed down like anywhere else, and on all servers at
// once gives the tries of each such address beside those of all strangers together.
func TestTriesAtOnceWhereKnown(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, office, noon))
		other := w.another()
		before := w.hashed.Load()
		var wg sync.WaitGroup
		for i := range 3 * (freeFailures + 2) { // no more than may wait for their turn
			server, address := []world{w, other}[i%2], []string{home, office, numbered("198.51.100.#")(i)}[i%3]
			wg.Go(func() { _ = server.tryToSignIn(t.Context(), "ann@example.com", "wrong", address, noon) })
		}
		wg.Wait()
		if n := w.hashed.Load() - before + other.hashed.Load(); n != 3*(freeFailures+1) {
			t.Errorf("%d passwords were checked; want %d", n, 3*(freeFailures+1))
		}
		for _, address := range []string{home, office, abroad} {
			if err := w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, address, noon); !errors.Is(err, TooSoon{time.Second}) {
				t.Errorf("ann at %s: %v; want TooSoon", address, err)
			}
		}
	})
}

// An address is known for 30 days after the last sign-in from there, to the account that signed
// in; not to another, nor to one that gets its e-mail later.
func TestKnownAddresses(t *testing.T) {
	const day = 24 * time.Hour
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		w.make(t, "cy@example.com", Owner)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon.Add(-day)))
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		must(t, w.tryToSignIn(t.Context(), "cy@example.com", annsPassword, office, noon))
		for _, tt := range []struct {
			name, address string
			now           time.Time
			known         bool
		}{
			{"at once", home, noon, true},
			{"at the end", home, noon.Add(30*day - time.Second), true},
			{"afterwards", home, noon.Add(30 * day), false},
			{"elsewhere", abroad, noon.Add(day), false},
			{"where another signed in", office, noon.Add(2 * day), false},
		} {
			_ = w.fail(t, freeFailures+1, "ann@example.com", "203.0.113.1", tt.now)
			_, blocked := errors.AsType[TooSoon](w.fail(t, 1, "ann@example.com", tt.address, tt.now))
			if blocked == tt.known {
				t.Errorf("%s: blocked by strangers: %t", tt.name, blocked)
			}
			w.exec(t, `DELETE FROM sign_in_failures`)
		}
		must(t, w.Remove(t.Context(), ann.ID, noon))
		w.make(t, "ann@example.com", Owner)
		_ = w.fail(t, freeFailures+1, "ann@example.com", abroad, noon)
		if err := w.fail(t, 1, "ann@example.com", home, noon); !errors.Is(err, TooSoon{time.Second}) {
			t.Errorf("another with the e-mail, at home: %v; want TooSoon", err)
		}
	})
}

func TestPurgeForgetsAddresses(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, office, noon.Add(time.Second)))
		must(t, w.Purge(t.Context(), noon.Add(knownFor)))
		var left string
		must(t, w.db.QueryRow(t.Context(), `SELECT address FROM sign_in_addresses`).Scan(&left))
		if n := w.count(t, `SELECT count(*) FROM sign_in_addresses`); n != 1 || left != "2001:db8:1:2::/64" {
			t.Errorf("%d addresses are left, such as %s", n, left)
		}
	})
}

// Success where the account is known takes nothing back of what strangers did.
func TestSuccessWhereKnownForgetsNoStrangers(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		_ = w.fail(t, freeFailures+1, "ann@example.com", abroad, noon)
		_ = w.fail(t, freeFailures-1, "ann@example.com", home, noon)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		if err := w.fail(t, 1, "ann@example.com", "203.0.113.1", noon); !errors.Is(err, TooSoon{time.Second}) {
			t.Errorf("a stranger: %v; want TooSoon", err)
		}
		if n := w.count(t, `SELECT count(*) FROM sign_in_failures WHERE subject LIKE '% at %'`); n != 0 {
			t.Error("what failed at home is not forgotten")
		}
	})
}

// A reset forgets all that failed for the account, wherever that was, and nothing else.
func TestResetForgetsFailures(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		must(t, w.tryToSignIn(t.Context(), ann.Email, annsPassword, home, noon))
		must(t, w.tryToSignIn(t.Context(), ann.Email, annsPassword, office, noon))
		for _, address := range []string{home, office, abroad} {
			_ = w.fail(t, 1, ann.Email, address, noon)
		}
		_ = w.fail(t, freeFailures+1, ann.Email, "203.0.113.1", noon)
		_ = w.fail(t, 1, "bo@example.com", "203.0.113.2", noon)
		_ = w.ChangePassword(t.Context(), PasswordChange{PersonID: ann.ID, Current: "wrong", New: "another good one"}, noon)
		password, err := w.OneTimePassword(t.Context())
		must(t, err)
		must(t, w.ResetPassword(t.Context(), ann.ID, password, noon))
		if n := w.count(t, `SELECT count(*) FROM sign_in_failures WHERE subject NOT LIKE 'address %'`); n != 1 {
			t.Errorf("%d accounts have failures; want that of bo", n)
		}
		must(t, w.tryToSignIn(t.Context(), ann.Email, password.Reveal(), abroad, noon))
	})
}

// A one-time password opens nothing from the seventh day on, and whoever gives it learns no more
// than from a wrong one.
func TestOneTimePasswordsEnd(t *testing.T) {
	const ended = `{"reason":{"after":"one-time password has ended"}}`
	end := noon.Add(7 * 24 * time.Hour)
	each(t, func(t *testing.T, w world) {
		first, err := w.OneTimePassword(t.Context())
		must(t, err)
		ann := &Person{Email: "ann@example.com", Role: Owner}
		must(t, w.Create(t.Context(), ann, first, noon))
		must(t, w.tryToSignIn(t.Context(), ann.Email, first.Reveal(), home, end.Add(-time.Second)))

		recorded, hashes := len(w.events(t, 0)), w.hashed.Load()
		if err := w.tryToSignIn(t.Context(), ann.Email, first.Reveal(), home, end); err != ErrSignIn { //nolint:errorlint // the very same error
			t.Errorf("SignIn with a password that has ended = %v", err)
		}
		if n := w.hashed.Load() - hashes; n != 1 {
			t.Errorf("%d hashes were computed; want 1", n)
		}
		w.wantEvents(t, recorded, `nobody session.sign_in_failed admin ann@example.com `+ended)
		_ = w.fail(t, 1, ann.Email, home, end)
		if got := w.events(t, recorded+1)[0]; strings.Contains(got, "ended") {
			t.Errorf("a wrong password is recorded as %s", got)
		}
		_ = w.fail(t, freeFailures-2, ann.Email, home, end)
		if err := w.tryToSignIn(t.Context(), ann.Email, first.Reveal(), home, end); !errors.Is(err, ErrSignIn) {
			t.Errorf("the sixth failure = %v", err)
		}
		if err := w.tryToSignIn(t.Context(), ann.Email, first.Reveal(), home, end); !errors.Is(err, TooSoon{time.Second}) {
			t.Errorf("after six failures: %v; want TooSoon", err)
		}
		change := PasswordChange{PersonID: ann.ID, Current: first.Reveal(), New: "another good one"}
		if err := w.ChangePassword(t.Context(), change, end); !errors.Is(err, ErrWrongPassword) {
			t.Errorf("ChangePassword = %v; want ErrWrongPassword", err)
		}

		second, err := w.OneTimePassword(t.Context())
		must(t, err)
		must(t, w.ResetPassword(t.Context(), ann.ID, second, end))
		must(t, w.tryToSignIn(t.Context(), ann.Email, second.Reveal(), abroad, end))
		change.Current = second.Reveal()
		must(t, w.ChangePassword(t.Context(), change, end))
		must(t, w.tryToSignIn(t.Context(), ann.Email, change.New, home, end.Add(365*24*time.Hour)))
		if got := w.read(t, ann.ID); got.OneTimePassword || !got.OneTimeUntil.IsZero() {
			t.Errorf("with a password of their own: %+v", got)
		}
	})
}
