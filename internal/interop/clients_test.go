package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// TestClients has every client get a token from every server, in every way it can authenticate,
// and hear why it got none.
func TestClients(t *testing.T) {
	for _, tt := range []struct {
		party
		methods []string
	}{
		{party{"oauth2 of golang.org", one(xOAuth2)}, []string{byDefault, basic, post}},
		{party{"oauth4webapi", node("oauth4webapi.mjs")}, []string{basic, post}},
		{party{"openid-client", node("openid-client.mjs")}, []string{byDefault, basic, post}},
		{party{"Authlib", python("with_authlib.py")}, []string{basic, post}},
		{party{"curl", curl}, []string{basic, post, postJSON, anyAuth}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cases := requests(tt.methods)
			var jobs []job
			for _, c := range cases {
				jobs = append(jobs, c.job)
			}
			for i, got := range tt.do(t, jobs) {
				t.Run(cases[i].name, func(t *testing.T) { cases[i].check(t, got) })
			}
		})
	}
}

// A request is a job for a client, and what must come of it.
type request struct {
	job
	name   string
	server *server
	scope  string // of the token; "": no token but invalid_client
}

// requests are what each client asks of each server.
func requests(methods []string) []request {
	const (
		held   = "section:baltic section:nordic crm-id:read email:read email:write"
		narrow = "section:nordic email:read"
	)
	var all []request
	for i, s := range servers {
		stranger := servers[(i+1)%len(servers)].demo
		for _, method := range methods {
			for _, r := range []request{
				{name: "all that it holds", scope: held},
				{name: "less than it holds", scope: narrow, job: job{Scope: narrow}},
				{name: "a wrong secret", job: job{ClientSecret: "wrong"}},
				{name: "the secret of another", job: job{ClientSecret: stranger.Secret}},
				{name: "an unknown client", job: job{ClientID: stranger.ID}},
			} {
				r.server, r.name = s, strings.Join([]string{s.alg, method, r.name}, "/")
				r.Do, r.Issuer, r.Method = "token", s.issuer, method
				if r.ClientID == "" {
					r.ClientID = s.demo.ID
				}
				if r.ClientSecret == "" {
					r.ClientSecret = s.demo.Secret
				}
				all = append(all, r)
			}
		}
	}
	return all
}

func (r *request) check(t *testing.T, got answer) {
	t.Helper()
	if r.scope == "" {
		if got.Refused == nil || got.Refused.Error != "invalid_client" || got.Refused.Status != http.StatusUnauthorized && got.Refused.Status != 0 {
			t.Errorf("refused = %+v, token = %+v; want 401 invalid_client", got.Refused, got.Token)
		}
		return
	}
	if got.Token == nil {
		t.Fatalf("refused = %+v, want a token", got.Refused)
	}
	if !strings.EqualFold(got.Token.TokenType, "Bearer") || got.Token.Scope != r.scope || got.Token.ExpiresIn != int64(r.server.lifetime.Seconds()) {
		t.Errorf("got a token %q for %d seconds, scope %q; want Bearer for %s, %q",
			got.Token.TokenType, got.Token.ExpiresIn, got.Token.Scope, r.server.lifetime, r.scope)
	}
	c := claims(t, got.Token.AccessToken)
	if c.Subject != r.ClientID || c.Scope != got.Token.Scope || c.ExpiresAt-c.IssuedAt != got.Token.ExpiresIn {
		t.Errorf("the token says %+v; want client %s and what its answer says: %d seconds, scope %q",
			c, r.ClientID, got.Token.ExpiresIn, got.Token.Scope)
	}
}

// xOAuth2 is golang.org/x/oauth2, which knows the token endpoint from go-oidc's discovery.
func xOAuth2(ctx context.Context, j job) (answer, error) {
	provider, err := oidc.NewProvider(ctx, j.Issuer)
	if err != nil {
		return answer{}, err
	}
	config := clientcredentials.Config{
		ClientID: j.ClientID, ClientSecret: j.ClientSecret, TokenURL: provider.Endpoint().TokenURL,
		Scopes: strings.Fields(j.Scope), AuthStyle: map[string]oauth2.AuthStyle{
			byDefault: oauth2.AuthStyleAutoDetect, basic: oauth2.AuthStyleInHeader, post: oauth2.AuthStyleInParams,
		}[j.Method],
	}
	got, err := config.Token(ctx)
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return answer{Refused: &refusal{refused.Response.StatusCode, refused.ErrorCode, refused.ErrorDescription}}, nil
	}
	if err != nil {
		return answer{}, err
	}
	scope, _ := got.Extra("scope").(string)
	seconds, _ := got.Extra("expires_in").(float64)
	return answer{Token: &token{got.AccessToken, got.TokenType, int64(seconds), scope}}, nil
}

// curl is a shell's way.
func curl(t *testing.T, jobs []job) []answer {
	t.Helper()
	need(t, "curl", "--version")
	var answers []answer
	for _, j := range jobs {
		status, challenge, body := curlResponse(t, curlArgs(t, j)...)
		a := answer{Token: &token{}}
		var into any = a.Token
		if status != http.StatusOK {
			a = answer{Refused: &refusal{}}
			into = a.Refused
		}
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("curl printed %d, %q: %v", status, body, err)
		}
		if want := `Basic realm="wardkey", charset="UTF-8"`; a.Refused != nil && (a.Refused.Status != status || challenge != want) {
			t.Errorf("curl of %s: %d with WWW-Authenticate %q, status %d in the body; want the same, %q", j.Method, status, challenge, a.Refused.Status, want)
		}
		answers = append(answers, a)
	}
	return answers
}

func curlArgs(t *testing.T, j job) []string {
	t.Helper()
	args := []string{"--data", "grant_type=client_credentials"}
	if j.Scope != "" {
		args = append(args, "--data-urlencode", "scope="+j.Scope)
	}
	switch j.Method {
	case anyAuth:
		args = append(args, "--anyauth", "--user", j.ClientID+":"+j.ClientSecret)
	case basic:
		args = append(args, "--user", j.ClientID+":"+j.ClientSecret)
	case post:
		args = append(args, "--data", "client_id="+j.ClientID, "--data", "client_secret="+j.ClientSecret)
	case postJSON:
		body := map[string]string{"grant_type": "client_credentials", "client_id": j.ClientID, "client_secret": j.ClientSecret}
		if j.Scope != "" {
			body["scope"] = j.Scope
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		args = []string{"--header", "Content-Type: application/json", "--data", string(text)}
	}
	return append(args, j.Issuer+"/oauth/token")
}

// curlResponse returns the last of the responses that curl got. Of those before, which asked for
// authentication, it prints the head alone.
func curlResponse(t *testing.T, args ...string) (status int, challenge string, body []byte) {
	t.Helper()
	out := execute(t, nil, append([]string{"curl", "--disable", "--silent", "--show-error", "--include"}, args...)...)
	head, body, _ := bytes.Cut(out, []byte("\r\n\r\n"))
	for bytes.HasPrefix(body, []byte("HTTP/1.1 ")) {
		head, body, _ = bytes.Cut(body, []byte("\r\n\r\n"))
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(head)+"\r\n\r\n")), nil)
	if err != nil {
		t.Fatalf("curl %v printed %q: %v", args, out, err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("WWW-Authenticate"), body
}

// TestDemoCurl runs the line that the server prints on its first start, as it is printed.
func TestDemoCurl(t *testing.T) {
	need(t, "curl", "--version")
	for _, s := range servers {
		t.Run(s.alg, func(t *testing.T) {
			var got token
			if out := execute(t, nil, "sh", "-c", s.curl); json.Unmarshal(out, &got) != nil || got.AccessToken == "" {
				t.Errorf("%s printed %s, want a token", s.curl, out)
			}
		})
	}
}
