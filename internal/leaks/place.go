package leaks

import (
	"regexp"
	"strconv"
	"strings"
)

// maxPlace is how much is kept of where a secret was found, in bytes.
const maxPlace = 500

var (
	// inside is a secret, or the beginning of one, within a text.
	inside = regexp.MustCompile(`(?i)wks_[0-9a-z]*`)

	words = regexp.MustCompile(`\S+`)
	// scheme is where a URL begins within a word.
	scheme = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://`)
	// assigned is a query or a fragment that gives something a value.
	assigned = regexp.MustCompile(`[?#]\S*=\S*`)
)

// place is what is kept of where a secret was found, which a stranger may have written: printable
// ASCII without secrets; of the URLs in it neither user nor query, which may hold other ones.
func place(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r < ' ':
			return ' ' // not nothing, which would make one word of two
		case r > '~':
			return -1
		}
		return r
	}, text)
	text = words.ReplaceAllStringFunc(text, withoutCredentials)
	text = inside.ReplaceAllString(text, "[secret]")
	return text[:min(len(text), maxPlace)]
}

// withoutCredentials cleans the URLs of a word, each from its scheme to the next one, and what is
// before them or no URL at all, as in user:password@host.
func withoutCredentials(word string) string {
	urls := scheme.FindAllStringIndex(word, -1)
	if len(urls) == 0 {
		return withoutUser(assigned.ReplaceAllString(word, ""), false)
	}
	clean := withoutUser(assigned.ReplaceAllString(word[:urls[0][0]], ""), false)
	for i, at := range urls {
		end := len(word)
		if i+1 < len(urls) {
			end = urls[i+1][0]
		}
		rest := withoutUser(word[at[1]:end], true)
		kept, _, cut := strings.Cut(rest, "?")
		kept, _, more := strings.Cut(kept, "#")
		clean += word[at[0]:at[1]] + kept
		if cut || more {
			break // the rest of the word belongs to it
		}
	}
	return clean
}

// withoutUser cuts what is before the host. A password that was not encoded may have any character,
// so that of one which does not end where it should everything is cut up to the last @.
func withoutUser(text string, isURL bool) string {
	at := strings.LastIndexByte(text, '@')
	end := strings.IndexAny(text, "/?#")
	if end < 0 {
		end = len(text)
	}
	authority := text[:end]
	_, port, colon := strings.Cut(authority, ":")
	_, err := strconv.Atoi(port)
	password := colon && err != nil
	named := isURL && strings.Contains(authority, "@")
	switch {
	case at < 0 || !password && !named:
		return text
	case at < end:
		return text[at+1:]
	}
	return "[cut]@" + text[at+1:]
}
