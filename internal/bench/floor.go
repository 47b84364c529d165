package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/wardkey/wardkey/tokens"
)

// floorCommand is the argument that makes this program the floor.
const floorCommand = "floor"

// A floor is the least that a token over HTTP costs in Go: net/http without a router, one client
// that it holds in memory, golang-jwt for the signature, and the answer. No store, no log, no
// time limits, and no care for what a client may get wrong.
type floor struct {
	id     string
	hash   [sha256.Size]byte
	key    *ecdsa.PrivateKey
	kid    string
	issuer string
	scope  string
}

// serveFloor serves a floor until ctx ends.
func serveFloor(ctx context.Context, args []string, stdout io.Writer) error {
	var f floor
	flags := flag.NewFlagSet(floorCommand, flag.ContinueOnError)
	flags.StringVar(&f.id, "id", "", "the client's id")
	flags.StringVar(&f.scope, "scope", "", "the client's scope")
	secret := flags.String("secret", "", "the client's secret")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	f.hash = sha256.Sum256([]byte(*secret))
	f.kid = rand.Text() + rand.Text()[:17] // as long as a thumbprint
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f.issuer = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	fmt.Fprintf(stdout, "  %s %s\n", issuerLabel, f.issuer)
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	if err := http.Serve(listener, &f); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// ServeHTTP gives a token.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	sum := sha256.Sum256([]byte(secret))
	if !ok || id != f.id || subtle.ConstantTimeCompare(sum[:], f.hash[:]) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token, err := f.sign()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(answer{token, "Bearer", int64(floorLifetime / time.Second), f.scope}) // a loader that went away needs no answer
}

const floorLifetime = 15 * time.Minute // the default of the server

// An answer is that of RFC 6749 §5.1.
type answer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// sign makes a token like the server's, the way the README of golang-jwt shows.
func (f *floor) sign() (string, error) {
	now := time.Now()
	c := floorClaims{Claims: tokens.Claims{
		Issuer: f.issuer, Subject: f.id, ClientID: f.id, Audience: tokens.Audience{f.issuer},
		IssuedAt: now.Unix(), ExpiresAt: now.Add(floorLifetime).Unix(), ID: rand.Text(), Scope: f.scope,
	}}
	c.Status.List.Index = 104729 // six digits, as most have
	c.Status.List.URI = f.issuer + "/oauth/status/0"
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["typ"] = "at+jwt"
	token.Header["kid"] = f.kid
	return token.SignedString(f.key)
}

// floorClaims are the server's claims as golang-jwt wants them: with getters, which it calls only
// when it reads claims.
type floorClaims struct {
	tokens.Claims
	getters `json:"-"`
}

type getters struct{ jwt.RegisteredClaims }

// sameSize says whether the answers of the floor and of a server are alike, so that both did the
// same work. Ports and status indexes differ by a digit or two.
func sameSize(floor, server int) error {
	if max(floor-server, server-floor) > 24 {
		return fmt.Errorf("the floor answers %d bytes and the server %d: make floorClaims and answer those of the server again", floor, server)
	}
	return nil
}
