// Package admin is the admin API: what an admin does to Sections, keyspaces, capabilities,
// clients, their secrets, and signing keys.
//
// Begin with openapi.yaml, which was written first and is served as it stands. Server and client
// are generated from it (packages wire and adminclient); [Handler] is the half of the server that
// is written by hand. Each resource has a file; what all of them share is in resource.go.
//
// The API is opened by this server's own tokens, whose audience is <issuer>/admin. Errors are
// problem details (RFC 9457), changes are merge patches (RFC 7396), conditions are entity tags
// (RFC 9110 §13). Whatever changes the store does so in one transaction.
package admin
