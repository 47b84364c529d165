package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/sections"
)

// Actions on this server itself.
const (
	read       = "read"
	write      = "write"
	introspect = "introspect"
)

// actor names who makes the request that ctx belongs to, as created_by shows it.
func actor(ctx context.Context) string { return audit.From(ctx).Actor.String() }

// authenticated lets only those through whom a token or a session allows what they ask for.
func (h *Handler) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, who, err := h.caller(r)
		if err != nil {
			fail(w, r, err)
			return
		}
		request.Note(r.Context(), slog.String("actor", who.String()))
		next.ServeHTTP(w, r.WithContext(audit.With(ctx, origin(r, who))))
	})
}

// caller says who makes a request, and refuses whoever may not make it. Whoever sends a token is
// asked for nothing else: a program may have a cookie without knowing.
func (h *Handler) caller(r *http.Request) (context.Context, audit.Actor, error) {
	signIn := r.Method == http.MethodPost && r.URL.Path == base+"/session"
	if !signIn && (len(r.Header.Values("Authorization")) > 0 || !h.Sessions.Carried(r)) {
		client, err := h.authenticate(r)
		if err != nil {
			return nil, audit.Actor{}, err
		}
		return h.named(r, client)
	}
	if err := sameOrigin.Check(r); err != nil {
		return nil, audit.Actor{}, &problem{kind: insufficientScope, detail: "a page of another origin may not do this", cause: err}
	}
	ctx, err := h.Sessions.Load(r)
	if err != nil {
		return nil, audit.Actor{}, &problem{kind: unavailable, cause: err}
	}
	ctx = context.WithValue(ctx, userAgentKey{}, r.UserAgent())
	if signIn {
		return ctx, audit.Actor{Kind: audit.Nobody}, nil
	}
	session := people.Current(ctx)
	if session == nil {
		return nil, audit.Actor{}, &problem{kind: unauthenticated, header: challenge(""), detail: "the session has ended; sign in again"}
	}
	return ctx, session.Person.Actor(), permitted(r, &session.Person)
}

// named is a client as the audit log names it. What only reads is not recorded, and needs no name.
func (h *Handler) named(r *http.Request, client *clients.Client) (context.Context, audit.Actor, error) {
	actor := audit.Actor{Kind: audit.Client, ID: client.ID}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r.Context(), actor, nil
	}
	whole, err := h.Clients.Client(r.Context(), client.ID)
	if err != nil {
		return nil, actor, &problem{kind: unavailable, cause: err} // or it was deleted this very moment
	}
	actor.Name = whole.Name
	return r.Context(), actor, nil
}

// sameOrigin keeps other origins' pages from acting in the name of whoever is signed in here.
var sameOrigin = http.NewCrossOriginProtection()

// permitted says whether the person may make the request. Whose sessions they are is for the
// endpoints to say.
func permitted(r *http.Request, p *people.Person) error {
	path := strings.TrimPrefix(r.URL.Path, base)
	own := path == "/session" || path == "/session/password"
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case own:
		return nil
	case p.OneTimePassword:
		return &problem{kind: passwordChange, detail: "the password was for one time; choose another with POST " + base + "/session/password"}
	case reads, p.Role == people.Owner, strings.HasPrefix(path, "/sessions/"):
		return nil
	case path == "/admins" || strings.HasPrefix(path, "/admins/"):
		return onlyOwners
	case p.Role == people.Admin:
		return nil
	}
	return &problem{kind: insufficientScope, detail: "a viewer may look at everything and change nothing; ask an owner for the role of an admin"}
}

// mayHandle says whether who acts may give a client what it is to hold, or change one that holds
// it, or give it a secret: whoever has a client that may change admins is as good as an owner.
func mayHandle(ctx context.Context, states ...*clients.Client) error {
	session := people.Current(ctx)
	if session == nil || session.Person.Role == people.Owner {
		return nil
	}
	for _, c := range states {
		if slices.Contains(c.Held.Permissions, sections.Permission{Target: sections.Wardkey, Action: write}) {
			return &problem{kind: insufficientScope, detail: "only an owner may do this with a client that holds wardkey:write, which may change admins"}
		}
	}
	return nil
}

var onlyOwners = &problem{kind: insufficientScope, detail: "only an owner may do this"}

// authenticate returns the client whose token the request carries (RFC 6750). The token, its
// client and its key are checked as they are now, not as they were when it was issued.
func (h *Handler) authenticate(r *http.Request) (*clients.Client, error) {
	raw, err := h.bearer(r)
	if err != nil {
		return nil, err
	}
	// A key that was deleted on another server opens nothing here either.
	if err := h.Keys.Refresh(r.Context()); err != nil {
		return nil, &problem{kind: unavailable, cause: err}
	}
	claims, err := h.Issuer.Parse(raw)
	if err != nil {
		return nil, invalidToken("the token has expired, was revoked, or was not made by this server", err)
	}
	if !slices.Contains(claims.Audience, h.Audience) {
		return nil, invalidToken("the token is for another audience; ask POST /oauth/token for resource="+h.Audience, nil)
	}
	client, _, err := h.Lookup.Client(r.Context(), claims.ClientID)
	if err != nil {
		return nil, &problem{kind: unavailable, cause: err}
	}
	// Tokens that were revoked as a whole carry another place in the status lists.
	if !client.Usable(time.Now()) || claims.Status != h.Issuer.Status(client.StatusIndex) {
		return nil, invalidToken("the token's client is disabled, expired or deleted, or its tokens were revoked", nil)
	}
	revoked, err := h.Revoked.Revoked(r.Context(), claims)
	if err != nil {
		return nil, &problem{kind: unavailable, cause: err}
	}
	if revoked {
		return nil, invalidToken("the token was revoked", nil)
	}
	return client, allow(needed(r), strings.Fields(claims.Scope), client.Held.Permissions)
}

// bearer returns the token in the one Authorization header. Elsewhere, as in the query, it is
// not looked for.
func (h *Handler) bearer(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", invalidToken("there are two Authorization headers; send one", nil)
	}
	scheme, token, _ := strings.Cut(strings.Join(headers, ""), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		// RFC 6750 §3.1: whoever sends no token is told no error code.
		return "", &problem{
			kind: unauthenticated, header: challenge(""),
			detail: "send a token of this server as Authorization: Bearer <token>; POST /oauth/token with resource=" + h.Audience + " gives one",
		}
	}
	return strings.TrimLeft(token, " "), nil
}

// needed is the action that a request needs, if its token does not allow everything.
func needed(r *http.Request) string {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return read
	case r.URL.Path == reportsPath:
		return introspect // as whoever checks tokens has it
	}
	return write
}

// allow says whether what the token grants, and its client still holds, is enough.
func allow(need string, scope []string, held []sections.Permission) error {
	may := func(action string) bool {
		p := sections.Permission{Target: sections.Wardkey, Action: action}
		return slices.Contains(scope, p.String()) && slices.Contains(held, p)
	}
	if may(need) || may(write) {
		return nil
	}
	value := sections.Permission{Target: sections.Wardkey, Action: need}.String()
	return &problem{
		kind:   insufficientScope,
		detail: fmt.Sprintf("this needs a token with %s, from a client that holds it", value),
		header: challenge(fmt.Sprintf(`error="insufficient_scope", scope=%q`, value)),
	}
}

func invalidToken(detail string, cause error) *problem {
	return &problem{kind: unauthenticated, detail: detail, cause: cause, header: challenge(`error="invalid_token"`)}
}

// challenge is the header of RFC 6750 §3.
func challenge(parameters string) http.Header {
	value := `Bearer realm="wardkey"`
	if parameters != "" {
		value += ", " + parameters
	}
	return http.Header{"Www-Authenticate": {value}}
}
