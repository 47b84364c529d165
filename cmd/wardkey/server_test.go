package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A node is a running server, as its clients and its admins see it.
type node struct {
	url     string
	metrics string // where Prometheus asks; "" without --metrics-listen
	http    *http.Client
	admin   string // an access token for the admin API
}

// testMasterKey is what servers of one test seal their keys with.
var testMasterKey = strings.Repeat("A", 43) + "="

func testEnvironment(name string) string {
	return map[string]string{"WARDKEY_MASTER_KEY": testMasterKey, "WARDKEY_LOG_LEVEL": "error"}[name]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startNode runs a server inside this process until the test ends.
func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	banner, stdout := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir()}, args...), testEnvironment, stdout, t.Output())
		stdout.CloseWithError(fmt.Errorf("serve ended with %d", code))
	}()
	t.Cleanup(func() { stop(); <-ended })
	n, err := readNode(banner)
	must(t, err)
	return n
}

// readNode reads what a server prints until it listens, and lets it print on.
func readNode(stdout io.Reader) (*node, error) {
	lines, metrics := bufio.NewScanner(stdout), ""
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "  Metrics    "); ok {
			metrics = address
		}
		if address, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			go io.Copy(io.Discard, stdout)
			// Idle connections are for the requesters of a race.
			transport := &http.Transport{MaxIdleConnsPerHost: 100}
			return &node{url: "http://" + address, metrics: metrics, http: &http.Client{Transport: transport, Timeout: 20 * time.Second}}, nil
		}
	}
	return nil, errors.Join(errors.New("the server never listened"), lines.Err())
}

// A reply is the answer to a token request.
type reply struct {
	status int
	scope  string
	token  string
	wait   string // Retry-After
}

// ask asks for a token, with a scope or "" for all.
func (n *node) ask(ctx context.Context, id, secret, scope string) (reply, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	r.SetBasicAuth(id, secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := n.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	var body struct {
		Token string `json:"access_token"`
		Scope string `json:"scope"`
	}
	err = json.NewDecoder(answer.Body).Decode(&body)
	return reply{answer.StatusCode, body.Scope, body.Token, answer.Header.Get("Retry-After")}, err
}

// signIn takes the credentials that the first start left, and gets a token for the admin API.
func (n *node) signIn(ctx context.Context, bootstrapFile string) error {
	text, err := os.ReadFile(bootstrapFile)
	if err != nil {
		return err
	}
	var first firstCredentials
	if err := json.Unmarshal(text, &first); err != nil {
		return err
	}
	got, err := n.ask(ctx, first.ClientID, first.ClientSecret, "")
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("the first client is answered %d", got.status)
	}
	n.admin = got.token
	return err
}

// errStatus means that a server answered, but not what was wanted.
var errStatus = errors.New("answered")

// call calls the admin API, and returns the answer's body if it has the status that is wanted.
func (n *node) call(ctx context.Context, method, path, body string, want int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, n.url+"/admin/v1/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+n.admin)
	r.Header.Set("Content-Type", "application/json")
	answer, err := n.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != want {
		err = fmt.Errorf("%s %s: %w %s: %s", method, path, errStatus, answer.Status, text)
	}
	return text, err
}

// made is what the admin API says of a new client.
type made struct {
	ID     string `json:"id"`
	Secret string `json:"client_secret"`
}

const anyClient = `{"name": "CRM", "sections": ["baltic", "nordic"], "permissions": {"email": ["read"]}}`

func (n *node) create(ctx context.Context) (c made, err error) {
	text, err := n.call(ctx, http.MethodPost, "clients", anyClient, http.StatusCreated)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}

func bootstrapFile(t *testing.T) string { return filepath.Join(t.TempDir(), "first.json") }
