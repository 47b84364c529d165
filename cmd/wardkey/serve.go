package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/request"
	"github.com/wardkey/wardkey/tokens"
)

// Limits of the server.
const (
	maxHeader    = 32 << 10         // bytes of a request's head
	drainTimeout = 10 * time.Second // for requests that began before the end
	storeTimeout = time.Second      // for one read on the token path

	// How much the heap grows before garbage is collected. What lives is a few MB, so that Go's
	// default of 100 collects a thousand times a minute under load (docs/decisions/0012).
	garbagePercent = 400
)

// serve runs a server until ctx ends, and then finishes what began.
func serve(ctx context.Context, c *config, stdout, stderr io.Writer) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if err := c.checkListen(); err != nil {
		return err
	}
	log, err := c.newLog(stderr, isTerminal(stderr))
	if err != nil {
		return err
	}
	atOnce, stop := toldAgain(ctx, log)
	defer stop()
	trusted, err := c.trustedProxies()
	if err != nil {
		return err
	}
	certificates, err := c.openCertificate(log)
	if err != nil {
		return err
	}
	public, err := newListener(ctx, c.listen)
	if err != nil {
		return err
	}
	defer public.Close() //nolint:errcheck // the server closes it first
	if err := c.complete(public.Addr().String()); err != nil {
		return err
	}
	db, master, err := c.openStore()
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // everything that was acknowledged is committed

	traces, stopTraces, err := c.startTraces(ctx, log)
	if err != nil {
		return err
	}
	defer stopTraces()

	// Until the store is there, requests get an answer that says so.
	p := &parts{
		traces: traces,
		config: c, db: db, master: master, log: log, stdout: stdout,
		address: public.Addr().String(), handler: newSwitch(starting()), certificates: certificates,
	}
	if len(c.acmeDomains) > 0 {
		acme := c.newACME(db, master)
		p.certificates, p.challenges = acme, acme.challenges()
	}
	servers, err := p.openServers(ctx, public, trusted)
	defer closeAll(servers)
	if err != nil {
		return err
	}
	return runAll(ctx, atOnce, p, servers)
}

// openServers returns the server of the public endpoints, and those that have an address of their
// own, as far as they could be opened.
func (p *parts) openServers(ctx context.Context, public net.Listener, trusted []netip.Prefix) ([]*server, error) {
	servers := []*server{p.newServer(public, trusted, p.handler)}
	for _, own := range []struct {
		address string
		open    func(net.Listener) *server
	}{
		{p.config.adminListen, func(l net.Listener) *server {
			p.adminHandler = newSwitch(starting())
			return p.newServer(l, trusted, p.adminHandler)
		}},
		{p.config.acmeListen, func(l net.Listener) *server {
			return newServer(l, request.Wrap(p.log, p.challenges), p.log)
		}},
		{p.config.metricsListen, p.metricsServer},
	} {
		if own.address == "" {
			continue
		}
		listener, err := newListener(ctx, own.address)
		if err != nil {
			return servers, err
		}
		servers = append(servers, own.open(listener))
	}
	return servers, nil
}

// closeAll closes what the servers listen on, if they did not do so themselves.
func closeAll(servers []*server) {
	for _, s := range servers {
		_ = s.listener.Close()
	}
}

// newServer returns a server for one of the handlers, with TLS where there is a certificate.
func (p *parts) newServer(listener net.Listener, trusted []netip.Prefix, handler http.Handler) *server {
	if p.certificates != nil {
		listener = tls.NewListener(listener, p.certificates.config())
	}
	return newServer(listener, request.BehindProxies(trusted, p.traces.Wrap(request.Wrap(p.log, p.drain.wrap(handler)))), p.log)
}

// runAll runs the servers and the work beside them. When ctx ends or one of them fails, requests
// that began are finished, unless atOnce ends, new ones are refused, and the work beside them ends last.
func runAll(ctx, atOnce context.Context, p *parts, servers []*server) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	stopped := ctx.Done()
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		g.Go(s.serve)
	}
	if files, ok := p.certificates.(*certificateFile); ok {
		g.Go(func() error { return files.run(background) })
	} else {
		g.Go(func() error { return hangups(background, p.log) })
	}
	g.Go(func() error { return p.run(ctx, background) })
	g.Go(func() error {
		<-ctx.Done()
		select {
		case <-stopped:
			p.linger(atOnce)
		default: // one of them failed
		}
		err := p.shutdown(atOnce, servers)
		stopBackground()
		return err
	})
	return g.Wait()
}

// linger serves on until balancers have noticed that the server stops, or until atOnce ends. They send
// nothing to one that was never ready.
func (p *parts) linger(atOnce context.Context) {
	p.drain.begun.Store(true)
	delay := p.config.lingers(p.db.Embedded())
	if delay == 0 || !p.open.Load() {
		return
	}
	p.log.Info("stopping: not ready any more, and serving on until balancers have noticed", "for", delay)
	select {
	case <-atOnce.Done():
	case <-time.After(delay):
	}
}

// shutdown takes no more requests and finishes those that began, until ctx ends.
func (p *parts) shutdown(ctx context.Context, servers []*server) error {
	p.log.Info("stopping: finishing the requests that began")
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var g errgroup.Group
	for _, s := range servers {
		g.Go(func() error { return s.Shutdown(ctx) })
	}
	err := g.Wait()
	if ctx.Err() == nil {
		return err
	}
	p.log.Warn("some requests did not end in time and were cut")
	for _, s := range servers {
		_ = s.Close() // of what is cut nothing is left to be said
	}
	return nil
}

// openStore opens the database and finds its master key.
func (c *config) openStore() (*database.DB, tokens.MasterKey, error) {
	if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
		return nil, tokens.MasterKey{}, fmt.Errorf("make --data-dir: %w", err)
	}
	db, err := database.Open(c.database)
	if errors.Is(err, database.ErrBadURL) {
		return nil, tokens.MasterKey{}, usagef("--database: %w", err)
	}
	if err != nil {
		return nil, tokens.MasterKey{}, err
	}
	master, err := c.loadMasterKey(db.Embedded())
	if err != nil {
		return nil, master, errors.Join(err, db.Close())
	}
	return db, master, nil
}

func newListener(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A server is an HTTP server on one listener.
type server struct {
	*http.Server
	listener net.Listener
}

func newServer(listener net.Listener, handler http.Handler, log *slog.Logger) *server {
	return &server{listener: listener, Server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// OPTIONS * is for a handler like everything else.
		DisableGeneralOptionsHandler: true,
	}}
}

func (s *server) serve() error {
	if err := s.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// A handlerSwitch is a handler that can be replaced while it serves.
type handlerSwitch struct{ current atomic.Pointer[http.Handler] }

func newSwitch(h http.Handler) *handlerSwitch {
	s := &handlerSwitch{}
	s.set(h)
	return s
}

func (s *handlerSwitch) set(h http.Handler) { s.current.Store(&h) }

func (s *handlerSwitch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.current.Load()).ServeHTTP(w, r)
}
