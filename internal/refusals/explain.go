package refusals

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Facts are what the reader of a row found out about it; what is zero is not known.
type Facts struct {
	Name      string    // of the client, or of the deleted one
	ExpiresAt time.Time // the client's end

	SuspendedAt time.Time // zero: it was resumed since
	LastUsedAt  time.Time // by the client

	DeletedAt time.Time
	DeletedBy string

	SecretHint      string // the last four characters of the secret that ended
	SecretEndedAt   time.Time
	SecretRevokedBy string // "" for one that ended by itself

	Holds           []string // the scope values that the client holds now
	Audiences       []string // the server's
	ClientAudiences []string // those that the client may ask for; empty: all
}

// Explain says for people why the refusals of a row were refused, and what to do, in a sentence or
// two each.
func Explain(r Row, f Facts) (cause, cure string) {
	switch r.Cause {
	case UnknownClient:
		return unknownClient(r)
	case ClientDeleted:
		return fmt.Sprintf("%s was deleted%s%s.", subject(r, f), on(f.DeletedAt), by(f.DeletedBy)),
			"Deleting is final. If the integration is still needed, create a new client and give it the new Client ID and secret; if not, switch it off."
	case WrongSecret:
		return wrongSecret(r, f)
	case SecretEnded:
		return secretEnded(r, f)
	case ClientDisabled:
		return fmt.Sprintf("%s was disabled: the Client ID and the secret were right.", subject(r, f)),
			"Enable the client again if the integration may go on."
	case ClientExpired:
		return fmt.Sprintf("%s had expired%s: the Client ID and the secret were right.", subject(r, f), on(f.ExpiresAt)),
			"Give the client a later end, or none, if the integration may go on."
	case ClientSuspended:
		return clientSuspended(r, f)
	case ScopeNotHeld:
		return scopeNotHeld(r, f)
	case AudienceUnknown:
		return audienceUnknown(r, f)
	case RateLimited:
		return rateLimited(r, f)
	}
	return badRequest(r)
}

func unknownClient(r Row) (cause, cure string) {
	switch r.Detail {
	case Blanks:
		return "The client_id was sent with blanks around it.",
			"Remove the spaces and line breaks before and after the Client ID; they often come with copying."
	case NotKept:
		return "The client_id that was sent is that of no client, or of a deleted one: too many such ids came from there within the hour to keep each.",
			"Ask for the Client ID that the integration sends, and look it up; if nobody of yours sends from that address, somebody is guessing, which is hopeless."
	case SecretAsID:
		return "What was sent as client_id looks like a secret.",
			"Send the Client ID as client_id and the secret as client_secret: they may stand in each other's place. The secret should be rotated if others can read where it stood."
	}
	return "No client has or had the client_id that was sent.",
		"Compare the Client ID letter by letter, without extra spaces, with the one in the list of clients, and see that the request goes to the right server: each has its own clients."
}

func wrongSecret(r Row, f Facts) (cause, cure string) {
	switch r.Detail {
	case Blanks:
		return fmt.Sprintf("The secret for %s was sent with blanks around it.", client(r, f)),
			"Remove the spaces and line breaks before and after the secret; they often come with copying, or from the end of a file."
	case Damaged:
		return fmt.Sprintf("The secret that was sent for %s was cut or mistyped: its checksum does not match.", client(r, f)),
			"Copy the secret again, whole: wks_ and 49 letters and digits. If it is lost, rotate it."
	}
	return fmt.Sprintf("The secret that was sent is not one of %s.", client(r, f)),
		"Copy the secret of this very client again, without extra spaces; it may be another client's or another server's. If it is lost, rotate it. If nobody of yours sends from that address, somebody is guessing, which is hopeless."
}

func secretEnded(r Row, f Facts) (cause, cure string) {
	which := "a secret"
	if f.SecretHint != "" {
		which = "the secret that ends in " + f.SecretHint
	}
	end := "which had ended"
	switch {
	case f.SecretRevokedBy != "":
		end = "which was revoked" + on(f.SecretEndedAt) + by(f.SecretRevokedBy)
	case !f.SecretEndedAt.IsZero():
		end = "which ended" + on(f.SecretEndedAt)
	}
	return fmt.Sprintf("%s sent %s, %s.", subject(r, f), which, end),
		"Give the integration the secret that is live now, wherever it runs: one of its places still has the old one. If the live one is lost, rotate it."
}

func clientSuspended(r Row, f Facts) (cause, cure string) {
	unused := "it was never used"
	if !f.LastUsedAt.IsZero() {
		unused = "its last token was given" + on(f.LastUsedAt)
	}
	cause = fmt.Sprintf("%s was suspended%s because it was not used: %s. The Client ID and the secret were right.", subject(r, f), on(f.SuspendedAt), unused)
	if f.SuspendedAt.IsZero() {
		return cause, "It was resumed since, and gets tokens: ask again."
	}
	return cause, "Resume the client if the integration is still needed, on its page or with wardkey client resume; it may be deleted otherwise. If it runs seldom, let it be kept although unused."
}

func scopeNotHeld(r Row, f Facts) (cause, cure string) {
	holds := "Ask for no more than the client holds"
	if len(f.Holds) > 0 {
		holds += " (" + strings.Join(f.Holds, " ") + ")"
	}
	switch {
	case r.Detail == NothingHeld:
		return fmt.Sprintf("%s holds nothing for the audience that it asked for.", subject(r, f)),
			"Give the client permissions, or ask for another audience: wardkey permissions are for this server's own API alone, all others for every audience but that. What is switched off is not held."
	case r.Detail == "":
		return fmt.Sprintf("%s asked for scope values that it does not hold; there were too many different ones to keep.", subject(r, f)),
			holds + ", or give it what it lacks."
	case slices.Contains(f.Holds, r.Detail):
		return fmt.Sprintf("%s asked for %s, which it did not hold then, or not for the audience that it asked for.", subject(r, f), r.Detail),
			"It holds it now: ask again. If that is refused, see that wardkey permissions are asked for with this server's own audience, and others with another."
	}
	return fmt.Sprintf("%s asked for %s, which it does not hold.", subject(r, f), r.Detail),
		holds + ", or give it " + r.Detail + ". A Section or keyspace must exist, and a capability be switched on."
}

func audienceUnknown(r Row, f Facts) (cause, cure string) {
	asked := cmp.Or(r.Detail, "audiences (too many different ones to keep)")
	allowed := f.ClientAudiences
	if len(allowed) == 0 {
		allowed = f.Audiences
	}
	cure = "Ask for an audience that it may have, as resource or audience, or leave both out. Audiences are compared letter by letter."
	if len(allowed) > 0 {
		cure = fmt.Sprintf("Ask for one that it may have (%s), as resource or audience, or leave both out. Audiences are compared letter by letter.", strings.Join(allowed, ", "))
	}
	if slices.Contains(f.Audiences, r.Detail) {
		return fmt.Sprintf("%s asked for a token for %s, which is not one of its audiences.", subject(r, f), asked),
			cure + " Or give the client that audience."
	}
	return fmt.Sprintf("%s asked for a token for %s, which this server does not know.", subject(r, f), asked), cure
}

func rateLimited(r Row, f Facts) (cause, cure string) {
	if r.Detail == Failures {
		return "Too many requests from there had failed to authenticate within a minute, so this one was not looked at.",
			"Find what sends a wrong Client ID or secret from that address, and give it the right ones; causes just before this one say which. A client that got a token from there within a day is let in all the same."
	}
	if name, ok := strings.CutPrefix(r.Detail, "account-"); ok {
		return fmt.Sprintf("All clients together had asked for as many tokens as the account may have (%s).", limitNames[name]),
			"Find who asks for too many (wardkey client wasteful), or raise the limits of the account: --account-per-minute, --account-per-day."
	}
	name := cmp.Or(limitNames[r.Detail], "its limits")
	return fmt.Sprintf("%s had asked for as many tokens as its plan allows (%s).", subject(r, f), name),
		"Keep each token until shortly before it ends, instead of asking for one with each request; or put the client on a larger plan."
}

// limitNames are the limits in words.
var limitNames = map[string]string{"minute": "in a minute", "burst": "at once", "day": "in a day"}

// badRequest explains what depends on the request alone.
func badRequest(r Row) (cause, cure string) {
	because := "."
	if r.Detail != "" {
		because = ": " + r.Detail + "."
	}
	switch r.Cause {
	case ScopeMalformed:
		return "The scope was malformed" + because,
			"Write section:<id>, <keyspace>:<action> or <capability>:<action>, with one space between two and none around them; or leave scope out, and get all that the client holds."
	case UnsupportedGrantType:
		return "The grant_type was another than client_credentials.",
			"Send grant_type=client_credentials: this server knows no users who sign in, and no refresh tokens."
	case NoCredentials:
		return "The request did not authenticate a client" + because,
			"Send Client ID and secret with HTTP Basic, or as client_id and client_secret in the body. Another header, such as X-API-Key or Bearer, is not looked at."
	case TwoCredentials:
		return "The request authenticated its client in more ways than one" + because,
			"Send Client ID and secret once: with HTTP Basic, or as client_id and client_secret in the body. Many libraries have a switch for it."
	}
	return "The request was malformed" + because,
		"Send a form or a JSON object in the body of POST /oauth/token, with grant_type, client_id and client_secret, each once, and see that nothing on the way changes it."
}

// client names the client of a row within a sentence.
func client(r Row, f Facts) string {
	switch {
	case f.Name != "":
		return fmt.Sprintf("the client %q", f.Name)
	case r.ClientID != "":
		return "the client " + r.ClientID
	}
	return "the client"
}

// subject begins a sentence with the client.
func subject(r Row, f Facts) string { return "T" + strings.TrimPrefix(client(r, f), "t") }

func on(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " on " + at.UTC().Format("2006-01-02 at 15:04:05 UTC")
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}
