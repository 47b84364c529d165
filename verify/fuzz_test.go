package verify_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/verify"
)

// FuzzVerify holds that no token is accepted but those that the issuer made. The
// parts are joined as they are, or encoded first, so that the fuzzer gets past base64.
func FuzzVerify(f *testing.F) {
	signers := []signer{newES256("ec", 1), newEdDSA("ed", "EdDSA", 1)}
	made := map[string]bool{}
	for _, s := range signers {
		for _, scope := range []string{"section:* *:read", "wardkey:write"} {
			// Each process must make the same tokens, so their times are fixed.
			token := s.token(object{"iat": 1_700_000_000, "exp": 4_000_000_000, "scope": scope})
			made[token] = true
			segments := strings.Split(token, ".")
			f.Add(segments[0], segments[1], segments[2], false)
			var decoded [3]string
			for i, segment := range segments {
				data, err := base64.RawURLEncoding.DecodeString(segment)
				if err != nil {
					f.Fatal(err)
				}
				decoded[i] = string(data)
			}
			f.Add(decoded[0], decoded[1], decoded[2], true)
		}
	}
	f.Add(`{"typ":"at+jwt","alg":"none","kid":"ec"}`, "{}", "", true)
	f.Add("", "", "", false)

	v := newIssuer(signers...).verifier(f)
	handler := v.Require(verify.Section("nordic"))(http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, header, payload, signature string, encoded bool) {
		token := header + "." + payload + "." + signature
		if encoded {
			token = b64(header) + "." + b64(payload) + "." + b64(signature)
		}
		got, err := v.Verify(t.Context(), token)
		if (err == nil) != made[token] || (got == nil) != (err != nil) {
			t.Errorf("Verify(%q) = %v, %v", token, got, err)
		}
		if err != nil && !errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("Verify(%q) = %v, want ErrInvalidToken", token, err)
		}
		if w := get(handler, token); err != nil && w.Code < 400 {
			t.Errorf("the answer to %q is %d", token, w.Code)
		}
	})
}

// FuzzClaims holds that claims which the issuer did sign are accepted only if
// encoding/json too finds this issuer, this audience and no expiry in them.
func FuzzClaims(f *testing.F) {
	key := newEdDSA("1", "EdDSA", 1)
	good := string(encode(changed(goodClaims(), object{"iat": 1_700_000_000, "exp": 4_000_000_000})))
	f.Add(good)
	for _, member := range []string{`"nbf":1.5`, `"cnf":{}`, `"scope":"a"`, `"aud":["a",1]`, `"exp":1e400`, `"x":"\ud800"`} {
		f.Add(good[:len(good)-1] + "," + member + "}")
	}
	v := newIssuer(key).verifier(f)
	f.Fuzz(func(t *testing.T, payload string) {
		_, err := v.Verify(t.Context(), key.compact(string(encode(key.header())), payload))
		if err != nil {
			if !errors.Is(err, verify.ErrInvalidToken) {
				t.Errorf("Verify of %q = %v, want ErrInvalidToken", payload, err)
			}
			return
		}
		var claims object
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatalf("Verify of %q = no error, but %v", payload, err)
		}
		aud, ok := claims["aud"].([]any)
		if !ok {
			aud = []any{claims["aud"]}
		}
		exp, _ := claims["exp"].(float64)
		_, bound := claims["cnf"]
		if claims["iss"] != issuerURL || !slices.Contains(aud, any(audience)) || exp < float64(time.Now().Unix()) || bound {
			t.Errorf("Verify of %q = no error", payload)
		}
	})
}
