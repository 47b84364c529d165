package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wardkey/wardkey/tokens"
)

// TestIssuerWithPath holds where the metadata of an issuer with a path is looked for: RFC 8414
// §3.1 inserts the well-known part, OpenID Connect Discovery appends it.
func TestIssuerWithPath(t *testing.T) {
	const issuer = "https://auth.example/t1"
	w := newWorld(t)
	w.serve(issuer)
	for _, path := range []string{
		"/.well-known/oauth-authorization-server/t1",
		"/.well-known/openid-configuration/t1",
		"/t1/.well-known/openid-configuration",
		"/t1/.well-known/oauth-authorization-server",
	} {
		m, err := decode[metadata](w.get(path))
		if err != nil || m.Issuer != issuer || m.TokenEndpoint != issuer+"/oauth/token" || m.JWKSURI != issuer+"/.well-known/jwks.json" {
			t.Errorf("%s is %+v, %v", path, m, err)
		}
	}
	status(t, w.get("/t1/.well-known/jwks.json"), 200)
	form := strings.NewReader("grant_type=client_credentials")
	r := httptest.NewRequest(http.MethodPost, "/t1/oauth/token", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", w.clients["operator"].basic())
	body, err := decode[tokenBody](w.do(r))
	w.must(err)
	claims, err := w.oauth.Issuer.Parse(body.AccessToken)
	if err != nil || claims.Issuer != issuer || claims.Audience[0] != issuer+"/admin" {
		t.Errorf("the token is %+v, %v", claims, err)
	}
}

// TestPublishedURLs holds that whatever the metadata names is there.
func TestPublishedURLs(t *testing.T) {
	w := newWorld(t)
	for _, issuer := range []string{issuerURL, issuerURL + "/t1"} {
		w.serve(issuer)
		members, err := decode[map[string]any](w.get("/.well-known/openid-configuration"))
		w.must(err)
		for name, value := range members {
			address, ok := value.(string)
			if !ok || name == "issuer" {
				continue
			}
			u, err := url.Parse(address)
			w.must(err)
			if code := w.get(u.Path).Code; code == 404 || !strings.HasPrefix(address, issuer) {
				t.Errorf("%s %s: status %d", name, address, code)
			}
		}
	}
}

// kid returns the name of the key that a new token is signed with.
func (w *world) kid() string {
	w.t.Helper()
	body, err := decode[tokenBody](w.ask(w.clients["billing"].basic()))
	w.must(err)
	token, err := jose.ParseSignedCompact(body.AccessToken, []jose.SignatureAlgorithm{jose.ES256})
	w.must(err)
	return token.Signatures[0].Header.KeyID
}

// kids are the names of the published keys.
func (w *world) kids() []string {
	w.t.Helper()
	set, err := decode[jose.JSONWebKeySet](w.get("/.well-known/jwks.json"))
	w.must(err)
	var kids []string
	for _, k := range set.Keys {
		kids = append(kids, k.KeyID)
	}
	return kids
}

// work lets the server do what it does beside requests, for two seconds.
func (w *world) work() {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
	defer cancel()
	w.must(w.keys.Run(ctx))
}

// TestRotation holds that a key is published longer than a JWKS may be kept before it signs, and
// stays longer than the longest token lives after it signed last.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := w.kid()
		next, err := w.keys.Rotate(t.Context(), tokens.ES256, false)
		w.must(err)
		if got := w.kids(); !slices.Equal(got, []string{old, next.ID}) && !slices.Equal(got, []string{next.ID, old}) {
			t.Errorf("the JWKS has %q, want the old key and the new", got)
		}
		time.Sleep(tokens.JWKSMaxAge + time.Minute) // whoever kept the JWKS has asked again
		w.work()
		if w.kid() != old {
			t.Error("the new key signs too early")
		}
		time.Sleep(tokens.DefaultSchedule.Publish)
		w.work()
		if got := w.kid(); got != next.ID {
			t.Errorf("%s signs, want the new key %s", got, next.ID)
		}
		time.Sleep(24 * time.Hour) // the longest that a token lives
		w.work()
		if !slices.Contains(w.kids(), old) {
			t.Error("the old key is gone, although tokens of it may live")
		}
		time.Sleep(2 * time.Hour)
		w.work()
		if got := w.kids(); !slices.Equal(got, []string{next.ID}) {
			t.Errorf("the JWKS has %q, want the new key alone", got)
		}
	})
}

// TestLeakedKey holds that a key that is removed is out of the JWKS at once, and another signs.
func TestLeakedKey(t *testing.T) {
	w := newWorld(t)
	leaked := w.kid()
	body, err := decode[tokenBody](w.ask(w.clients["billing"].basic()))
	w.must(err)
	w.must(w.keys.Remove(t.Context(), leaked))
	if slices.Contains(w.kids(), leaked) || w.kid() == leaked || !slices.Contains(w.kids(), w.kid()) {
		t.Errorf("the JWKS has %q, and %s signs; %s leaked", w.kids(), w.kid(), leaked)
	}
	if claims, err := w.oauth.Issuer.Parse(body.AccessToken); err == nil {
		t.Errorf("a token of the leaked key is taken: %+v", claims)
	}
}

// TestKeyNames holds that a kid is the key's thumbprint (RFC 7638): one key and one algorithm,
// forever; that keys are strong; and that no private member is published.
func TestKeyNames(t *testing.T) {
	w := newWorld(t)
	for _, alg := range tokens.Algs {
		w.must(w.keys.Ensure(t.Context(), tokens.Alg(alg)))
	}
	set, err := decode[struct{ Keys []json.RawMessage }](w.get("/.well-known/jwks.json"))
	if err != nil || len(set.Keys) != len(tokens.Algs) {
		t.Fatalf("the JWKS has %d keys (%v), want %d", len(set.Keys), err, len(tokens.Algs))
	}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		w.must(json.Unmarshal(text, &key))
		thumbprint, err := key.Thumbprint(crypto.SHA256)
		w.must(err)
		var members map[string]any
		w.must(json.Unmarshal(text, &members))
		if key.KeyID != base64.RawURLEncoding.EncodeToString(thumbprint) || !key.IsPublic() || members["use"] != "sig" || members["alg"] != key.Algorithm {
			t.Errorf("the JWKS has %s", text)
		}
		switch public := key.Key.(type) {
		case *ecdsa.PublicKey:
			if public.Curve != elliptic.P256() {
				t.Errorf("an EC key is on %s", public.Curve.Params().Name)
			}
		case *rsa.PublicKey:
			if public.N.BitLen() < 2048 || public.E != 65537 {
				t.Errorf("an RSA key has %d bits and exponent %d", public.N.BitLen(), public.E)
			}
		case ed25519.PublicKey:
		default:
			t.Errorf("a key is a %T", public)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := members[private]; ok {
				t.Errorf("key %s has the member %s", key.KeyID, private)
			}
		}
	}
}

// second starts another server on the same database.
func (w *world) second() *world {
	other := &world{t: w.t, db: w.db, clients: w.clients}
	other.keys = &tokens.Keys{DB: w.db, Master: w.keys.Master, Schedule: w.keys.Schedule, Log: slog.New(slog.DiscardHandler)}
	w.must(other.keys.Start(w.t.Context(), tokens.ES256))
	other.serve(issuerURL)
	return other
}

// TestTwoServers holds that servers on one database sign for each other, and see each other's
// changes.
func TestTwoServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := w.second()
		if w.kid() != other.kid() || !slices.Equal(w.kids(), other.kids()) {
			t.Errorf("one server signs with %s, the other with %s", w.kid(), other.kid())
		}
		time.Sleep(time.Second) // keys are published oldest first
		next, err := w.keys.Rotate(t.Context(), tokens.ES256, true)
		w.must(err)
		w.must(other.keys.Refresh(t.Context())) // as it does each second
		if w.kid() != next.ID || other.kid() != next.ID || !slices.Equal(w.kids(), other.kids()) {
			t.Errorf("after a rotation to %s one server signs with %s, the other with %s", next.ID, w.kid(), other.kid())
		}
	})
}

// TestTwoServersRotate holds that servers that notice at the same moment that a key is old make
// one successor together.
func TestTwoServersRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := w.second()
		time.Sleep(tokens.DefaultSchedule.Rotate - tokens.DefaultSchedule.Publish)
		var working sync.WaitGroup
		for _, server := range []*world{w, other} {
			working.Go(server.work)
		}
		working.Wait()
		if got := w.kids(); len(got) != 2 || !slices.Equal(got, other.kids()) {
			t.Errorf("the keys are %q on one server and %q on the other; want the old one and one new", got, other.kids())
		}
	})
}

// TestKeysAtRest holds that private keys are sealed in the database, for one master key.
func TestKeysAtRest(t *testing.T) {
	w := newWorld(t)
	var sealed string
	w.must(w.db.QueryRow(t.Context(), `SELECT private_key FROM signing_keys`).Scan(&sealed))
	text, err := base64.StdEncoding.DecodeString(sealed)
	w.must(err)
	if key, err := x509.ParsePKCS8PrivateKey(text); err == nil {
		t.Errorf("the database has a %T in the clear", key)
	}
	stranger := &tokens.Keys{DB: w.db, Master: tokens.NewMasterKey(), Log: slog.New(slog.DiscardHandler)}
	if err := stranger.Start(t.Context(), tokens.ES256); !errors.Is(err, tokens.ErrMasterKey) {
		t.Errorf("Start with another master key = %v, want ErrMasterKey", err)
	}
}
