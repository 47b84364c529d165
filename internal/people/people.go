package people

import (
	"errors"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// What can be wrong with a request, beside [Invalid] and [TooSoon].
var (
	ErrNotFound      = errors.New("people: no such person or session")
	ErrEmailTaken    = errors.New("people: another admin has this e-mail")
	ErrLastOwner     = errors.New("people: the last owner must stay one; make somebody else an owner first")
	ErrSignIn        = errors.New("people: the e-mail or the password is wrong")
	ErrWrongPassword = errors.New("people: the current password is wrong")
	ErrBusy          = errors.New("people: too many passwords are being checked; try again in a few seconds")
)

// Invalid is the error for what breaks a rule. Detail says what to do.
type Invalid struct{ Field, Detail string }

func (v Invalid) Error() string { return v.Field + ": " + v.Detail }

// TooSoon is the error for a password that was not looked at, because too many before it were
// wrong. It is the same for a right one, and where there is no account.
type TooSoon struct{ RetryAfter time.Duration } // whole seconds

func (t TooSoon) Error() string {
	return "people: too many failures in a row; try again in " + t.RetryAfter.String()
}

// A Role says what a person may do.
type Role string

// The roles.
const (
	Owner  Role = "owner"  // everything, to other admins too
	Admin  Role = "admin"  // everything but to admins
	Viewer Role = "viewer" // reads
)

func (r Role) check() error {
	switch r {
	case Owner, Admin, Viewer:
		return nil
	}
	return Invalid{"/role", `must be "owner", "admin" or "viewer"`}
}

// A Person is an admin.
type Person struct {
	ID    string
	Email string // lower case
	Role  Role
	// OneTimePassword means that somebody else knows the password: until it is changed, a session
	// is good for nothing but changing it.
	OneTimePassword bool
	OneTimeUntil    time.Time // when that password ends; zero if there is none
	CreatedAt       time.Time
	LastSignInAt    time.Time // zero for never
}

// oneTimeLife is for how long a one-time password opens something. It may lie in a letter or a
// terminal's history for ever.
const oneTimeLife = 7 * 24 * time.Hour

func (p Person) oneTimeEnded(now time.Time) bool {
	return p.OneTimePassword && !now.Before(p.OneTimeUntil)
}

// Actor is the person as the audit log names who acts.
func (p Person) Actor() audit.Actor {
	return audit.Actor{Kind: audit.Admin, ID: p.ID, Name: p.Email}
}

func (p Person) target() audit.Target { return audit.Target{Kind: "admin", ID: p.ID, Name: p.Email} }

// A Page says which part of a list is wanted: what comes after the row that was created at After
// with the id AfterID, and at most Limit of it.
type Page struct {
	After   time.Time
	AfterID string
	Limit   int
}

// People keeps persons and their passwords. Its methods take part in a transaction of its
// database (database.DB.Transact), except where they hash a password, which is too slow for one.
// There should be one in a process: it is what keeps too many hashes from running at once.
type People struct {
	db     *database.DB
	log    *audit.Log
	hashes *hasher
}

// New returns the people in db, which has the current schema. What they do is recorded in log.
func New(db *database.DB, log *audit.Log) *People {
	return &People{db: db, log: log, hashes: newHasher()}
}
