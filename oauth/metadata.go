package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/tokens"
)

// metadata is the document of RFC 8414 §2. Members without a value are left out.
type metadata struct {
	Issuer                string `json:"issuer"`
	TokenEndpoint         string `json:"token_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	// The only response type that asks an authorization endpoint for nothing.
	ResponseTypes []string `json:"response_types_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`

	// What OpenID libraries want before they start, although no ID token is made here. go-oidc
	// takes the algorithms that it accepts from the last one.
	SubjectTypes []string `json:"subject_types_supported,omitempty"`
	IDTokenAlgs  []string `json:"id_token_signing_alg_values_supported,omitempty"`
}

type documents struct{ oauth, openid http.HandlerFunc }

// documents makes the two metadata documents. They never change while the server runs.
func (h *Handler) documents() (documents, error) {
	m := metadata{
		Issuer:                h.Issuer.URL,
		TokenEndpoint:         h.Issuer.URL + "/oauth/token",
		JWKSURI:               h.Issuer.URL + "/.well-known/jwks.json",
		AuthorizationEndpoint: h.Issuer.URL + "/oauth/authorize",
		ResponseTypes:         []string{"none"},
		GrantTypes:            []string{"client_credentials"},
		AuthMethods:           []string{"client_secret_basic", "client_secret_post"},
	}
	oauth, err := json.Marshal(m)
	if err != nil {
		return documents{}, fmt.Errorf("write the metadata: %w", err)
	}
	m.SubjectTypes, m.IDTokenAlgs = []string{"public"}, tokens.Algs
	openid, err := json.Marshal(m)
	if err != nil {
		return documents{}, fmt.Errorf("write the metadata: %w", err)
	}
	serve := func(document []byte) http.HandlerFunc {
		sum := sha256.Sum256(document)
		etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		return func(w http.ResponseWriter, r *http.Request) {
			writeCached(w, r, "application/json", document, etag)
		}
	}
	return documents{serve(oauth), serve(openid)}, nil
}

// jwks answers GET /.well-known/jwks.json (RFC 7517 §5), from memory.
func (h *Handler) jwks(w http.ResponseWriter, r *http.Request) {
	set, etag := h.Issuer.Keys.JWKS()
	writeCached(w, r, "application/jwk-set+json", set, etag)
}

// writeCached writes a document that everybody may keep for as long as a JWKS.
func writeCached(w http.ResponseWriter, r *http.Request, kind string, document []byte, etag string) {
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(tokens.JWKSMaxAge/time.Second)))
	for candidate := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/") // RFC 9110 §13.1.2
		if candidate == etag || candidate == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", kind)
	_, _ = w.Write(document) // a client that went away needs no answer
}

// noAuthorize answers the authorization endpoint, which is only there because some libraries do
// not start without one in the metadata.
func noAuthorize(w http.ResponseWriter, r *http.Request) {
	fail(w, r, invalidRequest("nobody signs in here: clients get tokens from /oauth/token with grant_type=client_credentials"))
}

func issuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Path
}
