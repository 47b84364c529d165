package attacks

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Where an issuer serves what, below its URL.
const (
	JWKSPath     = "/.well-known/jwks.json"
	metadataPath = "/.well-known/oauth-authorization-server"
	openidPath   = "/.well-known/openid-configuration"
	statusPath   = "/oauth/status/"
	BaitPath     = "/bait/" // where a token's header leads those who follow it
)

// Handler serves the metadata (RFC 8414) and its OpenID alias, the JWKS, the status lists, and the
// baits, and counts the requests.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	path := ""
	if u, err := url.Parse(i.URL); err == nil {
		path = strings.TrimRight(u.Path, "/")
	}
	mux.HandleFunc("GET "+metadataPath+path, i.metadata) // RFC 8414 §3.1: before the issuer's path
	mux.HandleFunc("GET "+path+openidPath, i.metadata)
	mux.HandleFunc("GET "+path+JWKSPath, i.jwks)
	mux.HandleFunc("GET "+path+statusPath+"{list}", i.statusList)
	mux.HandleFunc("GET "+path+BaitPath, i.bait)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.count(strings.TrimPrefix(r.URL.Path, path))
		mux.ServeHTTP(w, r)
	})
}

func (i *Issuer) count(path string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests[path]++
}

// Requests counts the requests so far whose path, below the issuer's, begins with prefix.
func (i *Issuer) Requests(prefix string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	total := 0
	for path, n := range i.requests {
		if strings.HasPrefix(path, prefix) {
			total += n
		}
	}
	return total
}

func (i *Issuer) metadata(w http.ResponseWriter, r *http.Request) {
	i.write(w, r, "application/json", encode(object{
		"issuer":                                i.URL,
		"jwks_uri":                              i.URL + JWKSPath,
		"token_endpoint":                        i.URL + "/oauth/token",
		"authorization_endpoint":                i.URL + "/oauth/authorize",
		"response_types_supported":              []string{"none"},
		"grant_types_supported":                 []string{"client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": Algs,
	}))
}

func (i *Issuer) jwks(w http.ResponseWriter, r *http.Request) {
	i.write(w, r, "application/jwk-set+json", encode(i.JWKS()))
}

func (i *Issuer) write(w http.ResponseWriter, r *http.Request, kind string, document []byte) {
	sum := sha256.Sum256(document)
	etag := `"` + b64(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(i.MaxAge/time.Second)))
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(document) // who went away needs no answer
}

// statusList answers with a list of one bit for each position (Token Status List §5.1).
func (i *Issuer) statusList(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("list"))
	if err != nil || number < 0 {
		http.NotFound(w, r)
		return
	}
	now := time.Now()
	k := i.key(ES256, true)
	header := changed(k.header(), object{"typ": "statuslist+jwt"})
	w.Header().Set("Content-Type", "application/statuslist+jwt")
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(i.StatusTTL/time.Second)))
	_, _ = w.Write([]byte(k.compact(encode(header), encode(object{
		"sub": i.listURL(r.PathValue("list")), "iat": now.Unix(), "exp": now.Add(30 * time.Minute).Unix(),
		"ttl": max(1, int(i.StatusTTL/time.Second)), "status_list": object{"bits": 1, "lst": b64(i.bits(number))},
	}))))
}

// bits are those of a list, compressed (Token Status List §4.1).
func (i *Issuer) bits(list int) []byte {
	plain := make([]byte, listSize/8)
	i.mu.Lock()
	for position := range i.revoked {
		if position/listSize == list {
			plain[position%listSize/8] |= 1 << (position % 8)
		}
	}
	i.mu.Unlock()
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	_, _ = writer.Write(plain) // a buffer takes all
	_ = writer.Close()
	return packed.Bytes()
}

// bait serves a stranger's key under the kid that is asked for, to whoever follows jku.
func (i *Issuer) bait(w http.ResponseWriter, r *http.Request) {
	public := i.stranger(r.FormValue("alg")).public()
	public.KeyID = r.FormValue("kid")
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}))
}
