package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	for _, tt := range []struct {
		address string
		plain   bool
		ok      bool
	}{
		{"https://auth.example.com", false, true},
		{"https://auth.example.com/tenant/", false, true},
		{"http://localhost:8080", false, true},
		{"http://127.0.0.1:8080", false, true},
		{"http://[::1]:8080", false, true},
		{"http://auth.example.com", false, false},
		{"http://auth.example.com", true, true},
		{"http://localhost.evil.example", false, false},
		{"http://127.0.0.1.evil.example", false, false},
		{"localhost:8080", false, false},
		{"ftp://auth.example.com", true, false},
		{"https://user:wks_x@auth.example.com", false, false},
		{"https://auth.example.com?a=b", false, false},
		{"https://auth.example.com#a", false, false},
		{"", false, false},
	} {
		err := checkAddress(tt.address, tt.plain)
		if (err == nil) != tt.ok {
			t.Errorf("checkAddress(%q, %v) = %v, want ok %v", tt.address, tt.plain, err, tt.ok)
		}
		if _, usage := errors.AsType[usageError](err); err != nil && (!usage || strings.Contains(err.Error(), "wks_")) {
			t.Errorf("checkAddress(%q) = %v", tt.address, err)
		}
	}
}

// TestRemoteAnswers holds what is made of answers that are none of Wardkey's.
func TestRemoteAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		status     int
		header     string
		body       string
		want       string
	}{
		{"a redirect of the metadata", "/.well-known/oauth-authorization-server", 302, "Location: https://evil.example/", "", "redirects to"},
		{"a redirect of the token request", "/oauth/token", 307, "Location: https://evil.example/", "", "redirects to"},
		{"a redirect of the API", "/admin/v1/sections", 308, "Location: https://evil.example/", "", "redirects to"},
		{"no metadata", "/.well-known/oauth-authorization-server", 404, "", "", "there is no Wardkey at"},
		{"a page for metadata", "/.well-known/oauth-authorization-server", 200, "", "<html>", "there is no Wardkey at"},
		{"a server that starts", "/.well-known/oauth-authorization-server", 503, "", "", "is not ready"},
		{"a page for a token", "/oauth/token", 200, "", "<html>", "is not a token"},
		{"a proxy for a token", "/oauth/token", 502, "", "<html>", "/oauth/token answers 502 Bad Gateway"},
		{"a refused client", "/oauth/token", 401, "", `{"error":"invalid_client","error_description":"no \u001b[31m","error_id":"I"}`, "no \ufffd[31m (invalid_client); an admin sees why with: wardkey why I"},
		{"a client that may not administer", "/oauth/token", 400, "", `{"error":"invalid_scope"}`, "may not administer"},
		{"a page for the API", "/admin/v1/sections", 200, "Content-Type: text/html", "<html>", "there is no admin API at"},
		{"a proxy for the API", "/admin/v1/sections", 502, "Content-Type: text/html", "<html>", "it answers 502 Bad Gateway"},
		{"other JSON for the API", "/admin/v1/sections", 404, "Content-Type: application/json", "{}", "it answers 404 Not Found"},
		{"half an answer of the API", "/admin/v1/sections", 200, "Content-Type: application/json", `{"items": [`, "read what the server answers"},
		{"a problem", "/admin/v1/sections", 500, "Content-Type: application/problem+json", `{"type":"urn:wardkey:problem:internal","title":"T","status":500,"detail":"failed","request_id":"R"}`, "failed; request R"},
		{"a problem without words", "/admin/v1/sections", 500, "Content-Type: application/problem+json", `[]`, "answers 500, and not why"},
		{"a change in between", "/admin/v1/sections", 412, "Content-Type: application/problem+json", `{"type":"urn:wardkey:problem:precondition-failed","title":"T","status":412}`, "somebody changed it in the meantime"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := fakeServer(t, map[string]http.HandlerFunc{tt.path: func(w http.ResponseWriter, _ *http.Request) {
				if name, value, ok := strings.Cut(tt.header, ": "); ok {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}})
			api, err := p.admin()
			if err != nil {
				t.Fatal(err)
			}
			err = api.check(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "wks_") {
				t.Errorf("check = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRemoteRequests holds what requests carry, and that one token does for all.
func TestRemoteRequests(t *testing.T) {
	tokens := 0
	p := fakeServer(t, map[string]http.HandlerFunc{
		"/oauth/token": func(w http.ResponseWriter, r *http.Request) {
			tokens++
			if id, secret, _ := r.BasicAuth(); id != "id" || secret != "wks_x%2B%25" { // RFC 6749 §2.3.1
				t.Errorf("credentials %q, %q", id, secret)
			}
			if r.FormValue("resource") != "https://issuer.example/admin" || r.URL.RawQuery != "" {
				t.Errorf("token request %v", r.Form)
			}
			fmt.Fprint(w, `{"access_token":"T","expires_in":900}`)
		},
		"/admin/v1/sections": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer T" || r.Header.Get("User-Agent") != "wardkey/dev" {
				t.Errorf("headers %v", r.Header)
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"items":[]}`)
		},
	})
	p.ClientSecret = "wks_x+%"
	api, err := p.admin()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := api.check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if tokens != 1 {
		t.Errorf("%d tokens were asked for, want 1", tokens)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := api.check(ctx); !errors.Is(err, errInterrupted) {
		t.Errorf("check of who leaves = %v", err)
	}
}

// TestAdminURL holds that each request goes to its own address where the admin API has one.
func TestAdminURL(t *testing.T) {
	admin := fakeServer(t, map[string]http.HandlerFunc{
		"/oauth/token": func(http.ResponseWriter, *http.Request) { t.Error("the secret was sent to the admin API's address") },
		"/admin/v1/sections": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"items":[]}`)
		},
	})
	p := fakeServer(t, nil)
	p.AdminURL = admin.URL + "/"
	api, err := p.admin()
	if err != nil {
		t.Fatal(err)
	}
	if err := api.check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestIfMatch holds that what is changed or deleted is what was looked at, and that it is said if
// it is not.
func TestIfMatch(t *testing.T) {
	const id = "35779f4a-e7b9-4b61-a57e-4b51d83e2cfb"
	for _, args := range [][]string{
		{"client", "edit", id, "--add-section", "baltic"},
		{"client", "delete", id, "--yes"},
	} {
		changes := 0
		p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/clients/" + id: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("ETag", `"as-it-was"`)
				fmt.Fprintf(w, `{"id":%q,"name":"CRM","sections":["nordic"]}`, id)
				return
			}
			changes++
			if r.Header.Get("If-Match") != `"as-it-was"` {
				t.Errorf("%v: %s with If-Match %q", args, r.Method, r.Header.Get("If-Match"))
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(w, `{"type":"urn:wardkey:problem:precondition-failed","title":"T","status":412}`)
		}})
		environment := func(name string) string {
			return map[string]string{"WARDKEY_URL": p.URL, "WARDKEY_CLIENT_ID": "id", "WARDKEY_CLIENT_SECRET": "wks_x"}[name]
		}
		var stdout, stderr strings.Builder
		code := run(t.Context(), args, environment, &stdout, &stderr)
		if code != exitFailed || changes != 1 || !strings.Contains(stderr.String(), "somebody changed it in the meantime") {
			t.Errorf("%v = %d after %d changes, %q", args, code, changes, stderr.String())
		}
	}
}

// TestPages holds that lists are followed to their end, or to the limit, and no further.
func TestPages(t *testing.T) {
	const many = 450
	requests := 0
	p := fakeServer(t, map[string]http.HandlerFunc{"/admin/v1/sections": func(w http.ResponseWriter, r *http.Request) {
		requests++
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		var list page[map[string]string]
		for i := from; i < min(from+limit, many); i++ {
			list.Items = append(list.Items, map[string]string{"id": strconv.Itoa(i)})
		}
		if from+limit < many {
			list.Next = new(strconv.Itoa(from + limit))
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}})
	api, err := p.admin()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		limit, items, requests int
		next                   string
	}{{0, many, 3, ""}, {1, 1, 1, "1"}, {200, 200, 1, "200"}, {201, 201, 2, "201"}, {many, many, 3, ""}, {1000, many, 3, ""}} {
		requests = 0
		all, err := sectionKind.all(t.Context(), api, tt.limit)
		next := ""
		if all.Next != nil {
			next = *all.Next
		}
		if err != nil || len(all.Items) != tt.items || requests != tt.requests || next != tt.next {
			t.Errorf("limit %d: %d items in %d requests, next %q, %v; want %+v", tt.limit, len(all.Items), requests, next, err, tt)
		}
	}
}

// fakeServer answers some paths as it is told and the others as a server does. It returns a
// profile of it.
func fakeServer(t *testing.T, answers map[string]http.HandlerFunc) *profile {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer, ok := answers[r.URL.Path]; ok {
			answer(w, r)
			return
		}
		switch r.URL.Path {
		case "/.well-known/oauth-authorization-server":
			fmt.Fprint(w, `{"issuer":"https://issuer.example","token_endpoint":"https://issuer.example/oauth/token"}`)
		case "/oauth/token":
			fmt.Fprint(w, `{"access_token":"T","expires_in":900}`)
		default:
			t.Errorf("a request for %s", r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	return &profile{URL: server.URL, ClientID: "id", ClientSecret: "wks_x"}
}
