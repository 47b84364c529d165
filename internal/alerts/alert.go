// Package alerts tells admins of what they should know before something goes wrong: on the pages,
// by webhook and by e-mail.
//
// Begin with [Store.Raise], which tells of one thing once, in the transaction of whatever it tells
// of. What nobody raises, a [Watch] finds in the store, as a job that one server does for all. A
// [Dispatcher] sends what was raised: the row that says what is to be sent is written together with
// the alert, so that none is lost, and each attempt carries the same id, so that receivers can tell
// a second one from a second alert (docs/decisions/0021).
//
// Nothing secret stands in an alert, and nothing that a stranger could have chosen but the names
// that admins gave.
package alerts

import (
	"errors"
	"slices"
	"time"
)

// ErrNotFound means that there is no such alert, mute, webhook or delivery.
var ErrNotFound = errors.New("alerts: no such thing")

// A Kind is what an alert is about.
type Kind string

// The kinds.
const (
	ClientExpiring     Kind = "client_expiring"
	SecretExpiring     Kind = "secret_expiring"
	ClientUnused       Kind = "client_unused"
	ErrorRate          Kind = "error_rate"
	UnusualVolume      Kind = "unusual_volume"
	NewNetwork         Kind = "new_network"
	NewCountry         Kind = "new_country"
	NearLimit          Kind = "near_limit"
	OldSecretUsed      Kind = "old_secret_used"
	SecretLeaked       Kind = "secret_leaked"
	SigningKeyRotated  Kind = "signing_key_rotated"
	AdminFromNewPlace  Kind = "admin_new_place"
	WebhookSwitchedOff Kind = "webhook_disabled"
)

// titles are what people call the kinds.
var titles = map[Kind]string{
	ClientExpiring:     "Key about to expire",
	SecretExpiring:     "Secret about to expire",
	ClientUnused:       "Unused key",
	ErrorRate:          "Many refused requests",
	UnusualVolume:      "Unusually many requests",
	NewNetwork:         "Used from a new network",
	NewCountry:         "Used from a new country",
	NearLimit:          "Near its limit",
	OldSecretUsed:      "Old secret still in use",
	SecretLeaked:       "Leaked secret revoked",
	SigningKeyRotated:  "New signing key",
	AdminFromNewPlace:  "Admin signed in from a new place",
	WebhookSwitchedOff: "Webhook switched off",
}

// Kinds are all of them.
var Kinds = []Kind{
	ClientExpiring, SecretExpiring, ClientUnused, ErrorRate, UnusualVolume, NewNetwork, NewCountry, NearLimit,
	OldSecretUsed, SecretLeaked, SigningKeyRotated, AdminFromNewPlace, WebhookSwitchedOff,
}

// Title is what people call the kind.
func (k Kind) Title() string { return titles[k] }

// known says whether there is such a kind.
func (k Kind) known() bool { return slices.Contains(Kinds, k) }

// An Alert is one thing that admins are told.
type Alert struct {
	// Once says what it tells of, among alerts of its kind: "<client id> <day>". Of two with the same
	// the second is not told.
	Once       string
	Kind       Kind
	ClientID   string // the client that it is about; "" for none
	ClientName string // found by the id if it is ""
	Text       string // what happened and what to do, in sentences
	At         time.Time

	// What Raise and admins say of it.
	ID             string
	Muted          bool // nobody wanted to hear of it
	AcknowledgedAt time.Time
	AcknowledgedBy string
}

// A State says which alerts are wanted.
type State string

// The states.
const (
	Open         State = "open" // neither acknowledged nor muted
	Acknowledged State = "acknowledged"
	Muted        State = "muted"
)

// States are all of them.
var States = []State{Open, Acknowledged, Muted}

// A Filter says which alerts are wanted; what is zero does not matter.
type Filter struct {
	State    State
	Kind     Kind
	ClientID string
}

// A Position is where a list goes on: behind the row with this time and id. The zero Position is
// the beginning.
type Position struct {
	At time.Time
	ID string
}
