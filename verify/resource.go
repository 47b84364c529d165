package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Resource is what a resource server says about itself beside its audience and
// its issuer (RFC 9728 §2). All of it may be left out.
type Resource struct {
	// Scopes are those that clients may need here: with the id * where they
	// depend on the request.
	Scopes []Scope

	Name          string // to be shown to people
	Documentation string // the URL of a page for developers

	// SigningAlgs are the algorithms with which the server signs its answers, if
	// it does. Those of the tokens are the issuer's to say.
	SigningAlgs []string
}

// WithResource has the resource server describe itself, so that a client which knows
// only its address finds out where to get a token: challenges carry the address of
// [Verifier.ResourceMetadata]. The audience must be an https URL, or http on a
// loopback address, without query and fragment.
func WithResource(r Resource) Option {
	return func(v *Verifier) { v.resource = &r }
}

// ResourceMetadata returns what [WithResource] says, as an [http.Handler] with the
// path where clients look for it, so that one line serves it:
//
//	mux.Handle(verifier.ResourceMetadata())
//
// The path is that of the audience behind /.well-known/oauth-protected-resource. A
// server that a proxy shows at another path must serve the handler there.
func (v *Verifier) ResourceMetadata() (path string, handler http.Handler) {
	if v.resource == nil {
		panic("verify: ResourceMetadata needs the option WithResource")
	}
	u, _ := url.Parse(v.metadataURL) // New has made it
	return u.Path, resourceMetadata(v.resource.metadata(v.audience, v.issuer))
}

// metadata is the protected resource metadata of RFC 9728 §2.
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	SigningAlgs          []string `json:"resource_signing_alg_values_supported,omitempty"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
}

func (r *Resource) metadata(audience, issuer string) metadata {
	m := metadata{
		Resource:             audience,
		AuthorizationServers: []string{issuer},
		BearerMethods:        []string{"header"},
		SigningAlgs:          r.SigningAlgs,
		Name:                 r.Name,
		Documentation:        r.Documentation,
	}
	for _, s := range r.Scopes {
		m.ScopesSupported = append(m.ScopesSupported, s.value)
	}
	return m
}

func resourceMetadata(m metadata) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_ = json.NewEncoder(w).Encode(m) // fails if the client is gone
	}
}

// describe gets ready what [WithResource] asked for, if it did.
func (v *Verifier) describe() (err error) {
	if v.resource == nil {
		return nil
	}
	if v.metadataURL, err = metadataURL(v.audience); err != nil {
		return err
	}
	return v.resource.validate()
}

// validate says whether the metadata can be served and found.
func (r *Resource) validate() error {
	for _, s := range r.Scopes {
		if s.value == "" {
			return errors.New("one of the scopes of the resource cannot be held by a token")
		}
	}
	if slices.Contains(r.SigningAlgs, "none") { // RFC 9728 §2
		return errors.New("the resource cannot sign with none")
	}
	if r.Documentation != "" {
		if _, err := parseURL(r.Documentation); err != nil {
			return fmt.Errorf("the documentation of the resource %w", err)
		}
	}
	return nil
}

// metadataURL is where the metadata of the resource with that identifier is: the
// well-known path comes between its host and its path (RFC 9728 §3.1).
func metadataURL(resource string) (string, error) {
	u, err := parseURL(resource)
	if err != nil || !private(u) || strings.ContainsAny(resource, "?#") {
		return "", errors.New("a resource that describes itself needs an https URL without query and fragment as its audience")
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource" + path, nil
}
