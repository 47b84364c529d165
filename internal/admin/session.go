package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/sections"
)

func showSession(ctx context.Context, s *people.Session) wire.Session {
	current := people.Current(ctx)
	return wire.Session{
		ID: s.ID, Admin: showAdmin(&s.Person), Current: current != nil && current.ID == s.ID,
		CreatedAt: stamp(s.CreatedAt), SeenAt: stamp(s.SeenAt), ExpiresAt: stamp(s.ExpiresAt), IP: s.IP, UserAgent: s.UserAgent,
	}
}

// errNoSession is for those who come with a token where only persons have something.
var errNoSession = &problem{kind: notFound, detail: "this request has a token and no session; sessions are of persons"}

// SignIn answers POST /session.
func (h endpoints) SignIn(ctx context.Context, req wire.SignInRequestObject) (wire.SignInResponseObject, error) {
	in, err := decode[wire.SignIn](req.Body)
	if err != nil {
		return nil, err
	}
	signedIn, err := h.Sessions.SignIn(ctx, people.Attempt{
		Email: in.Email, Password: in.Password, Address: audit.From(ctx).IP, UserAgent: userAgent(ctx),
	})
	if errors.Is(err, people.ErrSignIn) {
		return nil, &problem{kind: unauthenticated, detail: "the e-mail or the password is wrong", header: challenge("")}
	}
	if err != nil {
		return nil, err
	}
	shown := showSession(ctx, signedIn.Session)
	shown.Current = true
	cookie := signedIn.Cookie.String()
	return wire.SignIn201JSONResponse{Body: shown, Headers: wire.SignIn201ResponseHeaders{SetCookie: &cookie}}, nil
}

// ReadSession answers GET /session.
func (h endpoints) ReadSession(ctx context.Context, _ wire.ReadSessionRequestObject) (wire.ReadSessionResponseObject, error) {
	session := people.Current(ctx)
	if session == nil {
		return nil, errNoSession
	}
	return wire.ReadSession200JSONResponse(showSession(ctx, session)), nil
}

// signedOut is the answer that makes a browser forget its session.
type signedOut struct{ cookie *http.Cookie }

// VisitSignOutResponse implements [wire.SignOutResponseObject].
func (s signedOut) VisitSignOutResponse(w http.ResponseWriter) error {
	http.SetCookie(w, s.cookie)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// SignOut answers DELETE /session.
func (h endpoints) SignOut(ctx context.Context, _ wire.SignOutRequestObject) (wire.SignOutResponseObject, error) {
	if people.Current(ctx) == nil {
		return nil, errNoSession
	}
	return signedOut{h.Sessions.NoCookie()}, h.Sessions.SignOut(ctx)
}

// ChangePassword answers POST /session/password.
func (h endpoints) ChangePassword(ctx context.Context, req wire.ChangePasswordRequestObject) (wire.ChangePasswordResponseObject, error) {
	in, err := decode[wire.PasswordChange](req.Body)
	if err != nil {
		return nil, err
	}
	session := people.Current(ctx)
	if session == nil {
		return nil, errNoSession
	}
	err = h.People.ChangePassword(ctx, people.PasswordChange{
		PersonID: session.Person.ID, SessionID: session.ID, Current: in.CurrentPassword, New: in.NewPassword,
	}, time.Now())
	if errors.Is(err, people.ErrWrongPassword) {
		return nil, sections.Invalid{{Field: "/current_password", Detail: "is wrong"}}
	}
	if rule, ok := errors.AsType[people.Invalid](err); ok {
		return nil, sections.Invalid{{Field: "/new_password", Detail: rule.Detail}}
	}
	return wire.ChangePassword204Response{}, err
}

// ListSessions answers GET /sessions.
func (h endpoints) ListSessions(ctx context.Context, req wire.ListSessionsRequestObject) (wire.ListSessionsResponseObject, error) {
	const list = "sessions"
	page, err := pageParams{Limit: req.Params.Limit, Cursor: req.Params.Cursor}.page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	personID := orEmpty(req.Params.Admin)
	if own := people.Current(ctx); own != nil && own.Person.Role != people.Owner {
		if personID != "" && personID != own.Person.ID {
			return nil, onlyOwners
		}
		personID = own.Person.ID
	}
	found, err := h.Sessions.List(ctx, personID, people.Page{After: page.After, AfterID: page.AfterID, Limit: page.Limit + 1})
	if err != nil {
		return nil, err
	}
	answer := wire.ListSessions200JSONResponse{Items: []wire.Session{}}
	if len(found) > page.Limit {
		found = found[:page.Limit]
		last := found[len(found)-1]
		answer.Next = new(cursor(h.CursorKey, list, last.CreatedAt, last.ID))
	}
	for i := range found {
		answer.Items = append(answer.Items, showSession(ctx, &found[i]))
	}
	return answer, nil
}

// RevokeSession answers DELETE /sessions/{id}.
func (h endpoints) RevokeSession(ctx context.Context, req wire.RevokeSessionRequestObject) (wire.RevokeSessionResponseObject, error) {
	if own := people.Current(ctx); own != nil && own.Person.Role != people.Owner {
		session, err := h.Sessions.Session(ctx, req.ID)
		if err != nil {
			return nil, err
		}
		if session.Person.ID != own.Person.ID {
			return nil, people.ErrNotFound // others' sessions are not shown to them either
		}
	}
	return wire.RevokeSession204Response{}, h.Sessions.Revoke(ctx, req.ID)
}

type userAgentKey struct{}

func userAgent(ctx context.Context) string {
	text, _ := ctx.Value(userAgentKey{}).(string)
	return text
}

// origin is where a request comes from, whose actor is known.
func origin(r *http.Request, actor audit.Actor) audit.Origin {
	return audit.Origin{Actor: actor, IP: request.Address(r), RequestID: request.ID(r.Context())}
}
