package oauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonText = "application/json"
)

// parsed reads a token request as the handler does. Lines of authorization are header fields.
func parsed(contentType, authorization, query, body string) (*tokenRequest, error) {
	r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/oauth/token", RawQuery: query}, Header: http.Header{}}
	r.Body = http.NoBody
	if body != "" {
		r = r.Clone(r.Context())
		r.Body = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).Body
	}
	r.Header.Set("Content-Type", contentType)
	if authorization != "" {
		r.Header["Authorization"] = strings.Split(authorization, "\n")
	}
	return parseToken(httptest.NewRecorder(), r)
}

// escaped is the Authorization header of RFC 6749 §2.3.1.
func escaped(id, secret string) string { return basic(url.QueryEscape(id), url.QueryEscape(secret)) }

// FuzzTokenRequest holds that no request breaks the parser, that a refusal has a code and an
// answer that may be sent, and that what is accepted means the same written in another way.
func FuzzTokenRequest(f *testing.F) {
	const grant = "grant_type=client_credentials"
	for _, body := range []string{
		grant, grant + "&scope=email:read+section:nordic", grant + "&client_id=a&client_secret=b",
		grant + "&resource=https://api.example&resource=x&audience=x", grant + "&scope=&scope=", grant + "&a=%zz", "grant_type=password", "a;b",
	} {
		f.Add(formType, "", "", body)
		f.Add(formType+"; charset=UTF-8", escaped("a", "b"), "x=1", body)
	}
	for _, body := range []string{
		`{"grant_type":"client_credentials","client_id":"a","client_secret":"b"}`, `{"grant_type":"client_credentials","resource":["a","b"],"zz":{"a":[1]}}`,
		`{"grant_type":"client_credentials","scope":null,"scope":""}`, `[]`, `{"a":1}{}`, `{"resource":1e999}`, "\ufeff{}",
	} {
		f.Add(jsonText, "", "", body)
		f.Add(jsonText, escaped("a", "b")+"\nBasic x", "client_secret=x", body)
	}
	f.Fuzz(func(t *testing.T, contentType, authorization, query, body string) {
		req, err := parsed(contentType, authorization, query, body)
		if err != nil {
			e := asError(err)
			if e.Code != InvalidRequest && e.Code != InvalidClient && e.Code != UnsupportedGrantType || legal(e.Description) != e.Description || len(e.Description) > 300 {
				t.Fatalf("refused with %+v", e)
			}
			return
		}
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {req.scope}, "resource": req.resource}.Encode()
		if len(form) <= maxBody {
			again, err := parsed(formType, escaped(req.clientID, req.clientSecret), "", form)
			if err != nil || !reflect.DeepEqual(again, req) {
				t.Errorf("as a form, %+v is %+v, %v", req, again, err)
			}
		}
		if req.clientID == "" || req.clientSecret == "" || !utf8.ValidString(strings.Join(append(req.resource, req.clientID, req.clientSecret, req.scope), "")) {
			return // cannot be written in JSON
		}
		object, err := json.Marshal(map[string]any{
			"grant_type": "client_credentials", "scope": req.scope, "resource": req.resource,
			"client_id": req.clientID, "client_secret": req.clientSecret,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(object) <= maxBody {
			again, err := parsed(jsonText, "", "", string(object))
			if err != nil || !reflect.DeepEqual(again, req) {
				t.Errorf("as JSON, %+v is %+v, %v", req, again, err)
			}
		}
	})
}

// FuzzBasicCredentials holds that any id and secret arrive as they were sent, and that a header
// that is accepted means the same written in the way of the RFC.
func FuzzBasicCredentials(f *testing.F) {
	for _, s := range []string{"a:b", "cli%3Aent%2B1:p%25a+s", "a:b:c", ":", "%zz:a", "a", "\x00:\xff", "é:+"} {
		f.Add("Basic "+base64.StdEncoding.EncodeToString([]byte(s)), "cli:ent+1", "p%a s+s&=/:~!")
		f.Add("bAsIc  "+s, s, s)
	}
	read := func(header string) (id, secret string, ok bool) {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		return basicCredentials(r)
	}
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		if gotID, gotSecret, ok := read(escaped(id, secret)); !ok || gotID != id || gotSecret != secret {
			t.Errorf("%q, %q arrive as %q, %q, %v", id, secret, gotID, gotSecret, ok)
		}
		if id, secret, ok := read(header); ok {
			if againID, againSecret, ok := read(escaped(id, secret)); !ok || againID != id || againSecret != secret {
				t.Errorf("%q means %q, %q, but written in the way of the RFC %q, %q", header, id, secret, againID, againSecret)
			}
		}
	})
}
