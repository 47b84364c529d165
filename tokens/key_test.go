package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// kinds are the keys that the server makes, by algorithm and size.
var kinds = []struct {
	alg  Alg
	bits int
}{{ES256, 0}, {EdDSA, 0}, {RS256, 2048}, {RS256, 3072}}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// thumbprint is RFC 7638 §3 and RFC 8037 §2 written out: the SHA-256 of the required members, in
// order, without blanks.
func thumbprint(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	var text string
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, x, y
		must(t, err)
		text = `{"crv":"P-256","kty":"EC","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"}`
	case *rsa.PublicKey:
		text = `{"e":"` + b64(big.NewInt(int64(key.E)).Bytes()) + `","kty":"RSA","n":"` + b64(key.N.Bytes()) + `"}`
	case ed25519.PublicKey:
		text = `{"crv":"Ed25519","kty":"OKP","x":"` + b64(key) + `"}`
	default:
		t.Fatalf("a %T is no public key of ours", public)
	}
	sum := sha256.Sum256([]byte(text))
	return b64(sum[:])
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyIsNamedByItsThumbprint(t *testing.T) {
	for _, kind := range kinds {
		k, err := newKey(kind.alg, kind.bits)
		must(t, err)
		if want := thumbprint(t, k.signer().Public()); k.ID != want {
			t.Errorf("the %s key is named %s; want %s", kind.alg, k.ID, want)
		}
		if public, ok := k.signer().Public().(*rsa.PublicKey); ok && public.N.BitLen() != kind.bits {
			t.Errorf("an RSA key of %d bits has %d", kind.bits, public.N.BitLen())
		}
	}
	for _, alg := range []Alg{"", "none", "HS256", "es256", "RS512", "PS256"} {
		if k, err := newKey(alg, 2048); err == nil {
			t.Errorf("newKey(%q) = %v", alg, k)
		}
	}
}

// public is a key of which only the public half is known.
type public struct{ crypto.PublicKey }

func (p public) Public() crypto.PublicKey { return p.PublicKey }

func (public) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("not in this test") }

// The examples of RFC 7638 §3.1 and RFC 8037 A.3.
func TestThumbprintsOfTheRFCs(t *testing.T) {
	bytes := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		must(t, err)
		return b
	}
	n := bytes("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst" +
		"n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
		"SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	for _, tt := range []struct {
		alg  Alg
		key  crypto.PublicKey
		want string
	}{
		{RS256, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{EdDSA, ed25519.PublicKey(bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		var signer crypto.Signer = public{tt.key}
		k := Key{Alg: tt.alg, private: &signer}
		must(t, k.complete())
		if k.ID != tt.want || thumbprint(t, tt.key) != tt.want {
			t.Errorf("the thumbprint of the RFC's %s key is %s; want %s", tt.alg, k.ID, tt.want)
		}
	}
}

// secretParts are the private numbers of a key.
func secretParts(t *testing.T, k *Key) map[string][]byte {
	t.Helper()
	switch key := k.signer().(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		must(t, err)
		return map[string][]byte{"d": d}
	case ed25519.PrivateKey:
		return map[string][]byte{"seed": key.Seed()}
	case *rsa.PrivateKey:
		return map[string][]byte{"d": key.D.Bytes(), "p": key.Primes[0].Bytes(), "q": key.Primes[1].Bytes()}
	}
	t.Fatalf("a %T is no private key of ours", k.signer())
	return nil
}

// refuseLeak fails if the output holds a part of the secret in any usual writing.
func refuseLeak(t *testing.T, what, output string, secret []byte) {
	t.Helper()
	part := secret[2:14]
	decimals := strings.Trim(fmt.Sprintf("%d", part), "[]")
	for _, form := range []string{
		string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), fmt.Sprintf("% x", part),
		b64(secret)[:16], base64.StdEncoding.EncodeToString(secret)[:16], decimals, strings.ReplaceAll(decimals, " ", ", "),
		strings.Trim(fmt.Sprintf("%#v", part), "[]byte{}"), new(big.Int).SetBytes(secret).String(),
	} {
		if strings.Contains(output, form) {
			t.Errorf("%s prints a secret as %.40q", what, form)
		}
	}
}

// printings are all the ways in which a value may come to be printed.
func printings(v any) string {
	var out strings.Builder
	for _, verb := range "vTsqxXdbocUeEfFgGtpw!z" {
		for _, flags := range []string{"", "+", "#", " ", "0", "100"} {
			fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", v)
		}
	}
	fmt.Fprint(&out, v)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).WithGroup("g").Info("made", "key", v)
	}
	text, _ := json.Marshal(v) // what cannot be written is not printed either
	out.Write(text)
	return out.String()
}

// Nothing prints a private key by accident, wherever it is kept.
func TestKeyIsNotPrinted(t *testing.T) {
	for _, kind := range kinds[:3] {
		k, err := newKey(kind.alg, kind.bits)
		must(t, err)
		r, err := newRing(1, []*Key{k}, noon)
		must(t, err)
		keys := &Keys{}
		keys.ring.Store(r)
		type open struct{ Key Key }
		for _, v := range []any{
			k, *k,
			[]*Key{k},
			[]Key{*k},
			map[string]*Key{"a": k},
			open{*k},
			&open{*k},
			struct{ k *Key }{k},
			struct{ k Key }{*k},
			r, keys, &Issuer{Keys: keys},
			fmt.Errorf("change: %v", k),
		} {
			for part, secret := range secretParts(t, k) {
				refuseLeak(t, fmt.Sprintf("a %T with the %s of an %s key", v, part, kind.alg), printings(v), secret)
			}
		}
		if got := fmt.Sprint(k); !strings.Contains(got, k.ID) {
			t.Errorf("a key is printed as %q; want it to be named", got)
		}
	}
}

// The JWKS holds the members of RFC 7517 and RFC 7518 that are public, and no other.
func TestJWKSIsPublic(t *testing.T) {
	var all []*Key
	for _, kind := range kinds {
		k, err := newKey(kind.alg, kind.bits)
		must(t, err)
		all = append(all, k)
	}
	r, err := newRing(1, all, noon)
	must(t, err)
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	must(t, json.Unmarshal(r.jwks, &set))
	members := map[string]string{"ES256": "alg crv kid kty use x y", "RS256": "alg e kid kty n use", "EdDSA": "alg crv kid kty use x"}
	if len(set.Keys) != len(all) {
		t.Fatalf("the JWKS has %d keys; want %d", len(set.Keys), len(all))
	}
	for _, jwk := range set.Keys {
		k := r.byID[jwk["kid"]]
		if got := strings.Join(slices.Sorted(maps.Keys(jwk)), " "); got != members[jwk["alg"]] || k == nil || string(k.Alg) != jwk["alg"] || jwk["use"] != "sig" {
			t.Errorf("a %s key has the members %s", jwk["alg"], got)
		}
	}
	for _, k := range all {
		for part, secret := range secretParts(t, k) {
			refuseLeak(t, "the JWKS with the "+part+" of an "+string(k.Alg)+" key", string(r.jwks), secret)
		}
	}
}

// A private key comes back from its stored form, and only under its own name.
func TestKeyIsKept(t *testing.T) {
	for _, kind := range kinds[:3] {
		k, err := newKey(kind.alg, kind.bits)
		must(t, err)
		der, err := k.marshalPrivate()
		must(t, err)
		same := &Key{ID: k.ID, Alg: k.Alg}
		must(t, same.unmarshalPrivate(der))
		if same.header != k.header || !same.signer().Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.signer().Public()) {
			t.Errorf("an %s key comes back as another", kind.alg)
		}
		for name, bad := range map[string]struct {
			kid string
			der []byte
		}{"another name": {"x", der}, "a byte less": {k.ID, der[:len(der)-1]}, "nothing": {k.ID, nil}} {
			if err := (&Key{ID: bad.kid, Alg: k.Alg}).unmarshalPrivate(bad.der); err == nil {
				t.Errorf("an %s key is read with %s", kind.alg, name)
			}
		}
	}
}
