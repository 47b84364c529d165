package verify

import "errors"

// ErrInvalidToken is what every refusal of a token matches, whatever its reason.
var ErrInvalidToken = errors.New("verify: the token is invalid")

// ErrUnavailable means that a token could not be checked, because the issuer's keys,
// status list or introspection endpoint could not be had. It says nothing about the
// token; try again later.
var ErrUnavailable = errors.New("verify: the issuer is unavailable")

// The reasons to refuse a token. All of them match [ErrInvalidToken].
var (
	ErrMalformed   error = &refusal{"malformed", "the token is not an access token of RFC 9068"}
	ErrSignature   error = &refusal{"signature", "the token is not signed with a key of the issuer"}
	ErrIssuer      error = &refusal{"issuer", "the token is from another issuer"}
	ErrAudience    error = &refusal{"audience", "the token is for another audience"}
	ErrExpired     error = &refusal{"expired", "the token has expired"}
	ErrNotYetValid error = &refusal{"not_yet_valid", "the token is not valid yet"}
	ErrBound       error = &refusal{"bound", "the token is bound to a key and is not a bearer token"}
	ErrRevoked     error = &refusal{"revoked", "the token was revoked"}
)

// A refusal is a reason that whoever sent the token may be told, so its text
// keeps to the characters that RFC 6750 §3 allows. The name is its [Outcome.Result].
type refusal struct{ name, reason string }

func (r *refusal) Error() string { return "verify: " + r.reason }

func (r *refusal) Is(target error) bool { return target == ErrInvalidToken }
