package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/wardkey/wardkey/verify"
)

// maxBody is how long a change may be.
const maxBody = 100 << 10

// attributesPath is where the attributes of a profile are. The profile is found by a
// key, inside a keyspace; its attributes are those of one Section.
const attributesPath = "/audience/keyspaces/{keyspace}/profiles/{key}/sections/{section}/attributes"

// description is what the API says about itself to those who have no token yet.
var description = verify.Resource{
	Name:   "Audience API",
	Scopes: []verify.Scope{verify.Section("*"), verify.Keyspace("*", "read"), verify.Keyspace("*", "write")},
}

// An api answers requests that the verifier has let pass.
type api struct{ profiles profiles }

func newAPI(verifier *verify.Verifier) http.Handler {
	var a api
	allowed := verifier.RequireFor(needed)
	mux := http.NewServeMux()
	mux.Handle("GET "+attributesPath, allowed(http.HandlerFunc(a.read)))
	mux.Handle("PATCH "+attributesPath, allowed(http.HandlerFunc(a.change)))
	mux.Handle(verifier.ResourceMetadata())
	return mux
}

// needed is the whole policy: the Section, and the keyspace's action, that the address
// and the method of a request name.
func needed(r *http.Request) []verify.Scope {
	action := "read"
	if r.Method == http.MethodPatch {
		action = "write"
	}
	return []verify.Scope{
		verify.Section(r.PathValue("section")),
		verify.Keyspace(r.PathValue("keyspace"), action),
	}
}

func (a *api) read(w http.ResponseWriter, r *http.Request) {
	attributes, ok := a.profiles.attributes(placeOf(r))
	if !ok {
		fail(w, http.StatusNotFound, "the profile has no attributes in this Section")
		return
	}
	write(w, http.StatusOK, "application/json", attributes)
}

// change merges the body into the attributes (RFC 7396), and answers with the result.
func (a *api) change(w http.ResponseWriter, r *http.Request) {
	if !isMergePatch(r.Header.Get("Content-Type")) {
		w.Header().Set("Accept-Patch", "application/merge-patch+json, application/json")
		fail(w, http.StatusUnsupportedMediaType, "a change is sent as application/merge-patch+json")
		return
	}
	patch, err := decode(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		fail(w, http.StatusRequestEntityTooLarge, "a change may have 100 kB")
		return
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "the body must be one JSON object")
		return
	}
	write(w, http.StatusOK, "application/json", a.profiles.merge(placeOf(r), patch))
}

func isMergePatch(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/merge-patch+json" || mediaType == "application/json")
}

var errNotOneObject = errors.New("not one JSON object")

func decode(body io.Reader) (object, error) {
	dec := json.NewDecoder(body)
	dec.UseNumber() // a long number is kept as it was sent
	var o object
	if err := dec.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); o == nil || !errors.Is(err, io.EOF) {
		return nil, errors.Join(errNotOneObject, err)
	}
	return o, nil
}

func placeOf(r *http.Request) place {
	return place{r.PathValue("keyspace"), r.PathValue("key"), r.PathValue("section")}
}

// fail answers with problem details (RFC 9457).
func fail(w http.ResponseWriter, status int, detail string) {
	write(w, status, "application/problem+json", object{"title": http.StatusText(status), "status": status, "detail": detail})
}

func write(w http.ResponseWriter, status int, contentType string, o object) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store") // RFC 6750 §5.3: what a token opened is nobody else's
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(o) // fails if the client is gone
}
