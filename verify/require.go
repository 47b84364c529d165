package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// retryAfter is how many seconds a client is asked to wait when there are no keys.
const retryAfter = "5"

// errNoToken and errRequest are what may be wrong with a request before its token is looked at.
var (
	errNoToken = errors.New("verify: no bearer token")
	errRequest = errors.New("verify: not one bearer token")
)

// ErrInsufficientScope is what a good token is refused with that lacks a scope. It does
// not match [ErrInvalidToken].
var ErrInsufficientScope = errors.New("verify: the token does not hold the scope that is needed")

// Require returns middleware that lets a request pass if it bears a valid token
// (RFC 6750 §2.1) that holds every one of the scopes, and gives the token to the
// handler by [FromContext]. Without scopes any valid token passes; a [Scope] that no
// token holds lets nothing pass.
//
// Other requests are answered as in RFC 6750 §3, with a challenge and, where the RFC
// has an error code, the same in JSON as error and error_description:
//
//   - 401 without a code if there is no bearer token;
//   - 400 invalid_request if there is more than one, or something else beside it;
//   - 401 invalid_token if it is not valid;
//   - 403 insufficient_scope if it does not hold the scopes, with those that it lacks;
//   - 503 temporarily_unavailable with Retry-After if it could not be checked.
//
// A token in the query is never used; one in the body is not looked for, because
// the body is the handler's.
func (v *Verifier) Require(scopes ...Scope) func(http.Handler) http.Handler {
	return v.RequireFor(func(*http.Request) []Scope { return scopes })
}

// RequireFor is [Verifier.Require] for scopes that depend on the request: the Section
// in its address, the action in its method. It asks needed about each request whose
// token is valid, and needed may ask [FromContext] for that token.
//
// The address must have been matched before, so wrap the handler of a route, not the
// [http.ServeMux]; then [http.Request.PathValue] has its parts. With gorilla/mux, where
// it is mux.Vars, the middleware may also be given to Router.Use.
func (v *Verifier) RequireFor(needed func(*http.Request) []Scope) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t, err := v.authenticate(r)
			if err != nil {
				v.refuse(w, err)
				return
			}
			r = r.WithContext(NewContext(r.Context(), t))
			scopes := needed(r)
			if lacking := t.lacking(scopes); len(lacking) > 0 {
				v.Forbid(w, r, lacking...)
				return
			}
			if v.reports.unrouted(r) {
				defer v.reports.allowed(r, t, scopes)
			} else {
				v.reports.allowed(r, t, scopes)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Forbid answers 403 insufficient_scope, as [Verifier.Require] does. It is for handlers
// that know only after reading the body which scope the token lacks.
func (v *Verifier) Forbid(w http.ResponseWriter, r *http.Request, lacking ...Scope) {
	t, _ := FromContext(r.Context())
	o := insufficient(t, lacking)
	o.Method, o.Path = r.Method, r.URL.Path
	v.observe(r.Context(), o)
	v.reports.refused(r, o, lacking)
	v.challenge(w, http.StatusForbidden, insufficientScope(lacking))
}

// Permit says whether t, which [Verifier.Verify] has returned, holds every one of the
// scopes. It is for what is not HTTP. The error matches [ErrInsufficientScope] and names
// those that t lacks, and the observer and the log hear of it.
func (v *Verifier) Permit(ctx context.Context, t *Token, scopes ...Scope) error {
	lacking := t.lacking(scopes)
	if len(lacking) == 0 {
		v.reports.allowed(nil, t, scopes)
		return nil
	}
	o := insufficient(t, lacking)
	v.observe(ctx, o)
	v.reports.refused(nil, o, lacking)
	return o.Err
}

func insufficient(t *Token, lacking []Scope) Outcome {
	err := fmt.Errorf("%w: it lacks %s", ErrInsufficientScope, values(lacking))
	return Outcome{Result: resultInsufficientScope, Err: err, Token: t}
}

// Reason says why a token was refused, in words that whoever sent it may be told, which
// the text of err is not for. It is empty if err does not match [ErrInvalidToken].
func Reason(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	return ""
}

func (v *Verifier) authenticate(r *http.Request) (*Token, error) {
	raw, err := bearer(r)
	if err != nil {
		v.log.DebugContext(r.Context(), "verify: request refused", "error", err, "method", r.Method, "path", r.URL.Path)
		return nil, err
	}
	o := v.judge(r.Context(), raw)
	o.Method, o.Path = r.Method, r.URL.Path
	v.observe(r.Context(), o)
	v.reports.refused(r, o, nil)
	return o.answer()
}

// bearer returns the one token that r bears.
func bearer(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", errRequest
	}
	if len(headers) == 0 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 §11.1: a scheme has no case
		return "", errNoToken
	}
	token = strings.TrimLeft(token, " ")
	if token == "" || strings.ContainsAny(token, " \t") || r.URL.Query().Has("access_token") {
		return "", errRequest
	}
	return token, nil
}

// refuse answers a request whose token is missing, invalid, or could not be checked.
func (v *Verifier) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNoToken): // RFC 6750 §3.1: then nothing about errors
		v.challenge(w, http.StatusUnauthorized, problem{})
	case errors.Is(err, errRequest):
		v.challenge(w, http.StatusBadRequest, problem{"invalid_request", "a request must bear one token, in one Authorization header", ""})
	case errors.Is(err, ErrInvalidToken):
		v.challenge(w, http.StatusUnauthorized, problem{"invalid_token", Reason(err), ""})
	default:
		w.Header().Set("Retry-After", retryAfter)
		problem{"temporarily_unavailable", "the token cannot be checked now, try again later", ""}.write(w, http.StatusServiceUnavailable)
	}
}

func (v *Verifier) challenge(w http.ResponseWriter, status int, p problem) {
	w.Header().Set("WWW-Authenticate", p.challenge(v.audience, v.metadataURL))
	p.write(w, status)
}

// A problem is what a refused request is told, in a challenge and in JSON. The
// zero problem tells nothing.
type problem struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	Scope       string `json:"scope,omitempty"`
}

// insufficientScope is the problem with a valid token that lacks scopes.
func insufficientScope(lacking []Scope) problem {
	p := problem{"insufficient_scope", "the token does not hold the scope that is needed", values(lacking)}
	if slices.Contains(lacking, Scope{}) {
		p.Description = "what is needed here cannot be a scope, so no token opens it"
	}
	return p
}

// challenge writes p as RFC 6750 §3 has it, and where the resource describes itself
// as RFC 9728 §5.1 has that. Everything in it can stand between quotes: New has
// checked the realm and the address made of it, the rest is ours.
func (p problem) challenge(realm, metadataURL string) string {
	challenge := fmt.Sprintf(`Bearer realm="%s"`, realm)
	if p.Code != "" {
		challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, p.Code, p.Description)
	}
	if p.Scope != "" {
		challenge += fmt.Sprintf(`, scope="%s"`, p.Scope)
	}
	if metadataURL != "" {
		challenge += fmt.Sprintf(`, resource_metadata="%s"`, metadataURL)
	}
	return challenge
}

func (p problem) write(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	if p == (problem{}) {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p) // fails if the client is gone, who was the one to be told
}
