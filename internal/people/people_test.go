package people

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
)

func TestEmails(t *testing.T) {
	for _, tt := range []struct{ typed, want string }{
		{"ann@example.com", "ann@example.com"},
		{" Ann@Example.COM\t", "ann@example.com"},
		{"admin@localhost", "admin@localhost"},
		{"o'neil+x@sub.example.com", "o'neil+x@sub.example.com"},
		{"åsa@example.com", "åsa@example.com"},
		{strings.Repeat("x", 242) + "@example.com", strings.Repeat("x", 242) + "@example.com"},
		{strings.Repeat("x", 243) + "@example.com", ""},
		{"", ""},
		{"ann", ""},
		{"ann@", ""},
		{"@example.com", ""},
		{"Ann <ann@example.com>", ""},
		{"<ann@example.com>", ""},
		{"ann@example.com (Ann)", ""},
		{"ann@example.com, bo@example.com", ""},
		{"ann bo@example.com", ""},
		{`"ann bo"@example.com`, ""},
		{"ann\x00@example.com", ""},
		{"ann\n@example.com", ""},
		{"an\u200bn@example.com", ""},
		{"ann\xff@example.com", ""},
	} {
		got := fold(tt.typed)
		if err := checkEmail(got); (err == nil) != (tt.want != "") || err == nil && got != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.typed, got, err, tt.want)
		}
	}
}

func TestCreate(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		if any, err := w.Any(t.Context()); err != nil || any {
			t.Errorf("Any of nobody = %t, %v", any, err)
		}
		ann := w.make(t, " Ann@Example.com", Owner)
		password, err := w.OneTimePassword(t.Context())
		must(t, err)
		bo := &Person{Email: "bo@example.com", Role: Viewer}
		ctx := audit.With(t.Context(), audit.Origin{Actor: ann.Actor()})
		must(t, w.Create(ctx, bo, password, noon.Add(time.Second)))

		if any, err := w.Any(t.Context()); err != nil || !any {
			t.Errorf("Any = %t, %v", any, err)
		}
		want := Person{ID: bo.ID, Email: "bo@example.com", Role: Viewer, OneTimePassword: true, OneTimeUntil: noon.Add(7*24*time.Hour + time.Second), CreatedAt: noon.Add(time.Second)}
		if got := w.read(t, bo.ID); got != want || *bo != want {
			t.Errorf("Person = %+v, want %+v", got, want)
		}
		if got, err := w.ByEmail(t.Context(), "ANN@example.com "); err != nil || *got != *ann || got.OneTimePassword {
			t.Errorf("ByEmail = %+v, %v; want %+v", got, err, ann)
		}
		must(t, w.tryToSignIn(t.Context(), "bo@example.com", password.Reveal(), home, noon))
		w.wantEvents(t, 0, `server admin.create admin ann@example.com {"email":{"after":"ann@example.com"},"role":{"after":"owner"}}`,
			`admin ann@example.com admin.create admin bo@example.com {"email":{"after":"bo@example.com"},"role":{"after":"viewer"}}`)

		for _, tt := range []struct {
			email string
			role  Role
			want  error
		}{
			{"ANN@example.com", Admin, ErrEmailTaken},
			{"cy", Admin, Invalid{"/email", "must be an e-mail address, as name@example.com"}},
			{"cy@example.com", "root", Invalid{"/role", `must be "owner", "admin" or "viewer"`}},
		} {
			err := w.Create(t.Context(), &Person{Email: tt.email, Role: tt.role}, password, noon)
			if !errors.Is(err, tt.want) {
				t.Errorf("Create(%s, %s) = %v; want %v", tt.email, tt.role, err, tt.want)
			}
		}
		for _, unknown := range []string{"", "x", bo.ID + "x"} {
			if _, err := w.Person(t.Context(), unknown); !errors.Is(err, ErrNotFound) {
				t.Errorf("Person(%q) = %v", unknown, err)
			}
		}
		for _, unknown := range []string{"", "x", "x@example.com", "\x00", "\xff@example.com"} {
			if _, err := w.ByEmail(t.Context(), unknown); !errors.Is(err, ErrNotFound) {
				t.Errorf("ByEmail(%q) = %v", unknown, err)
			}
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		var want []string
		for i := range 5 {
			x := &Person{Email: "p" + strconv.Itoa(i) + "@example.com", Role: Viewer}
			must(t, w.Create(t.Context(), x, Password{}, noon.Add(time.Duration(i/2)*time.Second)))
			want = append(want, x.ID)
		}
		for i := 0; i < 4; i += 2 { // made in one second, they come by id
			slices.Sort(want[i : i+2])
		}
		var got []string
		page := Page{Limit: 2}
		for {
			some, err := w.List(t.Context(), page)
			must(t, err)
			if len(some) == 0 {
				break
			}
			for _, x := range some {
				got, page.After, page.AfterID = append(got, x.ID), x.CreatedAt, x.ID
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("List = %v; want %v", got, want)
		}
	})
}

func TestSetRole(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann, bo := w.make(t, "ann@example.com", Owner), w.make(t, "bo@example.com", Viewer)
		for _, tt := range []struct {
			name, id string
			role     Role
			want     error
		}{
			{"the last owner", ann.ID, Admin, ErrLastOwner},
			{"the last owner stays one", ann.ID, Owner, nil},
			{"another", bo.ID, Owner, nil},
			{"one of two owners", ann.ID, Admin, nil},
			{"the last owner again", bo.ID, Viewer, ErrLastOwner},
			{"no role", ann.ID, "Owner", Invalid{"/role", `must be "owner", "admin" or "viewer"`}},
			{"nobody", "x", Admin, ErrNotFound},
		} {
			if err := w.SetRole(t.Context(), tt.id, tt.role, noon); !errors.Is(err, tt.want) {
				t.Errorf("%s: SetRole = %v; want %v", tt.name, err, tt.want)
			}
		}
		if a, b := w.read(t, ann.ID).Role, w.read(t, bo.ID).Role; a != Admin || b != Owner {
			t.Errorf("the roles are %s and %s", a, b)
		}
		w.wantEvents(t, 2, `server admin.update admin bo@example.com {"role":{"before":"viewer","after":"owner"}}`,
			`server admin.update admin ann@example.com {"role":{"before":"owner","after":"admin"}}`)
	})
}

func TestRemove(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		if err := w.Remove(t.Context(), ann.ID, noon); !errors.Is(err, ErrLastOwner) {
			t.Errorf("Remove of the last owner = %v", err)
		}
		bo := w.make(t, "bo@example.com", Owner)
		in := w.begin(t, t.Context())
		must(t, w.Remove(t.Context(), ann.ID, noon))
		if _, session := w.load(t, in.Cookie); session != nil {
			t.Errorf("a removed person is signed in: %+v", session)
		}
		for _, id := range []string{ann.ID, "x"} {
			if err := w.Remove(t.Context(), id, noon); !errors.Is(err, ErrNotFound) {
				t.Errorf("Remove of nobody = %v", err)
			}
		}
		if err := w.Remove(t.Context(), bo.ID, noon); !errors.Is(err, ErrLastOwner) {
			t.Errorf("Remove of the last owner = %v", err)
		}
		w.wantEvents(t, 3, `server admin.remove admin ann@example.com {"email":{"before":"ann@example.com"},"role":{"before":"owner"}}`)
	})
}

// Owners who remove each other at once on many servers leave one of them.
func TestLastOwnerAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		for round := range 5 {
			a, b := w.make(t, "a@example.com", Owner), w.make(t, "b@example.com", Owner)
			other := w.another()
			var wg sync.WaitGroup
			errs := make([]error, 2)
			wg.Go(func() { errs[0] = w.Remove(t.Context(), b.ID, noon) })
			wg.Go(func() { errs[1] = other.SetRole(t.Context(), a.ID, Viewer, noon) })
			wg.Wait()
			owners := w.count(t, `SELECT count(*) FROM admins WHERE role = 'owner'`)
			if refused := errors.Is(errs[0], ErrLastOwner) != errors.Is(errs[1], ErrLastOwner); owners != 1 || !refused {
				t.Fatalf("round %d: %d owners are left, %v", round, owners, errs)
			}
			w.exec(t, `DELETE FROM admins`)
		}
	})
}

func TestResetPassword(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		in := w.begin(t, t.Context())
		password, err := w.OneTimePassword(t.Context())
		must(t, err)
		must(t, w.ResetPassword(t.Context(), ann.ID, password, noon))
		if _, session := w.load(t, in.Cookie); session != nil {
			t.Error("a session outlives the password")
		}
		if err := w.tryToSignIn(t.Context(), ann.Email, annsPassword, home, noon); !errors.Is(err, ErrSignIn) {
			t.Errorf("with the old password: %v", err)
		}
		must(t, w.tryToSignIn(t.Context(), ann.Email, password.Reveal(), home, noon))
		if !w.read(t, ann.ID).OneTimePassword {
			t.Error("the password need not be changed")
		}
		if err := w.ResetPassword(t.Context(), "x", password, noon); !errors.Is(err, ErrNotFound) {
			t.Errorf("ResetPassword of nobody = %v", err)
		}
		if got := w.events(t, 2)[0]; got != `server admin.reset_password admin ann@example.com {}` {
			t.Errorf("the audit log says %s", got)
		}
	})
}

func TestChangePassword(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		first, second := w.begin(t, t.Context()), w.begin(t, t.Context())
		id := first.Session.Person.ID
		w.exec(t, `UPDATE admins SET one_time_password = TRUE, one_time_until = $1`, noon.Add(time.Second).Unix())
		change := func(person, current, chosen string) error {
			return w.ChangePassword(t.Context(), PasswordChange{PersonID: person, SessionID: second.Session.ID, Current: current, New: chosen}, noon)
		}
		for _, tt := range []struct {
			name, id, current, chosen string
			want                      error
		}{
			{"nobody", "x", annsPassword, "another good one", ErrNotFound},
			{"wrong", id, "wrong password", "another good one", ErrWrongPassword},
			{"too short", id, annsPassword, "short", Invalid{"/password", "has 5 characters; choose one of at least 12"}},
			{"the same", id, annsPassword, annsPassword, Invalid{"/password", "is the current one; choose another"}},
		} {
			if err := change(tt.id, tt.current, tt.chosen); !errors.Is(err, tt.want) {
				t.Errorf("%s: ChangePassword = %v; want %v", tt.name, err, tt.want)
			}
		}
		if !w.read(t, id).OneTimePassword {
			t.Error("the password is no longer a one-time password")
		}
		recorded := len(w.events(t, 0))
		must(t, change(id, annsPassword, "another good one"))
		w.wantEvents(t, recorded, `server admin.change_password admin ann@example.com {}`)
		if w.read(t, id).OneTimePassword {
			t.Error("the password is still a one-time password")
		}
		if _, session := w.load(t, first.Cookie); session != nil {
			t.Error("another session goes on")
		}
		if _, session := w.load(t, second.Cookie); session == nil {
			t.Error("the own session ended")
		}
		must(t, w.tryToSignIn(t.Context(), "ann@example.com", "another good one", home, noon))
	})
}

// The current password cannot be guessed in a stolen session either, and those who fail to sign
// in hold up nobody who is.
func TestChangePasswordIsSlowedDown(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		for range freeFailures + 1 {
			_ = w.tryToSignIn(t.Context(), ann.Email, "wrong", home, noon)
		}
		change := PasswordChange{PersonID: ann.ID, Current: "wrong", New: "another good one"}
		for range freeFailures + 1 {
			if err := w.ChangePassword(t.Context(), change, noon); !errors.Is(err, ErrWrongPassword) {
				t.Errorf("ChangePassword = %v", err)
			}
		}
		change.Current = annsPassword
		if err := w.ChangePassword(t.Context(), change, noon); !errors.Is(err, TooSoon{time.Second}) {
			t.Errorf("ChangePassword = %v; want TooSoon", err)
		}
		must(t, w.ChangePassword(t.Context(), change, noon.Add(time.Second)))
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		live, ended := w.begin(t, t.Context()), w.begin(t, t.Context())
		now := time.Now()
		w.exec(t, `UPDATE sessions SET expires_at = $1 WHERE id = $2`, now.Unix(), ended.Session.ID)
		_ = w.tryToSignIn(t.Context(), "x", "y", "192.0.2.2", now.Add(-time.Hour))
		_ = w.tryToSignIn(t.Context(), "x", "y", home, now.Add(-time.Hour+2*time.Second))
		must(t, w.Purge(t.Context(), now))
		if n := w.count(t, `SELECT count(*) FROM sessions`); n != 1 {
			t.Errorf("%d sessions are left; want one", n)
		}
		if _, err := w.sessions.Session(t.Context(), live.Session.ID); err != nil {
			t.Errorf("the live session: %v", err)
		}
		if n := w.count(t, `SELECT count(*) FROM sign_in_failures`); n != 2 {
			t.Errorf("%d subjects are left; want those of the last hour", n)
		}
	})
}

// The log never holds a password or a hash, nor what somebody typed for an e-mail.
func TestNothingSecretIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		in := w.begin(t, t.Context())
		password, err := w.OneTimePassword(t.Context())
		must(t, err)
		must(t, w.ResetPassword(t.Context(), ann.ID, password, noon))
		must(t, w.ChangePassword(t.Context(), PasswordChange{PersonID: ann.ID, Current: password.Reveal(), New: "another good one"}, noon))
		for range 8 {
			_ = w.tryToSignIn(t.Context(), "my secret password", "typed@example.com", home, noon)
			_ = w.tryToSignIn(t.Context(), ann.Email, "my secret password", home, noon)
		}
		text := w.dump(t)
		for _, secret := range []string{annsPassword, password.Reveal(), "another good one", "my secret", "typed@", "argon2id", in.Cookie.Value} {
			if strings.Contains(text, secret) {
				t.Errorf("the log holds %q: %s", secret, text)
			}
		}
	})
}
