package verify

import (
	"context"
	"errors"
	"log/slog"
)

// An Outcome is what became of one token that was checked. It does not hold the
// token itself, so it may be logged and counted.
type Outcome struct {
	// Result is one of [Results]: a short name that stays the same from release
	// to release, fit to be the label of a counter.
	Result string

	// Err is what [Verifier.Verify] returned; nil if the token was accepted.
	Err error

	// Token is what the token says, and KeyID the key that signed it, if the
	// issuer did sign it. Of any other token nothing is known: nil and empty. KeyID
	// is empty also for insufficient_scope; that token had an outcome with it before.
	Token *Token
	KeyID string

	// Method and Path are those of the request that bore the token. They are
	// empty if it was not checked by [Verifier.Require].
	Method, Path string
}

// The results that are no refusal of [Verifier.Verify].
const (
	resultAccepted          = "accepted"
	resultUnavailable       = "unavailable"
	resultInsufficientScope = "insufficient_scope" // decided by Require, after the token was accepted
)

// Results returns every [Outcome.Result] there is.
//
// A token whose scope is not enough has two outcomes, one after the other:
// accepted, as it is a good token, and insufficient_scope.
func Results() []string {
	results := []string{resultAccepted, resultUnavailable, resultInsufficientScope}
	for _, err := range []error{ErrMalformed, ErrSignature, ErrIssuer, ErrAudience, ErrExpired, ErrNotYetValid, ErrBound, ErrRevoked} {
		results = append(results, result(err))
	}
	return results
}

// WithObserver has observer told the [Outcome] of each token that is checked,
// before the answer is given: for counters. It is called concurrently and must not block.
func WithObserver(observer func(Outcome)) Option {
	return func(v *Verifier) { v.observer = observer }
}

// observe tells an outcome to whoever wants to know: the observer all of them, the
// log only the refusals.
func (v *Verifier) observe(ctx context.Context, o Outcome) {
	if v.observer != nil {
		v.observer(o)
	}
	if o.Result != resultAccepted && v.log.Enabled(ctx, slog.LevelDebug) {
		v.log.LogAttrs(ctx, slog.LevelDebug, "verify: token refused", o.attributes()...)
	}
}

// attributes are what the log is told about a refusal.
func (o Outcome) attributes() []slog.Attr {
	attributes := []slog.Attr{slog.String("reason", o.Result)}
	if o.Err != nil {
		attributes = append(attributes, slog.Any("error", o.Err))
	}
	if o.Token != nil {
		attributes = append(attributes, slog.String("client_id", o.Token.ClientID),
			slog.String("jti", o.Token.ID), slog.String("kid", o.KeyID))
	}
	if o.Method != "" {
		attributes = append(attributes, slog.String("method", o.Method), slog.String("path", o.Path))
	}
	return attributes
}

// result names what err means for the token.
func result(err error) string {
	if err == nil {
		return resultAccepted
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.name
	}
	return resultUnavailable
}

// answer is what the caller of [Verifier.Verify] gets.
func (o Outcome) answer() (*Token, error) {
	if o.Err != nil {
		return nil, o.Err
	}
	return o.Token, nil
}
