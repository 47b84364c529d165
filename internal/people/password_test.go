package people

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHashes(t *testing.T) {
	h := newHasher()
	hash := h.hash("correct horse")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=5,p=1$") {
		t.Errorf("hash = %q, want a PHC string of argon2id", hash)
	}
	h.cost = cheap
	cheaper := h.hash("correct horse")
	if again := h.hash("correct horse"); again == cheaper {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	// Made by the reference implementation: argon2 -id -t 2 -m 16 -p 1.
	reference := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, tt := range []struct {
		name, hash, password string
		right, fresh         bool
	}{
		{"right", cheaper, "correct horse", true, false},
		{"another letter", cheaper, "Correct horse", false, false},
		{"a blank more", cheaper, "correct horse ", false, false},
		{"none", cheaper, "", false, false},
		{"another cost", hash, "correct horse", true, true},
		{"another cost, wrong", hash, "correct house", false, false},
		{"the reference", reference, "password", true, true},
	} {
		fresh, right := h.check(tt.hash, tt.password)
		if right != tt.right || (fresh != "") != tt.fresh {
			t.Errorf("%s: check = %q, %t", tt.name, fresh, right)
		}
		if _, right := h.check(fresh, tt.password); right != tt.fresh {
			t.Errorf("%s: the new hash %q opens: %t", tt.name, fresh, right)
		}
	}
}

// What is no hash, or one that must not be computed, takes the work of a wrong password.
func TestWhatIsNoHash(t *testing.T) {
	h := newHasher()
	h.cost = cheap
	var computed []cost
	h.derive = func(password, salt []byte, c cost, length int) []byte {
		computed = append(computed, c)
		return argon(password, salt, cheap, length)
	}
	good := h.hash("p")
	cut := strings.LastIndex(good, "$") + 1
	for _, hash := range []string{
		"", "p", "$", "$$$$$", good + "$", "x" + good, strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "t=1,", "", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "p=1", "p=257", 1), strings.Replace(good, "p=1", "p=1x", 1), strings.Replace(good, "t=1", "t=+1", 1),
		strings.Replace(good, "m=8", "m=-1", 1), strings.Replace(good, "m=8", "m=4194304", 1), strings.Replace(good, "t=1", "t=1000", 1),
		strings.Replace(good, "p=1", "p=255", 1), strings.Replace(good, "m=8", "m=4294967304", 1),
		good[:cut], good[:cut] + "AAAA", good[:len(good)-1] + "!", good + strings.Repeat("AAAA", 1000),
	} {
		computed = nil
		if _, right := h.check(hash, "p"); right || len(computed) != 1 || computed[0] != cheap {
			t.Errorf("check(%q) = %t, and computed %v", hash, right, computed)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	for _, tt := range []struct {
		name, email, password, detail string
	}{
		{"long enough", "ann@example.com", "twelve chars", ""},
		{"too short", "ann@example.com", "eleven char", "has 11 characters; choose one of at least 12"},
		{"none", "ann@example.com", "", "has 0 characters"},
		{"characters, not bytes", "ann@example.com", strings.Repeat("å", 11), "has 11 characters"},
		{"twelve of two bytes", "ann@example.com", strings.Repeat("å", 12), ""},
		{"as long as may be", "ann@example.com", strings.Repeat("x", 1024), ""},
		{"too long", "ann@example.com", strings.Repeat("x", 1025), "at most 1024 bytes"},
		{"the e-mail", "ann@example.com", "ann@example.com", "contains the e-mail"},
		{"the e-mail in it", "ann@example.com", "my ANN@Example.COM!", "contains the e-mail"},
		{"the e-mail as typed", " Ann@Example.com ", "ann@example.com1", "contains the e-mail"},
		{"the local part", "anna@example.com", "i am ANNA the admin", "contains the e-mail"},
		{"a short local part", "ann@example.com", "i am ann the admin", ""},
		{"the domain", "ann@example.com", "example.com 1234", ""},
	} {
		p := &People{hashes: newHasher()}
		p.hashes.cost = cheap
		password, err := p.NewPassword(t.Context(), tt.email, tt.password)
		invalid, broken := errors.AsType[Invalid](err)
		if broken != (tt.detail != "") || !strings.Contains(invalid.Detail, tt.detail) || (password.hash == "") != broken {
			t.Errorf("%s: NewPassword = %v; want %q", tt.name, err, tt.detail)
		}
		if password.Reveal() != "" || password.oneTime() {
			t.Errorf("%s: a chosen password is told", tt.name)
		}
	}
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	p := &People{hashes: newHasher()}
	p.hashes.cost = cheap
	password, err := p.OneTimePassword(t.Context())
	must(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "password", password, "in", []any{password})
	text, err := json.Marshal(map[string]any{"password": password})
	must(t, err)
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d", password, password, password, password, password, password, []any{&password}) + log.String() + string(text)
	if strings.Contains(all, password.Reveal()) || strings.Contains(all, "argon2id") || len(password.Reveal()) != 26 {
		t.Errorf("%q is printed: %s", password.Reveal(), all)
	}
}

// Two hashes run at once and twenty wait, in their order and for five seconds at most.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		first, err := turns.take(t.Context())
		must(t, err)
		second, err := turns.take(t.Context())
		must(t, err)

		ctx, leave := context.WithCancel(t.Context())
		ends := make([]error, maxWaiting)
		var wg sync.WaitGroup
		for i := range maxWaiting {
			wg.Go(func() {
				var done func()
				if done, ends[i] = turns.take(ctx); done != nil {
					time.Sleep(2 * time.Second)
					done()
				}
			})
			synctest.Wait()
		}
		begin := time.Now()
		if _, err := turns.take(t.Context()); !errors.Is(err, ErrBusy) || time.Since(begin) > 0 {
			t.Errorf("with twenty waiting: %v after %s; want ErrBusy at once", err, time.Since(begin))
		}
		time.Sleep(4 * time.Second)
		first() // the first that waits goes on, until the patience of the others is at its end
		wg.Wait()
		for i, err := range ends {
			if i == 0 && err != nil || i > 0 && !errors.Is(err, ErrBusy) {
				t.Errorf("number %d of those that waited: %v", i, err)
			}
		}
		if waited := time.Since(begin); waited != 6*time.Second {
			t.Errorf("the last went after %s", waited)
		}

		third, err := turns.take(ctx)
		must(t, err)
		time.AfterFunc(time.Second, leave)
		if _, err := turns.take(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("left: %v; want context.Canceled", err)
		}
		second()
		third()
		if len(turns.running)+len(turns.waiting) != 0 {
			t.Errorf("%d run and %d wait when all are gone", len(turns.running), len(turns.waiting))
		}
	})
}

func TestTwoHashesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &People{hashes: newHasher()}
		var mu sync.Mutex
		var running, most int
		add := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		p.hashes.derive = func(_, _ []byte, _ cost, length int) []byte {
			add(1)
			defer add(-1)
			time.Sleep(100 * time.Millisecond)
			return make([]byte, length)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := p.OneTimePassword(t.Context())
				must(t, err)
			})
		}
		wg.Wait()
		if most != 2 {
			t.Errorf("%d hashes ran at once", most)
		}
	})
}
