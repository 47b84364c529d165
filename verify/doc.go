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
// # Revocation
//
// A token of Wardkey names a status list: a small signed file with one bit for each
// client. A Verifier fetches it when the first token names it, and from then on
// polls it in the background. So a token is refused with [ErrRevoked], without a
// request for each token, soon after its client was deleted or had its tokens revoked:
//
//   - A list is fetched as often as its ttl says (10 seconds with Wardkey), or
//     sooner by a fifth at most; more often with [WithStatusTTL]. The issuer
//     itself needs 2 seconds more at most, if it is several servers.
//   - While no newer one can be had it is used until its exp (30 minutes with Wardkey).
//     After that, or if there never was one, the answer is [ErrUnavailable], or
//     as [WithOutage] has it. Nobody waits for a list that has just failed to come.
//   - A list that no token has named for ten polls is left alone. The next token that
//     does waits for it to be fetched.
//   - At most 1,024 lists are kept; Wardkey has one for 131,072 clients. Each must be
//     of the issuer's origin and signed with its keys.
//
// A token that names no list is not checked against any. [WithoutStatusLists] is for
// a resource server that cannot reach the issuer.
//
// A single token that was revoked (RFC 7009) is in no list. Where that matters,
// [WithIntrospection] asks the issuer about each token and remembers what it
// said for as long as you allow.
//
// # Reports
//
// With [WithReports] the issuer is told, once a minute, what its tokens are used for: so an
// admin sees where each client was refused, and what it holds and does not use. It costs
// requests less than a tenth of a microsecond, and never makes them wait or fail.
//
// # What is told
//
// Refusals are told to the log at level Debug with their reason, and if the issuer made
// the token with its client_id, jti and kid; never with the token itself. [WithObserver]
// is for counting them.
//
// A Verifier starts goroutines only for what tokens ask for; [Verifier.Close] ends them.
//
// The standards: RFC 9068 (the token), RFC 6750 (the answers), RFC 7515, 7517
// and 7518 (signatures and keys), RFC 8414 (metadata), RFC 8725 (the attacks),
// Token Status List draft-20 (status lists), RFC 7662 (introspection).
package verify
