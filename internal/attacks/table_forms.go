package attacks

import (
	"fmt"
	"strings"
)

const manyTexts = "a token has more than one text, so a list of refused texts can be passed by"

// forms are wrong in how a token is written.
var forms = []Attack{
	{
		Name: "crit-unknown", Requirements: []string{"J-01"}, Want: Refuse, Gravity: Serious,
		Sends: "a token whose header says that it must not be accepted without understanding x (crit)", Risk: "what the issuer marks as indispensable is passed over",
		token: genuine(object{"crit": []string{"x"}, "x": true}, nil),
	},
	{
		Name: "b64-false", Requirements: []string{"J-13"}, Want: Refuse, Gravity: Serious,
		Sends: "a token whose header says that its claims are not encoded (b64)", Risk: "the service and the issuer disagree about what is signed",
		token: genuine(object{"b64": false, "crit": []string{"b64"}}, nil),
	},
	{
		Name: "scope-twice", Requirements: []string{"J-02", "X-026"}, Want: Refuse, Gravity: Note,
		Sends: "a token with scope twice, the one that is needed last", Risk: "what stands in front and what stands behind may read different claims",
		token: func(f *Forge) string {
			return f.payload(func(claims string) string { return `{"scope":"nothing",` + claims[1:] })
		},
	},
	{
		Name: "alg-twice", Requirements: []string{"J-02"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token without a signature, with alg twice: the right one, and none", Risk: anybody,
		token: func(f *Forge) string {
			header := strings.TrimSuffix(string(encode(f.goodHeader())), "}") + `,"alg":"none"}`
			return b64(header) + "." + b64(encode(f.goodClaims())) + "."
		},
	},
	{
		Name: "trailing-data", Requirements: []string{"J-26"}, Want: Refuse, Gravity: Minor,
		Sends: "a token with something behind its claims", Risk: "what stands in front and what stands behind may read different claims",
		token: func(f *Forge) string { return f.payload(func(claims string) string { return claims + "{}" }) },
	},
	{
		Name: "claims-array", Requirements: []string{"J-26"}, Want: Refuse, Gravity: Serious,
		Sends: "a token whose claims are an array", Risk: "claims are looked for where none can be",
		token: func(f *Forge) string { return f.payload(func(claims string) string { return "[" + claims + "]" }) },
	},
	{
		Name: "padding", Requirements: []string{"J-03"}, Want: Refuse, Gravity: Minor, Live: true,
		Sends: "a good token with padding behind its signature", Risk: manyTexts,
		token: func(f *Forge) string { return f.good() + "==" },
	},
	{
		Name: "two-segments", Requirements: []string{"J-05"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a good token without its signature, and without the dot", Risk: anybody,
		token: func(f *Forge) string { header, payload, _ := segments(f.good()); return header + "." + payload },
	},
	{
		Name: "five-segments", Requirements: []string{"J-05"}, Want: Refuse, Gravity: Serious, Live: true,
		Sends: "a good token with two more segments, like an encrypted one", Risk: manyTexts,
		token: func(f *Forge) string {
			header, payload, _ := segments(f.good())
			return f.good() + "." + header + "." + payload
		},
	},
	{
		Name: "json", Requirements: []string{"J-04"}, Want: Refuse, Gravity: Minor, Live: true,
		Sends: "a good token in the JSON serialization", Risk: manyTexts,
		token: func(f *Forge) string {
			header, payload, signature := segments(f.good())
			return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, header, signature)
		},
	},
	{
		Name: "dots", Requirements: []string{"J-05", "X-044"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a megabyte of dots", Risk: anybody + ", or exhaust it",
		token: func(*Forge) string { return strings.Repeat(".", 1<<20) },
	},
}
