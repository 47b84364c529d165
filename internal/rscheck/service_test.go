package rscheck_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/wardkey/wardkey/internal/attacks"
)

// A service checks tokens as a careful engineer writes it with golang-jwt, but for its flaws.
type service struct {
	issuer *attacks.Issuer
	flaws  []string

	mu      sync.Mutex
	keys    map[string]jose.JSONWebKey
	fetched time.Time
}

func (s *service) has(flaw string) bool { return slices.Contains(s.flaws, flaw) }

var (
	errNoToken = errors.New("no token")
	errRequest = errors.New("not one token")
	errScope   = errors.New("scope")
)

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, err := s.bearer(r)
	if err == nil {
		err = s.check(token)
	}
	switch {
	case err == nil || s.has("open"):
		fmt.Fprintln(w, "welcome")
	case errors.Is(err, errScope):
		s.refuse(w, http.StatusForbidden, `Bearer error="insufficient_scope"`, token)
	case errors.Is(err, errNoToken):
		s.refuse(w, http.StatusUnauthorized, `Bearer realm="api"`, token)
	case errors.Is(err, errRequest):
		s.refuse(w, http.StatusBadRequest, `Bearer error="invalid_request"`, token)
	case s.has("500 on rubbish") && errors.Is(err, jwt.ErrTokenMalformed):
		http.Error(w, "SyntaxError: Unexpected token", http.StatusInternalServerError)
	default:
		s.refuse(w, http.StatusUnauthorized, `Bearer error="invalid_token"`, token)
	}
}

func (s *service) refuse(w http.ResponseWriter, status int, challenge, token string) {
	if s.has("403 for 401") {
		status = http.StatusForbidden
	}
	if s.has("repeats the token") {
		challenge += `, error_description="bad token ` + token + `"`
	}
	if !s.has("no challenge") {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.WriteHeader(status)
}

func (s *service) bearer(r *http.Request) (string, error) {
	if token := r.FormValue("access_token"); token != "" && s.has("query") {
		return token, nil
	}
	fields := r.Header.Values("Authorization")
	if len(fields) == 0 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	if len(fields) > 1 || token == "" || strings.Contains(token, " ") || r.URL.Query().Has("access_token") {
		return "", errRequest
	}
	return token, nil
}

func (s *service) check(raw string) error {
	options := []jwt.ParserOption{jwt.WithStrictDecoding(), jwt.WithValidMethods([]string{"ES256", "RS256", "EdDSA", "HS256", "none"})}
	for flaw, option := range map[string]jwt.ParserOption{
		"aud": jwt.WithAudience(s.issuer.Audience), "iss": jwt.WithIssuer(s.issuer.URL), "exp": jwt.WithExpirationRequired(),
	} {
		if !s.has(flaw) {
			options = append(options, option)
		}
	}
	if s.has("exp") {
		options = append(options, jwt.WithoutClaimsValidation())
	}
	if header := headerOf(raw); s.has("alg none") && strings.EqualFold(fmt.Sprint(header["alg"]), "none") {
		return nil
	}
	if _, there := headerOf(raw)["crit"]; there {
		return jwt.ErrTokenMalformed
	}
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(options...).ParseWithClaims(raw, claims, s.key)
	if err != nil {
		return err
	}
	if claims["cnf"] != nil && !s.has("cnf") {
		return errors.New("bound")
	}
	return s.checkScope(fmt.Sprint(claims["scope"]))
}

func (s *service) checkScope(held string) error {
	switch {
	case s.has("scope"):
		return nil
	case s.has("scope by its text"):
		if strings.Contains(held, "section:nordic") && strings.Contains(held, "email:read") {
			return nil
		}
	case slices.Contains(strings.Fields(held), "email:read") && (slices.Contains(strings.Fields(held), "section:nordic") || s.has("section")):
		return nil
	}
	return errScope
}

// key finds the key of a token.
func (s *service) key(t *jwt.Token) (any, error) {
	typ := strings.TrimPrefix(strings.ToLower(fmt.Sprint(t.Header["typ"])), "application/")
	if typ != "at+jwt" && !s.has("typ") {
		return nil, errors.New("typ")
	}
	if embedded, ok := t.Header["jwk"]; ok && s.has("jwk") {
		return keyOf(embedded)
	}
	if address, ok := t.Header["jku"].(string); ok && (s.has("jku") || s.has("jku fetched")) {
		set := s.fetch(address)
		if s.has("jku") {
			return set.Keys[0].Key, nil
		}
	}
	kid, _ := t.Header["kid"].(string)
	k, ok := s.known(kid)
	switch {
	case !ok:
		return nil, errors.New("kid")
	case t.Method.Alg() == "HS256" && s.has("hs256"):
		return pemOf(k), nil
	case t.Method.Alg() != k.Algorithm:
		return nil, errors.New("alg")
	}
	return k.Key, nil
}

// known looks a key up, and asks the issuer again for an unknown one, not too often.
func (s *service) known(kid string) (jose.JSONWebKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[kid]
	if !ok && (s.fetched.IsZero() || time.Since(s.fetched) > 10*time.Second && !s.has("no rotation") || s.has("flood")) {
		s.keys, s.fetched = map[string]jose.JSONWebKey{}, time.Now()
		for _, k := range s.fetch(s.issuer.URL + attacks.JWKSPath).Keys {
			s.keys[k.KeyID] = k
		}
		k, ok = s.keys[kid]
	}
	return k, ok
}

func (s *service) fetch(address string) (set jose.JSONWebKeySet) {
	resp, err := http.Get(address) // the default client is replaced by the test
	if err != nil {
		panic(err)
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		panic(err)
	}
	return set
}

func keyOf(jwk any) (any, error) {
	text, err := json.Marshal(jwk)
	if err != nil {
		return nil, err
	}
	var k jose.JSONWebKey
	err = k.UnmarshalJSON(text)
	return k.Key, err
}

func headerOf(raw string) (header map[string]any) {
	text, _, _ := strings.Cut(raw, ".")
	data, _ := base64.RawURLEncoding.DecodeString(text)
	_ = json.Unmarshal(data, &header)
	return header
}

// inProcess sends what would go over the network to the handler of its host.
type inProcess map[string]http.Handler

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	handler, ok := p[r.URL.Host]
	if !ok {
		return nil, errors.New("connection refused")
	}
	got := httptest.NewRequest(r.Method, r.URL.String(), r.Body)
	got.Header = r.Header.Clone()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, got)
	return w.Result(), nil
}
