package attacks

import (
	"net/url"
	"strings"
)

// genuineTokens are what a service must accept, beside what it must not for want of rights.
var genuineTokens = []Attack{
	{
		Name: "good", Requirements: []string{"G-01"}, Want: Accept, Gravity: Serious, Live: true,
		Sends: "a good token", Risk: "clients with good tokens are refused",
		token: (*Forge).good,
	},
	{
		Name: "scheme-case", Requirements: []string{"G-02"}, Want: Accept, Gravity: Minor, Live: true,
		Sends: "a good token after `bearer` in small letters", Risk: "clients that write the scheme so are refused",
		request: func(f *Forge) Request { return Request{Authorization: []string{"bearer " + f.good()}} },
	},
	{
		Name: "good-es256", Requirements: []string{"J-06"}, Want: Accept, Gravity: Note,
		Sends: "a good token, signed with ES256", Risk: "an admin who chooses this algorithm locks clients out here",
		token: signedBy(ES256),
	},
	{
		Name: "good-rs256", Requirements: []string{"H-03"}, Want: Accept, Gravity: Note,
		Sends: "a good token, signed with RS256", Risk: "an admin who chooses this algorithm locks clients out here",
		token: signedBy(RS256),
	},
	{
		Name: "good-eddsa", Requirements: []string{"K-01"}, Want: Accept, Gravity: Note,
		Sends: "a good token, signed with EdDSA", Risk: "an admin who chooses this algorithm locks clients out here",
		token: signedBy(EdDSA),
	},
	{
		Name: "audience-among-others", Requirements: []string{"H-12"}, Want: Accept, Gravity: Serious,
		Sends: "a good token for this service and another one", Risk: "clients with good tokens are refused",
		token: func(f *Forge) string {
			return f.genuine(nil, object{"aud": []string{"https://other.example", f.issuer.Audience}})
		},
	},
	{
		Name: "typ-in-full", Requirements: []string{"H-11", "J-19"}, Want: Accept, Gravity: Note,
		Sends: "a good token whose typ is written application/at+jwt", Risk: "issuers that write the type so are not understood",
		token: genuine(object{"typ": "application/at+jwt"}, nil),
	},
	{
		Name: "scope-missing", Requirements: []string{"G-08"}, Want: Forbid, Gravity: Serious, Manners: true, Code: "insufficient_scope",
		Sends: "a good token that holds none of the scope", Risk: "every client of the issuer may do everything here",
		token: genuine(nil, object{"scope": "wardkey-rs-check:nothing", "scp": []string{"wardkey-rs-check:nothing"}}),
	},
	{
		Name: "scope-absent", Requirements: []string{"G-08", "X-107"}, Want: Forbid, Gravity: Serious, Manners: true, Code: "insufficient_scope",
		Sends: "a good token without any scope", Risk: "every client of the issuer may do everything here",
		token: genuine(nil, object{"scope": absent{}, "scp": absent{}}),
	},
	{
		Name: "scope-longer", Requirements: []string{"G-08", "C-09"}, Want: Forbid, Gravity: Serious, Manners: true, Code: "insufficient_scope",
		Sends: "a good token whose scope only begins like the one that is needed", Risk: "scopes are compared by their text, so one opens what another is for",
		token: func(f *Forge) string {
			longer := strings.Join(strings.Fields(f.scope), "-not ") + "-not"
			return f.genuine(nil, object{"scope": longer, "scp": scopeArray(longer)})
		},
	},
	{
		Name: "section-other", Requirements: []string{"G-13"}, Want: Forbid, Gravity: Serious, Manners: true, Code: "insufficient_scope",
		Sends: "a good token for another Section", Risk: "a client of one Section reads the others",
		token: func(f *Forge) string {
			if f.Elsewhere == "" {
				return ""
			}
			return f.genuine(nil, object{"scope": f.Elsewhere, "scp": scopeArray(f.Elsewhere)})
		},
	},
}

// requests are wrong in how they carry a token.
var requests = []Attack{
	{
		Name: "no-token", Requirements: []string{"G-05", "G-06"}, Want: Refuse, Gravity: Critical, Manners: true, Live: true,
		Sends: "no token", Risk: "everybody may come in",
		request: func(*Forge) Request { return Request{} },
	},
	{
		Name: "empty-bearer", Requirements: []string{"G-09"}, Want: Reject, Gravity: Critical, Live: true,
		Sends: "`Bearer` without a token", Risk: "everybody may come in",
		request: func(*Forge) Request { return Request{Authorization: []string{"Bearer "}} },
	},
	{
		Name: "other-scheme", Requirements: []string{"G-05"}, Want: Refuse, Gravity: Minor, Live: true,
		Sends: "a good token after `Token` in place of `Bearer`", Risk: "what stands in front and what stands behind may see different tokens",
		request: func(f *Forge) Request { return Request{Authorization: []string{"Token " + f.good()}} },
	},
	{
		Name: "two-words", Requirements: []string{"G-09"}, Want: Reject, Gravity: Minor, Live: true,
		Sends: "a good token and a word behind it", Risk: "what stands in front and what stands behind may see different tokens",
		request: func(f *Forge) Request { return Request{Authorization: []string{"Bearer " + f.good() + " x"}} },
	},
	{
		Name: "two-headers", Requirements: []string{"G-09", "B-15"}, Want: Reject, Gravity: Minor, Live: true,
		Sends: "two Authorization fields, the first with a good token", Risk: "what stands in front and what stands behind may see different tokens",
		request: func(f *Forge) Request { return Request{Authorization: []string{"Bearer " + f.good(), "Bearer x"}} },
	},
	{
		Name: "token-in-query", Requirements: []string{"G-03"}, Want: Refuse, Gravity: Minor, Live: true,
		Sends: "a good token as ?access_token=, and no header", Risk: "tokens end in logs, histories and Referer headers",
		request: func(f *Forge) Request { return Request{Query: url.Values{"access_token": {f.good()}}} },
	},
	{
		Name: "token-twice", Requirements: []string{"G-04"}, Want: Reject, Gravity: Note, Live: true,
		Sends: "a good token in the header, and in the query too", Risk: "what stands in front and what stands behind may see different tokens",
		request: func(f *Forge) Request {
			r := bearer(f.good())
			r.Query = url.Values{"access_token": {f.good()}}
			return r
		},
	},
	{
		Name: "no-jwt", Requirements: []string{"G-07", "G-10"}, Want: Refuse, Gravity: Critical, Manners: true, Code: "invalid_token", Live: true,
		Sends: "a word that is no token at all", Risk: "everybody may come in",
		token: func(*Forge) string { return "rubbish" },
	},
}

func signedBy(alg string) func(*Forge) string {
	return func(f *Forge) string { return f.signedBy(alg, nil, nil) }
}

// genuine is a token that the issuer signed with something wrong in it.
func genuine(header, claims object) func(*Forge) string {
	return func(f *Forge) string { return f.genuine(header, claims) }
}

// forged is a token that a stranger signed.
func forged(header, claims object) func(*Forge) string {
	return func(f *Forge) string { return f.forged(header, claims) }
}
