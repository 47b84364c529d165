package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// retryAfter is how many seconds a client is asked to wait when there are no keys.
const retryAfter = "5"

// errNoToken and errRequest are what may be wrong with a request before its token is looked at.
var (
	errNoToken = errors.New("verify: no bearer token")
	errRequest = errors.New("verify: not one bearer token")
)

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
//   - 403 insufficient_scope if it does not hold the scopes;
//   - 503 temporarily_unavailable with Retry-After if it could not be checked.
//
// A token in the query is never used; one in the body is not looked for, because
// the body is the handler's.
func (v *Verifier) Require(scopes ...Scope) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t, err := v.authenticate(r)
			if err != nil {
				v.refuse(w, r, err)
				return
			}
			for _, s := range scopes {
				if !t.Holds(s) {
					v.Forbid(w, scopes...)
					return
				}
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), t)))
		})
	}
}

// Forbid answers 403 insufficient_scope, as [Verifier.Require] does. It is for handlers
// that learn from the request which scope is needed: the Section in its address.
func (v *Verifier) Forbid(w http.ResponseWriter, needed ...Scope) {
	v.challenge(w, http.StatusForbidden, insufficientScope(needed))
}

func (v *Verifier) authenticate(r *http.Request) (*Token, error) {
	raw, err := bearer(r)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), raw)
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
func (v *Verifier) refuse(w http.ResponseWriter, r *http.Request, err error) {
	v.log.DebugContext(r.Context(), "verify: request refused", "error", err)
	reason, invalid := errors.AsType[*refusal](err)
	switch {
	case errors.Is(err, errNoToken): // RFC 6750 §3.1: then nothing about errors
		v.challenge(w, http.StatusUnauthorized, problem{})
	case errors.Is(err, errRequest):
		v.challenge(w, http.StatusBadRequest, problem{"invalid_request", "a request must bear one token, in one Authorization header", ""})
	case invalid:
		v.challenge(w, http.StatusUnauthorized, problem{"invalid_token", reason.reason, ""})
	default:
		w.Header().Set("Retry-After", retryAfter)
		problem{"temporarily_unavailable", "the token cannot be checked now, try again later", ""}.write(w, http.StatusServiceUnavailable)
	}
}

func (v *Verifier) challenge(w http.ResponseWriter, status int, p problem) {
	w.Header().Set("WWW-Authenticate", p.challenge(v.audience))
	p.write(w, status)
}

// A problem is what a refused request is told, in a challenge and in JSON. The
// zero problem tells nothing.
type problem struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	Scope       string `json:"scope,omitempty"`
}

// insufficientScope is the problem with a valid token that does not hold all of scopes.
func insufficientScope(scopes []Scope) problem {
	p := problem{Code: "insufficient_scope", Description: "the token does not hold the scope that is needed"}
	var values []string
	for _, s := range scopes {
		if s.value == "" {
			p.Description = "what is needed here cannot be a scope, so no token opens it"
			continue
		}
		values = append(values, s.value)
	}
	p.Scope = strings.Join(values, " ")
	return p
}

// challenge writes p as RFC 6750 §3 has it. Everything in it can stand between
// quotes: the realm was checked by New, the rest is ours.
func (p problem) challenge(realm string) string {
	challenge := fmt.Sprintf(`Bearer realm="%s"`, realm)
	if p.Code != "" {
		challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, p.Code, p.Description)
	}
	if p.Scope != "" {
		challenge += fmt.Sprintf(`, scope="%s"`, p.Scope)
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
