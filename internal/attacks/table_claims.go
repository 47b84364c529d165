package attacks

import (
	"encoding/json"
	"time"
)

// times are wrong in when a token is good. The issuer signed all of them.
var times = []Attack{
	{
		Name: "expired", Requirements: []string{"H-15", "G-07"}, Want: Refuse, Gravity: Critical, Manners: true, Code: "invalid_token",
		Sends: "a token that ended an hour ago", Risk: "a token that leaked once opens the service for ever",
		token: genuine(nil, object{"iat": in(-2 * time.Hour), "exp": in(-time.Hour)}),
	},
	{
		Name: "exp-missing", Requirements: []string{"H-15", "X-020"}, Want: Refuse, Gravity: Serious,
		Sends: "a token without exp", Risk: "a token that leaked once opens the service for ever",
		token: genuine(nil, object{"exp": absent{}}),
	},
	{
		Name: "exp-text", Requirements: []string{"H-15", "J-22"}, Want: Refuse, Gravity: Minor,
		Sends: "a token whose exp is text", Risk: "when a token ends is a matter of taste",
		token: genuine(nil, object{"exp": "4102444800"}),
	},
	{
		Name: "exp-overflow", Requirements: []string{"H-15", "J-22"}, Want: Refuse, Gravity: Minor,
		Sends: "a token whose exp is 1e400, larger than any number", Risk: "when a token ends is a matter of taste",
		token: genuine(nil, object{"exp": json.Number("1e400")}),
	},
	{
		Name: "exp-negative", Requirements: []string{"J-22"}, Want: Refuse, Gravity: Serious,
		Sends: "a token whose exp is -1", Risk: "a number that wraps around makes a token good for ever",
		token: genuine(nil, object{"exp": -1}),
	},
	{
		Name: "exp-far", Requirements: []string{"J-22"}, Want: Refuse, Gravity: Note,
		Sends: "a token whose exp is 2^63, which no date is", Risk: "a number that wraps around makes a token good or bad by chance",
		token: genuine(nil, object{"exp": json.Number("9223372036854775808")}),
	},
	{
		Name: "not-yet", Requirements: []string{"H-19"}, Want: Refuse, Gravity: Serious,
		Sends: "a token that begins in an hour (nbf)", Risk: "tokens made in advance are good at once",
		token: genuine(nil, object{"nbf": in(time.Hour), "exp": in(2 * time.Hour)}),
	},
}

// parties are wrong in who made a token, and for whom. The issuer signed all but the last.
var parties = []Attack{
	{
		Name: "audience-other", Requirements: []string{"H-12", "J-17", "X-019"}, Want: Refuse, Gravity: Critical,
		Sends: "a token for another service", Risk: "any service that is given a token can use it here",
		token: genuine(nil, object{"aud": "https://other.example"}),
	},
	{
		Name: "audience-missing", Requirements: []string{"H-12", "J-17", "X-017"}, Want: Refuse, Gravity: Critical,
		Sends: "a token for nobody (no aud)", Risk: "any service that is given a token can use it here",
		token: genuine(nil, object{"aud": absent{}}),
	},
	{
		Name: "audience-empty", Requirements: []string{"J-24", "X-017"}, Want: Refuse, Gravity: Critical,
		Sends: "a token for nobody (aud is an empty array)", Risk: "any service that is given a token can use it here",
		token: genuine(nil, object{"aud": []string{}}),
	},
	{
		Name: "audience-others", Requirements: []string{"H-12"}, Want: Refuse, Gravity: Critical,
		Sends: "a token for two other services", Risk: "any service that is given a token can use it here",
		token: genuine(nil, object{"aud": []string{"https://other.example", "https://another.example"}}),
	},
	{
		Name: "audience-longer", Requirements: []string{"H-12"}, Want: Refuse, Gravity: Critical,
		Sends: "a token for a service whose name begins like this one's", Risk: "audiences are compared by how they begin, so a neighbour's tokens get in",
		token: func(f *Forge) string { return f.genuine(nil, object{"aud": f.issuer.Audience + ".other.example"}) },
	},
	{
		Name: "issuer-other", Requirements: []string{"H-12", "H-11", "X-025"}, Want: Refuse, Gravity: Serious,
		Sends: "a token that says another issuer, signed with our key", Risk: "where issuers share keys, one tenant's tokens open another's service",
		token: genuine(nil, object{"iss": "https://other.example"}),
	},
	{
		Name: "issuer-missing", Requirements: []string{"H-12"}, Want: Refuse, Gravity: Serious,
		Sends: "a token that says no issuer", Risk: "where issuers share keys, one tenant's tokens open another's service",
		token: genuine(nil, object{"iss": absent{}}),
	},
	{
		Name: "issuer-slash", Requirements: []string{"H-06", "H-12"}, Want: Refuse, Gravity: Minor,
		Sends: "a token whose issuer has a slash too many", Risk: "issuers are compared loosely",
		token: func(f *Forge) string { return f.genuine(nil, object{"iss": f.issuer.URL + "/"}) },
	},
	{
		Name: "bound-to-key", Requirements: []string{"G-14"}, Want: Refuse, Gravity: Serious,
		Sends: "a token that is bound to a DPoP key (cnf.jkt), as a bearer token", Risk: "who steals a bound token can use it here, which binding is there to prevent",
		token: genuine(nil, object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
	},
	{
		Name: "bound-to-certificate", Requirements: []string{"G-15"}, Want: Refuse, Gravity: Serious,
		Sends: "a token that is bound to a client certificate (cnf.x5t#S256), without one", Risk: "who steals a bound token can use it here, which binding is there to prevent",
		token: genuine(nil, object{"cnf": object{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}),
	},
	{
		Name: "stranger", Requirements: []string{"H-16", "J-16"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token of a stranger, signed with a stranger's key", Risk: "everybody can make tokens for this service",
		token: func(f *Forge) string {
			return f.forged(object{"kid": f.issuer.stranger(f.alg).kid}, object{"iss": "https://other.example"})
		},
	},
}

// types are other things that the same keys sign (RFC 8725 §3.11).
var types = []Attack{
	typed("typ-jwt", "JWT", "a JWT of no type in particular"),
	{
		Name: "typ-missing", Requirements: []string{"H-11"}, Want: Refuse, Gravity: Serious,
		Sends: "a token without typ", Risk: mistaken,
		token: genuine(object{"typ": absent{}}, nil),
	},
	typed("typ-status-list", "statuslist+jwt", "a status list"),
	typed("typ-dpop", "dpop+jwt", "a DPoP proof"),
	typed("typ-introspection", "token-introspection+jwt", "an answer to an introspection"),
	typed("typ-assertion", "client-authentication+jwt", "a client assertion"),
	{
		Name: "id-token", Requirements: []string{"H-11", "H-17"}, Want: Refuse, Gravity: Serious,
		Sends: "an ID token (typ JWT, nonce, auth_time) with the claims of an access token", Risk: mistaken,
		token: genuine(object{"typ": "JWT"}, object{"nonce": "n-0S6_WzA2Mj", "auth_time": in(0), "client_id": absent{}}),
	},
}

const mistaken = "what the issuer signs for another purpose is taken for an access token"

func typed(name, typ, what string) Attack {
	return Attack{
		Name: name, Requirements: []string{"H-11", "J-18"}, Want: Refuse, Gravity: Serious,
		Sends: "what says that it is " + what + " (typ " + typ + ")", Risk: mistaken,
		token: genuine(object{"typ": typ}, nil),
	}
}
