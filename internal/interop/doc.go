// Package interop holds the tests with stock parties: clients that get tokens and validators that
// check them, each as its users have it, none of them ours.
//
// Begin with TestClients and TestValidators. Every party is an entry of their tables and does the
// same jobs: golang.org/x/oauth2, go-oidc and curl from Go; oauth4webapi, openid-client and jose
// in node; PyJWT and Authlib, as Debian has them, in python. shop_test.go has clients shaped like
// the shop modules of Apsis One, which there is no stock package of.
//
// The servers are the binary that this module builds, one for each signing algorithm. The script
// install installs the parties where they are missing; make test runs it. A party that is missing
// fails its tests under WARDKEY_TEST_ENGINES=both (make test sets it) and skips them otherwise.
package interop
