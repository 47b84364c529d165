package verify

import "errors"

// ErrInvalidToken is what every refusal of a token matches, whatever its reason.
var ErrInvalidToken = errors.New("verify: the token is invalid")

// ErrUnavailable means that a token could not be checked, because the issuer's
// keys could not be had. It says nothing about the token; try again later.
var ErrUnavailable = errors.New("verify: the keys of the issuer are unavailable")

// The reasons to refuse a token. All of them match [ErrInvalidToken].
var (
	ErrMalformed   error = &refusal{"the token is not an access token of RFC 9068"}
	ErrSignature   error = &refusal{"the token is not signed with a key of the issuer"}
	ErrIssuer      error = &refusal{"the token is from another issuer"}
	ErrAudience    error = &refusal{"the token is for another audience"}
	ErrExpired     error = &refusal{"the token has expired"}
	ErrNotYetValid error = &refusal{"the token is not valid yet"}
	ErrBound       error = &refusal{"the token is bound to a key and is not a bearer token"}
)

// A refusal is a reason that whoever sent the token may be told, so its text
// keeps to the characters that RFC 6750 §3 allows.
type refusal struct{ reason string }

func (r *refusal) Error() string { return "verify: " + r.reason }

func (r *refusal) Is(target error) bool { return target == ErrInvalidToken }
