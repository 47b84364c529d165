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

	"github.com/wardkey/wardkey/internal/request"
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

	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs        []string `json:"introspection_signing_alg_values_supported"` // RFC 9701 §7
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	StatusListAggregation    string   `json:"status_list_aggregation_endpoint"` // Token Status List §9.1

	// What OpenID libraries want before they start, although no ID token is made here. go-oidc
	// takes the algorithms that it accepts from the last one.
	SubjectTypes []string `json:"subject_types_supported,omitempty"`
	IDTokenAlgs  []string `json:"id_token_signing_alg_values_supported,omitempty"`
}

var authMethods = []string{"client_secret_basic", "client_secret_post"}

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
		AuthMethods:           authMethods,

		IntrospectionEndpoint: h.Issuer.URL + "/oauth/introspect", IntrospectionAuthMethods: authMethods,
		IntrospectionAlgs:  []string{string(h.Alg)},
		RevocationEndpoint: h.Issuer.URL + "/oauth/revoke", RevocationAuthMethods: authMethods,
		StatusListAggregation: h.Issuer.URL + "/oauth/status",
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
			writeCached(w, r, "application/json", document, etag, tokens.JWKSMaxAge)
		}
	}
	return documents{serve(oauth), serve(openid)}, nil
}

// jwks answers GET /.well-known/jwks.json (RFC 7517 §5), from memory.
func (h *Handler) jwks(w http.ResponseWriter, r *http.Request) {
	set, etag := h.Issuer.Keys.JWKS()
	writeCached(w, r, "application/jwk-set+json", set, etag, tokens.JWKSMaxAge)
	// HEAD brings no keys, and who asks with "*" may have any (RFC 9110 §13.1.2).
	has := r.Method == http.MethodGet && !strings.Contains(r.Header.Get("If-None-Match"), "*")
	if has && h.Fetched != nil {
		h.Fetched(r.UserAgent(), request.Address(r), etag, time.Now())
	}
}

// writeCached writes a document that everybody may keep for maxAge.
func writeCached(w http.ResponseWriter, r *http.Request, kind string, document []byte, etag string, maxAge time.Duration) {
	if unchanged(w, r, etag, maxAge) {
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(document) // a client that went away needs no answer
}

// unchanged says for how long an answer may be kept, and answers whoever has it already.
func unchanged(w http.ResponseWriter, r *http.Request, etag string, maxAge time.Duration) bool {
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge/time.Second)))
	for candidate := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/") // RFC 9110 §13.1.2
		if candidate == strings.TrimPrefix(etag, "W/") || candidate == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
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
