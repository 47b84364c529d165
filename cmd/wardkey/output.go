package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// A printer writes what a command found: for people, or as JSON for programs.
type printer struct {
	w      io.Writer
	json   bool
	colour bool
	now    time.Time
}

func (c *cli) printer(cmd *cobra.Command) *printer {
	w := cmd.OutOrStdout()
	colour := isTerminal(w) && c.getenv("NO_COLOR") == "" && c.getenv("TERM") != "dumb"
	return &printer{w: w, json: c.json, colour: colour, now: time.Now()}
}

// Styles of text on a terminal (ECMA-48 §8.3.117).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (p *printer) paint(style, text string) string {
	if !p.colour || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// value prints JSON.
func (p *printer) value(v any) error {
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// say prints a sentence, which programs do not need.
func (p *printer) say(format string, args ...any) error {
	if p.json {
		return nil
	}
	_, err := fmt.Fprintf(p.w, format+"\n", args...)
	return err
}

// A row is one line of a table.
type row struct {
	cells []string
	style string
}

// table prints aligned columns below their headings.
func (p *printer) table(columns []string, rows []row) error {
	all := append([]row{{cells: columns, style: bold}}, rows...)
	return p.aligned(all)
}

// fields prints what things are called and what they are, a pair on each line.
func (p *printer) fields(pairs ...[2]string) error {
	rows := make([]row, len(pairs))
	for i, pair := range pairs {
		rows[i] = row{cells: pair[:]}
	}
	return p.aligned(rows)
}

// aligned prints rows, each in its style. Styles come last, because they have a length and no width.
func (p *printer) aligned(rows []row) error {
	var text bytes.Buffer
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r.cells))
		for i, cell := range r.cells {
			cells[i] = clean(cell)
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	var styled strings.Builder
	for i, line := range lines {
		fmt.Fprintln(&styled, p.paint(rows[i].style, strings.TrimRight(line, " ")))
	}
	_, err := io.WriteString(p.w, styled.String())
	return err
}

// clean takes out of a text what could move the cursor or change colours: much of what is shown
// was written elsewhere.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// shorten cuts a text that would make a table too wide.
func shorten(text string, length int) string {
	runes := []rune(text)
	if len(runes) <= length {
		return text
	}
	return string(runes[:length-1]) + "…"
}
