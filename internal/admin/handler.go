package admin

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/leaks"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/internal/usage"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// base is where the API is.
const base = "/admin/v1"

//go:embed openapi.yaml
var description []byte

// A clientFinder finds a client as it is now; [clients.Lookup] does.
type clientFinder interface {
	Client(ctx context.Context, id string) (*clients.Client, *sections.Catalog, error)
}

// A Handler serves the admin API. Set its fields, then call [Handler.Register].
type Handler struct {
	DB       *database.DB
	Clients  *clients.Store
	Sections *sections.Store
	Keys     *tokens.Keys
	Fetches  *tokens.Fetches // of the JWKS
	Audit    *audit.Log
	Refusals *refusals.Tally
	Usage    *usage.Counter
	Reports  *reports.Store // of resource servers
	Alerts   *alerts.Store
	People   *people.People
	Leaks    *leaks.Reports
	Disuse   clients.DisuseRule // by which unused clients leave
	Sessions *people.Sessions
	Issuer   *tokens.Issuer
	Revoked  tokens.RevokedTokens // single ones
	Lookup   clientFinder
	Limits   *limits.Limiter
	Habits   *limits.Habits

	Audience  string       // of the tokens that open this API: <issuer>/admin
	Audiences []string     // of the other tokens of this server
	Alg       tokens.Alg   // that the server signs with by default
	Plan      clients.Plan // of new clients, where nothing else is said
	// Committed is told when something was changed, before the answer says so. It may be nil.
	Committed func(context.Context)

	CursorKey []byte // authenticates cursors; the same on every server of one database
}

// endpoints are a Handler's operations, as the generated code calls them: past the token check.
type endpoints struct{ *Handler }

// Register adds the API to the router, below /admin/v1.
func (h *Handler) Register(router *mux.Router) {
	api := h.frame(h.authenticated(headAsGet(h.routes())))
	router.Handle(base+"/openapi.yaml", h.frame(http.HandlerFunc(describe))).Methods(http.MethodGet, http.MethodHead)
	router.Handle(base, api)
	router.PathPrefix(base + "/").Handler(api)
}

// routes is the generated router with what it lacks: problems for what is not there.
func (h *Handler) routes() http.Handler {
	router := mux.NewRouter().SkipClean(true)
	wire.HandlerWithOptions(
		wire.NewStrictHandlerWithOptions(endpoints{h}, []wire.StrictMiddlewareFunc{h.committed, accepting}, wire.StrictHTTPServerOptions{
			RequestErrorHandlerFunc:  func(w http.ResponseWriter, r *http.Request, _ error) { fail(w, r, errNoBody) },
			ResponseErrorHandlerFunc: fail,
		}),
		wire.GorillaServerOptions{
			BaseURL:          base,
			BaseRouter:       router,
			Middlewares:      []wire.MiddlewareFunc{h.readBody, knownParameters, knownCharacters}, // the last runs first
			ErrorHandlerFunc: badParameter,
		})
	router.HandleFunc(base+"/openapi.yaml", describe).Methods(http.MethodGet)
	request.RefuseOtherMethods(router, methodNotAllowed)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fail(w, r, errNoPath) })
	return router
}

// committed tells of each change that was made.
func (h *Handler) committed(next wire.StrictHandlerFunc, _ string) wire.StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		answer, err := next(ctx, w, r, request)
		if err == nil && r.Method != http.MethodGet && h.Committed != nil {
			h.Committed(ctx)
		}
		return answer, err
	}
}

func methodNotAllowed(allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &problem{kind: notAllowed, detail: "the methods here are " + allow, header: http.Header{"Allow": {allow}}})
	})
}

// deadline is how long a request may take: whatever hangs, its caller is answered.
const deadline = 15 * time.Second

// frame puts around every answer what all of them have.
func (h *Handler) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), deadline)
		defer cancel()
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Request-Id", request.ID(ctx))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// headAsGet lets HEAD run as GET; net/http leaves the body out (RFC 9110 §9.3.2).
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(r.Context())
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// knownCharacters answers 404 to ids that no resource can have, and 400 to parameters that are no
// text, before a database is asked that would take some of their characters amiss.
func knownCharacters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, id := range mux.Vars(r) {
			if strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
				fail(w, r, errNoPath)
				return
			}
		}
		for name, values := range r.URL.Query() {
			for _, value := range values {
				if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
					fail(w, r, &problem{kind: malformed, detail: fmt.Sprintf("the parameter %q is not text", name)})
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// knownParameters refuses what it does not know in the query of a DELETE: whoever mistypes
// dry_run does not want to delete.
func knownParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			known := deleteParameters(r.URL.Path)
			query, err := url.ParseQuery(r.URL.RawQuery)
			if name := unknownParameter(query, known); err != nil || name != "" {
				detail := "the parameters here are " + cmp.Or(strings.Join(known, ", "), "none") + "; nothing was deleted"
				fail(w, r, &problem{kind: malformed, detail: detail})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// describe answers GET /admin/v1/openapi.yaml, to anybody: it is the same everywhere.
func describe(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", etag(string(description)))
	http.ServeContent(w, r, "openapi.yaml", time.Time{}, bytes.NewReader(description))
}
