package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// TestSecretIsNotShown types a secret at the prompt of login, once it is there, and looks whether
// the terminal shows it. Whether it is right does not matter.
func TestSecretIsNotShown(t *testing.T) {
	keyboard, cmd, said := atPrompt(t)
	fmt.Fprintln(keyboard, "wks_typed")
	rest, _ := io.ReadAll(said)
	if err := cmd.Wait(); err == nil || !strings.Contains(string(rest), "reach http://127.0.0.1:1") {
		t.Errorf("login = %v, %q; want that nobody is there", err, rest)
	}
	if shown := screen(t, keyboard); strings.Contains(shown, "typed") {
		t.Errorf("the terminal shows %q", shown)
	}
}

// TestInterruptAtPrompt holds that a prompt can be left, and leaves a terminal that echoes.
func TestInterruptAtPrompt(t *testing.T) {
	keyboard, cmd, said := atPrompt(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(said)
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(rest), "wardkey: interrupted") {
		t.Errorf("login = %v, %q; want interrupted", err, rest)
	}
	modes, err := unix.IoctlGetTermios(int(keyboard.Fd()), unix.TCGETS)
	if err != nil || modes.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal does not echo any more: %v", err)
	}
}

// atPrompt runs login on a terminal of its own up to the prompt for the secret. It returns the
// terminal's other side, the program, and what it says from then on.
func atPrompt(t *testing.T) (keyboard *os.File, cmd *exec.Cmd, said io.Reader) {
	t.Helper()
	keyboard, terminal := openTerminal(t)
	cmd = exec.CommandContext(t.Context(), "wardkey", "login", "--url", "http://127.0.0.1:1", "--client-id", "x")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "GORACE=atexit_sleep_ms=0",
		"WARDKEY_URL=", "WARDKEY_CLIENT_ID=", "WARDKEY_CLIENT_SECRET=")
	cmd.Stdin = terminal
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var prompt bytes.Buffer
	for b := make([]byte, 1); !strings.HasSuffix(prompt.String(), "(not shown): "); {
		if _, err := stderr.Read(b); err != nil {
			t.Fatalf("login said %q and no more: %v", prompt.String(), err)
		}
		prompt.Write(b)
	}
	// It asks just before it turns the echo off.
	for deadline := time.Now().Add(20 * time.Second); echoes(t, terminal); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the terminal still echoes")
		}
	}
	return keyboard, cmd, stderr
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return modes.Lflag&unix.ECHO != 0
}

// screen is what the terminal showed so far.
func screen(t *testing.T, keyboard *os.File) string {
	t.Helper()
	fd := int(keyboard.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 4096)
	n, err := unix.Read(fd, shown)
	if errors.Is(err, unix.EAGAIN) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(shown[:n])
}

// openTerminal makes a pseudo-terminal (pts(4)).
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if !term.IsTerminal(int(terminal.Fd())) {
		t.Fatal("a pseudo-terminal is no terminal")
	}
	return keyboard, terminal
}
