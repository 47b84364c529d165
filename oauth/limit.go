package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/request"
)

// count counts the request of an authenticated client against its limits. Nobody else's requests
// are, so that a stranger cannot use them up.
func (h *Handler) count(ctx context.Context, a *attempt) (err error) {
	h.Failures.Succeeded(a.clientID, a.address, a.now)
	a.standing, err = h.Limits.Take(ctx, a.client.ID, a.client.Limits)
	if err != nil {
		return &Error{Code: TemporarilyUnavailable, Description: "the store does not answer; try again soon", Cause: err}
	}
	over := a.standing.Over()
	if over == nil {
		return nil
	}
	h.Habits.Over(a.client.ID)
	request.Note(ctx, slog.String("over_limit", over.Name))
	if !a.standing.Refused() {
		return nil
	}
	return overLimit(over)
}

// overLimit is the answer to a client that asks too often.
func overLimit(over *limits.Standing) *Error {
	whose := "this client is over its limit of"
	name, ofAccount := strings.CutPrefix(over.Name, "account-")
	if ofAccount {
		whose = "all clients of this server together are over the limit of"
	}
	span := map[string]string{"minute": "a minute", "burst": "at once", "day": "a day"}[name]
	return &Error{
		Code: TooManyRequests, Wait: over.Reset,
		Description: fmt.Sprintf("%s %d token requests %s; try again in %d s, and use each token until shortly before it expires", whose, over.Limit, span, over.Reset),
		Reason:      refusals.RateLimited, Detail: over.Name,
	}
}

// heldOff is the answer to whoever failed to authenticate too often. It says nothing of the client.
func heldOff(wait time.Duration) *Error {
	seconds := int64((wait + time.Second - 1) / time.Second)
	return &Error{
		Code: TooManyRequests, Wait: seconds,
		Description: fmt.Sprintf("too many failed authentications from this address; try again in %d s with the right client_id and client_secret", seconds),
		Reason:      refusals.RateLimited, Detail: refusals.Failures,
	}
}

// given notes that the attempt got a token.
func (h *Handler) given(r *http.Request, a *attempt) {
	h.Habits.Given(limits.Token{
		ClientID: a.client.ID, Audience: a.grant.Audience, Scope: a.grant.Scope, Address: a.address,
		UserAgent: r.UserAgent(), At: a.now, Lifetime: a.grant.Lifetime,
	})
}

// tell tells a client how it stands with its limits (draft-ietf-httpapi-ratelimit-headers-11), and
// once more, of the limit that counts most, in the fields that came before.
func tell(header http.Header, a *attempt) {
	v := a.standing
	if len(v.Standings) == 0 {
		return
	}
	policies, standings := make([]byte, 0, 128), make([]byte, 0, 128)
	for _, s := range v.Standings {
		policies = appendItem(policies, s.Name, ";q=", s.Limit, ";w=", s.Window)
		standings = appendItem(standings, s.Name, ";r=", s.Left, ";t=", s.Reset)
	}
	first := v.Over()
	if first == nil {
		first = &v.Standings[0]
	}
	// Set would bring the names to this form, each time.
	header["Ratelimit-Policy"] = []string{string(policies)}
	header["Ratelimit"] = []string{string(standings)}
	header["X-Ratelimit-Limit"] = []string{strconv.FormatInt(first.Limit, 10)}
	header["X-Ratelimit-Remaining"] = []string{strconv.FormatInt(first.Left, 10)}
	header["X-Ratelimit-Reset"] = []string{strconv.FormatInt(time.Now().Unix()+first.Reset, 10)}
}

// appendItem appends a String with two parameters to a List (RFC 9651 §3.1).
func appendItem(list []byte, name, first string, a int64, second string, b int64) []byte {
	if len(list) > 0 {
		list = append(list, ", "...)
	}
	list = append(append(append(list, '"'), name...), '"') // names are ours, and plain
	list = strconv.AppendInt(append(list, first...), a, 10)
	return strconv.AppendInt(append(list, second...), b, 10)
}
