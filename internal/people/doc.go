// Package people keeps the admins of a server: persons who sign in with an e-mail and a password.
//
// Begin with [People], which keeps them and their passwords, and [Sessions], by which a request is
// known to be theirs. Every act is in the audit log, in the transaction of the act.
//
// Whoever tries to sign in learns nothing about who has an account: the answer, the work and the
// waits are the same for an e-mail that is unknown and for a password that is wrong. Waits are
// kept in the database, so that many servers give no more tries than one.
//
// Passwords are hashed with argon2id (RFC 9106), at a cost above the least that OWASP advises.
// Sessions follow the OWASP session management cheat sheet: a new token at each sign-in, of which
// the database holds only a hash, and an end by idleness and by age.
package people
