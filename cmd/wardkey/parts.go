package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/sync/errgroup"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/lease"
	"github.com/wardkey/wardkey/internal/limits"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/internal/telemetry"
	"github.com/wardkey/wardkey/internal/usage"
	"github.com/wardkey/wardkey/internal/web"
	"github.com/wardkey/wardkey/oauth"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// parts are what a server is made of, once its store is there.
type parts struct {
	config  *config
	db      *database.DB
	master  tokens.MasterKey
	log     *slog.Logger
	stdout  io.Writer
	address string // that the public endpoints listen on
	handler *handlerSwitch
	// adminHandler serves the admin API where it has an address of its own; otherwise nil.
	adminHandler *handlerSwitch
	certificates certificates // nil: no TLS
	challenges   http.Handler // of ACME over HTTP; nil without it
	drain        drain
	open         atomic.Bool         // requests get more than the answer that the server starts
	uncertain    []*firstCredentials // that were made, but of which the store did not say that it has them
	// metricsHandler serves what Prometheus asks for; nil if nobody asks.
	metricsHandler *handlerSwitch
	metricsAddress string

	metrics *telemetry.Metrics // nil likewise
	traces  *telemetry.Traces  // nil if nobody collects them

	audit    *audit.Log
	people   *people.People
	keys     *tokens.Keys
	fetches  *tokens.Fetches
	usage    *clients.Usage
	counter  *usage.Counter
	lookup   *clients.Lookup
	statuses *tokens.StatusLists
	refusals *refusals.Tally
	limits   *limits.Limiter
	failures *limits.Failures
	habits   *limits.Habits
	journal  *journal
	lease    *lease.Lease
	alerts   *alerts.Store
}

// run joins the parts, opens the doors, and does the work beside the requests until background
// ends. It returns early if ctx ends before the store is there.
func (p *parts) run(ctx, background context.Context) error {
	first, err := p.start(ctx)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	public, admin, err := p.handlers()
	if err != nil {
		return err
	}
	if err := p.statuses.Refresh(ctx); err != nil { // it is tried again each second; nothing that must be printed is held up
		p.log.WarnContext(ctx, "status lists: the store does not answer, serving them when it does", "err", err)
	}
	p.handler.set(public)
	if p.adminHandler != nil {
		p.adminHandler.set(admin)
	}
	p.open.Store(true)
	p.banner(first)
	debug.FreeOSMemory() // a first start hashed a password, which takes more than all the rest
	g, background := errgroup.WithContext(background)
	g.Go(func() error { return p.keys.Run(background) })
	g.Go(func() error { return p.statuses.Run(background) })
	g.Go(func() error { return p.fetches.Run(background) })
	g.Go(func() error { return p.usage.Run(background) })
	g.Go(func() error { return p.counter.Run(background) })
	g.Go(func() error { return p.refusals.Run(background) })
	g.Go(func() error { return p.limits.Run(background) })
	g.Go(func() error { return p.habits.Run(background) })
	g.Go(func() error { return p.journal.run(background) })
	g.Go(func() error { return p.lease.RunJobs(background, p.jobs()) })
	g.Go(func() error { return p.tellAdmins(background) })
	g.Go(func() error { return p.config.alerts.countries.run(background, p.log) })
	return g.Wait()
}

// periodicWork is the name of the lease of the server that does the jobs, and makes new keys.
const periodicWork = "periodic work"

// jobs are what one server does for all (docs/decisions/0019).
func (p *parts) jobs() []lease.Job {
	return []lease.Job{
		{Name: "purge uses", Every: time.Hour, Do: clients.NewStore(p.db).Purge},
		{Name: "purge sessions", Every: time.Hour, Do: p.people.Purge},
		{Name: "purge refusals", Every: time.Hour, Do: p.refusals.Purge},
		{Name: "purge revoked tokens", Every: time.Hour, Do: p.revokedTokens().Purge},
		{Name: "purge fetches", Every: time.Hour, Do: p.fetches.Purge},
		{Name: "purge limits", Every: time.Hour, Do: p.limits.Purge},
		{Name: "purge habits", Every: time.Hour, Do: p.habits.Purge},
		{Name: "suspend and delete unused clients", Every: 5 * time.Minute, Parts: p.disuse().Advance},
		{Name: "carry over uses", Every: time.Minute, Do: p.usage.CarryOver},
		{Name: "purge alerts", Every: 24 * time.Hour, Do: p.alerts.Purge},
		{Name: "add up usage", Every: time.Minute, Do: p.counter.Purge},
		{Name: "purge reports", Every: time.Hour, Do: p.reports().Purge},
	}
}

// openKeys brings the schema up to date and opens the signing keys.
func (p *parts) openKeys(ctx context.Context) error {
	if err := p.db.Migrate(ctx); err != nil {
		return err
	}
	p.audit = audit.NewLog(p.db, p.master.Derive("audit"))
	p.people = people.New(p.db, p.audit)
	var err error
	if p.alerts, err = p.newAlerts(); err != nil {
		return err
	}
	p.lease = &lease.Lease{DB: p.db, Name: periodicWork, Log: p.log, Alone: p.db.Embedded()}
	p.keys = &tokens.Keys{
		DB: p.db, Master: p.master, Schedule: tokens.DefaultSchedule, RSABits: p.config.rsaBits, Log: p.log,
		Changed: p.keysChanged(admin.KeyChanges(p.db, p.audit)), MayRotate: p.lease.Holding,
	}
	p.journal = p.newJournal()
	if err := p.keys.Start(ctx, tokens.Alg(p.config.signingAlg)); err != nil {
		return err
	}
	algs, err := p.config.algsByAudience()
	if err != nil {
		return err
	}
	for _, alg := range algs {
		if err := p.keys.Ensure(ctx, alg); err != nil {
			return err
		}
	}
	return nil
}

// handlers joins the parts to the handlers of the public endpoints and of the admin API; without
// an address of its own, the latter is part of the former.
func (p *parts) handlers() (public, admin http.Handler, err error) {
	c := p.config
	p.lookup = clients.NewLookup(p.db, storeTimeout)
	p.usage = clients.NewUsage(p.db, p.log)
	p.counter = usage.New(p.db, p.log)
	p.fetches = tokens.NewFetches(p.db, p.keys, p.log)
	p.limit()
	p.refusals = refusals.New(p.db, p.master.Derive("error ids"), p.log)
	algs, err := c.algsByAudience()
	if err != nil {
		return nil, nil, err
	}
	issuer := &tokens.Issuer{URL: c.issuer, Keys: p.keys}
	p.statuses = &tokens.StatusLists{DB: p.db, Issuer: issuer, Alg: tokens.Alg(c.signingAlg), TTL: c.statusTTL, Log: p.log}
	p.measure()
	protocol := &oauth.Handler{
		Clients:       p.lookup,
		Issuer:        issuer,
		Audiences:     c.audiences,
		AdminAudience: c.adminAudience(),
		Lifetime:      c.lifetime,
		Alg:           tokens.Alg(c.signingAlg),
		AudienceAlgs:  algs,
		SCPAudiences:  c.audienceSCP,
		StatusLists:   p.statuses,
		RevokedTokens: p.revokedTokens(),
		Used:          p.used,
		Refused:       p.refused,
		Fetched:       p.fetches.Record,
		Limits:        p.limits,
		Failures:      p.failures,
		Habits:        p.habits,
		Ping:          p.db.Ping,
	}
	router := newRouter()
	if err := protocol.Register(router); err != nil {
		return nil, nil, err
	}
	if err := p.registerLeaks(router); err != nil {
		return nil, nil, err
	}
	adminRouter := router
	if p.adminHandler != nil {
		adminRouter = newRouter()
	}
	p.registerAdmin(adminRouter, issuer)
	if path := issuerPath(c.issuer); path != "" {
		adminRouter.PathPrefix(path + "/admin/").Handler(http.StripPrefix(path, adminRouter))
	}
	return p.metrics.Time(router), adminRouter, nil
}

func (p *parts) reports() *reports.Store { return &reports.Store{DB: p.db, Clients: p.lookup} }

func (p *parts) revokedTokens() tokens.RevokedTokens { return tokens.RevokedTokens{DB: p.db} }

// registerAdmin adds the admin API to the router.
func (p *parts) registerAdmin(router *mux.Router, issuer *tokens.Issuer) {
	api := &admin.Handler{
		DB:        p.db,
		Clients:   clients.NewStore(p.db),
		Sections:  sections.NewStore(p.db),
		Keys:      p.keys,
		Fetches:   p.fetches,
		Audit:     p.audit,
		People:    p.people,
		Sessions:  people.NewSessions(p.people, strings.HasPrefix(p.config.issuer, "https://")),
		Refusals:  p.refusals,
		Leaks:     p.leakReports(),
		Disuse:    p.config.disuse.rule,
		Limits:    p.limits,
		Habits:    p.habits,
		Plan:      p.config.limits.plan(),
		Usage:     p.counter,
		Reports:   p.reports(),
		Alerts:    p.alerts,
		Issuer:    issuer,
		Lookup:    p.lookup,
		Revoked:   p.revokedTokens(),
		Audience:  p.config.adminAudience(),
		Audiences: p.config.audiences,
		Alg:       tokens.Alg(p.config.signingAlg),
		CursorKey: p.master.Derive("cursors"),
		Committed: p.journal.committed,
	}
	api.Register(router)
	pages := &web.Handler{
		API: router, Sessions: api.Sessions, Issuer: p.config.issuer, Audiences: p.config.audiences, Version: version,
		CheckToken: p.checkToken, BySecret: api.Clients.BySecret,
		OpenAlerts: p.alerts.CountOpen,
	}
	pages.Register(router)
}

// issuerPath is the path of an issuer below which everything is to be found as well, "" for none.
func issuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Path
}

// newRouter returns a router that never redirects a request, which may carry credentials, and
// answers unknown paths in JSON.
func newRouter() *mux.Router {
	router := mux.NewRouter().SkipClean(true)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		plainJSON(w, http.StatusNotFound, `{"error":"not_found","title":"Not found","status":404,"detail":"there is nothing at this path"}`)
	})
	return router
}

// starting answers while the store is not there yet.
func starting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			plainJSON(w, http.StatusOK, `{"status":"ok"}`)
			return
		}
		if r.URL.Path == "/readyz" {
			request.Meant(r.Context())
		}
		w.Header().Set("Retry-After", "1")
		plainJSON(w, http.StatusServiceUnavailable, `{"error":"temporarily_unavailable","error_description":"the server is starting: its store is not there yet","title":"Temporarily unavailable","status":503,"detail":"the server is starting: its store is not there yet"}`)
	})
}

func plainJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body+"\n") // a client that went away needs no answer
}

// banner tells who started the server what it is and where its data lie.
func (p *parts) banner(first *firstCredentials) {
	c := p.config
	store := c.database
	if !p.db.Embedded() {
		store = "PostgreSQL" // its URL may hold a password
	}
	fmt.Fprintf(p.stdout, "Wardkey %s\n  Issuer     %s\n  Store      %s\n  Audiences  %s\n  Data       %s\n",
		version, c.issuer, store, strings.Join(c.audiences, ", "), c.dataDir)
	if p.metricsHandler != nil {
		fmt.Fprintf(p.stdout, "  Metrics    http://%s/metrics\n", p.metricsAddress)
	}
	if first != nil {
		first.print(p.stdout, c)
	}
	fmt.Fprintf(p.stdout, "\nListening on %s\n", p.address)
}
