// Package oauth is the protocol over HTTP: it reads requests, decides nothing about clients, and
// writes the answers of the RFCs.
//
// Begin with [Handler]. A token request walks straight through: parse (request.go), the engine
// looks up and authenticates the client, grants its scope and issues the token (engine.go), and
// token.go or error.go writes the answer. Why in truth a request was refused is counted for the
// admin in between (refusal.go).
//
//	RFC 6749 §4.4  client credentials grant          token.go, request.go
//	RFC 6749 §2.3  client authentication             request.go
//	RFC 6749 §5    answers and errors                token.go, error.go
//	RFC 8707       resource indicators               audience.go
//	RFC 8414       metadata                          metadata.go
//	RFC 7517       JWK Set                           metadata.go
//	RFC 9068       access tokens                     package tokens
//
// Where it differs from them on purpose: the token request may be JSON as well as a form, because
// API users expect it; "audience" is understood as another name for "resource"; error answers
// carry title, status, detail and error_id beside the members of RFC 6749 §5.2.
package oauth
