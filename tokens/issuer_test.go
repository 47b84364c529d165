package tokens

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

const issuerURL = "https://auth.example.com"

// newKeys returns the keys of one server on db, not started.
func newKeys(db *database.DB, master MasterKey) *Keys {
	return &Keys{DB: db, Master: master, Schedule: DefaultSchedule, RSABits: 2048, Log: slog.New(slog.DiscardHandler)}
}

// newIssuer returns an issuer whose keys of the given algorithms are started, in a database of
// its own.
func newIssuer(t *testing.T, algs ...Alg) *Issuer {
	t.Helper()
	keys := newKeys(databasetest.SQLite(t), NewMasterKey())
	for _, alg := range algs {
		must(t, keys.Start(t.Context(), alg))
	}
	return &Issuer{URL: issuerURL, Keys: keys}
}

func grant(alg Alg, at time.Time) Grant {
	return Grant{
		ClientID: "c1", Audience: []string{"https://api.example.com"}, Scope: "section:nordic email:read",
		IssuedAt: at, Lifetime: 15 * time.Minute, Alg: alg, StatusIndex: 2*statusListSize + 7,
	}
}

func issue(t *testing.T, i *Issuer, g Grant) string {
	t.Helper()
	raw, err := i.Issue(g)
	must(t, err)
	return raw
}

// part is one part of a compact JWS, as JSON.
func part(t *testing.T, raw string, n int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[n])
	must(t, err)
	var v map[string]any
	must(t, json.Unmarshal(text, &v))
	return v
}

// A token has the header and the claims of the contract's §3.2, and nothing else.
func TestToken(t *testing.T) {
	i := newIssuer(t, ES256, RS256, EdDSA)
	now := time.Now()
	for _, alg := range []Alg{ES256, RS256, EdDSA} {
		raw := issue(t, i, grant(alg, now))
		key := i.Keys.ring.Load().active[alg]
		if got, want := part(t, raw, 0), map[string]any{"alg": string(alg), "typ": "at+jwt", "kid": key.ID}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the header is %v; want %v", alg, got, want)
		}
		claims := part(t, raw, 1)
		if id, _ := claims["jti"].(string); len(id) < 16 {
			t.Errorf("%s: jti is %q", alg, id)
		}
		delete(claims, "jti")
		if want := map[string]any{
			"iss": issuerURL, "sub": "c1", "client_id": "c1", "aud": "https://api.example.com", "scope": "section:nordic email:read",
			"iat": float64(now.Unix()), "exp": float64(now.Unix() + 900),
			"status": map[string]any{"status_list": map[string]any{"idx": 7.0, "uri": issuerURL + "/oauth/status/2"}},
		}; !reflect.DeepEqual(claims, want) {
			t.Errorf("%s: the claims are %v; want %v", alg, claims, want)
		}
		if _, err := jwt.Parse(raw, func(*jwt.Token) (any, error) { return key.signer().Public(), nil }, jwt.WithValidMethods([]string{string(alg)})); err != nil {
			t.Errorf("%s: golang-jwt refuses the token: %v", alg, err)
		}
	}
}

func TestTokenIDsAreUnique(t *testing.T) {
	i, seen := newIssuer(t, EdDSA), map[any]bool{}
	for range 1000 {
		seen[part(t, issue(t, i, grant(EdDSA, noon)), 1)["jti"]] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 tokens have %d ids", len(seen))
	}
}

func TestAudience(t *testing.T) {
	i := newIssuer(t, EdDSA)
	for _, tt := range []struct {
		audience Audience
		want     any
	}{
		{Audience{"https://api.example.com"}, "https://api.example.com"},
		{Audience{"https://a.example.com", "https://b.example.com"}, []any{"https://a.example.com", "https://b.example.com"}},
	} {
		g := grant(EdDSA, time.Now())
		g.Audience = tt.audience
		raw := issue(t, i, g)
		if got := part(t, raw, 1)["aud"]; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("aud is %v; want %v", got, tt.want)
		}
		if claims, err := i.Parse(raw); err != nil || !reflect.DeepEqual(claims.Audience, tt.audience) {
			t.Errorf("Parse = %+v, %v; want the audience %v", claims, err, tt.audience)
		}
	}
	for _, bad := range []string{`1`, `{}`, `[1]`, `[`} {
		var a Audience
		if err := json.Unmarshal([]byte(bad), &a); err == nil {
			t.Errorf("aud %s is read as %q", bad, a)
		}
	}
}

// forge signs anything with a key of the issuer.
func forge(t *testing.T, k *Key, header, claims string) string {
	t.Helper()
	raw, err := k.sign(b64([]byte(header)), []byte(claims))
	must(t, err)
	return raw
}

// Parse takes the issuer's own access tokens, and nothing else.
func TestParse(t *testing.T) {
	i, stranger := newIssuer(t, ES256, RS256), newIssuer(t, ES256)
	for _, alg := range []Alg{ES256, RS256} {
		raw := issue(t, i, grant(alg, time.Now()))
		if claims, err := i.Parse(raw); err != nil || claims.ClientID != "c1" || claims.Scope != "section:nordic email:read" || claims.Status != i.Status(2*statusListSize+7) {
			t.Errorf("Parse = %+v, %v", claims, err)
		}
	}
	key := i.Keys.ring.Load().active[ES256]
	rsa := i.Keys.ring.Load().active[RS256]
	good := issue(t, i, grant(ES256, time.Now()))
	parts := strings.Split(good, ".")
	header := func(typ, alg, kid string) string { return fmt.Sprintf(`{"typ":%q,"alg":%q,"kid":%q}`, typ, alg, kid) }
	claims := fmt.Sprintf(`{"iss":%q,"sub":"c1","client_id":"c1","aud":"a","exp":%d}`, issuerURL, time.Now().Add(time.Hour).Unix())
	if _, err := i.Parse(forge(t, key, header("at+jwt", "ES256", key.ID), claims)); err != nil {
		t.Fatalf("the forgeries below are refused for nothing: %v", err)
	}
	der, err := x509.MarshalPKIXPublicKey(rsa.signer().Public())
	must(t, err)
	hmac, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": issuerURL, "exp": time.Now().Add(time.Hour).Unix()}).SignedString(der)
	must(t, err)
	for name, raw := range map[string]string{
		"nothing":           "",
		"no token":          "a.b.c",
		"two parts":         parts[0] + "." + parts[1],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"other claims":      parts[0] + "." + b64([]byte(claims)) + "." + parts[2],
		"another's":         issue(t, stranger, grant(ES256, time.Now())),
		"a blank":           good + " ",
		"padding":           good + "=",
		"expired":           issue(t, i, grant(ES256, time.Now().Add(-15*time.Minute))),
		"expires never":     forge(t, key, header("at+jwt", "ES256", key.ID), `{"iss":"`+issuerURL+`"}`),
		"another issuer":    forge(t, key, header("at+jwt", "ES256", key.ID), strings.Replace(claims, issuerURL, issuerURL+"/", 1)),
		"an ID token":       forge(t, key, header("JWT", "ES256", key.ID), claims),
		"no typ":            forge(t, key, `{"alg":"ES256","kid":"`+key.ID+`"}`, claims),
		"a status list":     forge(t, key, header("statuslist+jwt", "ES256", key.ID), claims),
		"an unknown key":    forge(t, key, header("at+jwt", "ES256", "x"), claims),
		"no key":            forge(t, key, `{"alg":"ES256","typ":"at+jwt"}`, claims),
		"the wrong key":     forge(t, key, header("at+jwt", "ES256", rsa.ID), claims),
		"another algorithm": forge(t, rsa, header("at+jwt", "RS512", rsa.ID), claims),
		"alg none":          b64([]byte(header("at+jwt", "none", key.ID))) + "." + b64([]byte(claims)) + ".",
		"HMAC":              hmac,
		"alg HS256":         forge(t, rsa, header("at+jwt", "HS256", rsa.ID), claims),
	} {
		if got, err := i.Parse(raw); err == nil {
			t.Errorf("%s: Parse(%q) = %+v", name, raw, got)
		}
	}
}

// A token is taken until the second in which it expires.
func TestParseUntilExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, EdDSA)
		raw := issue(t, i, grant(EdDSA, time.Now()))
		time.Sleep(15*time.Minute - time.Second)
		if _, err := i.Parse(raw); err != nil {
			t.Errorf("a second before its end: Parse = %v", err)
		}
		time.Sleep(time.Second)
		if _, err := i.Parse(raw); !errors.Is(err, jwt.ErrTokenExpired) {
			t.Errorf("at its end: Parse = %v; want ErrTokenExpired", err)
		}
	})
}

// Without a key of the algorithm nothing is signed, with no other instead.
func TestIssueWithoutKey(t *testing.T) {
	i := newIssuer(t, ES256)
	for _, alg := range []Alg{RS256, EdDSA, "", "none"} {
		if raw, err := i.Issue(grant(alg, noon)); !errors.Is(err, ErrNoKey) || raw != "" {
			t.Errorf("Issue with %q = %q, %v; want ErrNoKey", alg, raw, err)
		}
	}
	if raw, err := (&Issuer{URL: issuerURL, Keys: newKeys(nil, MasterKey{})}).Issue(grant(ES256, noon)); !errors.Is(err, ErrNoKey) {
		t.Errorf("Issue before the start = %q, %v; want ErrNoKey", raw, err)
	}
}
