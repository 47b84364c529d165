package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/request"
)

// base is where the pages are.
const base = "/admin"

// A Handler serves the pages. Set its fields, then call [Handler.Register].
type Handler struct {
	API       http.Handler // the admin API, with its paths
	Sessions  *people.Sessions
	Issuer    string   // as tokens name it
	Audiences []string // that it makes tokens for
	Version   string   // of the program

	// What troubleshooting needs beside the admin API. What they are given goes nowhere.
	CheckToken TokenChecker
	BySecret   SecretFinder
	// OpenAlerts says how many alerts are open, for the menu; nil if nobody counts.
	OpenAlerts openAlerts
}

// Register adds the pages to the router, at /admin/ and below. The admin API must be added first.
func (h *Handler) Register(router *mux.Router) {
	pages := mux.NewRouter().SkipClean(true)
	h.routes(pages)
	request.RefuseOtherMethods(pages, h.methodNotAllowed)
	pages.NotFoundHandler = h.page(h.notFound)
	var root http.Handler = pages
	root = sameOrigin.Handler(root)
	root = guarded(root)
	router.Handle(base, http.RedirectHandler(base+"/", http.StatusFound))
	router.PathPrefix(base + "/").Handler(root)
}

func (h *Handler) routes(router *mux.Router) {
	router.PathPrefix(base+"/static/").Handler(http.HandlerFunc(static)).Methods(http.MethodGet, http.MethodHead)
	get := func(path string, serve endpoint) {
		router.Handle(base+path, h.page(serve)).Methods(http.MethodGet, http.MethodHead)
	}
	post := func(path string, serve endpoint) {
		router.Handle(base+path, h.page(serve)).Methods(http.MethodPost)
	}
	get("/", func(w http.ResponseWriter, r *http.Request) error { return seeOther(w, r, "/keys") })
	get("/sign-in", h.signInForm)
	post("/sign-in", h.signIn)
	post("/sign-out", h.signOut)
	get("/password", h.passwordForm)
	post("/password", h.changePassword)
	get("/keys", h.keys)
	get("/keys/new", h.newKey)
	post("/keys/new", h.addKey)
	get("/keys/{id}", h.key)
	get("/keys/{id}/edit", h.editKey)
	post("/keys/{id}/edit", h.saveKey)
	post("/keys/{id}/switch", h.switchKey)
	post("/keys/{id}/keep", h.keepKey)
	post("/keys/{id}/resume", h.resumeKey)
	post("/keys/{id}/secrets", h.addSecret)
	post("/keys/{id}/secrets/{secret}/revoke", h.revokeSecret)
	post("/keys/{id}/cancel-rotation", h.cancelRotation)
	post("/keys/{id}/revoke-tokens", h.revokeTokens)
	post("/keys/{id}/narrow", h.narrowKey)
	get("/keys/{id}/delete", h.deleteKeyForm)
	post("/keys/{id}/delete", h.deleteKey)
	for _, k := range []kind{sectionKind, keyspaceKind, capabilityKind} {
		get("/"+k.Path, h.things(k))
		post("/"+k.Path, h.addThing(k))
		get("/"+k.Path+"/{id}", h.thing(k))
		post("/"+k.Path+"/{id}", h.saveThing(k))
		get("/"+k.Path+"/{id}/delete", h.deleteThing(k))
		post("/"+k.Path+"/{id}/delete", h.deleteThing(k))
	}
	get("/usage", h.accountUsage)
	get("/usage/export", h.exportUsage)
	get("/simulator", h.simulator)
	get("/troubleshoot", h.troubleshootForm)
	post("/troubleshoot", h.troubleshoot)
	get("/troubleshoot/leaked", h.leakForm)
	post("/troubleshoot/leaked", h.revokeLeaked)
	get("/audit", h.auditLog)
	get("/audit/export", h.exportAudit)
	get("/signing-keys", h.signingKeys)
	post("/signing-keys", h.rotateSigningKey)
	get("/signing-keys/{kid}/delete", h.deleteSigningKey)
	post("/signing-keys/{kid}/delete", h.deleteSigningKey)
	get("/admins", h.admins)
	post("/admins", h.addAdmin)
	post("/admins/{id}/role", h.changeRole)
	post("/admins/{id}/reset-password", h.resetPassword)
	get("/admins/{id}/delete", h.deleteAdmin)
	post("/admins/{id}/delete", h.deleteAdmin)
	get("/alerts", h.alerts)
	post("/alerts/acknowledge", h.acknowledgeAlerts)
	post("/alerts/{id}/acknowledge", h.acknowledgeAlert)
	post("/alert-mutes", h.muteAlerts)
	post("/alert-mutes/{id}/delete", h.unmuteAlerts)
	get("/webhooks", h.webhooks)
	post("/webhooks", h.addWebhook)
	post("/webhooks/{id}/test", h.testWebhook)
	post("/webhooks/{id}/switch", h.switchWebhook)
	get("/webhooks/{id}/delete", h.deleteWebhook)
	post("/webhooks/{id}/delete", h.deleteWebhook)
	get("/settings", h.settings)
	post("/settings/sessions/{id}/end", h.endSession)
}

// sameOrigin keeps other origins' pages from acting in the name of whoever is signed in here.
var sameOrigin = http.NewCrossOriginProtection()

// policy says what a page may load and do: what comes from this server, and nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded gives every answer the headers by which browsers protect it.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// An endpoint answers one kind of request, or says why it cannot.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// open are the pages for those who are not signed in.
var open = map[string]bool{base + "/sign-in": true}

// maxForm is how large a form may be, in bytes.
const maxForm = 64 << 10

// page answers with an endpoint, for whoever may see it.
func (h *Handler) page(serve endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := h.Sessions.Load(r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := h.admit(w, r, serve); err != nil {
			h.fail(w, r, err)
		}
	})
}

// admit sends those to sign in who are not signed in, and those to choose a password whose
// password somebody else knows.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, serve endpoint) error {
	session := people.Current(r.Context())
	switch {
	case session == nil && !open[r.URL.Path]:
		return h.signInFirst(w, r)
	case session == nil:
		return serve(w, r)
	}
	request.Note(r.Context(), slog.String("actor", session.Person.Actor().String()))
	if session.Person.OneTimePassword && r.URL.Path != base+"/password" && r.URL.Path != base+"/sign-out" {
		return seeOther(w, r, "/password")
	}
	if err := r.ParseForm(); err != nil {
		return &oops{http.StatusBadRequest, "The form could not be read", "Go back and send it again."}
	}
	return serve(w, r)
}

// signInFirst sends to the sign-in page, and from there back to where somebody was: the page that
// was asked for, or the one with the form that was sent.
func (h *Handler) signInFirst(w http.ResponseWriter, r *http.Request) error {
	was := r.URL.RequestURI()
	switch {
	case r.Header.Get("HX-Request") != "":
		was = pathOf(r.Header.Get("HX-Current-URL"))
	case r.Method != http.MethodGet:
		was = pathOf(r.Referer()) // sameOrigin let it through, so it comes from a page of ours
	}
	to := "/sign-in"
	if was != base+"/" && strings.HasPrefix(was, base+"/") {
		to += "?back=" + url.QueryEscape(was)
	}
	return seeOther(w, r, to)
}

// pathOf is an address without its host.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.RequestURI()
}

// seeOther sends the browser to another page of ours; htmx to load the whole of it.
func seeOther(w http.ResponseWriter, r *http.Request, path string) error {
	if r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Boosted") == "" {
		w.Header().Set("HX-Redirect", base+path)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, base+path, http.StatusSeeOther)
	return nil
}

// me is who is signed in.
func me(ctx context.Context) people.Person {
	if session := people.Current(ctx); session != nil {
		return session.Person
	}
	return people.Person{}
}
