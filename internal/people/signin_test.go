package people

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
)

// Whoever is wrong gets the same answer for the same work, whatever is wrong.
func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		for i, tt := range []struct {
			name, email, password string
			want                  error
		}{
			{"right", "ann@example.com", annsPassword, nil},
			{"written otherwise", " Ann@EXAMPLE.com", annsPassword, nil},
			{"wrong password", "ann@example.com", "correct horse", ErrSignIn},
			{"no password", "ann@example.com", "", ErrSignIn},
			{"a long password", "ann@example.com", strings.Repeat("x", 1<<16), ErrSignIn},
			{"the hash", "ann@example.com", "$argon2id$", ErrSignIn},
			{"unknown", "bo@example.com", annsPassword, ErrSignIn},
			{"no e-mail", "ann", annsPassword, ErrSignIn},
			{"nothing", "", "", ErrSignIn},
			{"no text", "ann\x00@example.com", annsPassword, ErrSignIn},
			{"no UTF-8", "\xff\xfe", "\xff\xfe", ErrSignIn},
			{"a long e-mail", strings.Repeat("x", 1<<16), annsPassword, ErrSignIn},
		} {
			before := w.hashed.Load()
			now := noon.Add(time.Duration(i) * 2 * time.Hour)                                        // nothing is slow yet
			if err := w.tryToSignIn(t.Context(), tt.email, tt.password, home, now); err != tt.want { //nolint:errorlint // the very same error
				t.Errorf("%s: SignIn = %v; want %v", tt.name, err, tt.want)
			}
			if n := w.hashed.Load() - before; n != 1 {
				t.Errorf("%s: %d hashes were computed; want 1", tt.name, n)
			}
		}
		if got := w.read(t, ann.ID).LastSignInAt; !got.Equal(noon.Add(2 * time.Hour)) {
			t.Errorf("the last sign-in was at %s", got)
		}
	})
}

func TestFailedSignInsAreRecorded(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		ctx := audit.With(t.Context(), audit.Origin{Actor: audit.Actor{Kind: audit.Admin, ID: "another"}, RequestID: "r1"})
		_ = w.tryToSignIn(ctx, "ann@example.com", "wrong", "192.0.2.9", noon)
		_ = w.tryToSignIn(ctx, "bo@example.com", "wrong", "192.0.2.9", noon)
		w.wantEvents(t, 1, `nobody session.sign_in_failed admin ann@example.com {"reason":{"after":"wrong e-mail or password"}}`,
			`nobody session.sign_in_failed admin {"account":{"after":"unknown"},"reason":{"after":"wrong e-mail or password"}}`)
		events, err := w.log.Events(t.Context(), audit.Filter{}, 0, 1)
		must(t, err)
		if e := events[0]; e.IP != "192.0.2.9" || e.RequestID != "r1" || !e.At.Equal(noon) {
			t.Errorf("the event is %+v", e)
		}
	})
}

// Those who hang up while the password is being checked are recorded like any other.
func TestHangingUpIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		ctx, leave := context.WithCancel(t.Context())
		derive := w.hashes.derive
		w.hashes.derive = func(password, salt []byte, c cost, length int) []byte {
			leave()
			return derive(password, salt, c, length)
		}
		if err := w.tryToSignIn(ctx, "ann@example.com", "wrong", home, noon); !errors.Is(err, ErrSignIn) {
			t.Errorf("SignIn = %v", err)
		}
		if n := len(w.events(t, 1)); n != 1 {
			t.Errorf("%d events; want one", n)
		}
	})
}

func TestSubjects(t *testing.T) {
	for _, tt := range []struct{ address, want string }{
		{"192.0.2.1", "address 192.0.2.1"},
		{"::ffff:192.0.2.1", "address 192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"},
		{"2001:db8:1:2::1", "address 2001:db8:1:2::/64"},
		{"2001:db8:1:3::1", "address 2001:db8:1:3::/64"},
		{"fe80::1%eth0", "address fe80::/64"},
		{"@", "address @"},
		{"a\x00b\xff", "address ab\ufffd"},
		{strings.Repeat("x", 1000), "address " + strings.Repeat("x", 200)},
	} {
		if got := addressSubject(network(tt.address)).key; got != tt.want {
			t.Errorf("addressSubject(%q) = %q; want %q", tt.address, got, tt.want)
		}
	}
	p, other := New(nil, audit.NewLog(nil, []byte("key"))), New(nil, audit.NewLog(nil, []byte("another key")))
	key := p.accountSubject("ann@example.com").key
	if strings.Contains(key, "ann") || key == p.accountSubject("bo@example.com").key || key == other.accountSubject("ann@example.com").key {
		t.Errorf("accountSubject = %q, which must differ by e-mail and by key", key)
	}
}

// After five failures each further one doubles a wait, for an account from wherever it is tried
// and for an address whatever is tried there, whether there is such an account or not. A right
// password has to wait like any other, and nothing is hashed meanwhile.
func TestWaits(t *testing.T) {
	account := []int{0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60}
	address := []int{0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		w.make(t, "cy@example.com", Owner)
		for _, tt := range []struct {
			name  string
			email func(i int) string // of the try
			from  func(i int) string
			right string // e-mail whose password is right, but for the wait
			waits []int
		}{
			{"an account", always("ann@example.com"), numbered("198.51.100.#"), "ann@example.com", account},
			{"an unknown account", always("bo@example.com"), numbered("203.0.113.#"), "bo@example.com", account},
			{"an address", numbered("x#@example.com"), always("192.0.2.77"), "cy@example.com", address},
			{"a network", numbered("y#@example.com"), numbered("2001:db8::#"), "cy@example.com", address},
		} {
			now := noon
			for i, want := range tt.waits {
				if err := w.tryToSignIn(t.Context(), tt.email(i), "wrong", tt.from(i), now); !errors.Is(err, ErrSignIn) {
					t.Fatalf("%s, try %d: %v", tt.name, i+1, err)
				}
				if want == 0 {
					continue
				}
				wait := time.Duration(want) * time.Second
				before := w.hashed.Load()
				for _, early := range []time.Duration{0, wait - time.Second, wait - 1} {
					err := w.tryToSignIn(t.Context(), tt.right, annsPassword, tt.from(99), now.Add(early))
					if left := (wait - early + time.Second - 1).Truncate(time.Second); err != (TooSoon{left}) { //nolint:errorlint // the very same error
						t.Fatalf("%s, after try %d and %s: %v; want to wait %s", tt.name, i+1, early, err, left)
					}
				}
				if w.hashed.Load() != before {
					t.Fatalf("%s: a hash was computed during the wait", tt.name)
				}
				now = now.Add(wait)
			}
		}
	})
}

// Waits are kept in whole seconds, and are never shorter than they should be.
func TestWaitsFromTheMiddleOfASecond(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		now := noon.Add(900 * time.Millisecond)
		for range 6 {
			_ = w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, now)
		}
		if err := w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, now.Add(time.Second-1)); !errors.Is(err, TooSoon{time.Second}) {
			t.Errorf("before the second is over: %v; want TooSoon", err)
		}
		if err := w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, noon.Add(2*time.Second)); !errors.Is(err, ErrSignIn) {
			t.Errorf("afterwards: %v; want ErrSignIn", err)
		}
	})
}

func always(text string) func(int) string { return func(int) string { return text } }

// numbered is text with a number in place of its #.
func numbered(text string) func(int) string {
	return func(i int) string { return strings.Replace(text, "#", strconv.Itoa(i+1), 1) }
}

func TestFailuresAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		fail := func(n int, now time.Time) (err error) {
			for range n {
				err = w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, now)
			}
			return err
		}
		_ = fail(5, noon)
		if err := fail(2, noon.Add(time.Hour-time.Second)); !errors.Is(err, TooSoon{time.Second}) {
			t.Errorf("within the hour: %v; want TooSoon", err)
		}
		if err := fail(6, noon.Add(3*time.Hour)); !errors.Is(err, ErrSignIn) {
			t.Errorf("after an hour: %v; want ErrSignIn", err)
		}
	})
}

// Success forgets what failed for the account, and nothing of what failed at the address: it is
// as if that try had not been.
func TestSuccessForgets(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		standing := func(s subject, now time.Time) standing {
			all, err := w.standings(t.Context(), []subject{s}, now)
			must(t, err)
			return all[0]
		}
		account, address := w.accountSubject("ann@example.com").at(home), addressSubject(network(home))
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		if n := w.count(t, `SELECT count(*) FROM sign_in_failures`); n != 0 {
			t.Errorf("%d subjects failed; want none", n)
		}
		for range 6 {
			_ = w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, noon)
		}
		before := standing(address, noon)
		now := noon.Add(time.Minute)
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, now))
		if got := standing(account, now); got.failures != 0 {
			t.Errorf("the account has %d failures", got.failures)
		}
		if got := standing(address, now); got != before || got.failures != 6 {
			t.Errorf("the address stands %+v; before %+v", got, before)
		}
	})
}

// Guessing on two servers at once gives no more tries than one after the other.
func TestTriesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		other := w.another()
		before := w.hashed.Load()
		var wg sync.WaitGroup
		for i := range 20 {
			server := []world{w, other}[i%2]
			wg.Go(func() {
				err := server.tryToSignIn(t.Context(), "ann@example.com", "wrong", numbered("192.0.2.#")(i), noon)
				if _, early := errors.AsType[TooSoon](err); !early && !errors.Is(err, ErrSignIn) {
					t.Errorf("SignIn = %v", err)
				}
			})
		}
		wg.Wait()
		if n := w.hashed.Load() - before + other.hashed.Load(); n != freeFailures+1 {
			t.Errorf("%d passwords were checked; want %d", n, freeFailures+1)
		}
	})
}

// A flood that comes too soon is one event for each wait of the account or of the address.
func TestRefusalsAreRecordedOnce(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		const ann, unknown = `nobody session.sign_in_failed admin ann@example.com `, `nobody session.sign_in_failed admin {"account":{"after":"unknown"},`
		const wrong, early = `"reason":{"after":"wrong e-mail or password"}}`, `"reason":{"after":"too soon after other failures"}}`
		flood := func(email, address string, now time.Time) {
			for i := range 6 {
				_ = []world{w, w.another()}[i%2].tryToSignIn(t.Context(), email, "wrong", address, now)
			}
		}
		for range 5 {
			_ = w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, noon)
		}
		recorded := len(w.events(t, 0))
		flood("ann@example.com", home, noon)
		flood("ann@example.com", home, noon)
		w.wantEvents(t, recorded, ann+`{`+wrong, ann+`{`+early)
		flood("bo@example.com", home, noon) // the address is known to wait
		flood("ann@example.com", "192.0.2.2", noon)
		w.wantEvents(t, recorded+2)
		flood("bo@example.com", home, noon.Add(time.Second)) // the next wait
		w.wantEvents(t, recorded+2, unknown+wrong, unknown+early)
	})
}

func TestRefusalsAtOnceAreRecordedOnce(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		for range 6 {
			_ = w.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, noon)
		}
		var wg sync.WaitGroup
		for i := range 10 {
			server := []world{w, w.another()}[i%2]
			wg.Go(func() { _ = server.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, noon) })
		}
		wg.Wait()
		if n := len(w.events(t, 6)); n != 1 {
			t.Errorf("%d refusals are recorded; want one", n)
		}
	})
}

// A hash of another cost is written anew when its password was right, and only then.
func TestHashesAreRaised(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		raised := w.another()
		raised.hashes.cost = cost{memory: 16, passes: 2, lanes: 1}
		hash := func() string { return w.hashOf(t, ann.ID) }
		before := hash()
		_ = raised.tryToSignIn(t.Context(), "ann@example.com", "wrong", home, noon)
		if got := hash(); got != before {
			t.Errorf("a wrong password changed the hash to %s", got)
		}
		must(t, raised.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
		if got := hash(); !strings.Contains(got, "$m=16,t=2,p=1$") {
			t.Errorf("the hash is %s", got)
		}
		must(t, raised.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon))
	})
}

// Whoever gave the right password when it was taken away, or its owner, is not let in.
func TestChangedWhileChecked(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		derive := w.hashes.derive
		for name, statement := range map[string]string{
			"another password": `UPDATE admins SET password_hash = 'x' WHERE id = $1`,
			"removed":          `DELETE FROM admins WHERE id = $1`,
		} {
			w.exec(t, `DELETE FROM admins`)
			w.hashes.derive = derive
			ann := w.make(t, "ann@example.com", Owner)
			change := PasswordChange{PersonID: ann.ID, Current: annsPassword, New: "another good one"}
			hash := w.hashOf(t, ann.ID)
			w.hashes.derive = func(password, salt []byte, c cost, length int) []byte {
				w.exec(t, statement, ann.ID)
				return derive(password, salt, c, length)
			}
			if err := w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon); !errors.Is(err, ErrSignIn) {
				t.Errorf("%s: SignIn = %v; want ErrSignIn", name, err)
			}
			if name == "removed" {
				continue
			}
			w.exec(t, `UPDATE admins SET password_hash = $1`, hash)
			if err := w.ChangePassword(t.Context(), change, noon); !errors.Is(err, ErrWrongPassword) {
				t.Errorf("%s: ChangePassword = %v; want ErrWrongPassword", name, err)
			}
		}
	})
}

// When all hashes are taken there is no answer about the password, and nothing was counted.
func TestBusy(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		for range maxRunning {
			done, err := w.hashes.turns.take(t.Context())
			must(t, err)
			defer done()
		}
		for range maxWaiting {
			w.hashes.turns.waiting <- struct{}{}
		}
		for name, act := range map[string]func() error{
			"SignIn":          func() error { return w.tryToSignIn(t.Context(), "ann@example.com", annsPassword, home, noon) },
			"NewPassword":     func() error { _, err := w.NewPassword(t.Context(), "", annsPassword); return err },
			"OneTimePassword": func() error { _, err := w.OneTimePassword(t.Context()); return err },
		} {
			if err := act(); !errors.Is(err, ErrBusy) {
				t.Errorf("%s = %v; want ErrBusy", name, err)
			}
		}
		if n := w.count(t, `SELECT count(*) FROM sign_in_failures`); n != 0 {
			t.Errorf("%d subjects failed", n)
		}
	})
}

// A store that is away is no wrong password.
func TestStoreAway(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		in := w.begin(t, t.Context())
		away, leave := context.WithCancel(t.Context())
		leave()
		ctx, err := w.sessions.Load(withCookie(in.Cookie).WithContext(away))
		if err == nil || errors.Is(err, ErrNotFound) || Current(ctx) != nil {
			t.Errorf("Load = %v, %v", Current(ctx), err)
		}
		_, signInErr := w.sessions.SignIn(away, Attempt{Email: "ann@example.com", Password: annsPassword})
		_, readErr := w.Person(away, "x")
		for _, err := range []error{signInErr, readErr} {
			if err == nil || slices.ContainsFunc([]error{ErrSignIn, ErrNotFound, ErrBusy}, func(known error) bool { return errors.Is(err, known) }) {
				t.Errorf("the error is %v", err)
			}
		}
	})
}
