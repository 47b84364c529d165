package attacks

import (
	"bytes"

	"github.com/go-jose/go-jose/v4"
)

const anybody = "everybody can make tokens for this service"

// algorithms are wrong in how a token says that it was signed.
var algorithms = []Attack{
	unsigned("alg-none", "none", nil, "alg none, and no signature"),
	unsigned("alg-None", "None", nil, "alg None, and no signature"),
	unsigned("alg-nOnE", "nOnE", nil, "alg nOnE, and no signature"),
	unsigned("alg-none-signed", "none", make([]byte, 64), "alg none, with a signature of zeros"),
	unsigned("alg-unknown", "XX256", make([]byte, 64), "an algorithm that does not exist"),
	unsigned("signature-empty", "", nil, "the right alg, and no signature"),
	hmacked("hs256-pem", RS256, "the public RSA key in PEM", pemOf),
	hmacked("hs256-pem-trimmed", RS256, "the public RSA key in PEM, without the last line feed", trimmedPEM),
	hmacked("hs256-der", RS256, "the public RSA key in DER", derOf),
	hmacked("hs256-jwk", RS256, "the public RSA key as its JWK", jwkOf),
	hmacked("hs256-pem-ec", ES256, "the public EC key in PEM", pemOf),
	hmacked("hs256-jwk-ec", ES256, "the public EC key as its JWK", jwkOf),
	hmacked("hs256-empty", RS256, "an empty secret", nothing),
	{
		Name: "alg-ps256", Requirements: []string{"J-07"}, Want: Refuse, Gravity: Serious,
		Sends: "a token of the issuer's RS256 key, signed as PS256", Risk: crossed,
		token: func(f *Forge) string { return f.rekeyed("PS256") },
	},
	{
		Name: "alg-rs512", Requirements: []string{"J-07"}, Want: Refuse, Gravity: Serious,
		Sends: "a token of the issuer's RS256 key, signed as RS512", Risk: crossed,
		token: func(f *Forge) string { return f.rekeyed("RS512") },
	},
}

const crossed = "the token chooses the algorithm, not the key; that is how signatures get confused"

func unsigned(name, alg string, signature []byte, how string) Attack {
	return Attack{
		Name: name, Requirements: []string{"H-14", "J-06", "J-12", "X-002", "X-008"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token with " + how, Risk: anybody,
		token: func(f *Forge) string {
			if alg == "" {
				return f.unsigned(f.alg, signature)
			}
			return f.unsigned(alg, signature)
		},
	}
}

func hmacked(name, alg, what string, form func(jose.JSONWebKey) []byte) Attack {
	return Attack{
		Name: name, Requirements: []string{"J-06", "J-11", "X-001"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token signed with HS256, whose secret is " + what, Risk: anybody,
		token: func(f *Forge) string { return f.hmac(alg, form) },
	}
}

// signatures are wrong in themselves.
var signatures = []Attack{
	{
		Name: "payload-altered", Requirements: []string{"G-07", "J-16"}, Want: Refuse, Gravity: Critical, Manners: true, Code: "invalid_token", Live: true,
		Sends: "a good token whose claims were changed", Risk: "whoever has a token can make it say anything",
		token: (*Forge).altered,
	},
	{
		Name: "signature-altered", Requirements: []string{"G-07"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a good token with one bit of its signature changed", Risk: anybody,
		token: func(f *Forge) string { return flipped(f.good()) },
	},
	{
		Name: "signature-cut", Requirements: []string{"J-10"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a good token with the end of its signature cut off", Risk: anybody,
		token: func(f *Forge) string { s := signatureOf(f.good()); return resigned(f.good(), s[:len(s)-1]) },
	},
	{
		Name: "signature-zero", Requirements: []string{"J-10", "X-005"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token whose signature is r = s = 0", Risk: anybody + " (CVE-2022-21449)",
		token: func(f *Forge) string { return resigned(f.good(), make([]byte, len(signatureOf(f.good())))) },
	},
	{
		Name: "signature-order", Requirements: []string{"J-10", "X-005"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token whose signature is r = s = n, the order of the curve", Risk: anybody + " (CVE-2022-21449)",
		token: onlyES256(func(f *Forge) string { return resigned(f.good(), bytes.Repeat(order(), 2)) }),
	},
	{
		Name: "signature-der", Requirements: []string{"J-10"}, Want: Refuse, Gravity: Minor, Live: true,
		Sends: "a good token whose ES256 signature is written in DER", Risk: "a token has more than one text, so a list of refused texts can be passed by",
		token: onlyES256(func(f *Forge) string { return asDER(f.good()) }),
	},
	{
		Name: "signature-unused-bits", Requirements: []string{"J-23", "X-035"}, Want: Refuse, Gravity: Note, Live: true,
		Sends: "a good token whose last character has unused bits changed", Risk: "a token has more than one text, so a list of refused texts can be passed by",
		token: func(f *Forge) string { return looseEnd(f.good()) },
	},
	{
		Name: "stranger-our-kid", Requirements: []string{"H-16", "J-16", "X-011"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token signed with a stranger's key, under the name of ours", Risk: anybody,
		token: forged(nil, nil),
	},
}

// onlyES256 makes nothing where tokens have other signatures.
func onlyES256(token func(*Forge) string) func(*Forge) string {
	return func(f *Forge) string {
		if f.alg != ES256 {
			return ""
		}
		return token(f)
	}
}
