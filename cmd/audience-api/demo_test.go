package main

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// TestDemo runs what make demo runs, with both programs as they are built.
func TestDemo(t *testing.T) {
	for _, program := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs", program)
		}
	}
	temporary := t.TempDir()
	demo := exec.CommandContext(t.Context(), "./demo.sh")
	demo.Env = append(os.Environ(), "STATUS_TTL=1s", "TMPDIR="+temporary, "KEEP=")
	out, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("demo.sh: %v\n%s", err, out)
	}
	for _, want := range []string{
		`\$ curl -si -H "Authorization: Bearer \$TOKEN" \$PROFILE\nHTTP/1.1 200 OK\n{"city":"Oslo","name":"Ada"}\n`,
		`HTTP/1.1 403 Forbidden\nWww-Authenticate: Bearer .*, error="insufficient_scope", .*, scope="email:write", `,
		`HTTP/1.1 204 No Content\n`,
		`HTTP/1.1 401 Unauthorized\nWww-Authenticate: Bearer .*, error="invalid_token", error_description="the token was revoked", `,
		`\nThe refusal arrived \d+\.\d seconds after the revocation\.\n$`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("demo.sh did not print %s\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
		t.Errorf("demo.sh left %v behind, %v", left, err)
	}
}
