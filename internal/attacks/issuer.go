package attacks

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// listSize is how many positions one status list has.
const listSize = 1 << 17

// An Issuer is one for the occasion: like a Wardkey from outside, with its keys in memory. Its
// fields are set before it is used; its methods may be called concurrently.
type Issuer struct {
	URL       string
	Audience  string
	MaxAge    time.Duration // of the JWKS and the metadata; 5 minutes, as Wardkey's
	StatusTTL time.Duration // of status lists; 10 seconds, as Wardkey's
	SCP       bool          // tokens have scp too, which is scope as an array

	strangers []*key // keys of somebody else, one of each algorithm

	mu       sync.Mutex
	keys     []*key // of each algorithm, the last one that is published signs
	revoked  map[int]bool
	requests map[string]int // by path
}

// NewIssuer returns an issuer with a key of each algorithm. url is its name, and where its
// Handler can be reached; audience is whom its tokens are for.
func NewIssuer(url, audience string) (*Issuer, error) {
	keys, err := newKeys()
	if err != nil {
		return nil, err
	}
	strangers, err := newKeys()
	if err != nil {
		return nil, err
	}
	return &Issuer{
		URL: url, Audience: audience, MaxAge: 5 * time.Minute, StatusTTL: 10 * time.Second,
		keys: keys, strangers: strangers, revoked: map[int]bool{}, requests: map[string]int{},
	}, nil
}

// Rotate publishes a new key of an algorithm beside the others, and signs with it from now on.
func (i *Issuer) Rotate(alg string) (kid string, err error) {
	k, err := newKey(alg)
	if err != nil {
		return "", err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, k)
	return k.kid, nil
}

// Withdraw takes a key out of the JWKS.
func (i *Issuer) Withdraw(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range i.keys {
		if k.kid == kid {
			k.published = false
		}
	}
}

// Revoke sets the bit of a position in the status lists.
func (i *Issuer) Revoke(position int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revoked[position] = true
}

// KeyID is the kid of the key that signs tokens of an algorithm.
func (i *Issuer) KeyID(alg string) string { return i.key(alg, true).kid }

// oldest is the kid of the first key of an algorithm that is still published, and how many are.
func (i *Issuer) oldest(alg string) (kid string, published int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range i.keys {
		if k.alg == alg && k.published {
			published++
			if kid == "" {
				kid = k.kid
			}
		}
	}
	return kid, published
}

// key is the last key of an algorithm that is published, or that is not any more.
func (i *Issuer) key(alg string, published bool) *key {
	i.mu.Lock()
	defer i.mu.Unlock()
	found := &key{}
	for _, k := range i.keys {
		if k.alg == alg && k.published == published {
			found = k
		}
	}
	return found
}

// stranger is somebody else's key.
func (i *Issuer) stranger(alg string) *key {
	for _, k := range i.strangers {
		if k.alg == alg {
			return k
		}
	}
	return i.strangers[0]
}

// JWKS are the public keys.
func (i *Issuer) JWKS() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		if k.published {
			set.Keys = append(set.Keys, k.public())
		}
	}
	return set
}

// Token is a good token with a scope, but for changes to its header and its claims, where nil
// takes a member away.
func (i *Issuer) Token(alg, scope string, header, claims map[string]any) string {
	k := i.key(alg, true)
	return k.compact(encode(changed(k.header(), orAbsent(header))), encode(changed(i.claims(scope), orAbsent(claims))))
}

func orAbsent(changes object) object {
	changes = maps.Clone(changes)
	for name, value := range changes {
		if value == nil {
			changes[name] = absent{}
		}
	}
	return changes
}

// claims are those of Wardkey's tokens (RFC 9068 §2.2).
func (i *Issuer) claims(scope string) object {
	now := time.Now().Unix()
	c := object{
		"iss": i.URL, "sub": clientID, "client_id": clientID, "aud": i.Audience,
		"iat": now, "exp": now + 900, "jti": rand.Text(), "scope": scope,
		"status": i.status(0),
	}
	if i.SCP {
		c["scp"] = scopeArray(scope)
	}
	return c
}

// clientID is whom tokens are made for.
const clientID = "6c1f0a52-5f0e-4d2c-9a53-52f0f3a1c0de"

// status says where the bit of a position is (Token Status List §6.2).
func (i *Issuer) status(position int) object {
	return object{"status_list": object{"idx": position % listSize, "uri": i.listURL(strconv.Itoa(position / listSize))}}
}

func (i *Issuer) listURL(number string) string {
	return fmt.Sprintf("%s/oauth/status/%s", i.URL, number)
}
