package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/internal/request"
)

// balancerDelay is how long a server that stops serves on, where nothing else is said: long enough
// for a balancer that asks every second or two and wants to hear it twice.
const balancerDelay = 5 * time.Second

// unset is the --shutdown-delay of who says nothing.
const unset = -1

func (c *config) shutdownFlags(f *pflag.FlagSet) {
	f.DurationVar(&c.shutdownDelay, "shutdown-delay", unset, "when told to stop, answer 503 at /readyz and serve on for so long, until balancers have noticed (default 5s with PostgreSQL on an address that is not loopback, else 0s)")
	f.Lookup("shutdown-delay").DefValue = "0s" // the text says it
}

func (c *config) checkShutdown() error {
	if c.shutdownDelay != unset && (c.shutdownDelay < 0 || c.shutdownDelay > 10*time.Minute) {
		return usagef("--shutdown-delay must be 0s to 10m, not %s", c.shutdownDelay)
	}
	return nil
}

// lingers is how long a server that stops serves on. One that is alone, or that nobody else can
// reach, has no balancer to wait for.
func (c *config) lingers(embedded bool) time.Duration {
	if c.shutdownDelay != unset {
		return c.shutdownDelay
	}
	host, _, _ := net.SplitHostPort(c.listen) // it was checked
	if embedded || isLoopback(host) {
		return 0
	}
	return balancerDelay
}

// lastMoment is how long a server that is told twice to stop still writes what it counted.
const lastMoment = 2 * time.Second

// toldAgain returns a context that ends when the program is told to stop once more, after ctx ended. A
// moment later the program ends, whatever it still does, unless stop was called.
func toldAgain(ctx context.Context, log *slog.Logger) (atOnce context.Context, stop func()) {
	atOnce, end := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	unless := context.AfterFunc(ctx, func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(signals)
		select {
		case <-stopped:
			return
		case <-signals:
		}
		log.Warn("told to stop again: ending at once")
		end()
		select {
		case <-stopped:
		case <-time.After(lastMoment):
			log.Error("ended before everything was written", "after", lastMoment)
			os.Exit(exitFailed)
		}
	})
	return atOnce, func() { unless(); close(stopped); end() }
}

// A drain leads requests away from a server that stops. Once it has begun, the server is not
// ready, so that balancers send nothing new, and every answer is the last on its connection, so
// that no request is on its way on one that is then closed.
type drain struct{ begun atomic.Bool }

func (d *drain) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.begun.Load() {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close") // in HTTP/2, net/http makes a GOAWAY of it
		if r.URL.Path == "/readyz" {
			request.Meant(r.Context())
			w.Header().Set("Retry-After", "1")
			plainJSON(w, http.StatusServiceUnavailable, `{"error":"temporarily_unavailable","error_description":"the server is stopping","title":"Temporarily unavailable","status":503,"detail":"the server is stopping"}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}
