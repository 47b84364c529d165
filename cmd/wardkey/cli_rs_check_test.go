package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/verify"
)

// TestRSCheck runs the sessions in testdata/rs_check*.txtar, with services to check and a server.
func TestRSCheck(t *testing.T) {
	files, err := filepath.Glob("testdata/rs_check*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			if err := startServer(e, databasetest.SQLiteURL(t)); err != nil {
				return err
			}
			return startServices(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "json": jsonMatches},
	})
}

// startServices runs services for a session. CAREFUL, ANOTHER and LIVE use the package verify, with
// the issuers of checks that listen on LISTEN and LISTEN2 (a verifier asks for keys twice a minute,
// and those are other ones for each check) and with the server; CARELESS lets everything in that
// has three segments, and CLOSED nothing.
func startServices(e *testscript.Env) error {
	issuers := map[string]string{"LIVE": e.Getenv("WARDKEY_URL")}
	for name, listen := range map[string]string{"CAREFUL": "LISTEN", "ANOTHER": "LISTEN2"} {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		e.Setenv(listen, address)
		issuers[name] = "http://" + address
	}
	for name, issuer := range issuers {
		v, err := verify.New(issuer, "https://api.example.com", verify.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			return err
		}
		e.Defer(v.Close)
		serveFor(e, name, v.Require(verify.Section("nordic"), verify.Keyspace("email", "read"))(http.HandlerFunc(welcome)))
	}
	serveFor(e, "CARELESS", http.HandlerFunc(careless))
	serveFor(e, "CLOSED", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "closed\x1b[2J for <today>", http.StatusUnauthorized)
	}))
	return nil
}

func serveFor(e *testscript.Env, name string, handler http.Handler) {
	server := httptest.NewServer(handler)
	e.Defer(server.Close)
	e.Setenv(name, server.URL)
}

// freeAddress is one that nothing listens on, because services must know it before the check is there.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func welcome(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "welcome") }

func careless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Powered-By", "Express")
	if strings.Count(r.Header.Get("Authorization"), ".") != 2 || r.Header.Get("Accept") != "text/html" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	welcome(w, r)
}
