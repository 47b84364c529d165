package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The servers of these tests: one for each algorithm that tokens can be signed with.
var (
	defaults  = &server{alg: "ES256", lifetime: 15 * time.Minute}
	likeApsis = &server{alg: "RS256", lifetime: 24 * time.Hour, args: []string{
		"--signing-alg", "RS256", "--token-lifetime", "24h",
	}}
	mixed = &server{alg: "EdDSA", lifetime: time.Hour, args: []string{ // has a key of each
		"--signing-alg", "EdDSA", "--token-lifetime", "1h", "--audience", "https://ed.example",
		"--audience", "https://ec.example", "--audience-alg", "https://ec.example=ES256",
		"--audience", "https://rsa.example", "--audience-alg", "https://rsa.example=RS256",
	}}
	servers = []*server{defaults, likeApsis, mixed}
)

// binary is the wardkey that was built for these tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "wardkey-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer func() {
		for _, s := range servers {
			if err := s.stop(); err != nil {
				fmt.Fprintln(os.Stderr, "interop:", err)
				code = 1
			}
		}
	}()
	if err := startAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	return m.Run()
}

func startAll(dir string) error {
	ctx := context.Background()
	binary = filepath.Join(dir, "wardkey")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/wardkey/wardkey/cmd/wardkey")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the one static binary that users have
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, s := range servers {
		if err := s.start(ctx, filepath.Join(dir, s.alg)); err != nil {
			return fmt.Errorf("start the %s server: %w", s.alg, err)
		}
	}
	return nil
}

// A server is a running wardkey and what it told whoever started it.
type server struct {
	alg      string
	lifetime time.Duration
	args     []string

	issuer string
	curl   string      // the line of the banner that gets a token
	demo   credentials // of the client to play with
	admin  credentials // of the client for the admin API
	cmd    *exec.Cmd
}

type credentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

func (s *server) tokenURL() string { return s.issuer + "/oauth/token" }
func (s *server) jwksURL() string  { return s.issuer + "/.well-known/jwks.json" }

// start runs the server until stop. It returns when tokens can be had.
func (s *server) start(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	bootstrap, log := filepath.Join(dir, "bootstrap.json"), filepath.Join(dir, "log")
	args := []string{"serve", "--demo", "--listen", "127.0.0.1:0", "--data-dir", dir, "--bootstrap-file", bootstrap}
	cmd := exec.CommandContext(ctx, binary, append(args, s.args...)...)
	stderr, err := os.Create(log)
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // then its output ends
	defer stuck.Stop()
	if err := s.readBanner(stdout); err != nil {
		text, _ := os.ReadFile(log) // it may have said why
		return fmt.Errorf("%w\n%s", err, text)
	}
	return s.readBootstrap(bootstrap)
}

var demoCurl = regexp.MustCompile(`^curl -s -u ([^: ]+):([^ ]+) -d grant_type=client_credentials (http\S+)/oauth/token$`)

// readBanner reads what the server prints when it is ready; the curl line comes last.
func (s *server) readBanner(stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if m := demoCurl.FindStringSubmatch(line); m != nil {
			s.curl, s.demo, s.issuer = line, credentials{m[1], m[2]}, m[3]
			return nil
		}
	}
	return errors.Join(errors.New("the server ended, or printed no curl that gets a token"), lines.Err())
}

func (s *server) readBootstrap(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &s.admin)
}

// stop ends the server as its user would, and wants it to end well.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the %s server: %w", s.alg, err)
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = s.cmd.Process.Kill() })
	defer stuck.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the %s server ended with: %w", s.alg, err)
	}
	return nil
}

// token gets a token for a resource, the plain way.
func (s *server) token(t *testing.T, c credentials, resource string) string {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}, "resource": {resource},
	}
	var got token
	postTo(t, s.tokenURL(), "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), &got)
	if got.AccessToken == "" {
		t.Fatalf("the %s server gave no token for %s", s.alg, resource)
	}
	return got.AccessToken
}

// postTo posts a body and reads the JSON that comes back, whatever the status.
func postTo(t *testing.T, address, kind string, body io.Reader, reply any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(reply); err != nil {
		t.Fatalf("POST %s = %s that is not JSON: %v", address, res.Status, err)
	}
}
