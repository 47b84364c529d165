package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A party is a stock client, validator or both. It does each job and answers in the same order.
type party struct {
	name string
	do   func(t *testing.T, jobs []job) []answer
}

// A job is one thing for a party to do: get a "token", or "validate" one. It is also what the
// scripts in node and python read.
type job struct {
	Do      string `json:"do"`
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"` // for parties without discovery

	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Method       string `json:"method"`
	Scope        string `json:"scope"` // "": not asked

	Audience string `json:"audience"`
	Token    string `json:"token"`
}

// How clients authenticate, in the words of RFC 7591 and two more.
const (
	byDefault = "its default"
	basic     = "client_secret_basic"
	post      = "client_secret_post"
	postJSON  = "client_secret_post as JSON"
	anyAuth   = "what the challenge asks for"
)

// An answer is what came of a job: exactly one of these.
type answer struct {
	Token   *token         `json:"token"`
	Claims  map[string]any `json:"claims"`
	Refused *refusal       `json:"refused"`
}

// A token is an answer of RFC 6749 §5.1, as the party shows it to its user.
type token struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// A refusal is the server's of a client, or a validator's of a token.
type refusal struct {
	Status int    `json:"status"` // 0: the party does not tell
	Error  string `json:"error"`
	Text   string `json:"text"`
}

// one makes a party of a function that does one job.
func one(do func(ctx context.Context, j job) (answer, error)) func(*testing.T, []job) []answer {
	return func(t *testing.T, jobs []job) []answer {
		t.Helper()
		var answers []answer
		for _, j := range jobs {
			a, err := do(t.Context(), j)
			if err != nil {
				t.Fatalf("%s at %s: %v", j.Do, j.Issuer, err)
			}
			answers = append(answers, a)
		}
		return answers
	}
}

// script makes a party of a script that reads jobs and prints answers. Needs is a command that
// succeeds where the script can run.
func script(needs []string, command ...string) func(*testing.T, []job) []answer {
	return func(t *testing.T, jobs []job) []answer {
		t.Helper()
		need(t, needs...)
		input, err := json.Marshal(jobs)
		if err != nil {
			t.Fatal(err)
		}
		var answers []answer
		output := execute(t, input, command...)
		if err := json.Unmarshal(output, &answers); err != nil || len(answers) != len(jobs) {
			t.Fatalf("%v printed %d answers to %d jobs, %v: %s", command, len(answers), len(jobs), err, output)
		}
		return answers
	}
}

func node(file string) func(*testing.T, []job) []answer {
	needs := []string{"node", "--input-type=module", "--eval", "import 'jose'; import 'oauth4webapi'; import 'openid-client'"}
	return script(needs, "node", file)
}

// Debian's own python, with nothing but Debian's packages.
func python(file string) func(*testing.T, []job) []answer {
	needs := []string{"/usr/bin/python3", "-BEs", "-c", "import authlib, cryptography, jwt, requests"}
	return script(needs, "/usr/bin/python3", "-BEs", file)
}

// need skips the test where a command does not run; where everything must be there, it fails it.
func need(t *testing.T, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dirOf(command[0])
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("WARDKEY_TEST_ENGINES") == "both" {
		t.Fatalf("%s, or a package of it, is missing; run the tests with make test, or internal/interop/install before them: %v\n%s", command[0], err, out)
	}
	t.Skipf("%s, or a package of it, is missing: run internal/interop/install, or make test", command[0])
}

// execute runs a command and returns what it prints.
func execute(t *testing.T, input []byte, command ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dirOf(command[0]), bytes.NewReader(input), &stderr
	cmd.Env = append(os.Environ(), "no_proxy=localhost", "NO_PROXY=localhost")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, stderr.Bytes())
	}
	return out
}

// dirOf is where the scripts of an interpreter are.
func dirOf(interpreter string) string {
	switch interpreter {
	case "node":
		return "node"
	case "/usr/bin/python3":
		return "python"
	}
	return ""
}

// claims reads the claims of a token without looking at its signature.
func claims(t *testing.T, raw string) (c struct {
	Subject   string `json:"sub"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	Scope     string `json:"scope"`

	Audience json.RawMessage `json:"aud"`
},
) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token is %q, want a JWT", raw)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("the claims of %q: %v", raw, err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatalf("the claims of %q: %v", raw, err)
	}
	return c
}
