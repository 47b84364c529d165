package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// TestOperate runs the sessions of who looks after a server: testdata/restore-*.txtar,
// doctor-*.txtar and migrate-*.txtar. Those that need PostgreSQL say so with [!postgres] skip.
func TestOperate(t *testing.T) {
	var files []string
	for _, kind := range []string{"restore", "doctor", "migrate"} {
		found, err := filepath.Glob("testdata/" + kind + "-*.txtar")
		if err != nil || len(found) == 0 {
			t.Fatalf("no sessions of %s: %v", kind, err)
		}
		files = slices.Concat(files, found)
	}
	postgres := os.Getenv("WARDKEY_TEST_ENGINES") == "both" || os.Getenv("WARDKEY_TEST_POSTGRES") != ""
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			if postgres {
				e.Setenv("POSTGRES", databasetest.PostgresURL(t))
			}
			e.Setenv("KEY", testMasterKey)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector makes each command take a second
			return nil
		},
		Condition: func(name string) (bool, error) { return name == "postgres" && postgres, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "json": jsonMatches, "setjson": setFromJSON, "setmatch": setFromMatch, "mode": hasMode, "listening": listening,
		},
	})
}

// The help of each of these commands has examples that are understood.
func TestOperateExamples(t *testing.T) {
	for _, cmd := range operatorCommands(nothingSet) {
		examples := commandLines(cmd.Example)
		if len(examples) < 2 {
			t.Errorf("%s has %d examples", cmd.Name(), len(examples))
		}
		for _, line := range examples {
			if err := cmd.ParseFlags(strings.Fields(line)[1:]); err != nil || strings.Fields(line)[0] != cmd.Name() {
				t.Errorf("example %q of %s: %v", line, cmd.Name(), err)
			}
		}
	}
}
