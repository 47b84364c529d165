package verify_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
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

// FuzzStatusList holds that a list whose claims the issuer did sign is read only if
// encoding/json and zlib find the same in it, and that no index is beyond reason.
func FuzzStatusList(f *testing.F) {
	good := `{"sub":"` + listURL + `","iat":1700000000,"exp":4000000000,"ttl":10,"status_list":`
	for _, list := range []string{
		`{"bits":1,"lst":"eNrbuRgAAhcBXQ"}`, `{"bits":2,"lst":"eNo76fITAAPfAgc"}`, `{"lst":"eNrbuRgAAhcBXQ","bits":8,"aggregation_uri":"x"}`,
		`{"bits":1,"lst":""}`, `{"bits":1e0,"lst":"eNrbuRgAAhcBXQ"}`, `{"bits":4,"lst":"eNrbuRgAAhcBXR"}`, `null`, `[1]`,
	} {
		f.Add(good+list+"}", int64(3))
	}
	f.Add(good[:len(good)-1], int64(-1))
	f.Fuzz(func(t *testing.T, claims string, index int64) {
		index &= math.MaxInt64 // readStatus lets no other pass
		read, verdict := verify.StatusVerdict(claims, listURL, index)
		if verdict != nil && read && !errors.Is(verdict, verify.ErrRevoked) {
			t.Errorf("the verdict on %d by %q is %v", index, claims, verdict)
		}
		if !read {
			return
		}
		var l struct {
			Sub  string  `json:"sub"`
			Exp  float64 `json:"exp"`
			List struct {
				Bits int64  `json:"bits"`
				Lst  string `json:"lst"`
			} `json:"status_list"`
		}
		if err := json.Unmarshal([]byte(claims), &l); err != nil || l.Sub != listURL || l.Exp < float64(time.Now().Unix()) {
			t.Fatalf("%q was read as a list: %v", claims, err)
		}
		if want := standing(t, l.List.Lst, l.List.Bits, index); want != (verdict == nil) {
			t.Errorf("the verdict on %d by %q is %v, want ok %v", index, claims, verdict, want)
		}
	})
}

// standing says, bit by bit, whether the status at index is 0.
func standing(t *testing.T, lst string, bits, index int64) bool {
	data, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if index >= int64(len(unpacked))*8/bits {
		return false
	}
	for bit := index * bits; bit < (index+1)*bits; bit++ {
		if unpacked[bit/8]>>(bit%8)&1 == 1 {
			return false
		}
	}
	return true
}
