// A resource server that checks Wardkey's tokens with golang-jwt and keyfunc.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	age, err := time.ParseDuration(os.Getenv("KEYS_AGE") + "s")
	if err != nil {
		log.Fatal(err)
	}
	keys, err := keyfunc.NewDefaultOverrideCtx(context.Background(), []string{issuer + "/.well-known/jwks.json"}, keyfunc.Override{
		RefreshInterval: age, // an hour otherwise: so long a withdrawn key would be honoured
		// Wardkey publishes a key before it signs with it. So an unknown kid is no reason to ask the
		// issuer, and no request waits for a limit, as up to a minute it may otherwise.
		RefreshUnknownKID: rate.NewLimiter(0, 0),
		// Without keys at the start, all would be refused until the first refresh.
		NoErrorReturnFirstHTTPReq: new(false),
	})
	if err != nil {
		log.Fatal(err)
	}
	c := checker{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "RS256", "EdDSA"}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), // otherwise a token without exp would be valid for ever
		jwt.WithStrictDecoding(),
	)}
	http.Handle("GET /sections/nordic/profiles",
		c.require(http.HandlerFunc(profiles), "section:nordic section:*", "email:read *:read"))

	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 5 * time.Second}
	log.Print(server.ListenAndServe())
}

type checker struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

type claims struct {
	jwt.RegisteredClaims
	Scope        string `json:"scope"`
	Confirmation any    `json:"cnf"`
}

// require lets a request pass whose token holds, of each list of scope values, at least one.
func (c checker) require(next http.Handler, needed ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Two fields are not one token.
		scheme, raw, _ := strings.Cut(strings.Join(r.Header.Values("Authorization"), ","), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			refuse(w, http.StatusUnauthorized, "Bearer")
			return
		}
		scope, err := c.scope(raw)
		if err != nil {
			refuse(w, http.StatusUnauthorized, `Bearer error="invalid_token"`)
			return
		}
		for _, list := range needed {
			if !slices.ContainsFunc(strings.Fields(list), func(value string) bool { return slices.Contains(scope, value) }) {
				refuse(w, http.StatusForbidden, `Bearer error="insufficient_scope"`)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// scope returns the scope values of a valid token.
func (c checker) scope(raw string) ([]string, error) {
	var found claims
	token, err := c.parser.ParseWithClaims(raw, &found, c.keys.Keyfunc)
	if err != nil {
		return nil, err
	}
	if token.Header["typ"] != "at+jwt" || token.Header["crit"] != nil { // golang-jwt looks at neither
		return nil, errors.New("not an access token")
	}
	if found.Confirmation != nil {
		return nil, errors.New("bound to a key, so not for the bearer alone")
	}
	return strings.Split(found.Scope, " "), nil
}

func refuse(w http.ResponseWriter, status int, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	w.WriteHeader(status)
}

func profiles(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
