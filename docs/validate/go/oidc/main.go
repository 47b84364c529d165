// A resource server that checks Wardkey's tokens with coreos/go-oidc.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	age, err := time.ParseDuration(os.Getenv("KEYS_AGE") + "s")
	if err != nil {
		log.Fatal(err)
	}
	keys := &keys{address: issuer + "/.well-known/jwks.json"}
	if err := keys.fetch(context.Background()); err != nil {
		log.Fatal(err)
	}
	go keys.fetchEvery(age)
	c := checker{oidc.NewVerifier(issuer, keys, &oidc.Config{
		ClientID:             audience, // what must be in aud
		SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256, oidc.EdDSA},
	})}
	http.Handle("GET /sections/nordic/profiles",
		c.require(http.HandlerFunc(profiles), "section:nordic section:*", "email:read *:read"))

	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 5 * time.Second}
	log.Print(server.ListenAndServe())
}

// keys are the issuer's, as they were when it was last asked. oidc.RemoteKeySet is not used: it asks
// when it meets an unknown kid and never else, so that it would honour a withdrawn key until the
// program ends, and ask the issuer for whatever kid a stranger invents.
type keys struct {
	address string
	last    atomic.Pointer[oidc.StaticKeySet]
}

func (k *keys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	return k.last.Load().VerifySignature(ctx, raw)
}

func (k *keys) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.address, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	var fetched jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&fetched); err != nil {
		return fmt.Errorf("keys from %s, which answered %s: %w", k.address, res.Status, err)
	}
	if len(fetched.Keys) == 0 {
		return fmt.Errorf("no keys from %s, which answered %s", k.address, res.Status)
	}
	set := &oidc.StaticKeySet{}
	for _, key := range fetched.Keys {
		set.PublicKeys = append(set.PublicKeys, key.Key)
	}
	k.last.Store(set)
	return nil
}

// fetchEvery goes on with the last keys while the issuer is away.
func (k *keys) fetchEvery(age time.Duration) {
	for range time.Tick(age) {
		if err := k.fetch(context.Background()); err != nil {
			log.Print(err)
		}
	}
}

type checker struct{ verifier *oidc.IDTokenVerifier }

// require lets a request pass whose token holds, of each list of scope values, at least one.
func (c checker) require(next http.Handler, needed ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Two fields are not one token.
		scheme, raw, _ := strings.Cut(strings.Join(r.Header.Values("Authorization"), ","), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			refuse(w, http.StatusUnauthorized, "Bearer")
			return
		}
		scope, err := c.scope(r.Context(), raw)
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
func (c checker) scope(ctx context.Context, raw string) ([]string, error) {
	token, err := c.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if err := isAccessToken(raw); err != nil {
		return nil, err
	}
	var claims struct {
		Scope        string `json:"scope"`
		Confirmation any    `json:"cnf"`
	}
	if err := token.Claims(&claims); err != nil {
		return nil, err
	}
	if claims.Confirmation != nil {
		return nil, errors.New("bound to a key, so not for the bearer alone")
	}
	return strings.Split(claims.Scope, " "), nil
}

// isAccessToken looks at typ, which go-oidc does not.
func isAccessToken(raw string) error {
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return err
	}
	var header struct {
		Type string `json:"typ"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return err
	}
	if header.Type != "at+jwt" {
		return errors.New("not an access token")
	}
	return nil
}

func refuse(w http.ResponseWriter, status int, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	w.WriteHeader(status)
}

func profiles(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
