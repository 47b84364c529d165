package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// TestServe runs the sessions in testdata/serve-*.txtar: what an operator does with servers, and
// is told by them. Those that need PostgreSQL say so with [!postgres] skip.
func TestServe(t *testing.T) {
	files, err := filepath.Glob("testdata/serve-*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	postgres := ""
	if os.Getenv("WARDKEY_TEST_ENGINES") == "both" || os.Getenv("WARDKEY_TEST_POSTGRES") != "" {
		postgres = databasetest.PostgresURL(t)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("POSTGRES", postgres)
			e.Setenv("KEY", testMasterKey)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector makes each command take a second
			return nil
		},
		Condition: func(name string) (bool, error) { return name == "postgres" && postgres != "", nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "json": jsonMatches, "mode": hasMode, "listening": listening,
		},
	})
}

// listening waits until a server in the background listens, by the file that it prints to, and
// sets URL: listening first.out
func listening(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		ts.Check(err)
		if _, address, ok := strings.Cut(string(text), "\nListening on "); ok && strings.HasSuffix(address, "\n") {
			ts.Setenv("URL", "http://"+strings.TrimSpace(address))
			return
		}
	}
	ts.Fatalf("%s: it does not listen", args[0])
}
