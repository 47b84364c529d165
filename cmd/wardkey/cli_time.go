package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var wholeDays = regexp.MustCompile(`^([0-9]{1,5})([dw])$`)

// parseSpan reads how long something takes: 30d, 2w, or as Go writes it (12h, 1h30m).
func parseSpan(text string) (time.Duration, error) {
	if m := wholeDays.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most five digits
		unit := day
		if m[2] == "w" {
			unit = 7 * day
		}
		return time.Duration(n) * unit, nil
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("must be a time like 30d, 2w or 12h, not %q", text)
	}
	return span, nil
}

// spanText writes a time as parseSpan reads it.
func spanText(span time.Duration) string {
	text := span.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// parseMoment reads when something ends: in a time from now (30d), on a date (its first moment,
// UTC), or at a time of RFC 3339.
func parseMoment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	span, err := parseSpan(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("must be a time like 30d, a date like 2030-01-31, or both like 2030-01-31T12:00:00Z, not %q", text)
	}
	return now.Add(span).UTC().Truncate(time.Second), nil
}

// parsePast reads when something was: so long ago (90d), on a date (its first moment, UTC), or at a
// time of RFC 3339.
func parsePast(text string, now time.Time) (time.Time, error) {
	if span, err := parseSpan(text); err == nil {
		return now.Add(-span).UTC().Truncate(time.Second), nil
	}
	return parseMoment(text, now)
}

// ago says in words when something was or will be, from now.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	past := now.Sub(*t)
	switch words := inWords(past.Abs()); {
	case words == "":
		return "now"
	case past < 0:
		return "in " + words
	default:
		return words + " ago"
	}
}

// units are what times are told in, each from where it reads better than the next smaller one.
var units = []struct {
	name         string
	from, length time.Duration
}{
	{"year", 700 * day, 365 * day},
	{"month", 75 * day, 30 * day},
	{"day", 36 * time.Hour, day},
	{"hour", 90 * time.Minute, time.Hour},
	{"minute", 30 * time.Second, time.Minute},
}

// inWords rounds a time to one unit, so that "30 days from now" still reads so a moment later.
// Too short to tell is "".
func inWords(span time.Duration) string {
	for _, unit := range units {
		if span >= unit.from {
			return plural(int(math.Round(float64(span)/float64(unit.length))), unit.name)
		}
	}
	return ""
}

// lastUsed says it of a thing that may never have been.
func lastUsed(t *time.Time, now time.Time) string {
	if t == nil {
		return "never used"
	}
	return "last used " + ago(t, now)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// stamped is a time as people read it, with how far away it is.
func stamped(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC") + " (" + ago(t, now) + ")"
}
