package oauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/sections"
)

// refuse answers a token request that gets no token. Why in truth is counted before the wait, so
// that the time of the answer does not tell how long that took.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, a *attempt, err error) {
	e := asError(err)
	errorID := request.ID(r.Context())
	if h.Refused != nil && e.status() < http.StatusInternalServerError {
		errorID = h.Refused(a.refusal(e, request.Address(r)))
	}
	if a.client != nil && e.Code == InvalidClient {
		// Who is looked at, because he was let in before, is not told so.
		if wait := h.Failures.Failed(a.clientID, a.address, a.now); wait > 0 {
			e = heldOff(wait)
		}
	}
	if pace := a.pace(e); pace > 0 {
		steady(r.Context(), a.now, pace)
	}
	tell(w.Header(), a)
	writeError(w, r, e, errorID)
}

// The clocks by which those are answered who are not authenticated. Of those who are held off some
// are looked at and most are not, so theirs goes slowly enough for both to be ready.
const (
	pace        = 5 * time.Millisecond
	paceHeldOff = 100 * time.Millisecond
)

// pace is the clock by which an attempt is answered that failed with e; zero for none.
func (a *attempt) pace(e *Error) time.Duration {
	switch {
	case e.Detail == refusals.Failures:
		return paceHeldOff
	case a.client != nil && e.Code == InvalidClient:
		return pace
	}
	return 0
}

// steady waits for the next beat after start, so that the time of the answer does not tell what
// was found: reading a client takes some microseconds longer than finding none.
func steady(ctx context.Context, start time.Time, pace time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pace - time.Since(start)%pace):
	}
}

// unauthenticated is the one answer to whoever is not authenticated. It says what anybody can see
// of the credentials as they were sent, whether there is such a client or not.
func unauthenticated(a *attempt) *Error {
	e := &Error{Code: InvalidClient, Description: "client authentication failed", Cause: errors.New(string(a.verdict))}
	switch {
	case clients.FormOf(a.clientID) == clients.Blanks:
		e.Description += ": there are blanks around the client_id"
	case clients.FormOf(a.clientSecret) == clients.Blanks:
		e.Description += ": there are blanks around the client_secret"
	case clients.FormOf(a.clientSecret) == clients.Damaged:
		e.Description += ": the client_secret was cut or mistyped, its checksum does not match"
	}
	e.Reason, e.Detail = a.reason()
	return e
}

// reason is what only an admin is told about an attempt that was not authenticated.
func (a *attempt) reason() (reason refusals.Cause, detail string) {
	switch a.verdict {
	case clients.SecretExpired:
		return refusals.SecretEnded, a.secret
	case clients.IsDisabled:
		return refusals.ClientDisabled, ""
	case clients.HasExpired:
		return refusals.ClientExpired, ""
	case clients.IsSuspended:
		return refusals.ClientSuspended, ""
	case clients.UnknownClient:
		if clients.FormOf(a.clientID) == clients.Blanks {
			return refusals.UnknownClient, refusals.Blanks
		}
		return refusals.UnknownClient, ""
	}
	switch clients.FormOf(a.clientSecret) {
	case clients.Blanks:
		return refusals.WrongSecret, refusals.Blanks
	case clients.Damaged:
		return refusals.WrongSecret, refusals.Damaged
	}
	return refusals.WrongSecret, ""
}

// invalidScope says which value was refused, if it has the grammar of one.
func invalidScope(refusal *sections.Refusal, asked string) *Error {
	e := &Error{Code: InvalidScope, Description: refusal.Reason, Cause: refusal}
	switch {
	case refusal.Value != "":
		e.Reason, e.Detail = refusals.ScopeNotHeld, refusal.Value
	case asked == "":
		e.Reason, e.Detail = refusals.ScopeNotHeld, refusals.NothingHeld
	}
	return e
}

// known says whether there is a client with the id that was sent.
func (a *attempt) known() bool { return a.client != nil && a.client != clients.Nobody }

// refusal is what is counted of an attempt that failed with e.
func (a *attempt) refusal(e *Error, address string) refusals.Refusal {
	reason, detail := e.Reason, e.Detail
	if reason == "" {
		reason, detail = outcomes[e.Code].reason, e.Description
	}
	return refusals.Refusal{ClientID: a.clientID, Known: a.known(), Cause: reason, Detail: detail, Audience: a.grant.Audience, Address: address, At: a.now}
}
