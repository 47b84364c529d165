package tokens

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever is presented as a token, Parse does not panic, and what it takes says what the issuer
// said: nothing else can be made of a token, or without one.
func FuzzParse(f *testing.F) {
	// The keys are the same in every process that fuzzes, so that what one finds means the same
	// to another.
	seed := bytes.Repeat([]byte{7}, 32)
	es, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	must(f, err)
	var keys []*Key
	for alg, signer := range map[Alg]crypto.Signer{ES256: es, EdDSA: ed25519.NewKeyFromSeed(seed)} {
		k := &Key{Alg: alg, State: Active, private: &signer}
		must(f, k.complete())
		keys = append(keys, k)
	}
	r, err := newRing(1, keys, time.Now())
	must(f, err)
	i := &Issuer{URL: issuerURL, Keys: &Keys{}}
	i.Keys.ring.Store(r)
	const claims = `{"iss":"` + issuerURL + `","sub":"c1","client_id":"c1","aud":["a","b"],"iat":1,"exp":4102444800,"jti":"x","scope":"email:read",` +
		`"status":{"status_list":{"idx":1,"uri":"u"}}}`
	var want *Claims
	for _, k := range r.keys {
		raw, err := k.sign(k.header, []byte(claims))
		must(f, err)
		want, err = i.Parse(raw)
		must(f, err)
		parts := strings.Split(raw, ".")
		for _, seed := range []string{
			raw, raw + ".", raw[1:], strings.ToUpper(raw), parts[0] + "." + parts[1] + ".", parts[0] + "..", ".." + parts[2],
			b64([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+k.ID+`"}`)) + "." + parts[1] + ".",
			parts[0] + "." + b64([]byte(`{"exp":1e300,"iss":[],"aud":{}}`)) + "." + parts[2],
		} {
			f.Add(seed)
		}
	}
	f.Add("")
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := i.Parse(raw)
		if err == nil && !reflect.DeepEqual(got, want) || err != nil && got != nil {
			t.Fatalf("Parse(%q) = %+v, %v", raw, got, err)
		}
	})
}
