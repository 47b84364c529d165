// Package tokens makes what clients get: signed access tokens (RFC 9068), and keeps the keys
// that sign them.
//
// Begin with [Issuer]. [Keys] holds the signing keys: made by the server, sealed in the store,
// published before they sign and after they stop, rotated without anybody's help.
package tokens
