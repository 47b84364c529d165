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
	first := v.Over()
	if first == nil {
		first = &v.Standings[0]
	}
	// All values are in one text and one array, since this is done for each token.
	text := make([]byte, 0, 384)
	var ends [len(limitFields)]int
	text = appendList(text, v.Standings, ";q=", ";w=", func(s *limits.Standing) (int64, int64) { return s.Limit, s.Window })
	ends[0] = len(text)
	text = appendList(text, v.Standings, ";r=", ";t=", func(s *limits.Standing) (int64, int64) { return s.Left, s.Reset })
	ends[1] = len(text)
	for i, n := range []int64{first.Limit, first.Left, time.Now().Unix() + first.Reset} {
		text = strconv.AppendInt(text, n, 10)
		ends[2+i] = len(text)
	}
	all, values, begin := string(text), make([]string, len(limitFields)), 0
	for i, name := range limitFields {
		values[i], begin = all[begin:ends[i]], ends[i]
		header[name] = values[i : i+1 : i+1]
	}
}

// limitFields are the fields of tell, in the form that Set would bring them to, each time.
var limitFields = [...]string{"Ratelimit-Policy", "Ratelimit", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

// appendList appends a List of Strings with two parameters each (RFC 9651 §3.1).
func appendList(list []byte, standings []limits.Standing, first, second string, values func(*limits.Standing) (a, b int64)) []byte {
	for i := range standings {
		if i > 0 {
			list = append(list, ", "...)
		}
		a, b := values(&standings[i])
		list = append(append(append(list, '"'), standings[i].Name...), '"') // names are ours, and plain
		list = strconv.AppendInt(append(list, first...), a, 10)
		list = strconv.AppendInt(append(list, second...), b, 10)
	}
	return list
}
