// Package sections holds what may be asked for: Sections, keyspaces, capabilities, and scope.
//
// Begin with [Grant], a pure function that answers a token request's scope from what the client
// holds and from a [Catalog] of what exists. [Store] keeps the things themselves.
//
// The grammar of scope values is that of the contract (README, "Scope strings"), inside RFC 6749
// §3.3.
package sections
