package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/request"
)

// A Code is an error code of RFC 6749 §5.2 and its extensions.
type Code string

// The codes that this server answers with.
const (
	InvalidRequest         Code = "invalid_request"
	InvalidClient          Code = "invalid_client"
	UnsupportedGrantType   Code = "unsupported_grant_type"
	InvalidScope           Code = "invalid_scope"
	InvalidTarget          Code = "invalid_target"          // RFC 8707 §2
	TemporarilyUnavailable Code = "temporarily_unavailable" // RFC 6749 §4.1.2.1
	ServerError            Code = "server_error"            // RFC 6749 §4.1.2.1
	TooManyRequests        Code = "too_many_requests"       // of no RFC (docs/decisions/0020)
	NotFound               Code = "not_found"               // of no RFC
)

// outcomes are the status and the title that go with each code, and what a token request is then
// refused for.
var outcomes = map[Code]struct {
	status int
	title  string
	reason refusals.Cause
}{
	InvalidRequest:         {http.StatusBadRequest, "Invalid request", refusals.Malformed},
	InvalidClient:          {http.StatusUnauthorized, "Client authentication failed", refusals.NoCredentials},
	UnsupportedGrantType:   {http.StatusBadRequest, "Unsupported grant type", refusals.UnsupportedGrantType},
	InvalidScope:           {http.StatusBadRequest, "Invalid scope", refusals.ScopeMalformed},
	InvalidTarget:          {http.StatusBadRequest, "Invalid target", refusals.AudienceUnknown},
	TemporarilyUnavailable: {http.StatusServiceUnavailable, "Temporarily unavailable", ""},
	ServerError:            {http.StatusInternalServerError, "Server error", ""},
	TooManyRequests:        {http.StatusTooManyRequests, "Too many requests", refusals.RateLimited},
	NotFound:               {http.StatusNotFound, "Not found", ""},
}

// An Error is what a client is told. Anything else that goes wrong is told to the log.
type Error struct {
	Code        Code
	Description string
	Status      int   // zero: the one that goes with Code
	Cause       error // for the log: why in truth; nil if Description says it all
	Wait        int64 // seconds until it is worth to try again, with TooManyRequests

	// Reason and Detail are for the admin who asks why a token request was refused. No Reason: the
	// one that goes with Code, and Description is the detail.
	Reason refusals.Cause
	Detail string
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Description)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func (e *Error) status() int { return cmp.Or(e.Status, outcomes[e.Code].status) }

func invalidRequest(format string, args ...any) *Error {
	return &Error{Code: InvalidRequest, Description: fmt.Sprintf(format, args...)}
}

// asError makes what a client is told of any error. Of what nobody foresaw it is told nothing.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: ServerError, Description: "the server failed; its log says why under the error_id", Cause: err}
}

// An errorBody is the answer of RFC 6749 §5.2, and the same again for clients that expect
// problem details (RFC 9457).
type errorBody struct {
	Error       Code   `json:"error"`
	Description string `json:"error_description"`
	Title       string `json:"title"`
	Status      int    `json:"status"`
	Detail      string `json:"detail"`
	ErrorID     string `json:"error_id"`
}

// challenge is sent with every 401 (RFC 9110 §15.5.2).
const challenge = `Basic realm="wardkey", charset="UTF-8"`

// fail answers with err, and leaves its cause in the log.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	writeError(w, r, asError(err), request.ID(r.Context()))
}

func writeError(w http.ResponseWriter, r *http.Request, e *Error, errorID string) {
	request.Note(r.Context(), slog.String("error", string(e.Code)), slog.String("cause", e.Error()), slog.String("error_id", errorID))
	status := e.status()
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.FormatInt(e.Wait, 10))
	}
	description := legal(e.Description)
	writeJSON(w, status, errorBody{
		Error: e.Code, Description: description, Title: outcomes[e.Code].title,
		Status: status, Detail: description, ErrorID: errorID,
	})
}

// legal reduces a text to the characters that RFC 6749 §5.2 allows in error_description.
func legal(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return -1
		}
		return r
	}, text)
}

// writeJSON writes an answer that nobody may keep (RFC 6749 §5.1).
func writeJSON(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // people read it: section:<id>, not section:\u003cid\u003e
	if err := enc.Encode(body); err != nil {
		panic(err) // our own types always can be written
	}
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // a client that went away needs no answer
}

// Header values that every answer has, made once.
var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
)
