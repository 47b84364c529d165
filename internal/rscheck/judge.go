package rscheck

import (
	"fmt"
	"net/http"

	"github.com/wardkey/wardkey/internal/attacks"
)

// An Outcome is what became of an attack.
type Outcome string

// What becomes of an attack.
const (
	Passed    Outcome = "passed"
	Failed    Outcome = "failed"
	Noted     Outcome = "noted" // not as it might be, and nothing that counts
	NotTested Outcome = "not tested"
)

// judge says whether the service did what it must, and what came back.
func judge(a attacks.Attack, got answer) Result {
	result := verdict(a, got)
	if result.Outcome != NotTested {
		result.Status = got.status
		if bearer := got.bearer(); bearer != nil {
			result.Challenge = bearer.text
		}
	}
	return result
}

func verdict(a attacks.Attack, got answer) Result {
	switch {
	case got.made != nil:
		return Result{Outcome: NotTested, Detail: got.made.Error()}
	case got.status == http.StatusTooManyRequests:
		return Result{Outcome: NotTested, Detail: "the service answers 429, too many requests"}
	case got.baitsTaken > 0:
		return failure(taken(got), "it fetched the address in the token's header; "+got.words(), keysInside)
	case a.Want == attacks.Accept && !attacks.Accepted(got.status), a.Want != attacks.Accept && attacks.Accepted(got.status):
		return failure(a.Gravity, got.words(), topic(a.Name))
	case got.failed != nil && !mayHangUp(a):
		return failure(attacks.Serious, got.words(), crash)
	case got.status >= 500:
		return failure(attacks.Serious, got.words(), crash)
	case a.Fetches > 0 && got.keysFetched > a.Fetches:
		return failure(a.Gravity, fmt.Sprintf("it fetched the keys %d times", got.keysFetched), topic(a.Name))
	}
	if fault, about := manners(a, got); fault != "" {
		return failure(attacks.Minor, fault+"; "+got.words(), about)
	}
	return Result{Outcome: Passed, Detail: got.words()}
}

// taken is how bad it is that a service follows an address, by whether it believes what it finds.
func taken(got answer) attacks.Gravity {
	if attacks.Accepted(got.status) {
		return attacks.Critical
	}
	return attacks.Serious
}

// mayHangUp says whether a service may close the connection without a word: what it was sent is
// larger than any header that it needs to read.
func mayHangUp(a attacks.Attack) bool { return a.Name == "dots" }

func failure(g attacks.Gravity, detail string, about subject) Result {
	outcome := Failed
	if g == attacks.Note {
		outcome = Noted
	}
	return Result{Outcome: outcome, Gravity: g, Detail: detail, about: about}
}

// manners says what is wrong with how a refusal is said (RFC 6750 §3), or nothing.
func manners(a attacks.Attack, got answer) (fault string, about subject) {
	bearer := got.bearer()
	switch {
	case got.repeated:
		return "the answer repeats the token", challenges
	case !a.Manners:
		return "", ""
	case !a.Want.Met(got.status):
		return fmt.Sprintf("the status must be %s", wanted[a.Want]), statuses
	case bearer == nil:
		return "there is no WWW-Authenticate: Bearer", challenges
	case len(bearer.params) == 0:
		return "the challenge has no parameter, not even a realm", challenges
	case bearer.repeats:
		return "the challenge has a parameter twice", challenges
	case bearer.params["error"] != a.Code && a.Code == "":
		return "the challenge has an error although nothing was tried", challenges
	case bearer.params["error"] != a.Code:
		return fmt.Sprintf(`the challenge must say error="%s"`, a.Code), challenges
	}
	return "", ""
}

// wanted are the right statuses in words.
var wanted = map[attacks.Want]string{
	attacks.Accept: "2xx", attacks.Refuse: "401", attacks.Forbid: "403", attacks.Reject: "400 or 401",
}
