package oauth

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// TestBasicCredentials holds the order of RFC 6749 §2.3.1: base64, the first colon, and then the
// form encoding of both halves.
func TestBasicCredentials(t *testing.T) {
	for _, tt := range []struct {
		inside, id, secret string
		ok                 bool
	}{
		{"a:b", "a", "b", true},
		{"a:b:c", "a", "b:c", true},
		{":", "", "", true},
		{"a:", "a", "", true},
		{"cli%3Aent%2B1:p%25a+s%2Bs%26%3D%2F%3A%7E%21", "cli:ent+1", "p%a s+s&=/:~!", true},
		{"my%2Dclient%5F1%2Ex:%61", "my-client_1.x", "a", true},
		{"a+b:c+d", "a b", "c d", true},
		{"a%2Bb:c%2bd", "a+b", "c+d", true},
		{"a%00b:c", "a\x00b", "c", true},
		{"é:ü", "é", "ü", true},
		{"a\x00b:c", "", "", false},
		{"a%:b", "", "", false},
		{"a:%zz", "", "", false},
		{"a", "", "", false},
		{"", "", "", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(tt.inside)))
		id, secret, ok := basicCredentials(r)
		if ok != tt.ok || ok && (id != tt.id || secret != tt.secret) {
			t.Errorf("basicCredentials(%q) = %q, %q, %v; want %q, %q, %v", tt.inside, id, secret, ok, tt.id, tt.secret, tt.ok)
		}
	}
}

// TestJSON holds how a JSON object is read as a form.
func TestJSON(t *testing.T) {
	malformed, text := "the body is not one JSON object", " must be a JSON string"
	for _, tt := range []struct {
		body string
		want url.Values
		err  string
	}{
		{`{}`, url.Values{}, ""},
		{" \t\r\n{ } \n", url.Values{}, ""},
		{`{"scope":"a:b"}`, url.Values{"scope": {"a:b"}}, ""},
		{`{"scope":""}`, url.Values{"scope": {""}}, ""},
		{`{"scope":null}`, url.Values{"scope": {""}}, ""},
		{`{"scope":"\u0061:b"}`, url.Values{"scope": {"a:b"}}, ""},
		{`{"scope":"\ud800"}`, url.Values{"scope": {"\ufffd"}}, ""},
		{`{"scope":"a","scope":null}`, url.Values{"scope": {"a", ""}}, ""}, // for parseBody to refuse
		{`{"Scope":"a"}`, url.Values{}, ""},
		{`{"resource":"a"}`, url.Values{"resource": {"a"}}, ""},
		{`{"resource":["a","b"],"audience":[]}`, url.Values{"resource": {"a", "b"}, "audience": nil}, ""},
		{`{"resource":["a",null],"resource":"b"}`, url.Values{"resource": {"a", "", "b"}}, ""},
		{`{"zz":1,"zz":[{"a":null}],"":true}`, url.Values{}, ""},
		{`{"zz":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, url.Values{}, ""},
		{`{"scope":1}`, nil, "scope" + text},
		{`{"scope":true}`, nil, "scope" + text},
		{`{"scope":["a:b"]}`, nil, "scope" + text},
		{`{"scope":{}}`, nil, "scope" + text},
		{`{"client_secret":1e999}`, nil, "client_secret" + text},
		{`{"resource":1}`, nil, "resource" + text},
		{`{"resource":[1]}`, nil, "resource" + text},
		{`{"resource":[["a"]]}`, nil, "resource" + text},
		{`{"resource":{"a":"b"}}`, nil, "resource" + text},
		{``, nil, malformed},
		{`null`, nil, malformed},
		{`[]`, nil, malformed},
		{`"scope"`, nil, malformed},
		{`[{"scope":"a"}]`, nil, malformed},
		{`{"scope":"a"`, nil, malformed},
		{`{"scope":"a"}}`, nil, malformed},
		{`{"scope":"a"}{}`, nil, malformed},
		{`{"scope":"a"} x`, nil, malformed},
		{`{"scope":"a",}`, nil, malformed},
		{`{,"scope":"a"}`, nil, malformed},
		{`{"scope" "a"}`, nil, malformed},
		{`{"scope":}`, nil, malformed},
		{`{scope:"a"}`, nil, malformed},
		{`{'scope':'a'}`, nil, malformed},
		{`{1:"a"}`, nil, malformed},
		{`{"scope":"a` + "\n" + `"}`, nil, malformed},
		{`{"scope":"a"/* why not */}`, nil, malformed},
		{"\ufeff{}", nil, malformed},
		{"{\x00}", nil, malformed},
		{"{\x00\"\x00s\x00c\x00o\x00p\x00e\x00\"\x00}", nil, malformed},
		{`grant_type=client_credentials`, nil, malformed},
		{`{"zz":` + strings.Repeat("[", 16000), nil, malformed},
		{`{"zz":` + strings.Repeat(`{"a":`, 3000), nil, malformed},
	} {
		got, err := parseJSON([]byte(tt.body), once)
		switch {
		case tt.err == "" && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("parseJSON(%.60q) = %q, %v; want %q", tt.body, got, err, tt.want)
		case tt.err != "" && (err == nil || asError(err).Code != InvalidRequest || asError(err).Description != tt.err):
			t.Errorf("parseJSON(%.60q) = %q, %v; want %s", tt.body, got, err, tt.err)
		}
	}
}

// TestLegal holds that a description has only the characters of RFC 6749 §5.2.
func TestLegal(t *testing.T) {
	var every strings.Builder
	for r := rune(0); r < 0x300; r++ {
		every.WriteRune(r)
	}
	got := legal(every.String() + "\xff\u2028")
	if want := ` !'#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_` + "`abcdefghijklmnopqrstuvwxyz{|}~"; got != want {
		t.Errorf("legal = %q, want %q", got, want)
	}
}
