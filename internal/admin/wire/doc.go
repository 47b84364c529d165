// Package wire is the admin API as it goes over the wire: types and routes, generated from
// openapi.yaml.
//
// It knows nothing of authentication, conditions or errors: serve it through admin.Handler only.
package wire

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config wire.cfg.yaml ../openapi.yaml
