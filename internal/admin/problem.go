package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// A kind is what went wrong, as programs tell it apart: its name ends the type of RFC 9457.
type kind struct {
	status int
	name   string
	title  string
}

// The kinds of problems, as openapi.yaml lists them.
var (
	malformed          = kind{http.StatusBadRequest, "malformed", "The request cannot be read"}
	unauthenticated    = kind{http.StatusUnauthorized, "unauthenticated", "A token of this server is needed"}
	insufficientScope  = kind{http.StatusForbidden, "insufficient-scope", "The token does not allow this"}
	notFound           = kind{http.StatusNotFound, "not-found", "There is no such thing"}
	notAllowed         = kind{http.StatusMethodNotAllowed, "method-not-allowed", "That cannot be done here"}
	taken              = kind{http.StatusConflict, "taken", "The id is taken"}
	noRotation         = kind{http.StatusConflict, "no-rotation", "The client has not two live secrets"}
	alreadyDone        = kind{http.StatusConflict, "already-done", "The request was done already"}
	keyReused          = kind{http.StatusUnprocessableEntity, "key-reused", "The Idempotency-Key is another request's"}
	lastOwner          = kind{http.StatusConflict, "last-owner", "There must be an owner"}
	changedSince       = kind{http.StatusConflict, "changed-since", "It is no longer what the dry run said"}
	tooMany            = kind{http.StatusTooManyRequests, "too-many", "Too many tries"}
	passwordChange     = kind{http.StatusForbidden, "password-change", "Another password must be chosen"}
	twoSecrets         = kind{http.StatusConflict, "two-secrets", "The client has two live secrets"}
	preconditionFailed = kind{http.StatusPreconditionFailed, "precondition-failed", "The resource has changed"}
	tooLarge           = kind{http.StatusRequestEntityTooLarge, "too-large", "The body is too large"}
	unsupportedMedia   = kind{http.StatusUnsupportedMediaType, "unsupported-media-type", "The body is not plain JSON"}
	invalid            = kind{http.StatusUnprocessableEntity, "invalid", "Rules are broken"}
	internal           = kind{http.StatusInternalServerError, "internal", "The server failed"}
	unavailable        = kind{http.StatusServiceUnavailable, "unavailable", "The store does not answer"}
	storageFull        = kind{http.StatusInsufficientStorage, "storage-full", "The store is full"}
)

// details are what is said of a kind where nothing better is known.
var details = map[kind]string{
	internal:    "the server failed; its log says why under the request_id",
	unavailable: "the store does not answer in time; try again soon",
	storageFull: "the disk of the store is full; nothing was changed",
}

// A problem is what a caller is told. Anything else that goes wrong is told to the log.
type problem struct {
	kind   kind
	detail string
	errors []wire.FieldError
	made   string // with alreadyDone: what the request made
	header http.Header
	cause  error // for the log: why in truth; nil if detail says it all
}

func (p *problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %v", p.kind.name, p.cause)
	}
	return fmt.Sprintf("%s: %s", p.kind.name, p.detail)
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

var (
	errNoPath = &problem{kind: notFound, detail: "there is nothing at this path"}
	errNoBody = &problem{kind: malformed, detail: "the body is missing; send JSON"}
)

// asProblem makes what a caller is told of any error. Of what nobody foresaw it is told nothing.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if rules, ok := errors.AsType[sections.Invalid](err); ok {
		return broken(rules)
	}
	if rule, ok := errors.AsType[people.Invalid](err); ok {
		return broken(sections.Invalid{{Field: rule.Field, Detail: rule.Detail}})
	}
	if rule, ok := errors.AsType[alerts.Invalid](err); ok {
		return broken(sections.Invalid{{Field: rule.Field, Detail: rule.Detail}})
	}
	if wait, ok := errors.AsType[people.TooSoon](err); ok {
		return tooSoon(wait.RetryAfter, "too many tries to sign in; try again")
	}
	if wait, ok := errors.AsType[reports.TooSoon](err); ok {
		return tooSoon(wait.RetryAfter, "too many reports of this resource server; send it again, as it is,")
	}
	switch {
	case errors.Is(err, people.ErrEmailTaken):
		return &problem{kind: taken, detail: "another admin has this e-mail"}
	case errors.Is(err, people.ErrLastOwner):
		return &problem{kind: lastOwner, detail: "the last owner must stay one; make somebody else an owner first"}
	case errors.Is(err, people.ErrBusy):
		return tooSoon(5*time.Second, "too many tries to sign in; try again")
	case errors.Is(err, sections.ErrNotFound), errors.Is(err, clients.ErrNotFound), errors.Is(err, people.ErrNotFound),
		errors.Is(err, clients.ErrSecretNotFound), errors.Is(err, tokens.ErrKeyNotFound), errors.Is(err, alerts.ErrNotFound):
		return &problem{kind: notFound, detail: "there is no such thing, or no more"}
	case errors.Is(err, sections.ErrTaken):
		return &problem{kind: taken, detail: "the id is in use, or was once; ids are never used again, so choose another"}
	case errors.Is(err, clients.ErrNoRotation):
		return &problem{kind: noRotation, detail: "there are not two live secrets, so there is no rotation to take back"}
	case errors.Is(err, clients.ErrTwoSecrets):
		return &problem{kind: twoSecrets, detail: "delete one of the two live secrets first"}
	case database.IsFull(err):
		return &problem{kind: storageFull, cause: err}
	case isUnavailable(err):
		return &problem{kind: unavailable, cause: err}
	}
	return &problem{kind: internal, cause: err}
}

// tooSoon tells somebody to wait. Whoever tries passwords hears the same, whether any of them was
// right or not.
func tooSoon(wait time.Duration, detail string) *problem {
	seconds := strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	in := " in " + seconds + " seconds"
	if seconds == "1" {
		in = " in a second"
	}
	return &problem{kind: tooMany, header: http.Header{"Retry-After": {seconds}}, detail: detail + in}
}

// broken tells of each broken rule with the member that breaks it.
func broken(rules sections.Invalid) *problem {
	p := &problem{kind: invalid, detail: rules.Error()}
	for _, rule := range rules {
		p.errors = append(p.errors, wire.FieldError{Field: rule.Field, Detail: rule.Detail})
	}
	return p
}

// isUnavailable says whether err means that the store could not be asked, or not in time, so that
// trying again may help.
func isUnavailable(err error) bool {
	return database.IsUnavailable(err) || database.IsForeignKey(err) // what was referred to went away in the meantime
}

// fail answers with err, and leaves its cause in the log.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	if r.Context().Err() != nil && p.kind == internal {
		p.kind = unavailable // drivers have words of their own for a time that is over
	}
	request.Note(r.Context(), slog.String("problem", p.kind.name))
	if p.cause != nil {
		request.Note(r.Context(), slog.String("cause", p.cause.Error()))
	}
	maps.Copy(w.Header(), p.header)
	if p.kind == unavailable {
		w.Header().Set("Retry-After", "1")
	}
	p.write(w, request.ID(r.Context()))
}

func (p *problem) write(w http.ResponseWriter, id string) {
	body := wire.Problem{
		Type: "urn:wardkey:problem:" + p.kind.name, Title: p.kind.title, Status: p.kind.status, Errors: p.errors,
	}
	detail := p.detail
	if detail == "" {
		detail = details[p.kind]
	}
	if detail != "" {
		body.Detail = &detail
	}
	if id != "" {
		body.RequestID = &id
	}
	if p.made != "" {
		body.Made = &p.made
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own types always can be written
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.kind.status)
	_, _ = w.Write(append(text, '\n')) // a caller that went away needs no answer
}

// badParameter answers what the generated code says of a parameter in the path, the query or a
// header.
func badParameter(w http.ResponseWriter, r *http.Request, err error) {
	name := ""
	if e, ok := errors.AsType[*wire.InvalidParamFormatError](err); ok {
		name = e.ParamName
	}
	if e, ok := errors.AsType[*wire.TooManyValuesForParamError](err); ok {
		name = e.ParamName
	}
	detail := "the parameter " + name + " cannot be read"
	if e, ok := errors.AsType[*wire.RequiredParamError](err); ok {
		detail = "the parameter " + e.ParamName + " is missing"
	}
	switch name {
	case "dry_run":
		detail += "; it is true or false"
	case "If-Match", "If-None-Match":
		detail += "; send one header with all entity tags"
	}
	fail(w, r, &problem{kind: malformed, detail: strings.TrimSpace(detail)})
}
