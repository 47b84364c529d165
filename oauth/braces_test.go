package oauth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"text/template"
)

// What stands in double braces in a vector.

// publicKeys are the members of the JWKS by algorithm.
func (w *world) publicKeys() map[string]map[string]string {
	set, _ := w.keys.JWKS()
	var keys struct{ Keys []map[string]string }
	w.must(json.Unmarshal(set, &keys))
	byAlg := map[string]map[string]string{}
	for _, k := range keys.Keys {
		byAlg[k["alg"]] = k
	}
	return byAlg
}

// expand writes the values for what stands in double braces.
func (w *world) expand(path string, text []byte) string {
	parsed, err := template.New(path).Funcs(template.FuncMap{
		"id":      func(name string) string { return w.clients[name].ID },
		"secret":  func(name string) string { return w.clients[name].secret },
		"basic":   func(name string) string { return w.clients[name].basic() },
		"etag":    w.etag,
		"token":   w.token,
		"status":  func(n int) string { return w.get(fmt.Sprint("/oauth/status/", n)).Header().Get("ETag") },
		"before":  func(text, end string) string { return strings.Split(text, end)[0] },
		"base64":  func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"percent": func(text string) string { return strings.ReplaceAll(fmt.Sprintf(" % X", text), " ", "%") },
		"dashes":  strings.NewReplacer("-", "%2D", "_", "%5F").Replace,
		"raw":     func(text string) string { return text },
		"repeat":  func(n int, text string) string { return strings.Repeat(text, n) },
	}).Parse(string(text))
	w.must(err)
	var b strings.Builder
	w.must(parsed.Execute(&b, nil))
	return b.String()
}

// named is the opposite of expand for values that stand in answers.
func (w *world) named(text []byte) []byte {
	var names []string
	for name, client := range w.clients {
		names = append(names, client.ID, `{{id "`+name+`"}}`)
	}
	for alg, key := range w.publicKeys() {
		for _, member := range []string{"kid", "n", "x", "y"} {
			if key[member] != "" {
				names = append(names, key[member], `{{key "`+alg+`" "`+member+`"}}`)
			}
		}
	}
	for _, document := range []string{"jwks.json", "oauth-authorization-server", "openid-configuration"} {
		names = append(names, w.etag(document), `{{etag "`+document+`"}}`)
	}
	names = append(names, w.get("/oauth/status/1").Header().Get("ETag"), `{{status 1}}`)
	return []byte(strings.NewReplacer(names...).Replace(string(text)))
}

// etag is the entity tag of a document below /.well-known.
func (w *world) etag(document string) string {
	return w.do(httptest.NewRequest(http.MethodGet, "/.well-known/"+document, nil)).Header().Get("ETag")
}

// token is an access token of a client, for the resource if one is given.
func (w *world) token(name string, resource ...string) string {
	form := []string{}
	for _, r := range resource {
		form = append(form, "resource", r)
	}
	body, err := decode[tokenBody](w.ask(w.clients[name].basic(), form...))
	w.must(err)
	return body.AccessToken
}
