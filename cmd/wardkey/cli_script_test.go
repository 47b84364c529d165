package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// TestCommandLine runs the sessions in testdata/cli-*.txtar, each against a server of its own, on
// both engines.
func TestCommandLine(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { sessions(t, "sqlite", databasetest.SQLiteURL) })
	t.Run("postgres", func(t *testing.T) {
		databasetest.PostgresURL(t) // skips here, not in each session
		sessions(t, "postgres", databasetest.PostgresURL)
	})
}

func sessions(t *testing.T, engine string, database func(testing.TB) string) {
	files, err := filepath.Glob("testdata/cli-*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(e *testscript.Env) error { return startServer(e, database(t)) },
		Condition:           func(name string) (bool, error) { return name == engine, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "json": jsonMatches, "setjson": setFromJSON, "mode": hasMode, "setmatch": setFromMatch,
			"eventually": eventually, "signin": signIn, "listening": listening,
		},
	})
}

// startServer runs a server for a session, with a demo and two audiences. The session's
// environment has its address and the credentials of its admin client and of its demo client.
func startServer(e *testscript.Env, database string) error {
	e.Setenv("DATABASE", database)
	e.Setenv("KEY", testMasterKey)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	e.Defer(func() { stop(); <-done })
	bootstrap := filepath.Join(e.WorkDir, "bootstrap.json")
	banner, stdout := io.Pipe()
	go func() {
		defer close(done)
		master := func(name string) string {
			return map[string]string{"WARDKEY_MASTER_KEY": testMasterKey}[name]
		}
		code := run(ctx, []string{
			"serve", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(e.WorkDir, "data"), "--database", database,
			"--audience", "https://api.example.com", "--audience", "https://bi.example.com",
			"--demo", "--bootstrap-file", bootstrap, "--log-level", "error",
		}, master, stdout, io.Discard)
		stdout.CloseWithError(fmt.Errorf("serve ended with %d", code))
	}()
	said, err := readBanner(banner)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(bootstrap)
	if err != nil {
		return err
	}
	var first firstCredentials
	if err := json.Unmarshal(text, &first); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"WARDKEY_URL": said["url"], "WARDKEY_CLIENT_ID": first.ClientID, "WARDKEY_CLIENT_SECRET": first.ClientSecret,
		"DEMO_ID": said["id"], "DEMO_SECRET": said["secret"], "HOME": filepath.Join(e.WorkDir, "home"),
		"GORACE": "atexit_sleep_ms=0", // else the race detector makes each command take a second
	} {
		e.Setenv(name, value)
	}
	return nil
}

var demo = regexp.MustCompile(`-u (?P<id>\S+):(?P<secret>\S+) .* (?P<url>http://localhost:\d+)/oauth/token`)

// readBanner reads what the server prints until it shows the demo's curl, and lets it print on.
func readBanner(r *io.PipeReader) (map[string]string, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if m := demo.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, r)
			return map[string]string{"id": m[1], "secret": m[2], "url": m[3]}, nil
		}
	}
	return nil, errors.Join(errors.New("the server printed no curl"), lines.Err())
}

// status runs a program that must end with the given exit status: status 2 wardkey client list
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run: %v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
}

// jsonMatches checks a value in the JSON on standard output: json items.0.id '^nordic$'
func jsonMatches(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] json PATH PATTERN")
	}
	got := at(ts, args[0])
	if regexp.MustCompile(args[1]).MatchString(got) == neg {
		ts.Fatalf("%s is %s, want match of %q: %v", args[0], got, args[1], !neg)
	}
}

// setFromJSON sets a variable to such a value: setjson ID items.0.id
func setFromJSON(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], at(ts, args[1]))
}

// at is the value at a path, a text as it is and all else as JSON; length is that of a list.
func at(ts *testscript.TestScript, path string) string {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for name := range strings.SplitSeq(path, ".") {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[name]
		case []any:
			if name == "length" {
				v = len(parent)
				continue
			}
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i >= len(parent) {
				ts.Fatalf("%s: there are %d", path, len(parent))
			}
			v = parent[i]
		default:
			ts.Fatalf("%s: there is no %s", path, name)
		}
	}
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	ts.Check(err)
	return string(text)
}

// setFromMatch sets a variable to the group of a pattern in standard output.
func setFromMatch(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("%q is not there", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// hasMode checks the permissions of a file: mode 600 FILE
func hasMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// eventually runs a program until it succeeds and prints what matches, because the server writes
// some things now and then: eventually PATTERN PROGRAM ARG...
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM ARG...")
	}
	wanted := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it never printed %q: %v", args[0], err)
		}
	}
}

// signIn signs an admin in, or not: [!] signin EMAIL PASSWORD
func signIn(ts *testscript.TestScript, neg bool, args []string) {
	body, err := json.Marshal(map[string]string{"email": args[0], "password": args[1]})
	ts.Check(err)
	answer, err := http.Post(ts.Getenv("WARDKEY_URL")+"/admin/v1/session", "application/json", bytes.NewReader(body))
	ts.Check(err)
	defer answer.Body.Close()
	if (answer.StatusCode == http.StatusCreated) == neg {
		ts.Fatalf("signed in: %s", answer.Status)
	}
}
