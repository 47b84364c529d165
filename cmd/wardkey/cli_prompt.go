package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var errInterrupted = errors.New("interrupted")

// interactive says whether somebody is there who can be asked.
func interactive(cmd *cobra.Command) bool {
	f, ok := cmd.InOrStdin().(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks for a line. Questions go to standard error, so that standard output has results only.
func ask(cmd *cobra.Command, question string) (string, error) {
	fmt.Fprint(cmd.ErrOrStderr(), question)
	return await(cmd.Context(), func() (string, error) { return readLine(cmd.InOrStdin()) })
}

// askSecret asks for a line that nobody sees.
func askSecret(cmd *cobra.Command, question string) (hidden, error) {
	terminal, ok := cmd.InOrStdin().(*os.File)
	if !ok {
		return "", errors.New("standard input is not a terminal")
	}
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask without echo: %w", err)
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	text, err := await(cmd.Context(), func() (string, error) {
		text, err := term.ReadPassword(fd)
		return string(text), err
	})
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return "", errors.Join(err, term.Restore(fd, before)) // the echo
	}
	return hidden(strings.TrimSpace(text)), nil
}

// await returns what read does, or when ctx ends. A read of a terminal cannot be stopped; the
// goroutine ends with the program.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

// readLine reads a line and nothing behind it, which may be a secret that is asked for next.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		if n == 1 && b[0] == '\n' {
			return string(bytes.TrimSpace(line)), nil
		}
		line = append(line, b[:n]...)
		if err != nil {
			return "", fmt.Errorf("read an answer: %w", err)
		}
	}
}
