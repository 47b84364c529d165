package people

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func TestCookies(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		for _, tt := range []struct {
			secure         bool
			name, trailing string
		}{
			{true, "__Host-wardkey", "; Path=/; HttpOnly; Secure; SameSite=Lax"},
			{false, "wardkey", "; Path=/; HttpOnly; SameSite=Lax"},
		} {
			w.sessions = NewSessions(w.People, tt.secure)
			in := w.begin(t, t.Context())
			if got, want := in.Cookie.String(), tt.name+"="+in.Cookie.Value+tt.trailing; got != want || len(in.Cookie.Value) != 43 {
				t.Errorf("the cookie is %q; want %q", got, want)
			}
			want := tt.name + "=" + strings.Replace(tt.trailing, "; HttpOnly", "; Max-Age=0; HttpOnly", 1)
			if got := w.sessions.NoCookie().String(); got != want {
				t.Errorf("NoCookie = %q; want %q", got, want)
			}
			if !w.sessions.Carried(withCookie(in.Cookie)) || w.sessions.Carried(withCookie(&http.Cookie{Name: "other", Value: "x"})) {
				t.Error("Carried does not say which request carries a cookie")
			}
		}
	})
}

func TestSession(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		agent := "Browser/1\r\n\x00 " + strings.Repeat("å", 300)
		in, err := w.sessions.SignIn(t.Context(), Attempt{Email: "ann@example.com", Password: annsPassword, Address: home, UserAgent: agent})
		must(t, err)
		x := in.Session
		if len(x.ID) != 26 || x.Person.Email != "ann@example.com" || x.IP != home || x.UserAgent != "Browser/1 "+strings.Repeat("å", 190) {
			t.Errorf("the session is %+v", x)
		}
		lasts := x.ExpiresAt.Sub(x.CreatedAt)
		if !x.SeenAt.Equal(x.CreatedAt) || lasts < time.Hour || lasts > time.Hour+time.Minute || !x.Person.LastSignInAt.Equal(x.CreatedAt) {
			t.Errorf("the session is from %s, seen at %s, until %s", x.CreatedAt, x.SeenAt, x.ExpiresAt)
		}
		if _, got := w.load(t, in.Cookie); got == nil || *got != *x {
			t.Errorf("Load finds %+v; want %+v", got, x)
		}
		if got, err := w.sessions.Session(t.Context(), x.ID); err != nil || *got != *x {
			t.Errorf("Session = %+v, %v", got, err)
		}
		if n := w.count(t, `SELECT count(*) FROM sessions WHERE token = $1 OR data LIKE '%' || $1 || '%'`, in.Cookie.Value); n != 0 {
			t.Error("the token itself is in the store")
		}
		w.wantEvents(t, 1, `admin ann@example.com session.sign_in session ann@example.com {}`)
	})
}

// A request without a session, whatever its cookie says, finds none and leaves none.
func TestNoSession(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		for _, cookie := range []*http.Cookie{
			nil,
			{Name: "__Host-wardkey"},
			{Name: "__Host-wardkey", Value: "x"},
			{Name: "__Host-wardkey", Value: strings.Repeat("A", 43)},
			{Name: "wardkey", Value: strings.Repeat("A", 43)},
		} {
			if _, session := w.load(t, cookie); session != nil {
				t.Errorf("the cookie %v opens %+v", cookie, session)
			}
		}
		must(t, w.sessions.SignOut(t.Context()))
		if n := w.count(t, `SELECT count(*) FROM sessions`); n != 0 {
			t.Errorf("%d sessions are stored", n)
		}
		w.wantEvents(t, 0)
	})
}

// A token that was in the browser before signing in opens nothing afterwards, be it one that an
// attacker made up or one of a session.
func TestFixation(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		planted := &http.Cookie{Name: "__Host-wardkey", Value: strings.Repeat("A", 43)}
		ctx, _ := w.load(t, planted)
		first := w.begin(t, ctx)
		ctx, session := w.load(t, first.Cookie)
		second := w.begin(t, ctx)
		for _, old := range []*http.Cookie{planted, first.Cookie} {
			if _, found := w.load(t, old); found != nil || old.Value == second.Cookie.Value {
				t.Errorf("%s opens %+v", old.Value, found)
			}
		}
		if _, found := w.load(t, second.Cookie); found == nil || found.ID == session.ID {
			t.Errorf("the new token opens %+v", found)
		}
	})
}

// A person is as the store says now, not as at the sign-in.
func TestPersonNow(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		w.make(t, "bo@example.com", Owner)
		in := w.begin(t, t.Context())
		must(t, w.another().SetRole(t.Context(), ann.ID, Viewer, noon))
		if _, session := w.load(t, in.Cookie); session == nil || session.Person.Role != Viewer || session.Person.OneTimePassword {
			t.Errorf("after SetRole: %+v", session)
		}
		w.exec(t, `UPDATE admins SET one_time_password = TRUE`)
		if _, session := w.load(t, in.Cookie); session == nil || !session.Person.OneTimePassword {
			t.Errorf("with a one-time password: %+v", session)
		}
		must(t, w.another().Remove(t.Context(), ann.ID, noon))
		if _, session := w.load(t, in.Cookie); session != nil {
			t.Errorf("after Remove: %+v", session)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		gone := map[string]func(in *SignedIn){
			"signed out": func(in *SignedIn) {
				ctx, _ := w.load(t, in.Cookie)
				must(t, w.sessions.SignOut(ctx))
				must(t, w.sessions.SignOut(ctx))
			},
			"revoked": func(in *SignedIn) {
				ctx := audit.With(t.Context(), audit.Origin{Actor: audit.Actor{Kind: audit.Client, ID: "c"}})
				must(t, NewSessions(w.another().People, true).Revoke(ctx, in.Session.ID))
			},
			"over": func(in *SignedIn) {
				w.exec(t, `UPDATE sessions SET expires_at = $1 WHERE id = $2`, time.Now().Unix(), in.Session.ID)
			},
		}
		for name, end := range gone {
			in := w.begin(t, t.Context())
			end(in)
			if _, session := w.load(t, in.Cookie); session != nil {
				t.Errorf("%s: %+v", name, session)
			}
			if _, err := w.sessions.Session(t.Context(), in.Session.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: Session = %v", name, err)
			}
			if err := w.sessions.Revoke(t.Context(), in.Session.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: Revoke = %v", name, err)
			}
		}
		text := strings.Join(w.events(t, 0), "\n")
		for _, want := range []string{"client c session.revoke session ann@example.com {}", "session.sign_out session ann@example.com {}"} {
			if strings.Count(text, want) != 1 {
				t.Errorf("the audit log does not say once %q:\n%s", want, text)
			}
		}
	})
}

// Sessions end an hour after their last use, and twelve hours after they began whatever the use.
func TestSessionTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(databasetest.SQLite(t))
		w.make(t, "ann@example.com", Owner)
		in := w.begin(t, t.Context())
		time.Sleep(time.Hour - time.Second)
		if _, session := w.load(t, in.Cookie); session == nil {
			t.Error("a session that was not used for less than an hour is over")
		}
		time.Sleep(time.Hour)
		if _, session := w.load(t, in.Cookie); session != nil {
			t.Errorf("a session that was not used for an hour goes on: %+v", session)
		}

		in = w.begin(t, t.Context())
		begin := time.Now()
		for time.Since(begin) < 11*time.Hour+30*time.Minute {
			time.Sleep(30 * time.Minute)
			if _, session := w.load(t, in.Cookie); time.Since(begin) < 12*time.Hour && session == nil {
				t.Fatalf("a session in use is over after %s", time.Since(begin))
			}
		}
		time.Sleep(29*time.Minute + 58*time.Second)
		if _, session := w.load(t, in.Cookie); session == nil || session.ExpiresAt.After(begin.Add(12*time.Hour)) {
			t.Errorf("just before its end: %+v", session)
		}
		time.Sleep(2 * time.Second)
		if _, session := w.load(t, in.Cookie); session != nil {
			t.Errorf("a session goes on after %s: %+v", time.Since(begin), session)
		}
	})
}

// A session in use is written once a minute, and then lives an hour again.
func TestSeen(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		in := w.begin(t, t.Context())
		back := func(seen time.Duration) int64 {
			at := time.Now().Add(-seen).Unix()
			w.exec(t, `UPDATE sessions SET seen_at = $1, expires_at = $2`, at, at+3600)
			return at
		}
		at := back(50 * time.Second)
		w.load(t, in.Cookie)
		if n := w.count(t, `SELECT seen_at FROM sessions`); int64(n) != at {
			t.Errorf("a session seen %d s ago is written again", time.Now().Unix()-at)
		}
		back(59 * time.Minute)
		_, session := w.load(t, in.Cookie)
		stored, err := w.sessions.Session(t.Context(), in.Session.ID)
		must(t, err)
		for _, x := range []*Session{session, stored} {
			if since := time.Since(x.SeenAt); since > 30*time.Second || x.ExpiresAt.Sub(x.SeenAt) < time.Hour-2*time.Second {
				t.Errorf("seen %s ago, until %s after", since, x.ExpiresAt.Sub(x.SeenAt))
			}
		}
	})
}

// A request that was under way when its session was revoked does not bring it back.
func TestRevokedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.make(t, "ann@example.com", Owner)
		in := w.begin(t, t.Context())
		ctx, err := w.sessions.scs.Load(t.Context(), in.Cookie.Value)
		must(t, err)
		must(t, w.sessions.Revoke(t.Context(), in.Session.ID))
		if _, _, err := w.sessions.scs.Commit(ctx); !errors.Is(err, ErrNotFound) {
			t.Errorf("Commit = %v; want ErrNotFound", err)
		}
		if n := w.count(t, `SELECT count(*) FROM sessions`); n != 0 {
			t.Error("the session is back")
		}
	})
}

// A sign-in whose session cannot be written has not happened: neither in the log, nor as a try.
func TestSignInIsWhole(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann := w.make(t, "ann@example.com", Owner)
		failure := errors.New("the disk is full")
		err := w.signIn(t.Context(), Attempt{Email: ann.Email, Password: annsPassword}, noon, func(ctx context.Context, x *Person) error {
			if _, err := w.sessions.begin(ctx, x, Attempt{}, noon); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) || !w.read(t, ann.ID).LastSignInAt.IsZero() || w.count(t, `SELECT count(*) FROM sessions`) != 0 {
			t.Errorf("SignIn = %v, and left something behind", err)
		}
		w.wantEvents(t, 1)
	})
}

func TestListSessions(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		ann, bo := w.make(t, "ann@example.com", Owner), w.make(t, "bo@example.com", Admin)
		var anns, all []string
		for i := range 4 {
			a := Attempt{Email: []string{ann.Email, bo.Email}[i%2], Password: annsPassword, Address: home}
			in, err := w.sessions.SignIn(t.Context(), a)
			must(t, err)
			w.exec(t, `UPDATE sessions SET created_at = $1 WHERE id = $2`, noon.Unix()+int64(i/2), in.Session.ID)
			if all = append(all, in.Session.ID); i%2 == 0 {
				anns = append(anns, in.Session.ID)
			}
		}
		slices.Sort(all[:2])
		slices.Sort(all[2:])
		w.begin(t, t.Context())
		w.exec(t, `UPDATE sessions SET expires_at = $1 WHERE created_at > $2`, time.Now().Unix(), noon.Unix()+10)
		for _, tt := range []struct {
			name, person string
			want         []string
		}{
			{"one person's", ann.ID, anns},
			{"everybody's", "", all},
			{"nobody's", "x", nil},
		} {
			var got []string
			page := Page{Limit: 1}
			for {
				some, err := w.sessions.List(t.Context(), tt.person, page)
				must(t, err)
				if len(some) == 0 {
					break
				}
				got, page.After, page.AfterID = append(got, some[0].ID), some[0].CreatedAt, some[0].ID
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: List = %v; want %v", tt.name, got, tt.want)
			}
		}
	})
}
