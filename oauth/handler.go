package oauth

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// A clientFinder finds a client as it is now; [clients.Lookup] does.
type clientFinder interface {
	Client(ctx context.Context, id string) (*clients.Client, *sections.Catalog, error)
}

// A Handler serves the public endpoints. Set its fields, then call [Handler.Register].
type Handler struct {
	Clients       clientFinder
	Issuer        *tokens.Issuer
	Audiences     []string              // that tokens may be for; the first is the default
	AdminAudience string                // this server's own API
	Lifetime      time.Duration         // of a token, where the client has none of its own
	Alg           tokens.Alg            // of a token, where neither client nor audience has one
	AudienceAlgs  map[string]tokens.Alg // by audience; may be nil
	SCPAudiences  []string              // whose tokens say their scope as an array too
	StatusLists   *tokens.StatusLists
	RevokedTokens tokens.RevokedTokens

	// Used is told of each token before it is answered. After an error it is not.
	Used func(context.Context, Use) error
	// Refused is told of each token request that was refused, and gives the error_id for its
	// answer. It may be nil.
	Refused func(refusals.Refusal) (errorID string)
	// Fetched is told of each party that has the JWKS with the entity tag: what it calls itself, from
	// where and when. It may be nil.
	Fetched func(userAgent, address, etag string, at time.Time)
	// Limits, Failures and Habits are of those who ask for tokens. Each may be nil.
	Limits   *limits.Limiter
	Failures *limits.Failures
	Habits   *limits.Habits
	// Ping says whether the store answers.
	Ping func(context.Context) error

	engine engine
}

// A Use is what there is to know of a token that a client got.
type Use struct {
	ClientID string
	SecretID string
	Audience []string
	Address  string // from where it was asked for
	At       time.Time
}

// Register adds the endpoints to the router. An issuer with a path has them below that path, and
// its metadata where RFC 8414 §3.1 and OpenID Connect Discovery §4 look for it.
func (h *Handler) Register(router *mux.Router) error {
	h.engine = newEngine(h)
	documents, err := h.documents()
	if err != nil {
		return err
	}
	path := issuerPath(h.Issuer.URL)
	for _, prefix := range slices.Compact([]string{"", path}) {
		router.Handle(prefix+"/oauth/token", methods{http.MethodPost: h.token})
		router.Handle(prefix+"/oauth/introspect", methods{http.MethodPost: h.introspect})
		router.Handle(prefix+"/oauth/revoke", methods{http.MethodPost: h.revoke})
		router.Handle(prefix+"/oauth/status", methods{http.MethodGet: h.statusListAggregation})
		router.Handle(prefix+"/oauth/status/{n}", methods{http.MethodGet: h.statusList})
		router.Handle(prefix+"/oauth/authorize", methods{http.MethodGet: noAuthorize})
		router.Handle(prefix+"/.well-known/jwks.json", methods{http.MethodGet: h.jwks})
		router.Handle(prefix+"/.well-known/oauth-authorization-server", methods{http.MethodGet: documents.oauth})
		router.Handle(prefix+"/.well-known/openid-configuration", methods{http.MethodGet: documents.openid})
	}
	if path != "" {
		router.Handle("/.well-known/oauth-authorization-server"+path, methods{http.MethodGet: documents.oauth})
		router.Handle("/.well-known/openid-configuration"+path, methods{http.MethodGet: documents.openid})
	}
	router.Handle("/healthz", methods{http.MethodGet: healthy})
	router.Handle("/readyz", methods{http.MethodGet: h.ready})
	return nil
}

// methods answers each method of one path, and the others with 405 and Allow (RFC 9110 §15.5.6).
type methods map[string]http.HandlerFunc

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if serve, ok := m[r.Method]; ok {
		serve(w, r)
		return
	}
	if serve, ok := m[http.MethodGet]; ok && r.Method == http.MethodHead {
		serve(w, r)
		return
	}
	allowed := []string{}
	for method := range m {
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	w.Header().Set("Allow", allow)
	fail(w, r, &Error{Code: InvalidRequest, Status: http.StatusMethodNotAllowed, Description: "the method is not " + r.Method + " here but " + allow})
}

// healthy says that the process is alive.
func healthy(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether tokens can be had: the store answers and a key can sign.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	// Whoever hangs up must not cost a connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Second)
	defer cancel()
	if err := h.Ping(ctx); err != nil {
		fail(w, r, &Error{Code: TemporarilyUnavailable, Description: "the store does not answer", Cause: err})
		return
	}
	if !h.Issuer.Keys.Ready(h.Alg) {
		fail(w, r, &Error{Code: TemporarilyUnavailable, Description: "no signing key is active"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}
