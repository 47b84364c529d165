package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A server is a process that gives tokens.
type server struct {
	command *exec.Cmd
	address string
	answer  int           // bytes in an answer
	start   time.Duration // from its exec to its first token
	idle    float64       // MB, before any load
	after   float64       // MB, after all of it
	peak    float64       // MB
	given   int           // tokens
	busy    time.Duration // from the first to the last of each turn
}

// issuerLabel stands before the issuer in what a server prints once it is ready.
const issuerLabel = "Issuer"

// launch starts a server, waits until it is ready, and gets its first token. What the request of
// that one is may be known only then.
func launch(ctx context.Context, command *exec.Cmd, first func() (request, error)) (*server, error) {
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 15 * time.Second
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s := &server{command: command}
	start := time.Now()
	if err := command.Start(); err != nil {
		return nil, err
	}
	if err := s.firstToken(ctx, stdout, first); err != nil {
		_ = s.stop() // the error before is the one to tell
		return nil, fmt.Errorf("start %s: %w", strings.Join(command.Args, " "), err)
	}
	s.start = time.Since(start)
	return s, nil
}

func (s *server) firstToken(ctx context.Context, stdout io.Reader, first func() (request, error)) error {
	var err error
	if s.address, err = readAddress(stdout); err != nil {
		return err
	}
	r, err := first()
	if err != nil {
		return err
	}
	c, err := connect(ctx, s.address)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // its answer is read
	s.answer, err = c.token(r)
	return err
}

// readAddress reads what a server prints, until it names its issuer.
func readAddress(stdout io.Reader) (string, error) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		label, issuer, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if label != issuerLabel {
			continue
		}
		u, err := url.Parse(strings.TrimSpace(issuer))
		if err != nil {
			return "", err
		}
		return net.JoinHostPort("127.0.0.1", u.Port()), nil
	}
	return "", fmt.Errorf("it ended before it was ready; run it to see why")
}

// rest notes the memory of a server that has nothing to do.
func (s *server) rest() error {
	time.Sleep(2 * time.Second) // what its start left behind is gone by then
	var err error
	s.idle, _, err = memory(s.command.Process.Pid)
	return err
}

// finish notes the memory of a server that has given all its tokens, and ends it.
func (s *server) finish() error {
	var err error
	if s.after, s.peak, err = memory(s.command.Process.Pid); err != nil {
		return err
	}
	return s.stop()
}

// stop ends the server.
func (s *server) stop() error {
	if s.command.ProcessState != nil {
		return nil
	}
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	return s.command.Wait()
}

// wardkey is the command of a wardkey as it is shipped. Its log, which each request writes to, is
// thrown away.
func (b *bench) wardkey(ctx context.Context, binary, dir, store string) *exec.Cmd {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--bootstrap-file", bootstrapFile(dir)}
	if store != "" {
		args = append(args, "--database", store)
	}
	c := exec.CommandContext(ctx, binary, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "WARDKEY_") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(c.Env, "WARDKEY_MASTER_KEY="+strings.Repeat("0", 43)+"=")
	return c
}

func bootstrapFile(dir string) string { return filepath.Join(dir, "first.json") }

// bootstrapped is a request by the client that the first start of a wardkey makes.
func bootstrapped(dir string) (request, error) {
	text, err := os.ReadFile(bootstrapFile(dir))
	if err != nil {
		return nil, err
	}
	var first struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal(text, &first); err != nil {
		return nil, err
	}
	return newRequest(first.ClientID, first.ClientSecret), nil
}
