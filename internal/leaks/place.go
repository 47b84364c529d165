package leaks

import (
	"net/url"
	"regexp"
	"strings"
)

// maxPlace is how much is kept of where a secret was found, in bytes.
const maxPlace = 500

// inside is a secret, or the beginning of one, within a text.
var inside = regexp.MustCompile(`(?i)wks_[0-9a-z]*`)

// place is what is kept of where a secret was found, which a stranger may have written: printable
// ASCII without secrets; of a URL neither user nor query, which may hold other ones.
func place(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r < ' ':
			return ' ' // not nothing, which would make one word of two
		case r > '~':
			return -1
		}
		return r
	}, text[:min(len(text), 4*maxPlace)])
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
		text = u.String()
	}
	text = inside.ReplaceAllString(text, "[secret]")
	return text[:min(len(text), maxPlace)]
}
