package verify_test

import (
	"crypto"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
)

// A checker says who bears a token and what its scope is, if the signature, issuer,
// audience and expiry are right.
type checker func(b *testing.B, raw string) (subject, scope string)

// BenchmarkLibraries compares Verify with what else a Go program would check a token
// with: the same tokens, the same key in memory, the same things checked.
func BenchmarkLibraries(b *testing.B) {
	for _, key := range []signer{newES256("1", 1), newRS256("1", rsaKey()), newEdDSA("1", "EdDSA", 1)} {
		alg := key.jwk["alg"].(string)
		raw := key.token(nil)
		for _, library := range []struct {
			name  string
			check checker
		}{
			{"wardkey", wardkeyChecker(b, key)},
			{"keyfunc", keyfuncChecker(b, key, alg)},
			{"go-oidc", oidcChecker(key, alg)},
			{"jwx", jwxChecker(b, key)},
		} {
			b.Run(alg+"/"+library.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if subject, scope := library.check(b, raw); subject != "billing" || scope != "section:nordic email:read" {
						b.Fatalf("subject %q with scope %q", subject, scope)
					}
				}
			})
		}
	}
}

func wardkeyChecker(b *testing.B, key signer) checker {
	v := newIssuer(key).verifier(b)
	return func(b *testing.B, raw string) (subject, scope string) {
		t, err := v.Verify(b.Context(), raw)
		if err != nil {
			b.Fatal(err)
		}
		return t.Subject, t.Scope
	}
}

func keyfuncChecker(b *testing.B, key signer, alg string) checker {
	keys, err := keyfunc.NewJWKSetJSON(encode(object{"keys": []object{key.jwk}}))
	if err != nil {
		b.Fatal(err)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithIssuer(issuerURL), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	return func(b *testing.B, raw string) (subject, scope string) {
		var claims struct {
			jwt.RegisteredClaims
			Scope string `json:"scope"`
		}
		if _, err := parser.ParseWithClaims(raw, &claims, keys.Keyfunc); err != nil {
			b.Fatal(err)
		}
		return claims.Subject, claims.Scope
	}
}

func oidcChecker(key signer, alg string) checker {
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.public}}
	v := oidc.NewVerifier(issuerURL, keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{alg}})
	return func(b *testing.B, raw string) (subject, scope string) {
		t, err := v.Verify(b.Context(), raw)
		if err != nil {
			b.Fatal(err)
		}
		var claims struct{ Scope string }
		if err := t.Claims(&claims); err != nil {
			b.Fatal(err)
		}
		return t.Subject, claims.Scope
	}
}

func jwxChecker(b *testing.B, key signer) checker {
	keys, err := jwk.Parse(encode(object{"keys": []object{key.jwk}}))
	if err != nil {
		b.Fatal(err)
	}
	return func(b *testing.B, raw string) (subject, scope string) {
		t, err := jwxjwt.ParseString(raw, jwxjwt.WithKeySet(keys), jwxjwt.WithIssuer(issuerURL), jwxjwt.WithAudience(audience), jwxjwt.WithRequiredClaim("exp"))
		if err != nil {
			b.Fatal(err)
		}
		if err := t.Get("scope", &scope); err != nil {
			b.Fatal(err)
		}
		subject, _ = t.Subject()
		return subject, scope
	}
}

// TestAllocations holds that checking a token allocates no more than the Token, the two
// texts that it is made of, the signature and the audiences, and what golang-jwt does:
// one thing, for Ed25519. The race detector adds another.
func TestAllocations(t *testing.T) {
	key := newEdDSA("1", "EdDSA", 1)
	v, raw := newIssuer(key).verifier(t), key.token(nil)
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 7 {
		t.Errorf("Verify allocates %v times, want 6, and 7 under the race detector", allocations)
	}
}
