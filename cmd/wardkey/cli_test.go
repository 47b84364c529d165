package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func nothingSet(string) string { return "" }

// TestExamples holds that the help of every command has examples, each a command line that is
// understood. What they do, the sessions show.
func TestExamples(t *testing.T) {
	root := &cobra.Command{Use: "wardkey"}
	root.AddCommand(cliCommands(nothingSet)...)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd != root && !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
		for _, line := range commandLines(cmd.Example) {
			if err := understood(line); err != nil {
				t.Errorf("example %q of %s: %v", line, cmd.CommandPath(), err)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

// commandLines are the calls of wardkey in a text for a shell.
func commandLines(text string) (lines []string) {
	for _, m := range regexp.MustCompile(`(?m)\bwardkey ([^|<>)\n]+)`).FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

func understood(line string) error {
	var args []string
	for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1) {
		args = append(args, strings.Trim(word, `"`))
	}
	root := &cobra.Command{Use: "wardkey"}
	root.AddCommand(cliCommands(nothingSet)...)
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 5, time.UTC)
	for _, tt := range []struct{ text, want string }{
		{"30d", "2026-12-22T10:00:00Z"},
		{"2w", "2026-12-06T10:00:00Z"},
		{"12h", "2026-11-22T22:00:00Z"},
		{"1h30m", "2026-11-22T11:30:00Z"},
		{"0d", "2026-11-22T10:00:00Z"},
		{"-1h", "2026-11-22T09:00:00Z"},
		{"2030-01-31", "2030-01-31T00:00:00Z"},
		{"2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00Z"},
		{"", ""},
		{"30", ""},
		{"d", ""},
		{"30 d", ""},
		{"999999d", ""},
		{"soon", ""},
		{"2030-02-30", ""},
		{"1d12h", ""},
	} {
		got, err := parseMoment(tt.text, now)
		if tt.want == "" && err == nil || tt.want != "" && got.Format(time.RFC3339) != tt.want {
			t.Errorf("parseMoment(%q) = %v, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}

func TestAgo(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		past time.Duration
		want string
	}{
		{0, "now"},
		{29 * time.Second, "now"},
		{-29 * time.Second, "now"},
		{time.Minute, "1 minute ago"},
		{-15*time.Minute + time.Second, "in 15 minutes"},
		{89 * time.Minute, "89 minutes ago"},
		{90 * time.Minute, "2 hours ago"},
		{-30*day + time.Second, "in 30 days"},
		{74 * day, "74 days ago"},
		{90 * day, "3 months ago"},
		{-800 * day, "in 2 years"},
	} {
		if got := ago(new(now.Add(-tt.past)), now); got != tt.want {
			t.Errorf("ago(%v) = %q, want %q", tt.past, got, tt.want)
		}
	}
	if got := ago(nil, now); got != "never" {
		t.Errorf("ago(nil) = %q", got)
	}
}

func TestSpanText(t *testing.T) {
	for _, tt := range []struct {
		span time.Duration
		want string
	}{{2 * time.Hour, "2h"}, {90 * time.Minute, "1h30m"}, {10 * time.Minute, "10m"}, {61 * time.Second, "1m1s"}, {day, "24h"}} {
		if got := spanText(tt.span); got != tt.want {
			t.Errorf("spanText(%v) = %q, want %q", tt.span, got, tt.want)
		}
	}
}

// TestTable holds that columns line up, that colours do not move them, and that nothing which
// comes from elsewhere can.
func TestTable(t *testing.T) {
	rows := []row{
		{cells: []string{"å", "plain", ""}},
		{cells: []string{"longer", "\x1b[31mred\u202e\n", "end"}, style: dim},
	}
	for colour, want := range map[bool]string{
		false: "A       B           C\nå       plain\nlonger  \ufffd[31mred\ufffd   end\n",
		true:  "\x1b[1mA       B           C\x1b[0m\nå       plain\n\x1b[2mlonger  \ufffd[31mred\ufffd   end\x1b[0m\n",
	} {
		var out bytes.Buffer
		p := &printer{w: &out, colour: colour}
		if err := p.table([]string{"A", "B", "C"}, rows); err != nil || out.String() != want {
			t.Errorf("table with colour %v: %v\n%q, want\n%q", colour, err, out.String(), want)
		}
	}
}

func TestParseCredentials(t *testing.T) {
	for _, tt := range []struct{ text, id, secret string }{
		{"wks_x\n", "", "wks_x"},
		{"\twks_x\r\n", "", "wks_x"},
		{`{"client_id": "a", "client_secret": "wks_x", "admin_email": "b"}`, "a", "wks_x"},
		{`{"id": "a", "client_secret": "wks_x"}`, "a", "wks_x"},
		{"", "", ""},
		{"wks_x wks_y", "", ""},
		{`{"client_secret": "wks_x"`, "", ""},
		{`{"secret": "wks_x"}`, "", ""},
	} {
		got, err := parseCredentials([]byte(tt.text))
		if (err != nil) != (tt.secret == "") || got.id != tt.id || string(got.secret) != tt.secret {
			t.Errorf("parseCredentials(%q) = %q, %q, %v", tt.text, got.id, string(got.secret), err)
		}
		if err != nil && strings.Contains(err.Error(), "wks_") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func TestHidden(t *testing.T) {
	p := profile{ClientSecret: "wks_x"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, p); strings.Contains(got, "wks_x") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

// TestTarget holds that the environment and profiles are never mixed.
func TestTarget(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(t.TempDir(), "config"))
	saved := profiles{"default": {URL: "https://a.example", ClientID: "a", ClientSecret: "sa"}, "b": {URL: "https://b.example", ClientID: "b", ClientSecret: "sb"}}
	if _, err := saved.save(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flag, env, want string
	}{
		{"", "", "https://a.example a sa"},
		{"b", "", "https://b.example b sb"},
		{"", "PROFILE=b", "https://b.example b sb"},
		{"", "URL=https://c.example CLIENT_ID=c CLIENT_SECRET=sc", "https://c.example c sc"},
		{"", "URL=https://c.example CLIENT_ID=c CLIENT_SECRET=sc PROFILE=b", "https://c.example c sc"},
		{"b", "URL=https://c.example CLIENT_ID=c CLIENT_SECRET=sc", "https://b.example b sb"},
		{"", "URL=https://a.example/", "https://a.example a sa"},
		{"", "URL=https://c.example", ""},
		{"", "URL=https://a.example CLIENT_ID=c", ""},
		{"", "CLIENT_ID=c CLIENT_SECRET=sc", ""},
		{"c", "", ""},
	} {
		c := &cli{profile: tt.flag, getenv: func(name string) string {
			for variable := range strings.FieldsSeq(tt.env) {
				if value, ok := strings.CutPrefix("WARDKEY_"+variable, name+"="); ok {
					return value
				}
			}
			return ""
		}}
		got := ""
		p, err := c.target()
		if err == nil {
			got = p.URL + " " + p.ClientID + " " + string(p.ClientSecret)
		}
		if got != tt.want {
			t.Errorf("target(%q, %q) = %q, %v; want %q", tt.flag, tt.env, got, err, tt.want)
		}
	}
}
