package people

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// How long sessions live.
const (
	lifetime   = 12 * time.Hour
	idle       = time.Hour
	seenEvery  = time.Minute // a session in use is written no more often
	cookieName = "wardkey"
)

// A Session is one browser in which a person is signed in.
type Session struct {
	ID        string // may be seen; it opens nothing
	Person    Person // as it is in the store
	CreatedAt time.Time
	SeenAt    time.Time // to the minute
	ExpiresAt time.Time // if it is not used until then
	IP        string
	UserAgent string
}

func (s Session) target() audit.Target {
	return audit.Target{Kind: "session", ID: s.ID, Name: s.Person.Email}
}

// Sessions keeps who is signed in, and speaks of it in cookies.
type Sessions struct {
	people *People
	scs    *scs.SessionManager
}

// NewSessions returns the sessions of people. Secure says that browsers reach the server over
// https, and send the cookie over nothing else.
func NewSessions(people *People, secure bool) *Sessions {
	cookie := scs.SessionCookie{Name: cookieName, HttpOnly: true, Path: "/", SameSite: http.SameSiteLaxMode, Secure: secure}
	if secure {
		cookie.Name = "__Host-" + cookieName // no other host of the domain can set it
	}
	// Not scs.New, which starts a goroutine for a store of its own.
	return &Sessions{people: people, scs: &scs.SessionManager{
		Lifetime: lifetime, IdleTimeout: idle, HashTokenInStore: true,
		Store: sessionStore{people.db}, Codec: scs.GobCodec{}, Cookie: cookie,
	}}
}

// cookie is that of a session with the token, or of none if that is empty. It ends with the
// browser; the server ends it sooner.
func (s *Sessions) cookie(token string) *http.Cookie {
	c := s.scs.Cookie
	cookie := &http.Cookie{Name: c.Name, Value: token, Path: c.Path, HttpOnly: c.HttpOnly, SameSite: c.SameSite, Secure: c.Secure}
	if token == "" {
		cookie.MaxAge = -1
	}
	return cookie
}

// NoCookie is what makes a browser forget its session.
func (s *Sessions) NoCookie() *http.Cookie { return s.cookie("") }

// Carried says whether the request carries the cookie of a session, which may have ended.
func (s *Sessions) Carried(r *http.Request) bool {
	_, err := r.Cookie(s.scs.Cookie.Name)
	return err == nil
}

type sessionKey struct{}

// Current returns the session that [Sessions.Load] found, nil for none.
func Current(ctx context.Context) *Session {
	session, _ := ctx.Value(sessionKey{}).(*Session)
	return session
}

// idValue is what scs keeps for us in a session: its id.
const idValue = "id"

// Load returns the context of the request, with the session whose cookie it carries and the
// person as that is now. No cookie, or one of a session that has ended, is no error: an error
// means that the store could not be asked.
func (s *Sessions) Load(r *http.Request) (context.Context, error) {
	ctx := r.Context()
	cookie, err := r.Cookie(s.scs.Cookie.Name)
	if err != nil {
		return ctx, nil
	}
	session, err := s.find(ctx, cookie.Value)
	if errors.Is(err, ErrNotFound) {
		return ctx, nil
	}
	if err != nil {
		return ctx, fmt.Errorf("find a session: %w", err)
	}
	return context.WithValue(ctx, sessionKey{}, session), nil
}

// find returns the session with the token, and notes that it was seen.
func (s *Sessions) find(ctx context.Context, token string) (*Session, error) {
	now := time.Now()
	ctx, err := s.scs.Load(ctx, token)
	if err != nil {
		return nil, err
	}
	id := s.scs.GetString(ctx, idValue)
	if id == "" {
		return nil, ErrNotFound
	}
	session, err := s.Session(ctx, id)
	if err != nil || now.Sub(session.SeenAt) < seenEvery {
		return session, err
	}
	_, session.ExpiresAt, err = s.scs.Commit(ctx)
	session.SeenAt = now.UTC().Truncate(time.Second)
	return session, err
}

// A SignedIn is what signing in came to: a session, and the cookie that the answer must set.
type SignedIn struct {
	Session *Session
	Cookie  *http.Cookie
}

// SignIn checks an attempt and begins a session, with a token that nobody had before. The one in
// ctx ends. It returns ErrSignIn, [TooSoon] and ErrBusy, and must not run in a transaction.
func (s *Sessions) SignIn(ctx context.Context, a Attempt) (*SignedIn, error) {
	now := time.Now()
	var in *SignedIn
	err := s.people.signIn(ctx, a, now, func(ctx context.Context, x *Person) (err error) {
		in, err = s.begin(ctx, x, a, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

func (s *Sessions) begin(ctx context.Context, x *Person, a Attempt, now time.Time) (*SignedIn, error) {
	if old := Current(ctx); old != nil {
		if err := s.end(ctx, old.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	at := now.UTC().Truncate(time.Second)
	session := &Session{
		ID: rand.Text(), Person: *x, CreatedAt: at, SeenAt: at, IP: printable(a.Address), UserAgent: printable(a.UserAgent),
	}
	ctx, err := s.scs.Load(ctx, "")
	if err != nil {
		return nil, err
	}
	s.scs.Put(ctx, idValue, session.ID)
	token, ends, err := s.scs.Commit(context.WithValue(ctx, beginKey{}, session))
	if err != nil {
		return nil, err
	}
	session.ExpiresAt = ends.Truncate(time.Second)
	origin := audit.From(ctx)
	origin.Actor = x.Actor()
	err = s.record(audit.With(ctx, origin), "session.sign_in", session, now)
	return &SignedIn{Session: session, Cookie: s.cookie(token)}, err
}

func (s *Sessions) record(ctx context.Context, action string, session *Session, now time.Time) error {
	return s.people.log.Record(ctx, audit.Act{Action: action, Target: session.target(), At: now})
}

// SignOut ends the session in ctx, if there is one. The answer should set [Sessions.NoCookie].
func (s *Sessions) SignOut(ctx context.Context) error {
	session := Current(ctx)
	if session == nil {
		return nil
	}
	err := s.endRecorded(ctx, session, "session.sign_out")
	if errors.Is(err, ErrNotFound) {
		return nil // somebody else ended it meanwhile
	}
	return err
}

// Revoke ends the session with the given id. It returns ErrNotFound.
func (s *Sessions) Revoke(ctx context.Context, id string) error {
	return s.people.db.Transact(ctx, func(ctx context.Context) error {
		session, err := s.Session(ctx, id)
		if err != nil {
			return err
		}
		return s.endRecorded(ctx, session, "session.revoke")
	})
}

func (s *Sessions) endRecorded(ctx context.Context, session *Session, action string) error {
	return s.people.db.Transact(ctx, func(ctx context.Context) error {
		if err := s.end(ctx, session.ID); err != nil {
			return err
		}
		return s.record(ctx, action, session, time.Now())
	})
}

func (s *Sessions) end(ctx context.Context, id string) error {
	n, err := s.people.db.Exec(ctx, `DELETE FROM sessions WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

const fromSessions = `SELECT ` + columns + `, s.id, s.created_at, s.seen_at, s.expires_at, s.ip, s.user_agent
	FROM sessions s JOIN admins a ON a.id = s.admin_id WHERE s.expires_at > $1 AND `

func scanSession(row scanner) (*Session, error) {
	var s Session
	var created, seen, expires database.Time
	person, err := scan(row, &s.ID, &created, &seen, &expires, &s.IP, &s.UserAgent)
	if err != nil {
		return nil, err
	}
	s.Person, s.CreatedAt, s.SeenAt, s.ExpiresAt = *person, created.Time, seen.Time, expires.Time
	return &s, nil
}

// Session returns the session with the given id, or ErrNotFound if there is none or it has ended.
func (s *Sessions) Session(ctx context.Context, id string) (*Session, error) {
	return scanSession(s.people.db.QueryRow(ctx, fromSessions+`s.id = $2`, database.At(time.Now()), id))
}

// List returns a part of the list of the sessions of a person, oldest first; of everybody's if
// personID is empty.
func (s *Sessions) List(ctx context.Context, personID string, page Page) ([]Session, error) {
	rows, err := s.people.db.Query(ctx, fromSessions+`(s.admin_id = $2 OR $2 = '')
		AND (s.created_at > $3 OR s.created_at = $3 AND s.id > $4) ORDER BY s.created_at, s.id LIMIT $5`,
		database.At(time.Now()), personID, database.At(page.After), page.AfterID, page.Limit)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	all := []Session{}
	for rows.Next() {
		session, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, *session)
	}
	return all, rows.Err()
}
