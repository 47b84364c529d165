// Package refusals answers the question "why was it refused?": it keeps the true cause of each
// refused token request for admins, while whoever was refused learns no more than the answer says.
//
// Begin with [Tally.Record], which counts a refusal and returns the error_id for its answer. An
// admin finds the cause by it ([Tally.ByErrorID]) or by client ([Tally.List]), and [Explain] says
// it in sentences.
//
// Strangers cause refusals, so there is no row for each: they are counted by client, cause, detail,
// address and hour, and what one stranger can add is bounded. No row holds a secret, a part of one
// or a hash of one.
package refusals

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"time"
)

// ErrNotFound means that an error_id leads to no refused token request. People read it.
var ErrNotFound = errors.New("no token request refused in the last 7 days has this error_id; " +
	"it has 26 letters and digits, copied from an answer 400, 401 or 429 of POST /oauth/token (that of any other answer stands in the server's log)")

// A Cause is why a token request was refused. Programs know it by this name.
type Cause string

// The causes. Details that are not said here are the description that was answered.
const (
	UnknownClient        Cause = "unknown_client"   // detail: Blanks, SecretAsID or ""
	ClientDeleted        Cause = "client_deleted"   // found out when counts are written, and so never recorded
	WrongSecret          Cause = "wrong_secret"     // detail: Blanks, Damaged or ""
	SecretEnded          Cause = "secret_ended"     // expired or revoked; detail: the id of the secret
	ClientDisabled       Cause = "client_disabled"  // no detail
	ClientExpired        Cause = "client_expired"   // no detail
	ClientSuspended      Cause = "client_suspended" // because nobody used it; no detail
	ScopeNotHeld         Cause = "scope_not_held"   // detail: the scope value, or NothingHeld
	ScopeMalformed       Cause = "scope_malformed"
	AudienceUnknown      Cause = "audience_unknown" // or not for this client; detail: the audience
	Malformed            Cause = "malformed"
	UnsupportedGrantType Cause = "unsupported_grant_type"
	NoCredentials        Cause = "no_credentials"
	TwoCredentials       Cause = "two_credentials"
	RateLimited          Cause = "rate_limited" // detail: the limit, as minute or account-day, or Failures
)

// Details that have a meaning.
const (
	Blanks      = "blanks"              // around the client_id or the secret
	Damaged     = "damaged"             // the checksum of the secret does not match
	SecretAsID  = "secret_in_client_id" // what was sent as client_id looks like a secret, and is not kept
	NotKept     = "not_kept"            // the id: too many that no client has came from there
	NothingHeld = "nothing held"        // for the audience; no scope value has a blank
	Failures    = "failures"            // to authenticate, too many from one address
)

// A Refusal is one refused token request. Of a client_id that is not known only a hash is kept,
// because people paste secrets into the wrong field; of what looks like a secret, nothing.
type Refusal struct {
	ClientID string // as sent, "" for none
	Known    bool   // there is a client with that id
	Cause    Cause
	Detail   string
	Audience []string // that a token was asked for, where that is known; no row tells it
	Address  string
	At       time.Time
}

// A Row counts refusals that are alike. What is "" was not there, or there was too much of it to
// count apart.
type Row struct {
	Bucket   string // its id
	ClientID string // "" for an id that no client has or had
	IDHash   string // SHA-256 of the id as sent, without blanks around it, hex; "" for none
	Cause    Cause
	Detail   string
	Address  string
	Count    int64
	FirstAt  time.Time
	LastAt   time.Time
}

// hashOf is what is kept of an id that may be none.
func hashOf(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// clean returns the refusal without what must not be kept.
func (r Refusal) clean() Refusal {
	r.ClientID = strings.TrimSpace(r.ClientID)
	if strings.Contains(r.ClientID, secretPrefix) {
		r.ClientID = ""
		if r.Cause == UnknownClient {
			r.Detail = SecretAsID
		}
	}
	r.Detail, r.Address = clean(r.Detail), clean(r.Address)
	return r
}

// secretPrefix is what secrets of this server begin with, by which it knows them in the wrong
// place.
const secretPrefix = "wks_"

// credential is what has no business in a detail: a secret or the beginning of one, and what a URL
// has before its host.
var credential = regexp.MustCompile(`(?i)` + secretPrefix + `[0-9a-z]*|//[^/@]*@`)

const (
	maxDetail = 200  // characters that are kept
	maxLooked = 2000 // characters that are looked at
)

// clean reduces a stranger's text to printable ASCII without credentials, of bounded length.
func clean(text string) string {
	if plain(text) {
		return text
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text[:min(len(text), maxLooked)])
	text = credential.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "//") {
			return "//[secret]@"
		}
		return "[secret]"
	})
	return text[:min(len(text), maxDetail)]
}

// plain says whether nothing of a text needs to be cleaned, as of most.
func plain(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '_' || c == '@' {
			return false
		}
	}
	return len(text) <= maxDetail
}
