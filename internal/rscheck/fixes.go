package rscheck

import (
	"regexp"
	"strings"
)

// Facts are what stands in the lines to fix.
type Facts struct {
	Issuer, Audience, JWKS, Scope string
}

// fix is the line to change in a framework, or what to do if that is unknown.
func (f Facts) fix(framework string, about subject) string {
	line := orElse(fixes[framework][about], general[about])
	if !strings.Contains(line, "{scope}") && !strings.Contains(line, "{pattern}") {
		return f.fill(line, "")
	}
	var lines []string // one for each value: no scope is compared as a whole
	for value := range strings.FieldsSeq(orElse(f.Scope, "SCOPE")) {
		lines = append(lines, f.fill(line, value))
	}
	return strings.Join(lines, "; and: ")
}

func (f Facts) fill(line, scope string) string {
	return strings.NewReplacer("{issuer}", f.Issuer, "{audience}", f.Audience, "{jwks}", f.JWKS,
		"{scope}", scope, "{pattern}", regexp.QuoteMeta(scope)).Replace(line)
}

// general is what to do in any language.
var general = map[subject]string{
	setup:      "configure the service for issuer {issuer}, keys {jwks}, audience {audience}, and for the scope that --scope names",
	algorithm:  "give the JWT library the list of algorithms yourself (ES256, RS256), and use a key only with its own one",
	signature:  "let the JWT library verify the signature with the keys of {jwks} before anything of the token is read",
	audience:   "require aud to be, or to contain, exactly {audience}",
	issuer:     "require iss to be exactly {issuer}",
	lifetime:   "require exp, as a number, and refuse tokens after it and before nbf",
	dates:      "many libraries take such dates: refuse yourself an exp that is not a number between now and the year 10000",
	typ:        "require the header's typ to be at+jwt or application/at+jwt (RFC 9068 §4)",
	scope:      "split scope at its blanks and require the whole value {scope} to be among them; answer 403 if it is not",
	binding:    "refuse tokens with a claim cnf: a bearer does not prove that the key is its own",
	keysInside: "take keys from {jwks} only; ignore jwk, jku, x5u and x5c in a token's header",
	keyName:    "look kid up among the keys of {jwks}, and refuse what is not there; use it for nothing else",
	form:       "let one JWT library read the token, and refuse what it refuses: three base64url segments without padding, JSON objects, no unknown crit",
	texts:      "many libraries take such texts: refuse yourself what is not three segments of A-Z a-z 0-9 - _, and know tokens again by jti, never by their text",
	members:    "many libraries let the last member count: see that nothing in front of the service reads the token in another way",
	carrying:   "take the token from one Authorization: Bearer field, in any case, and from nowhere else",
	door:       "refuse requests without a good token; see that the check stands before this route",
	rotation:   "fetch {jwks} again for an unknown kid, and when its max-age is over",
	flood:      "fetch {jwks} for an unknown kid at most once in half a minute",
	revocation: "to refuse revoked tokens before they end, check the status list that the token names, or ask the introspection endpoint",
	challenges: `answer with WWW-Authenticate: Bearer realm="{audience}", and error="invalid_token" or "insufficient_scope" if a token was sent; do not repeat the token`,
	statuses:   "answer 401 to a missing or bad token, and 403 to a good one that does not hold the scope",
	crash:      "treat every error of the JWT library as a bad token: 401, not 500",
}

// fixes are the lines by framework, where there are some. docs/validate has whole examples.
var fixes = map[string]map[subject]string{
	node:    javascript(`res.writeHead(401, { "WWW-Authenticate": 'Bearer realm="{audience}", error="invalid_token"' }).end()`),
	express: javascript(`res.set("WWW-Authenticate", 'Bearer realm="{audience}", error="invalid_token"').sendStatus(401)`),
	spring: {
		algorithm: "spring.security.oauth2.resourceserver.jwt.jws-algorithms=ES256,RS256",
		signature: "spring.security.oauth2.resourceserver.jwt.issuer-uri={issuer}",
		audience:  "spring.security.oauth2.resourceserver.jwt.audiences={audience}",
		issuer:    "spring.security.oauth2.resourceserver.jwt.issuer-uri={issuer}",
		lifetime:  "JwtValidators.createAtJwtValidator() (Spring Security 6.5) requires exp; an own validator needs JwtTimestampValidator",
		typ:       `decoder.setJwtValidator(JwtValidators.createAtJwtValidator().issuer("{issuer}").audience("{audience}").build()), and .validateType(false) on its builder (Spring Security 6.5)`,
		scope:     `.requestMatchers("/…").hasAuthority("SCOPE_{scope}")`,
		carrying:  "DefaultBearerTokenResolver: leave setAllowUriQueryParameter and setAllowFormEncodedBodyParameter off",
		door:      ".anyRequest().authenticated() and .oauth2ResourceServer(o -> o.jwt(withDefaults()))",
	},
	aspnet: {
		algorithm:  `options.TokenValidationParameters.ValidAlgorithms = ["ES256", "RS256"];`,
		signature:  `options.Authority = "{issuer}"; and no SignatureValidator of your own`,
		audience:   `options.Audience = "{audience}"; and ValidateAudience stays true`,
		issuer:     `options.Authority = "{issuer}"; and ValidateIssuer stays true`,
		lifetime:   "options.TokenValidationParameters: ValidateLifetime and RequireExpirationTime stay true",
		typ:        `options.TokenValidationParameters.ValidTypes = ["at+jwt", "application/at+jwt"];`,
		scope:      `policy.RequireAssertion(c => c.User.FindFirst("scope")?.Value.Split(' ').Contains("{scope}") == true)`,
		door:       "app.UseAuthentication(); app.UseAuthorization(); and .RequireAuthorization() on the route",
		challenges: "do not replace JwtBearerEvents.OnChallenge, which writes the header",
	},
	python:  pyjwt(`answer 401 with WWW-Authenticate: Bearer realm="{audience}", error="invalid_token"`),
	fastapi: pyjwt(`raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer realm="{audience}", error="invalid_token"'})`),
	flask:   pyjwt(`return "", 401, {"WWW-Authenticate": 'Bearer realm="{audience}", error="invalid_token"'}`),
	golang: {
		algorithm:  `verify.New("{issuer}", "{audience}") does it; golang-jwt: jwt.WithValidMethods([]string{"ES256", "RS256"}), and a key only for its own alg`,
		signature:  `verify.New("{issuer}", "{audience}") does it; golang-jwt: jwt.Parse with keyfunc, never ParseUnverified`,
		audience:   `verify.New("{issuer}", "{audience}") does it; golang-jwt: jwt.WithAudience("{audience}")`,
		issuer:     `verify.New("{issuer}", "{audience}") does it; golang-jwt: jwt.WithIssuer("{issuer}")`,
		lifetime:   "package verify does it; golang-jwt: jwt.WithExpirationRequired()",
		typ:        `package verify does it; golang-jwt: check token.Header["typ"]`,
		scope:      "package verify: v.Require(verify.Section(…), verify.Keyspace(…, …))",
		form:       "package verify does it; golang-jwt: jwt.WithStrictDecoding()",
		binding:    "package verify does it; golang-jwt: refuse tokens with a claim cnf",
		carrying:   "package verify: v.Require; otherwise refuse len(r.Header.Values(\"Authorization\")) > 1, and never read r.FormValue",
		rotation:   "package verify does it; keyfunc: keyfunc.NewDefaultCtx, made once",
		flood:      "package verify does it; go-oidc fetches for each unknown kid: keep such requests away from it",
		revocation: "package verify does it, unless WithoutStatusLists was given",
		challenges: "package verify: v.Require, which answers as RFC 6750 says",
		crash:      "package verify does it; an error of jwt.Parse is a 401",
	},
	nginx: {
		audience:   `njs: if (![].concat(claims.aud).includes("{audience}")) refuse`,
		typ:        `njs: if (!/^(application\/)?at\+jwt$/i.test(header.typ)) refuse`,
		scope:      `njs: if (!claims.scope.split(" ").includes("{scope}")) 403`,
		challenges: "auth_request_set $challenge $sent_http_www_authenticate; and add_header WWW-Authenticate $challenge always;",
		door:       "auth_request /…; in the location itself: it is not inherited where the location has its own",
		crash:      "njs: a try around all, and 401 in its catch; auth_request makes a 500 of all but 2xx, 401 and 403",
	},
	apache: {
		audience:   "Require claim aud:{audience}",
		issuer:     "Require claim iss:{issuer}",
		lifetime:   "mod_oauth2: OAuth2TokenVerify jwks_uri {jwks} verify.exp=required",
		signature:  "mod_oauth2: OAuth2TokenVerify jwks_uri {jwks}; mod_auth_openidc: OIDCOAuthVerifyJwksUri {jwks}",
		scope:      `mod_oauth2: Require claim scp:{scope} (wardkey serve --audience-scp {audience}); mod_auth_openidc: Require claim "scope~(^| ){pattern}( |$)"`,
		statuses:   "AuthzSendForbiddenOnFailure On",
		carrying:   "mod_oauth2: OAuth2AcceptTokenIn header; mod_auth_openidc: OIDCOAuthAcceptTokenAs header",
		rotation:   "mod_oauth2: jwks_uri.expiry=300; mod_auth_openidc: OIDCJWKSRefreshInterval 300",
		revocation: "Apache's modules ask nobody about a JWT; choose a short token lifetime",
	},
	haproxy: {
		algorithm:  "jwt_verify(ES256,…) with the algorithm written in the configuration, and an acl that var(txn.alg) is that one",
		signature:  `http-request deny unless { var(txn.token),jwt_verify(ES256,"….pem") 1 }`,
		audience:   "http-request deny unless { var(txn.aud) -m str {audience} }",
		issuer:     "http-request deny unless { var(txn.iss) -m str {issuer} }",
		lifetime:   "http-request set-var(txn.left) var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now), and deny unless it is above 0",
		typ:        "http-request deny unless { var(txn.typ) -m str at+jwt }",
		scope:      `http-request deny deny_status 403 unless { var(txn.scope) -m reg "(^| ){pattern}( |$)" }`,
		carrying:   "http-request deny deny_status 400 if { req.fhdr_cnt(Authorization) gt 1 }",
		challenges: `http-request return status 401 hdr WWW-Authenticate 'Bearer realm="{audience}", error="invalid_token"'`,
		rotation:   "HAProxy reads keys when it starts: write them from {jwks} by a timer, and reload",
		revocation: "HAProxy 2.6 asks nobody about a JWT; choose a short token lifetime",
	},
}

// pyjwt is PyJWT in any framework, which answers a bad token with refuse.
func pyjwt(refuse string) map[subject]string {
	return map[subject]string{
		algorithm:  `jwt.decode(token, key, algorithms=["ES256", "RS256"], …)`,
		signature:  `key = PyJWKClient("{jwks}").get_signing_key_from_jwt(token); and never options={"verify_signature": False}`,
		audience:   `jwt.decode(token, key, audience="{audience}", …)`,
		issuer:     `jwt.decode(token, key, issuer="{issuer}", …)`,
		lifetime:   `jwt.decode(token, key, options={"require": ["exp", "iat", "aud", "iss", "sub"]}, …)`,
		typ:        `if jwt.get_unverified_header(token).get("typ", "").lower() not in ("at+jwt", "application/at+jwt"): refuse`,
		scope:      `if "{scope}" not in claims.get("scope", "").split(): 403`,
		rotation:   `PyJWKClient("{jwks}", lifespan=300), made once`,
		flood:      "PyJWKClient fetches for each unknown kid: refuse such tokens for half a minute after a fetch",
		challenges: refuse,
		crash:      "except jwt.PyJWTError: " + refuse,
	}
}

// javascript is jose, and what is built on it, which answers a bad token with refuse.
func javascript(refuse string) map[subject]string {
	return map[subject]string{
		algorithm:  `jose: jwtVerify(token, keys, { algorithms: ["ES256", "RS256"] })`,
		signature:  `jose: await jwtVerify(token, createRemoteJWKSet(new URL("{jwks}")), …); decodeJwt verifies nothing`,
		audience:   `jose: jwtVerify(token, keys, { audience: "{audience}" }); express-oauth2-jwt-bearer: auth({ audience: "{audience}" })`,
		issuer:     `jose: jwtVerify(token, keys, { issuer: "{issuer}" }); express-oauth2-jwt-bearer: auth({ issuerBaseURL: "{issuer}" })`,
		lifetime:   `jose: jwtVerify(token, keys, { requiredClaims: ["exp"] }); jsonwebtoken: never ignoreExpiration`,
		typ:        `jose: jwtVerify(token, keys, { typ: "at+jwt" }); express-oauth2-jwt-bearer: auth({ strict: true })`,
		scope:      `if (!payload.scope.split(" ").includes("{scope}")) return res.sendStatus(403); express-oauth2-jwt-bearer: requiredScopes("{scope}")`,
		keysInside: `jose: createRemoteJWKSet(new URL("{jwks}")), never EmbeddedJWK`,
		rotation:   `jose: createRemoteJWKSet(url, { cooldownDuration: 30_000, cacheMaxAge: 300_000 }), made once`,
		flood:      `jose: make createRemoteJWKSet once, outside of the handler; jwks-rsa: { cache: true, rateLimit: true }`,
		challenges: refuse,
		crash:      "try { await jwtVerify(…) } catch { return " + refuse + " }",
	}
}
