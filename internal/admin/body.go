package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/sections"
)

// maxBody is how large the body of a request may be, in bytes.
const maxBody = 64 << 10

// mediaTypes are what the bodies of each method may be, the first by its own right, with the
// header that tells so (RFC 9110 §15.5.16, RFC 5789 §3.1).
var mediaTypes = map[string]struct {
	header string
	names  []string
}{
	http.MethodPost:  {"Accept", []string{"application/json"}},
	http.MethodPatch: {"Accept-Patch", []string{"application/merge-patch+json", "application/json"}},
}

// readBody lets a request with a body through if that is one JSON value, within limits, in which
// no member stands twice. The body is read whole before anything is done.
func (h *Handler) readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := mediaTypes[r.Method]; !ok {
			next.ServeHTTP(w, r) // nobody reads the body of other methods
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil && len(body) > 0 {
			err = checkBody(r, body)
		}
		if err != nil {
			fail(w, r, bodyProblem(err))
			return
		}
		if r, err = h.withAttempt(r.WithContext(r.Context()), body); err != nil {
			fail(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// checkBody says what is wrong with the form of a body, whatever it is about.
func checkBody(r *http.Request, body []byte) error {
	welcome := mediaTypes[r.Method]
	refused := &problem{kind: unsupportedMedia, header: http.Header{welcome.header: {strings.Join(welcome.names, ", ")}}}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		refused.detail = "a body with a Content-Encoding is not accepted; send it as it is"
		return refused
	}
	name, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(welcome.names, name) {
		refused.detail = "the Content-Type must be " + strings.Join(welcome.names, " or ")
		return refused
	}
	var value jsontext.Value
	return strict.Unmarshal(body, &value)
}

// decode reads a body that is what the specification says of T, to the letter: encoding/json, by
// which the generated code would read it, lets unknown and oddly cased members pass. A body that
// was left out is an empty object.
func decode[T any](body *json.RawMessage) (T, error) {
	var v T
	if body == nil {
		return v, nil
	}
	if jsontext.Value(*body).Kind() != '{' {
		p := &problem{kind: malformed}
		p.at("", "must be an object")
		return v, p
	}
	if err := strict.Unmarshal(*body, &v, strict.RejectUnknownMembers(true)); err != nil {
		return v, bodyProblem(err)
	}
	return v, missing[T](jsontext.Value(*body))
}

// missing says which members that T cannot do without are absent or null. The generated code
// marks all others with omitempty.
func missing[T any](body jsontext.Value) error {
	var members map[string]jsontext.Value
	if err := strict.Unmarshal(body, &members); err != nil {
		return bodyProblem(err)
	}
	var rules sections.Invalid
	for field := range reflect.TypeFor[T]().Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if value := members[name]; options == "" && (value == nil || value.Kind() == 'n') {
			rules.Add(sections.Pointer(name), "is required")
		}
	}
	return rules.Err()
}

// setByServer are members that resources show and that nobody else sets.
var setByServer = []string{"id", "created_at", "created_by", "last_used_at", "suspended_at", "secrets", "client_secret"}

// bodyProblem says what is wrong with a body and where.
func bodyProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{kind: tooLarge, detail: "the body is larger than 64 KiB"}
	}
	p := &problem{kind: malformed, cause: err}
	if e, ok := errors.AsType[*strict.SemanticError](err); ok {
		p.at(e.JSONPointer, meaning(e))
		return p
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		detail := fmt.Sprintf("is not JSON; it goes wrong at byte %d", e.ByteOffset)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			detail = "stands twice"
		}
		p.at(e.JSONPointer, detail)
		return p
	}
	p.detail = "the body could not be read to its end"
	return p
}

func (p *problem) at(pointer jsontext.Pointer, detail string) {
	p.cause = nil // it would repeat what the body said
	p.errors = []wire.FieldError{{Field: string(pointer), Detail: detail}}
	where := "the body"
	if pointer != "" {
		where = string(pointer)
	}
	p.detail = where + " " + detail
}

// meaning says what is wrong with a value that is JSON and not what was expected.
func meaning(e *strict.SemanticError) string {
	switch {
	case errors.Is(e.Err, strict.ErrUnknownName) && slices.Contains(setByServer, e.JSONPointer.LastToken()):
		return "is read-only: it cannot be set or changed here"
	case errors.Is(e.Err, strict.ErrUnknownName):
		return "is not known here"
	}
	return "must be " + inWords(e.GoType)
}

// inWords is what the JSON of a Go type is called.
func inWords(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	if t == reflect.TypeFor[time.Time]() {
		return "a date and time of RFC 3339, for example 2030-01-31T12:00:00Z"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return inWords(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return fmt.Sprintf("a list, each item %s", inWords(t.Elem()))
	}
	return "an object"
}
