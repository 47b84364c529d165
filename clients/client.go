package clients

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/sections"
)

// Errors of the store.
var (
	ErrNotFound       = errors.New("clients: no such client")
	ErrSecretNotFound = errors.New("clients: no such secret")
	ErrTwoSecrets     = errors.New("clients: there are two live secrets already")
)

// A Client is a named integration that may ask for tokens. The pages call it an API key.
type Client struct {
	ID            string // a UUID
	Name          string
	Description   string
	Held          sections.Held
	Audiences     []string      // empty: the server's
	TokenLifetime time.Duration // zero: the server's
	SigningAlg    string        // empty: the server's
	Plan          Plan
	Limits        Limits // those of the plan
	Disabled      bool
	KeepUnused    bool      // it is not suspended, however long nobody uses it
	SuspendedAt   time.Time // because nobody used it; zero: it is not
	ExpiresAt     time.Time // zero: never
	CreatedAt     time.Time
	CreatedBy     string
	LastUsedAt    time.Time // zero: not yet
	StatusIndex   int64     // the position of its bit in the status lists
	Credentials   []Credential
}

// Limits of what an admin may set.
const (
	MinTokenLifetime = time.Minute
	MaxTokenLifetime = 24 * time.Hour
	maxDescription   = 1000
	maxSecrets       = 2
)

// Nobody is a client that no secret opens. An unknown id is answered with it, so that it costs
// and answers what a wrong secret does.
var Nobody = &Client{Disabled: true, Credentials: make([]Credential, 1)}

// A Verdict says why a client was not authenticated. It is for the log and the admin; a stranger
// is not told.
type Verdict string

// The verdicts.
const (
	Authenticated Verdict = ""
	UnknownClient Verdict = "unknown client id"
	WrongSecret   Verdict = "wrong secret"
	SecretExpired Verdict = "the secret has expired"
	IsDisabled    Verdict = "the client is disabled"
	IsSuspended   Verdict = "the client is suspended because it was not used"
	HasExpired    Verdict = "the client has expired"
)

// Authenticate says whether secret opens the client at the given time, and with which of its
// credentials. Every hash is compared, and everything is checked whatever was found before, so
// that the time tells nothing.
func (c *Client) Authenticate(secret string, now time.Time) (Verdict, string) {
	presented := hash(sha256.Sum256([]byte(secret)))
	verdict, id := WrongSecret, ""
	for _, credential := range c.Credentials {
		if credential.matches(presented) == 1 {
			verdict, id = Authenticated, credential.ID
			if !credential.liveAt(now) {
				verdict = SecretExpired
			}
		}
	}
	switch {
	case c == Nobody:
		return UnknownClient, ""
	case verdict != Authenticated:
		return verdict, id
	}
	return c.usable(now), id
}

// usable says whether a client that gave a right secret gets tokens.
func (c *Client) usable(now time.Time) Verdict {
	switch {
	case c.Disabled:
		return IsDisabled
	case !c.SuspendedAt.IsZero():
		return IsSuspended
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
		return HasExpired
	}
	return Authenticated
}

// Usable says whether tokens of the client are honoured at the given time.
func (c *Client) Usable(now time.Time) bool { return c.usable(now) == Authenticated }

// Live returns the secrets that open the client at the given time.
func (c *Client) Live(now time.Time) []Credential {
	return slices.DeleteFunc(slices.Clone(c.Credentials), func(x Credential) bool { return !x.liveAt(now) })
}

// Rules is what clients are checked against.
type Rules struct {
	Catalog   *sections.Catalog
	Audiences []string // the server's
	Algs      []string // the signing algorithms on offer
	Now       time.Time
}

// Normalize brings the client to its stored form, and returns [sections.Invalid] if it breaks a
// rule. Before is the client as it was, nil for a new one: what was there already may stay, be it
// a past expiry or a capability that was switched off since.
func (c *Client) Normalize(rules Rules, before *Client) error {
	var v sections.Invalid
	c.Name = v.Name("/name", c.Name)
	v.Text("/description", withoutLines(c.Description))
	for _, text := range []struct{ field, text string }{{"/name", c.Name}, {"/description", c.Description}} {
		if holdsSecret(text.text) {
			v.Add(text.field, "holds a secret, which others could read there; take it out, and rotate it")
		}
	}
	if n := len([]rune(c.Description)); n > maxDescription {
		v.Add("/description", "has %d characters; at most %d are allowed", n, maxDescription)
	}
	rules.Catalog.Check(&v, c.newlyHeld(before))
	if len(c.Held.Sections) == 0 && !rules.Catalog.NeedsNoSection(c.Held) {
		v.Add("/sections", `must name at least one Section, or be ["*"]; only a client whose permissions are all capabilities or wardkey needs none`)
	}
	if c.TokenLifetime != 0 && (c.TokenLifetime < MinTokenLifetime || c.TokenLifetime > MaxTokenLifetime) {
		v.Add("/token_lifetime", "must be 60 to 86400 seconds")
	}
	if c.SigningAlg != "" && !slices.Contains(rules.Algs, c.SigningAlg) {
		v.Add("/signing_alg", "must be one of %q", rules.Algs)
	}
	c.checkAudiences(&v, rules.Audiences)
	c.checkPlan(&v)
	unchanged := before != nil && before.ExpiresAt.Equal(c.ExpiresAt)
	if !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(rules.Now) && !unchanged {
		v.Add("/expires_at", "must be in the future")
	}
	if err := v.Err(); err != nil {
		return err
	}
	c.ExpiresAt = c.ExpiresAt.Truncate(time.Second)
	c.Held.Sort()
	return nil
}

// newlyHeld is what the client holds, without the permissions that it held before.
func (c *Client) newlyHeld(before *Client) sections.Held {
	held := c.Held
	if before != nil {
		held.Permissions = slices.DeleteFunc(slices.Clone(held.Permissions), func(p sections.Permission) bool {
			return slices.Contains(before.Held.Permissions, p)
		})
	}
	return held
}

func (c *Client) checkAudiences(v *sections.Invalid, allowed []string) {
	for i, audience := range c.Audiences {
		switch {
		case slices.Contains(c.Audiences[:i], audience):
			v.Add(sections.Pointer("audiences", i), "repeats %q", audience)
		case !slices.Contains(allowed, audience):
			v.Add(sections.Pointer("audiences", i), "must be one of the server's audiences %q", allowed)
		}
	}
}

// withoutLines is text without the line breaks and tabs that a description may have.
func withoutLines(text string) string {
	return strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(text)
}
