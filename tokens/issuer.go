package tokens

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// accessTokenType is the JOSE typ of access tokens (RFC 9068 §2.1).
const accessTokenType = "at+jwt"

// An Issuer makes access tokens, and reads its own.
type Issuer struct {
	URL  string // the issuer identifier, exactly as in the metadata
	Keys *Keys
}

// A Grant is what a token says.
type Grant struct {
	ClientID    string
	Audience    []string
	Scope       string
	IssuedAt    time.Time
	Lifetime    time.Duration
	Alg         Alg
	SCP         bool  // the token says its scope as an array too
	StatusIndex int64 // the position of the client's bit in the status lists
}

// Claims are what an access token carries (RFC 9068 §2.2 and Token Status List §6).
type Claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	ClientID  string   `json:"client_id"`
	Audience  Audience `json:"aud"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	ID        string   `json:"jti"`
	Scope     string   `json:"scope"`
	SCP       []string `json:"scp,omitempty"` // the values of scope again, for who cannot split text
	Status    Status   `json:"status"`
}

// An Audience is one string or, when several, an array (RFC 7519 §4.1.3).
type Audience []string

// MarshalJSON implements [json.Marshaler].
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = Audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// Issue signs an access token. It returns an error wrapping ErrNoKey if no key of the grant's
// algorithm is ready.
func (i *Issuer) Issue(g Grant) (string, error) {
	key, err := i.Keys.active(g.Alg)
	if err != nil {
		return "", err
	}
	iat := g.IssuedAt.Unix()
	claims := Claims{
		Issuer: i.URL, Subject: g.ClientID, ClientID: g.ClientID, Audience: g.Audience,
		IssuedAt: iat, ExpiresAt: iat + int64(g.Lifetime/time.Second), ID: rand.Text(), Scope: g.Scope,
	}
	if g.SCP {
		claims.SCP = strings.Fields(g.Scope)
	}
	claims.Status = i.Status(g.StatusIndex)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("write the claims: %w", err)
	}
	return key.sign(key.header, payload)
}

// Sign signs claims that are no access token, as a JWT of the given typ. It returns an error
// wrapping ErrNoKey if no key of the algorithm is ready.
func (i *Issuer) Sign(alg Alg, typ string, claims any) (token, kid string, err error) {
	key, err := i.Keys.active(alg)
	if err != nil {
		return "", "", err
	}
	header, err := header(typ, key)
	if err != nil {
		return "", "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", "", fmt.Errorf("write the claims: %w", err)
	}
	token, err = key.sign(header, payload)
	return token, key.ID, err
}

// Parse returns the claims of an access token of this issuer whose signature is right and which
// has not expired. Whether its client still stands is for the caller to ask.
func (i *Issuer) Parse(raw string) (*Claims, error) {
	if strings.ContainsAny(raw, "\r\n") { // which Go's base64 skips, however strict it is
		return nil, errors.New("read an access token: there is a line end in it")
	}
	var claims parsed
	_, err := jwt.ParseWithClaims(raw, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		key, ok := i.Keys.ring.Load().byID[kid]
		if !ok || t.Header["typ"] != accessTokenType || t.Method.Alg() != string(key.Alg) {
			return nil, jwt.ErrTokenUnverifiable
		}
		return key.signer().Public(), nil
	}, jwt.WithValidMethods(Algs), jwt.WithIssuer(i.URL), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	if err != nil {
		return nil, fmt.Errorf("read an access token: %w", err)
	}
	return &claims.Claims, nil
}

// parsed shows claims to golang-jwt.
type parsed struct{ Claims }

func (p parsed) GetExpirationTime() (*jwt.NumericDate, error) { return date(p.ExpiresAt), nil }
func (p parsed) GetIssuedAt() (*jwt.NumericDate, error)       { return date(p.IssuedAt), nil }
func (p parsed) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (p parsed) GetIssuer() (string, error)                   { return p.Issuer, nil }
func (p parsed) GetSubject() (string, error)                  { return p.Subject, nil }
func (p parsed) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings(p.Audience), nil }

func date(seconds int64) *jwt.NumericDate { return jwt.NewNumericDate(time.Unix(seconds, 0)) }
