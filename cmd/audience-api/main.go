// Command audience-api is an example of a resource server: an API that accepts
// Wardkey's tokens. It keeps attributes of profiles in memory, so it forgets them when
// it ends. Read api.go first; make demo shows it at work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/wardkey/wardkey/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "audience-api:", err)
		os.Exit(1)
	}
}

// run is the whole program, free of process globals, so that tests can call it.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("audience-api", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8090", "the `address` to listen on")
	issuer := flags.String("issuer", "http://localhost:8080", "the `URL` of the Wardkey whose tokens are accepted")
	audience := flags.String("audience", "", "the `URL` of this API, as an --audience of Wardkey (default http:// and the address)")
	reportAs := flags.String("report-as", "", "report what tokens are used for, as the client with this `id`, which holds wardkey:introspect and has the audience among its own")
	secretFile := flags.String("secret-file", "", "the `file` with that client's secret")
	statusTTL := flags.Duration("status-ttl", 0, "how often to ask what was revoked, if more often than Wardkey says: 1s or more")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	if *audience == "" {
		*audience = "http://" + listener.Addr().String()
	}
	options := []verify.Option{verify.WithResource(description)}
	if *statusTTL != 0 {
		options = append(options, verify.WithStatusTTL(*statusTTL))
	}
	if *reportAs != "" {
		secret, err := os.ReadFile(*secretFile)
		if err != nil {
			return errors.Join(fmt.Errorf("read the secret of the client that reports: %w", err), listener.Close())
		}
		options = append(options, verify.WithReports(*reportAs, strings.TrimSpace(string(secret)), nil))
	}
	verifier, err := verify.New(*issuer, *audience, options...)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer verifier.Close()
	fmt.Fprintf(stdout, "Listening on http://%s for tokens of %s with audience %s\n", listener.Addr(), *issuer, *audience)
	return serve(ctx, listener, newAPI(verifier))
}

// serve answers requests until ctx ends, and finishes those that began.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return server.Shutdown(drain)
	}
}
