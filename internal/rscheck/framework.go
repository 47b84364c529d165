package rscheck

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The frameworks that are recognised, and that --framework names.
const (
	node    = "node"
	express = "express"
	spring  = "spring"
	aspnet  = "aspnet"
	fastapi = "fastapi"
	flask   = "flask"
	python  = "python"
	golang  = "go"
	nginx   = "nginx"
	apache  = "apache"
	haproxy = "haproxy"
)

// Frameworks are the names of all of them.
func Frameworks() []string { return slices.Sorted(maps.Keys(fixes)) }

// proxies may check tokens themselves, or only stand in front of what does.
var proxies = map[string]bool{nginx: true, apache: true, haproxy: true}

// A sign is how a framework shows in an answer.
type sign struct {
	framework   string
	header      string
	has         string // in that header, in small letters
	body        string // if not empty, it begins so
	refusedOnly bool
}

// signs are in the order of how much they say: what is behind a proxy before the proxy.
var signs = []sign{
	{framework: spring, header: "WWW-Authenticate", has: `error_uri="https://tools.ietf.org/html/rfc6750`},
	{framework: express, header: "X-Powered-By", has: "express"},
	{framework: aspnet, header: "Server", has: "kestrel"},
	{framework: aspnet, header: "X-Powered-By", has: "asp.net"},
	{framework: fastapi, header: "Server", has: "uvicorn"},
	{framework: fastapi, header: "Server", has: "hypercorn"},
	{framework: fastapi, header: "Content-Type", has: "application/json", body: `{"detail":`, refusedOnly: true},
	{framework: flask, header: "Server", has: "werkzeug"},
	{framework: python, header: "Server", has: "gunicorn"},
	{framework: python, header: "Server", has: "wsgiserver"},
	{framework: golang, header: "Content-Type", has: "application/json", body: `{"error":"invalid_token","error_description":"the token `, refusedOnly: true},
	{framework: golang, header: "X-Content-Type-Options", has: "nosniff", body: "Unauthorized\n", refusedOnly: true},
	{framework: haproxy, header: "Content-Type", has: "text/html", body: "<html><body><h1>40", refusedOnly: true},
	{framework: nginx, header: "Server", has: "nginx"},
	{framework: nginx, header: "Server", has: "openresty"},
	{framework: apache, header: "Server", has: "apache"},
	{framework: node, header: "Keep-Alive", has: "timeout=5"},
}

// recognise says what an answer seems to come from, or nothing.
func recognise(got answer) string {
	for _, s := range signs {
		value := strings.ToLower(strings.Join(got.header.Values(s.header), ", "))
		refused := got.status == http.StatusUnauthorized || got.status == http.StatusForbidden
		if value != "" && strings.Contains(value, s.has) && strings.HasPrefix(got.body, s.body) && (refused || !s.refusedOnly) {
			return s.framework
		}
	}
	return ""
}
