package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wardkey/wardkey/internal/refusals"
)

// How large the body of a request may be, in bytes.
const (
	maxBody           = 16 << 10
	maxBodyAboutToken = 32 << 10 // a token of 16 KiB, which is the longest that verify accepts, and the rest
)

// A tokenRequest is what a client asks for (RFC 6749 §4.4.2), as it asked.
type tokenRequest struct {
	clientID     string
	clientSecret string
	scope        string   // "": not asked
	resource     []string // empty: not asked
}

// once lists the parameters that RFC 6749 and RFC 7521 define. Only these may not repeat
// (RFC 6749 §3.2, erratum 5708).
var once = []string{
	"grant_type", "client_id", "client_secret", "scope", "client_assertion", "client_assertion_type",
	"access_token", "code", "error", "error_description", "error_uri", "expires_in", "password",
	"redirect_uri", "refresh_token", "response_type", "state", "token_type", "username",
}

// parseToken reads a token request: the body alone, within limits, and the client's credentials.
// With an error it returns what could be read of the client_id.
func parseToken(w http.ResponseWriter, r *http.Request) (*tokenRequest, error) {
	form, err := parseBody(w, r, once, maxBody)
	req := &tokenRequest{clientID: claimedID(r, form), scope: form.Get("scope")}
	if err != nil {
		return req, err
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return req, invalidRequest("grant_type is missing; send grant_type=client_credentials")
	default:
		return req, &Error{Code: UnsupportedGrantType, Description: "the only grant_type here is client_credentials"}
	}
	id, secret, err := credentials(r, form)
	if err != nil {
		return req, err
	}
	req.clientID, req.clientSecret = id, secret
	resource, audience := set(form["resource"]), set(form["audience"])
	if len(resource) > 0 && len(audience) > 0 && !slices.Equal(resource, audience) {
		return req, invalidRequest("resource and audience name different things; send one of them")
	}
	req.resource = set(append(resource, audience...))
	return req, nil
}

// claimedID is the client_id of a request that may be malformed, "" for none.
func claimedID(r *http.Request, form url.Values) string {
	if id, _, ok := basicCredentials(r); ok {
		return id
	}
	return form.Get("client_id")
}

// set returns the values in order, each once, without the empty ones: an empty parameter counts
// as absent (RFC 6749 §3.2).
func set(values []string) []string {
	sorted := slices.Sorted(slices.Values(values))
	return slices.DeleteFunc(slices.Compact(sorted), func(v string) bool { return v == "" })
}

// parseBody reads the parameters of a POST from its body: a form, or JSON with the same members.
// Those that the list names may not repeat.
func parseBody(w http.ResponseWriter, r *http.Request, once []string, longest int64) (url.Values, error) {
	if r.URL.RawQuery != "" {
		// RFC 6749 §2.3.1: parameters are in the body only. Others in the query are not looked at.
		if query, _ := url.ParseQuery(r.URL.RawQuery); query.Has("client_secret") {
			return nil, invalidRequest("client_secret must not be in the URL, where logs keep it; send it in the body or with HTTP Basic, and rotate this one")
		}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, unsupportedMedia("a body with a Content-Encoding is not accepted; send it as it is")
	}
	parse := parseForm
	switch kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case kind == "application/json" && err == nil:
		parse = func(body []byte) (url.Values, error) { return parseJSON(body, once) }
	case kind != "application/x-www-form-urlencoded" || err != nil:
		return nil, unsupportedMedia("the Content-Type must be application/x-www-form-urlencoded or application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longest))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &Error{Code: InvalidRequest, Status: http.StatusRequestEntityTooLarge, Description: fmt.Sprintf("the body is larger than %d KiB", longest>>10)}
	}
	if err != nil {
		return nil, &Error{Code: InvalidRequest, Description: "the body could not be read to its end", Cause: err}
	}
	form, err := parse(body)
	if err != nil {
		return nil, err
	}
	for _, name := range once {
		if len(form[name]) > 1 {
			return nil, invalidRequest("%s is repeated", name)
		}
	}
	return form, nil
}

func unsupportedMedia(description string) *Error {
	return &Error{Code: InvalidRequest, Status: http.StatusUnsupportedMediaType, Description: description}
}

func parseForm(body []byte) (url.Values, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &Error{Code: InvalidRequest, Description: "the form is malformed", Cause: err}
	}
	return form, nil
}

// parseJSON reads a JSON object as if it were a form. It is read member by member, because
// encoding/json would hide that one stands twice. The list names those that are known.
func parseJSON(body []byte, known []string) (url.Values, error) {
	malformed := invalidRequest("the body is not one JSON object")
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, malformed
	}
	form := url.Values{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, malformed
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed
		}
		if err := addMember(form, known, name.(string), value); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed
	}
	return form, nil
}

// addMember adds a member of a JSON object to the form. What nobody knows may have any value.
func addMember(form url.Values, known []string, name string, value json.RawMessage) error {
	several := name == "resource" || name == "audience"
	if !several && !slices.Contains(known, name) {
		return nil
	}
	if several {
		var list []string
		if json.Unmarshal(value, &list) == nil {
			form[name] = append(form[name], list...)
			return nil
		}
	}
	var text string // null leaves it empty, which counts as absent
	if err := json.Unmarshal(value, &text); err != nil {
		return invalidRequest("%s must be a JSON string", name)
	}
	form.Add(name, text)
	return nil
}

// credentials reads the client's id and secret, sent in exactly one way (RFC 6749 §2.3).
func credentials(r *http.Request, form url.Values) (id, secret string, err error) {
	if form.Get("client_assertion") != "" && (form.Get("client_secret") != "" || r.Header.Get("Authorization") != "") {
		return "", "", twoCredentials("the client authenticates in two ways; send one")
	}
	switch header := r.Header.Values("Authorization"); {
	case len(header) > 1:
		return "", "", twoCredentials("there are two Authorization headers; send one")
	case len(header) == 0:
		return formCredentials(form)
	case form.Get("client_secret") != "":
		return "", "", twoCredentials("the secret is in the Authorization header and in the body; send it in one of them")
	}
	id, secret, ok := basicCredentials(r)
	if !ok {
		return "", "", noCredentials("the Authorization header holds no Basic credentials; send Basic base64(client_id:client_secret)")
	}
	if other := form.Get("client_id"); other != "" && other != id {
		return "", "", twoCredentials("the client_id in the body is not the one in the Authorization header")
	}
	return id, secret, nil
}

func formCredentials(form url.Values) (id, secret string, err error) {
	id, secret = form.Get("client_id"), form.Get("client_secret")
	switch {
	case id == "" && secret == "":
		return "", "", noCredentials("client authentication is missing; send client_id and client_secret with HTTP Basic or in the body")
	case id == "":
		return "", "", noCredentials("client_id is missing")
	case secret == "":
		return "", "", noCredentials("client_secret is missing")
	}
	return id, secret, nil
}

func noCredentials(description string) *Error {
	return &Error{Code: InvalidClient, Description: description}
}

func twoCredentials(description string) *Error {
	return &Error{Code: InvalidRequest, Description: description, Reason: refusals.TwoCredentials, Detail: description}
}

// basicCredentials reads HTTP Basic. Both halves are form-encoded inside (RFC 6749 §2.3.1); what
// this server makes is the same encoded or not.
func basicCredentials(r *http.Request) (id, secret string, ok bool) {
	user, password, ok := r.BasicAuth()
	if !ok || strings.ContainsRune(user, 0) {
		return "", "", false
	}
	id, idErr := url.QueryUnescape(user)
	secret, secretErr := url.QueryUnescape(password)
	return id, secret, idErr == nil && secretErr == nil
}
