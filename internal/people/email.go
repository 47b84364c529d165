package people

import (
	"net/mail"
	"strings"
	"unicode"
)

const maxEmail = 254 // RFC 5321 §4.5.3.1.3 allows a path of 256, of which two are < and >

// fold returns the one way in which we write an e-mail.
func fold(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// checkEmail says what is wrong with a folded e-mail: it must be an address and nothing else.
func checkEmail(email string) error {
	invisible := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	address, err := mail.ParseAddress(email)
	switch {
	case len(email) > maxEmail:
		return Invalid{"/email", "is too long; at most 254 characters are allowed"}
	case err != nil || address.Address != email || address.Name != "" || strings.ContainsFunc(email, invisible):
		return Invalid{"/email", "must be an e-mail address, as name@example.com"}
	}
	return nil
}
