// Package verify checks Wardkey's access tokens where they are used: in the
// resource server, offline.
//
// Make one [Verifier] when the program starts and wrap handlers with its
// [Verifier.Require] method; [Verifier.Verify] is for everything that is not
// HTTP. The example of the package is a whole resource server.
//
// # What it promises
//
// A Verifier accepts only tokens of the profile in RFC 9068, signed by the
// issuer with ES256, RS256 or Ed25519, meant for the audience, and not expired.
// There is no option to relax this. An expiry is exact; only a token that
// begins to be valid within the next 10 seconds is accepted early, because the
// issuer's clock may be that much ahead.
//
// Rights are asked for by kind, as [Section], [Keyspace] or [Capability],
// because text cannot tell them apart: *:send in a token covers email:send if
// email is a keyspace, and does not cover it if email is a capability.
//
// # Keys
//
// A Verifier finds the issuer's keys by its metadata (RFC 8414) when the first
// token arrives, and keeps them:
//
//   - They are fresh for the max-age with which they were served, at least 30
//     seconds and at most an hour; 5 minutes if none was given.
//   - For as long again they are used while a goroutine refreshes them. After
//     that, tokens wait for the refresh.
//   - A token of an unknown key refreshes them at once, but no two refreshes
//     begin within 30 seconds, however many such tokens arrive. So tokens of a key
//     that signs without having been published first may be refused that long.
//   - While the issuer is away, the last keys are used for 24 hours. Without any,
//     it is asked again after 1, 2, 4, 8, 16, then every 30 seconds.
//
// So a key that the issuer withdraws is refused after two max-age at most (10
// minutes with Wardkey's default), or after 24 hours if the issuer cannot be reached.
// Without keys the answer is [ErrUnavailable], never [ErrInvalidToken]. Redirects
// are not followed.
//
// # What it does not do
//
// It does not ask the issuer about a single token: one that was revoked is
// accepted until it expires. Where minutes are too long, ask the introspection
// endpoint or read the status list that the token names.
//
// The standards: RFC 9068 (the token), RFC 6750 (the answers), RFC 7515, 7517
// and 7518 (signatures and keys), RFC 8414 (metadata), RFC 8725 (the attacks).
package verify
