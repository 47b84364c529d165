package leaks

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/wardkey/wardkey/clients"
)

// The rule for gitleaks finds secrets wherever they stand, and nothing that is nearly one. Gitleaks
// compiles it with the same package.
func TestGitleaksRule(t *testing.T) {
	file, err := os.ReadFile("../../docs/guides/gitleaks-wardkey.toml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^regex = '''(.*)'''$`).FindSubmatch(file)
	if found == nil || !strings.Contains(string(file), "\nsecretGroup = 1\n") {
		t.Fatalf("no rule with a group in\n%s", file)
	}
	rule := regexp.MustCompile(string(found[1]))
	in := func(text string) string {
		if match := rule.FindStringSubmatch(text); match != nil {
			return match[1]
		}
		return ""
	}
	first, second := clients.NewSecret().Reveal(), clients.NewSecret().Reveal()
	if got := rule.FindAllString(first+","+second+"\n"+first, -1); len(got) != 3 {
		t.Errorf("of three in a row it finds %d", len(got))
	}
	for range 200 {
		secret := clients.NewSecret().Reveal()
		for _, format := range []string{
			"%", "%\n", "secret: %\r\n", `"client_secret":"%",`, "export WARDKEY_CLIENT_SECRET=%", "curl -u 7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11:% https://auth.example",
			"'%'", "<%>", "a\n%\nb", "https://auth.example/?s=%&x", "(%)", "-%-",
		} {
			if got := in(strings.ReplaceAll(format, "%", secret)); got != secret {
				t.Fatalf("in %q it finds %q", format, got)
			}
		}
		for _, near := range []string{
			secret[:52], secret + "0", "x" + secret, "_" + secret, secret + "_", strings.ToUpper(secret[:4]) + secret[4:],
			"wks-" + secret[4:], secret[:20] + "-" + secret[21:], secret[:30] + " " + secret[30:], secret[4:],
		} {
			if got := in(near); got != "" {
				t.Fatalf("in %q it finds %q", near, got)
			}
		}
	}
}
