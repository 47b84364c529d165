// Package adminclient is a Go client of the admin API, generated from openapi.yaml.
//
// Begin with [NewClientWithResponses], whose server is http://HOST/admin/v1, and an HTTP client
// that adds a bearer token to each request (golang.org/x/oauth2/clientcredentials makes one).
package adminclient

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config adminclient.cfg.yaml ../openapi.yaml

// A Patch is a JSON merge patch (RFC 7396): members that it lacks stay as they are, members that
// are nil are taken away.
type Patch map[string]any
