// Package clients holds who may ask: registered clients, their secrets and their life.
//
// Begin with [Client]. [Store] keeps clients; [Lookup] finds one on the token path, where many
// requests share one read without ever seeing a state older than their own arrival.
//
// A client authenticates with a secret as RFC 6749 §2.3.1 describes; what it may then be granted
// is for package sections to say.
package clients
