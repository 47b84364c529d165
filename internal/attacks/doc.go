// Package attacks makes what attackers send to resource servers, and the issuer that it is made
// from.
//
// Begin with [NewIssuer]: an issuer for the occasion, whose keys are in memory and whose
// [Issuer.Handler] serves what a Wardkey does. A [Forge] makes tokens that look as if they were
// that issuer's, or those of a live one ([Live]). [All] is the table of attacks, in the order in
// which to send them: genuine tokens first, then what is forged, and at last what changes the
// issuer's keys.
//
//	issuer, err := attacks.NewIssuer("http://127.0.0.1:4711", "https://api.example.com")
//	…
//	forge := issuer.Forge(attacks.ES256, "section:nordic email:read")
//	for _, attack := range attacks.All() {
//		request, err := attack.Request(forge)
//		…
//		request.Apply(r) // to a request that the service answers if the token is good
//		…
//		attack.Want.Met(answer.StatusCode)
//	}
//
// The numbers of requirements are those of groups G, H, J, M and U and of section 5 of
// docs/conformance.md.
package attacks
