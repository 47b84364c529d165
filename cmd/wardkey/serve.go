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
	trusted, err := c.trustedProxies()
	if err != nil {
		return err
	}
	public, err := c.newListener(ctx, c.listen)
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

	// Until the store is there, requests get an answer that says so.
	handler := newSwitch(starting())
	servers := []*server{newServer(public, request.BehindProxies(trusted, request.Wrap(log, handler)), log)}
	var adminHandler *handlerSwitch
	if c.adminListen != "" {
		listener, err := c.newListener(ctx, c.adminListen)
		if err != nil {
			return err
		}
		defer listener.Close() //nolint:errcheck // the server closes it first
		adminHandler = newSwitch(starting())
		servers = append(servers, newServer(listener, request.BehindProxies(trusted, request.Wrap(log, adminHandler)), log))
	}
	p := &parts{
		config: c, db: db, master: master, log: log, stdout: stdout,
		address: public.Addr().String(), handler: handler, adminHandler: adminHandler,
	}
	return runAll(ctx, p, servers)
}

// runAll runs the servers and the work beside them. When ctx ends or one of them fails, requests
// that began are finished, new ones are refused, and the work beside them ends last.
func runAll(ctx context.Context, p *parts, servers []*server) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		g.Go(s.serve)
	}
	g.Go(func() error { return p.run(ctx, background) })
	g.Go(func() error {
		<-ctx.Done()
		p.log.Info("stopping: finishing the requests that began")
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		var err error
		for _, s := range servers {
			err = errors.Join(err, s.Shutdown(drain))
		}
		stopBackground()
		if errors.Is(err, context.DeadlineExceeded) {
			p.log.Warn("some requests did not end in time and were cut", "after", drainTimeout)
			return nil
		}
		return err
	})
	return g.Wait()
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

func (c *config) newListener(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if c.tlsCert == "" {
		return listener, nil
	}
	certificate, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
	if err != nil {
		return nil, errors.Join(usagef("--tls-cert, --tls-key: %w", err), listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}), nil
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
