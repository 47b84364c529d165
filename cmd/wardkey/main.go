// Command wardkey is an OAuth 2.0 authorization server for machines, and the command line that
// administers one. Begin with serve.go, which joins all parts.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once, unless it is a server, which takes a moment (drain.go)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// A usageError is a mistake in how the program was called; it says what to change.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the whole program, free of process globals, so that tests can call it. It returns the
// exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "wardkey",
		Short:         "An OAuth 2.0 authorization server for machines",
		Long:          "Wardkey gives machines keys: an OAuth 2.0 authorization server for the client-credentials grant.",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(serveCommand(getenv))
	root.AddCommand(operatorCommands(getenv)...)
	root.AddCommand(cliCommands(getenv)...)
	root.CompletionOptions.HiddenDefaultCmd = true
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "wardkey:", err)
	if _, ok := errors.AsType[usageError](err); ok || !started(root, args) {
		return exitUsage
	}
	return exitFailed
}

// started says whether the arguments name a command that ran; what cobra itself refuses is wrong
// usage.
func started(root *cobra.Command, args []string) bool {
	command, _, err := root.Find(args)
	return err == nil && command.Runnable()
}
