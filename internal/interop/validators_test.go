package interop

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/wardkey/wardkey/verify"
)

// TestValidators has every validator stand before APIs, accept the tokens for them, and refuse
// them altered.
func TestValidators(t *testing.T) {
	var all []presented
	for _, a := range []api{
		{"ES256", "ES256", defaults, defaults.issuer, likeApsis},
		{"RS256", "RS256", likeApsis, likeApsis.issuer, mixed},
		{"EdDSA among others", "EdDSA", mixed, "https://ed.example", defaults},
		{"ES256 among others", "ES256", mixed, "https://ec.example", defaults},
		{"RS256 among others", "RS256", mixed, "https://rsa.example", likeApsis},
	} {
		all = append(all, a.presented(t)...)
	}
	var jobs []job
	for _, p := range all {
		jobs = append(jobs, p.job)
	}
	for _, p := range []party{
		{"go-oidc", one(goOIDC)},
		{"oauth4webapi", node("oauth4webapi.mjs")},
		{"jose", node("jose.mjs")},
		{"PyJWT", python("with_pyjwt.py")},
		{"Authlib", python("with_authlib.py")},
		{"verify", one(ownVerify)},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for i, got := range p.do(t, jobs) {
				t.Run(all[i].name, func(t *testing.T) { all[i].check(t, got) })
			}
		})
	}
}

// An api is a resource server: tokens for it are of one server, have its audience, and are signed
// with one algorithm.
type api struct {
	name     string
	alg      string
	server   *server
	audience string
	other    *server // somebody else's
}

// A presented token is one that somebody shows to an API, as a job for its validator.
type presented struct {
	job
	name   string
	claims map[string]any // nil: it must be refused
}

func (p *presented) check(t *testing.T, got answer) {
	t.Helper()
	switch {
	case p.claims == nil && got.Refused == nil:
		t.Errorf("accepted with %v, want it refused", got.Claims)
	case p.claims == nil:
		t.Logf("refused: %s %s", got.Refused.Error, got.Refused.Text)
	case got.Refused != nil:
		t.Errorf("refused: %+v, want it accepted", got.Refused)
	case !reflect.DeepEqual(got.Claims, p.claims):
		t.Errorf("claims = %v, want %v", got.Claims, p.claims)
	}
}

// presented are a good token for the API, and what somebody may try instead.
func (a *api) presented(t *testing.T) []presented {
	t.Helper()
	var all []presented
	add := func(name, raw string) {
		all = append(all, presented{name: a.name + "/" + name, job: job{
			Do: "validate", Issuer: a.server.issuer, JWKSURI: a.server.jwksURL(), Audience: a.audience, Token: raw,
		}})
	}
	good := a.server.token(t, a.server.demo, a.audience)
	add("as it was issued", good)
	header, payload, signature := split(t, good)
	decode(t, payload, &all[0].claims)

	add("another server's", a.other.token(t, a.other.demo, ""))
	add("for the admin API", a.server.token(t, a.server.admin, ""))

	add("another signature", header+"."+payload+"."+flip(signature))
	add("more scope", header+"."+with(t, payload, "scope", "section:* *:read *:write")+"."+signature)
	add("another client", header+"."+with(t, payload, "sub", a.other.demo.ID)+"."+signature)
	add("a later end", header+"."+with(t, payload, "exp", 4_000_000_000)+"."+signature)
	add("no signature", header+"."+payload+".")
	add("two parts", header+"."+payload)
	for _, alg := range []string{"none", "None", "nOnE", "", "ES256", "RS256", "EdDSA"} {
		if alg != a.alg {
			add("alg "+alg, with(t, header, "alg", alg)+"."+payload+"."+signature)
			add("alg "+alg+" and no signature", with(t, header, "alg", alg)+"."+payload+".")
		}
	}
	add("HS256 with the public key", a.confused(t, header, payload))

	key := strangersKey(t, a.alg)
	unknown := with(t, header, "kid", "stranger")
	withKey := with(t, unknown, "jwk", jose.JSONWebKey{Key: key.Public(), KeyID: "stranger", Algorithm: a.alg})
	add("a stranger's under the kid of the server", sign(t, a.alg, key, header, payload))
	add("a stranger's under an unknown kid", sign(t, a.alg, key, unknown, payload))
	add("a stranger's with its own key", sign(t, a.alg, key, withKey, payload))
	return all
}

// confused signs with HMAC, and the public key as if it were a secret (CVE-2015-9235).
func (a *api) confused(t *testing.T, header, payload string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(a.publicKey(t))
	if err != nil {
		t.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return sign(t, "HS256", secret, with(t, header, "alg", "HS256"), payload)
}

// sign signs rightly, with whatever key.
func sign(t *testing.T, alg string, key any, header, payload string) string {
	t.Helper()
	text := header + "." + payload
	signature, err := jwt.GetSigningMethod(alg).Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func strangersKey(t *testing.T, alg string) (key crypto.Signer) {
	t.Helper()
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publicKey is the key in the JWKS that tokens for the API are signed with.
func (a *api) publicKey(t *testing.T) any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.server.jwksURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		t.Fatalf("GET %s: %v", a.server.jwksURL(), err)
	}
	for _, key := range set.Keys {
		if key.Algorithm == a.alg {
			return key.Key
		}
	}
	t.Fatalf("GET %s: no key of %s in %+v", a.server.jwksURL(), a.alg, set)
	return nil
}

func split(t *testing.T, raw string) (header, payload, signature string) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token is %q, want a JWT", raw)
	}
	return parts[0], parts[1], parts[2]
}

// flip changes one bit in the middle, where no base64 decoder is lenient.
func flip(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	middle := len(part) / 2
	flipped := alphabet[strings.IndexByte(alphabet, part[middle])^1]
	return part[:middle] + string(flipped) + part[middle+1:]
}

// with changes a member of a token's header or payload.
func with(t *testing.T, part, name string, value any) string {
	t.Helper()
	var members map[string]any
	decode(t, part, &members)
	members[name] = value
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decode(t *testing.T, part string, into any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatalf("decode %q: %v", part, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("decode %q: %v", part, err)
	}
}

// goOIDC is coreos/go-oidc. Its ClientID is what must be in aud.
func goOIDC(ctx context.Context, j job) (answer, error) {
	provider, err := oidc.NewProvider(ctx, j.Issuer)
	if err != nil {
		return answer{}, err
	}
	verified, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: j.Audience}).Verify(ctx, j.Token)
	if err != nil {
		return answer{Refused: &refusal{Text: err.Error()}}, nil
	}
	var a answer
	return a, verified.Claims(&a.Claims)
}

// ownVerify is this module's package verify: not stock, but it had better agree with those that are.
func ownVerify(ctx context.Context, j job) (answer, error) {
	verifier, err := verify.New(j.Issuer, j.Audience)
	if err != nil {
		return answer{}, err
	}
	defer verifier.Close()
	_, err = verifier.Verify(ctx, j.Token)
	if errors.Is(err, verify.ErrInvalidToken) {
		return answer{Refused: &refusal{Text: err.Error()}}, nil
	}
	if err != nil {
		return answer{}, err
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(j.Token, ".")[1])
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal(text, &a.Claims)
}
