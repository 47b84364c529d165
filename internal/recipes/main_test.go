package recipes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// built is where the examples in Go are.
var built string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "wardkey-recipes-"); err == nil {
		defer os.RemoveAll(built)
		err = build(context.Background(), "./docs/validate/go/...")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "recipes:", err)
		return 1
	}
	return m.Run()
}

// build builds programs of this module as their users do.
func build(ctx context.Context, packages string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", built+string(filepath.Separator), packages)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
