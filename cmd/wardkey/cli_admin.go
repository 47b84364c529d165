package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// An adminAPI is the admin API of a server, opened with a token that it gets itself and keeps in
// memory.
type adminAPI struct {
	*adminclient.API
	remote *remote
	who    credentials

	token      string
	tokenEnds  time.Time
	tokenScope string
}

// admin opens the admin API with the environment's credentials or a profile's.
func (c *cli) admin() (*adminAPI, error) {
	p, err := c.target()
	if err != nil {
		return nil, err
	}
	return p.admin()
}

func (p *profile) admin() (*adminAPI, error) {
	remote, err := newRemote(p.URL, p.AdminURL, p.PlainHTTP)
	if err != nil {
		return nil, err
	}
	api := &adminAPI{remote: remote, who: credentials{p.ClientID, p.ClientSecret}}
	api.API, err = adminclient.NewClient(remote.adminURL+"/admin/v1",
		adminclient.WithHTTPClient(onceSender{remote}), adminclient.WithRequestEditorFn(api.authorize))
	return api, err
}

// authorize adds a token to a request.
func (a *adminAPI) authorize(ctx context.Context, req *http.Request) error {
	if time.Until(a.tokenEnds) < 10*time.Second {
		if err := a.renew(ctx); err != nil {
			return err
		}
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	return nil
}

func (a *adminAPI) renew(ctx context.Context) error {
	server, err := a.remote.metadata(ctx)
	if err != nil {
		return err
	}
	asked := time.Now()
	g, err := a.remote.token(ctx, a.who, "", []string{server.Issuer + "/admin"})
	if refusal, ok := errors.AsType[*tokenRefusal](err); ok && refusal.Code == "invalid_scope" {
		return fmt.Errorf("client %s may not administer: it holds neither wardkey:read nor wardkey:write", a.who.id)
	}
	if err != nil {
		return err
	}
	a.token, a.tokenScope = g.AccessToken, g.Scope
	a.tokenEnds = asked.Add(time.Duration(g.ExpiresIn) * time.Second)
	return nil
}

// fetch reads an answer of the admin API, with its entity tag, or says why it is a refusal. It
// takes what the generated client returns.
func fetch[T any](resp *http.Response, err error) (T, string, error) {
	var v T
	if err != nil {
		return v, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return v, "", fmt.Errorf("read what the server answers: %w", err)
	}
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case resp.StatusCode == http.StatusNoContent:
		return v, "", nil
	case kind == "application/problem+json":
		return v, "", problemOf(resp, body)
	case kind != "application/json" || resp.StatusCode >= 300:
		return v, "", fmt.Errorf("there is no admin API at %s://%s: it answers %s", resp.Request.URL.Scheme, resp.Request.URL.Host, clean(resp.Status))
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, "", fmt.Errorf("read what the server answers: %w", err)
	}
	return v, resp.Header.Get("ETag"), nil
}

// A refusal is a problem that the admin API answers with.
type refusal struct {
	adminclient.Problem
	path string // of the request
}

func problemOf(resp *http.Response, body []byte) error {
	r := &refusal{path: resp.Request.URL.Path}
	if err := json.Unmarshal(body, &r.Problem); err != nil {
		return fmt.Errorf("the server answers %d, and not why", resp.StatusCode)
	}
	return r
}

// isProblem says whether err is a problem of the given kind, as openapi.yaml names them.
func isProblem(err error, kind string) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.Type == "urn:wardkey:problem:"+kind
}

// Error is one line, or one for each member that is wrong.
func (r *refusal) Error() string {
	switch {
	case r.Type == "urn:wardkey:problem:precondition-failed":
		return "somebody changed it in the meantime; look at it again and repeat"
	case r.Type == "urn:wardkey:problem:already-done":
		return r.alreadyDone()
	case len(r.Errors) == 1:
		return told(r.Errors[0])
	case len(r.Errors) > 1:
		lines := []string{plural(len(r.Errors), "thing") + " must be changed:"}
		for _, e := range r.Errors {
			lines = append(lines, told(e))
		}
		return strings.Join(lines, "\n  ")
	}
	text := r.Title
	if r.Detail != nil {
		text = *r.Detail
	}
	if r.RequestID != nil && r.Status >= 500 {
		text += "; request " + *r.RequestID
	}
	return clean(text)
}

// members are where what stands in a request came from.
var members = map[string]string{
	"sections": "--section", "permissions": "--allow", "audiences": "--audience", "description": "--description",
	"token_lifetime": "--token-lifetime", "signing_alg": "--signing-alg", "expires_at": "--expires",
	"actions": "--action", "overlap": "--overlap", "alg": "--alg", "id": "the id", "name": "the name",
	"email": "EMAIL", "role": "--role", "password": "the password",
}

// told says what is wrong with a member, by the flag that it came from.
func told(e adminclient.FieldError) string {
	member, rest, _ := strings.Cut(strings.TrimPrefix(e.Field, "/"), "/")
	where, ok := members[member]
	if !ok {
		return clean(strings.TrimSpace(e.Field + " " + e.Detail))
	}
	if member == "permissions" && rest != "" { // the id of a keyspace or capability (RFC 6901 §4)
		where += " " + strings.NewReplacer("~1", "/", "~0", "~").Replace(rest)
	}
	return clean(where + ": " + e.Detail)
}

// A page is what the API's lists are made of.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next,omitempty"`
}

// pageParams are the same for every list of the API.
type pageParams = adminclient.ListSectionsParams

// maxPage is how many items the API gives at once.
const maxPage = 200

// pages follows a list to its end, or until it has limit items, unless that is 0.
func pages[T any](limit int, read func(*pageParams) (*http.Response, error)) (page[T], error) {
	all := page[T]{Items: []T{}}
	if limit < 0 {
		return all, usagef("--limit must be at least 1, or 0 for all")
	}
	for {
		size := maxPage
		if limit > 0 {
			size = min(size, limit-len(all.Items))
		}
		next, _, err := fetch[page[T]](read(&pageParams{Limit: &size, Cursor: all.Next}))
		if err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, next.Items...), next.Next
		if all.Next == nil || len(next.Items) == 0 || len(all.Items) == limit {
			return all, nil
		}
	}
}

// limitFlag adds --limit to a list.
func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", 0, "at most so many (default all)")
}
