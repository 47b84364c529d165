package attacks

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// keyNames are wrong in the name of the key.
var keyNames = []Attack{
	{
		Name: "kid-missing", Requirements: []string{"J-15"}, Want: Refuse, Gravity: Note,
		Sends: "a token of the issuer that does not name its key", Risk: "keys are tried one after the other; that costs time and nothing else",
		token: genuine(object{"kid": absent{}}, nil),
	},
	named("kid-unknown", "no-such-key", "an unknown name"),
	named("kid-path", "../../../../../../dev/null", "a path"),
	named("kid-sql", "x' UNION SELECT 'secret' -- ", "a piece of SQL"),
	named("kid-command", "key.pem|/bin/sleep 5", "a piece of a shell command"),
	named("kid-long", strings.Repeat("k", 4<<10), "4 KiB of text"),
	{
		Name: "kid-empty-secret", Requirements: []string{"J-11", "J-15"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a token signed with HS256 and the content of /dev/null, which its kid leads to", Risk: anybody,
		token: func(f *Forge) string {
			header := changed(f.goodHeader(), object{"alg": "HS256", "kid": "../../../../../../dev/null"})
			return hs256(encode(header), encode(f.goodClaims()), nil)
		},
	},
}

// named is a stranger's token whose key has an odd name.
func named(name, kid, what string) Attack {
	return Attack{
		Name: name, Requirements: []string{"J-15"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a stranger's token, the name of whose key is " + what, Risk: "a stranger chooses what is read as a key",
		token: forged(object{"kid": kid}, nil),
	}
}

// keysInside bring their key along (RFC 8725 §3.10).
var keysInside = []Attack{
	{
		Name: "key-in-jwk", Requirements: []string{"J-14", "X-010"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a stranger's token with its key in the header (jwk)", Risk: anybody,
		token: (*Forge).embedded,
	},
	{
		Name: "key-in-x5c", Requirements: []string{"J-14"}, Want: Refuse, Gravity: Critical, Live: true,
		Sends: "a stranger's token with its certificate in the header (x5c)", Risk: anybody,
		token: func(f *Forge) string {
			certificate := base64.StdEncoding.EncodeToString(selfSigned(f.issuer.stranger(f.alg).private))
			return f.forged(object{"x5c": []string{certificate}}, nil)
		},
	},
	{
		Name: "key-by-jku", Requirements: []string{"J-14", "X-010"}, Want: Refuse, Gravity: Critical, Bait: true, Live: true,
		Sends: "a stranger's token with the address of its key in the header (jku)", Risk: anybody + ", and have it ask any address that it can reach",
		token: func(f *Forge) string { return f.lure("jku", "jwks.json") },
	},
	{
		Name: "key-by-x5u", Requirements: []string{"J-14", "X-010"}, Want: Refuse, Gravity: Critical, Bait: true, Live: true,
		Sends: "a stranger's token with the address of its certificate in the header (x5u)", Risk: anybody + ", and have it ask any address that it can reach",
		token: func(f *Forge) string { return f.lure("x5u", "chain.pem") },
	},
}

// selfSigned is a certificate that nobody should trust.
func selfSigned(k crypto.Signer) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stranger"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		panic(fmt.Sprintf("attacks: make a certificate: %v", err))
	}
	return certificate
}

// cycle is about keys and tokens that end before their time. It changes the issuer.
var cycle = []Attack{
	{
		Name: "revoked", Requirements: []string{"U-06", "U-15"}, Want: Refuse, Gravity: Note, Late: true,
		Sends: "a token whose bit in the status list is set", Risk: "a revoked client works on until its tokens end, 15 minutes by default",
		before: func(f *Forge) error { f.issuer.Revoke(revokedPosition); return nil },
		token: func(f *Forge) string {
			return f.genuine(nil, object{"status": f.issuer.status(revokedPosition)})
		},
	},
	{
		Name: "key-rotated", Requirements: []string{"M-05", "M-07"}, Want: Accept, Gravity: Serious, Late: true, Settled: true,
		Sends: "a good token, signed with a key that was published just now", Risk: "good tokens are refused after a rotation, until the service is started anew",
		before: func(f *Forge) error { _, err := f.issuer.Rotate(f.alg); return err },
		token:  (*Forge).good,
	},
	{
		Name: "key-withdrawn", Requirements: []string{"M-06"}, Want: Refuse, Gravity: Minor, Late: true,
		Sends: "a token signed with a key that is not published any more", Risk: "a leaked key is honoured after its removal, until the service's cache ends",
		before: withdraw,
		token:  (*Forge).withdrawn,
	},
	{
		Name: "kid-flood", Requirements: []string{"J-15", "M-07"}, Want: Refuse, Gravity: Serious, Settled: true, Times: 50, Fetches: 2, Live: true,
		Sends: "50 strangers' tokens, each with another unknown key", Risk: "a stranger has the service ask the issuer as often as he likes",
		token: func(f *Forge) string { return f.forged(object{"kid": rand.Text()}, nil) },
	},
}

// revokedPosition is in a list of its own, so that no service has that list yet.
const revokedPosition = listSize + 7

// withdraw takes away the oldest key, which every service knows, and leaves one.
func withdraw(f *Forge) error {
	old, published := f.issuer.oldest(f.alg)
	if published < 2 {
		if _, err := f.issuer.Rotate(f.alg); err != nil {
			return err
		}
	}
	f.issuer.Withdraw(old)
	return nil
}
