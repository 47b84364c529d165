package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// TokenChecks are what is found out about a token.
type TokenChecks struct {
	Header, Claims map[string]any // as anybody may decode them; nil if they cannot be
	Checks         []TokenCheck
	Signed         bool // the claims can be believed
	Good           bool
}

// A TokenCheck is one of those that a token must pass.
type TokenCheck struct {
	Name   string
	Result CheckResult
	Detail string
}

// A CheckResult is what became of a check.
type CheckResult string

// What becomes of a check.
const (
	Passed  CheckResult = "passed"
	Failed  CheckResult = "failed"
	Skipped CheckResult = "skipped"
)

// A diagnosis is what was found out about what somebody pasted. What was pasted is not in it.
type diagnosis struct {
	What     string // "This is a Client ID"
	Verdict  string
	Tone     string // of the verdict: good, warn, bad
	Todo     []string
	Blanks   bool // there were some that do not belong to it
	Key      *adminclient.Client
	Deleted  *adminclient.DeletedClient
	Secret   *clients.OwnedSecret
	Token    *TokenChecks
	Refused  *adminclient.Refusal // the one that the error_id is of
	Refusals []adminclient.Refusal
}

func (d *diagnosis) say(tone, verdict string, todo ...string) {
	d.Tone, d.Verdict, d.Todo = tone, verdict, append(d.Todo, todo...)
}

// troubleshootForm asks what to look at. Only a Client ID, which is no secret, may stand in an
// address.
func (h *Handler) troubleshootForm(w http.ResponseWriter, r *http.Request) error {
	var found *diagnosis
	if what := r.URL.Query().Get("what"); clientIDForm.MatchString(what) {
		var err error
		if found, err = h.diagnose(r, what); err != nil {
			return err
		}
	}
	return h.render(w, r, http.StatusOK, "troubleshoot", "Troubleshoot", "", found)
}

func (h *Handler) troubleshoot(w http.ResponseWriter, r *http.Request) error {
	found, err := h.diagnose(r, r.PostForm.Get("what"))
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, "troubleshoot", "Troubleshoot", "", found)
}

// The forms of what may be pasted.
var (
	clientIDForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	errorIDForm  = regexp.MustCompile(`^[A-Za-z0-9]{26}$`)
	tokenForm    = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]*$`)
	errorAnswer  = regexp.MustCompile(`error_id"?\s*[:=]\s*"?([A-Za-z0-9]{26})\b`) // the whole answer, as a log has it
	bearer       = regexp.MustCompile(`(?i)^(authorization:\s*)?bearer\s+`)
)

// diagnose finds out what a text is, and all that there is to say of it.
func (h *Handler) diagnose(r *http.Request, pasted string) (*diagnosis, error) {
	text := strings.TrimSpace(pasted)
	if found := errorAnswer.FindStringSubmatch(text); found != nil {
		text, pasted = found[1], found[1]
	}
	if after := bearer.ReplaceAllString(text, ""); after != text {
		text, pasted = after, after
	}
	whole := strings.Join(strings.Fields(text), "")
	d := &diagnosis{Blanks: whole != pasted}
	switch {
	case text == "":
		return nil, nil
	case clients.FormOf(whole) != clients.Unlikely:
		return d, h.diagnoseSecret(r, d, whole)
	case clientIDForm.MatchString(whole):
		return d, h.diagnoseKey(r, d, strings.ToLower(whole))
	case errorIDForm.MatchString(whole):
		return d, h.diagnoseError(r, d, whole)
	case tokenForm.MatchString(whole):
		return d, h.diagnoseToken(r, d, whole)
	}
	d.What, d.Blanks = "This is nothing that Wardkey makes", false
	d.say("warn", "It is no error_id, Client ID, Secret or token of a Wardkey.",
		"Was it cut? A Secret begins with wks_ and has 53 characters, a token is three parts with dots between them, a Client ID has 36 characters, an error_id 26.",
		"Is it for another system? Secrets and tokens of other systems are of no use here.")
	return d, nil
}

func (h *Handler) diagnoseError(r *http.Request, d *diagnosis, id string) error {
	d.What = "This is an error_id"
	found, err := read[adminclient.RefusalList](h.api(r).ListRefusals(r.Context(), &adminclient.ListRefusalsParams{ErrorID: &id}))
	if p := asProblem(err); p != nil && p.Status < http.StatusInternalServerError {
		err = nil
	}
	if err != nil {
		return err
	}
	if len(found.Items) == 0 {
		d.say("warn", "No refused token request is known by it.",
			"It may be older than 7 days, or of another server.", "Paste the Client ID instead, to see all that was refused lately.")
		return nil
	}
	d.Refused = &found.Items[0]
	d.say("bad", d.Refused.Explanation, d.Refused.Cure)
	if id := d.Refused.ClientID; id != nil {
		_, err = h.keyOf(r, d, *id)
	}
	return err
}

// keyOf finds the key with the id, or what is left of it, and says whether there is any of it.
func (h *Handler) keyOf(r *http.Request, d *diagnosis, id string) (bool, error) {
	key, err := read[adminclient.Client](h.api(r).ReadClient(r.Context(), id, nil))
	if err == nil {
		d.Key = &key
		return true, nil
	}
	if p := asProblem(err); p == nil || p.Status != http.StatusNotFound {
		return false, err
	}
	gone, err := read[adminclient.DeletedClient](h.api(r).ReadDeletedClient(r.Context(), id))
	if err == nil {
		d.Deleted = &gone
		return true, nil
	}
	if p := asProblem(err); p == nil || p.Status != http.StatusNotFound {
		return false, err
	}
	return false, nil
}

func (h *Handler) diagnoseKey(r *http.Request, d *diagnosis, id string) error {
	d.What = "This is a Client ID"
	known, err := h.keyOf(r, d, id)
	if err != nil {
		return err
	}
	found, err := read[adminclient.RefusalList](h.api(r).ListRefusals(r.Context(), &adminclient.ListRefusalsParams{Client: &id, Limit: new(50)}))
	if err != nil {
		return err
	}
	d.Refusals = found.Items
	switch {
	case !known:
		d.say("bad", "No API key has it, or had it.", "Compare it with the Client ID on the page of the key: was it mistyped, or is it that of another server, such as staging?")
	case d.Deleted != nil:
		d.say("bad", "It is that of an API key that was deleted. It gets no tokens any more, and the Client ID is never used again.", "Make a new API key, and give its Client ID and Secret to the integration.")
	default:
		d.judgeKey(time.Now())
		if d.Tone == "good" && len(d.Refusals) > 0 {
			d.say("warn", "It is that of an active API key, of which requests were refused. See why below.")
		}
	}
	return nil
}

// judgeKey says whether the key gets tokens.
func (d *diagnosis) judgeKey(now time.Time) {
	switch {
	case d.Key.Disabled:
		d.say("bad", "It is that of an API key that is disabled, and gets no tokens.", "Enable the key on its page, if it should work.")
	case d.Key.SuspendedAt != nil:
		d.say("bad", "It is that of an API key that was suspended because nobody used it, and gets no tokens.", "Resume the key on its page, if it should work.")
	case d.Key.ExpiresAt != nil && !now.Before(*d.Key.ExpiresAt):
		d.say("bad", "It is that of an API key that has ended, and gets no tokens.", "Give it another end with Edit on its page, if it should work.")
	case !secretStep(*d.Key, now).Right:
		d.say("bad", "It is that of an API key without a Secret that opens it.", "Add a Secret on its page, and give it to the integration.")
	default:
		d.say("good", "It is that of an active API key.")
	}
}

func (h *Handler) diagnoseSecret(r *http.Request, d *diagnosis, text string) error {
	d.What = "This is a Secret"
	if clients.FormOf(text) == clients.Damaged {
		d.say("bad", fmt.Sprintf("It is damaged: its checksum is not right. It has %d characters of 53.", len(text)),
			"It was cut or mistyped, so it opens nothing. Copy it again from where it was stored, from wks_ to its end.",
			"If it was stored like this, add a new Secret on the page of the key.")
		return nil
	}
	owned, err := h.BySecret(r.Context(), text)
	if errors.Is(err, clients.ErrSecretNotFound) {
		d.say("bad", "It is whole, and no API key here has it.",
			"It is that of a key that was deleted, or ended long ago, or of another server, such as staging.",
			"Compare the Client ID beside it with those here, or add a new Secret on the page of the key.")
		return nil
	}
	if err != nil {
		return err
	}
	d.Secret = &owned
	if known, err := h.keyOf(r, d, owned.ClientID); err != nil || !known {
		return err
	}
	switch now := time.Now(); {
	case !owned.RevokedAt.IsZero():
		d.say("bad", "It is whole, and was revoked. It opens nothing any more.", "Give the integration a newer Secret of the key, or add one on its page.")
	case !owned.Live(now):
		d.say("bad", "It is whole, and has ended. It opens nothing any more.", "Give the integration a newer Secret of the key, or add one on its page.")
	case d.Deleted != nil:
		d.say("bad", "It is whole, but its API key was deleted.")
	default:
		d.judgeSecret(now)
	}
	return nil
}

// judgeSecret says whether a live Secret gets tokens.
func (d *diagnosis) judgeSecret(now time.Time) {
	if state := stateStep(*d.Key, now); !state.Right {
		d.say("bad", "It is whole and the right one, but its API key gets no tokens.", state.Why)
		return
	}
	d.say("good", "It is whole, and gets tokens for its API key.")
	if d.Blanks {
		d.say("warn", "It is whole, but blanks stood around it or in it. With them it is refused.", "Take the blanks and line breaks away where it is configured.")
		return
	}
	d.Todo = append(d.Todo, "If token requests are refused all the same, compare the Client ID: it must be the one below.",
		"A Secret that was sent around by e-mail or chat should be replaced: see the page of the key. If others can read it somewhere, revoke it now, below.")
}

func (h *Handler) diagnoseToken(r *http.Request, d *diagnosis, raw string) error {
	d.What = "This is a token"
	checks, err := h.CheckToken(r.Context(), raw)
	if err != nil {
		return err
	}
	d.Token = &checks
	id, _ := checks.Claims["client_id"].(string)
	if checks.Signed && clientIDForm.MatchString(id) {
		if _, err := h.keyOf(r, d, id); err != nil {
			return err
		}
	}
	if checks.Good {
		d.say("good", "It is good: every check passes.", "If a service refuses it all the same, look at its audience, and at what its scope has.")
		return nil
	}
	d.say("bad", "It is not good. See which check fails.", "Ask for a new token: POST /oauth/token with the Client ID and the Secret.")
	return nil
}

// A TokenChecker finds out all about a token that can be known.
type TokenChecker func(ctx context.Context, raw string) (TokenChecks, error)

// A SecretFinder finds whose a Secret is, or returns [clients.ErrSecretNotFound].
type SecretFinder func(ctx context.Context, text string) (clients.OwnedSecret, error)
