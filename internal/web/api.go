package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// An inProcess client sends requests to the admin API in this process, in the name of whoever
// made the request that a page answers.
type inProcess struct {
	api  http.Handler
	from *http.Request
}

// Do implements [adminclient.HttpRequestDoer].
func (p inProcess) Do(r *http.Request) (*http.Response, error) {
	p.forward(r)
	answer := &answer{header: http.Header{}}
	p.api.ServeHTTP(answer, r)
	return &http.Response{
		StatusCode: answer.status, Header: answer.header, Body: io.NopCloser(&answer.body), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// forward makes r a request as if it had come from outside, from whoever made the other one.
func (p inProcess) forward(r *http.Request) {
	r.RequestURI = r.URL.RequestURI()
	r.RemoteAddr, r.TLS, r.Host = p.from.RemoteAddr, p.from.TLS, p.from.Host
	r.Header["Cookie"] = p.from.Header["Cookie"]
	r.Header["User-Agent"] = p.from.Header["User-Agent"]
	if r.Body == nil {
		r.Body = http.NoBody
	}
}

// An answer is what the API writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(text)
}

// apiURL is where the admin API would be. The host is never looked up: requests do not leave the
// process.
const apiURL = "http://wardkey.invalid/admin/v1/"

// api is the admin API for whoever made the request.
func (h *Handler) api(r *http.Request) *adminclient.API {
	api, err := adminclient.NewClient(apiURL, adminclient.WithHTTPClient(inProcess{h.API, r}))
	if err != nil {
		panic(err) // the URL is ours
	}
	return api
}

// read reads an answer of the API: what was asked for, or a [problem].
func read[T any](response *http.Response, err error) (T, error) {
	var v T
	if err != nil {
		return v, err
	}
	defer response.Body.Close() //nolint:errcheck // it is in memory
	if response.StatusCode >= http.StatusBadRequest {
		p := &problem{}
		if err := json.NewDecoder(response.Body).Decode(&p.Problem); err != nil {
			return v, fmt.Errorf("the admin API answered %s", response.Status)
		}
		return v, p
	}
	if response.StatusCode == http.StatusNoContent {
		return v, nil
	}
	return v, json.NewDecoder(response.Body).Decode(&v)
}

// done reads an answer that has no body.
func done(response *http.Response, err error) error {
	_, err = read[json.RawMessage](response, err)
	return err
}

// A problem is what the admin API answers to what it does not do (RFC 9457).
type problem struct{ adminclient.Problem }

func (p *problem) Error() string {
	if p.Detail != nil {
		return *p.Detail
	}
	return p.Title
}

// is says whether the problem is of a type, as "two-secrets".
func (p *problem) is(kind string) bool { return p.Type == "urn:wardkey:problem:"+kind }

// asProblem is the problem that err is, nil if it is none.
func asProblem(err error) *problem {
	p, _ := errors.AsType[*problem](err)
	return p
}

// fields are what is wrong with the members of a body, by member: "/sections/0" counts for
// sections.
func (p *problem) fields() map[string]string {
	wrong := map[string]string{}
	for _, e := range p.Errors {
		member, _, _ := strings.Cut(strings.TrimPrefix(e.Field, "/"), "/")
		if wrong[member] != "" {
			wrong[member] += "; "
		}
		wrong[member] += e.Detail
	}
	return wrong
}
