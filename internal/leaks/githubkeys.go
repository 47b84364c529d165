package leaks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

var (
	errNoKey        = errors.New("the report names a key that GitHub does not have")
	errBadSignature = errors.New("the report is not signed by the key that it names")
	errNoKeys       = errors.New("GitHub's keys cannot be had")
	errAsk          = errors.New("GitHub is to be asked") // never leaves the keys
)

// GitHubKeys are those that GitHub signs its reports with, from a URL that it is asked for when a
// report needs it, or fixed ones.
type GitHubKeys struct {
	url    string // "": they are fixed
	client *http.Client

	asking sync.Mutex // held while GitHub is asked

	mu      sync.Mutex
	keys    map[string]*ecdsa.PublicKey // by key_identifier
	askedAt time.Time
}

const (
	keysFresh    = time.Hour // so long no key is asked for again that is known
	keysPause    = time.Minute
	keysPatience = 10 * time.Second
	maxKeys      = 1 << 20 // bytes
)

// FixedGitHubKeys reads the document that GitHub's URL answers with.
func FixedGitHubKeys(document []byte) (*GitHubKeys, error) {
	keys, err := parseKeys(document)
	return &GitHubKeys{keys: keys}, err
}

// GitHubKeysAt are the keys at a URL, which must be https and on the public internet.
func GitHubKeysAt(url string) *GitHubKeys {
	dialer := &net.Dialer{Timeout: keysPatience, Control: onlyPublic}
	return &GitHubKeys{url: url, client: &http.Client{
		Timeout:       keysPatience,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: keysPatience, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// onlyPublic refuses a connection into a network of one's own, whatever name led there.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return errors.New("the name leads to a private address")
	}
	return nil
}

// verify says whether the body was signed by the key that is named (ECDSA, P-256, SHA-256). An error
// that wraps errNoKeys means that nobody knows.
func (k *GitHubKeys) verify(ctx context.Context, body []byte, id, signature string, now time.Time) error {
	key, err := k.key(ctx, id, now)
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(signature)
	digest := sha256.Sum256(body)
	if err != nil || !ecdsa.VerifyASN1(key, digest[:], der) {
		return errBadSignature
	}
	return nil
}

// key finds a key. Whoever names keys that there are not makes GitHub be asked once a minute, and
// holds up nobody who names one that is known.
func (k *GitHubKeys) key(ctx context.Context, id string, now time.Time) (*ecdsa.PublicKey, error) {
	key, err := k.kept(id, now)
	if !errors.Is(err, errAsk) {
		return key, err
	}
	if key == nil {
		k.asking.Lock()
	} else if !k.asking.TryLock() {
		return key, nil // another asks already whether it still is one
	}
	defer k.asking.Unlock()
	if key, err = k.kept(id, now); !errors.Is(err, errAsk) {
		return key, err // another asked meanwhile
	}
	keys, err := k.fetch(context.WithoutCancel(ctx)) // for all who report, though this one may hang up
	k.mu.Lock()
	defer k.mu.Unlock()
	k.askedAt = now
	if err == nil {
		k.keys = keys
	}
	key, known := k.keys[id]
	switch {
	case known:
		return key, nil
	case err != nil: // it may be a new one
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	return nil, errNoKey
}

// kept finds a key among those that GitHub told of. With errAsk it returns what was one an hour ago,
// if it was.
func (k *GitHubKeys) kept(id string, now time.Time) (*ecdsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, known := k.keys[id]
	age := now.Sub(k.askedAt)
	switch {
	case known && (k.url == "" || age < keysFresh):
		return key, nil
	case k.url == "":
		return nil, errNoKey
	case age < keysPause: // it may be a new one
		return nil, fmt.Errorf("%w: they were asked for a moment ago", errNoKeys)
	}
	return key, errAsk
}

func (k *GitHubKeys) fetch(ctx context.Context) (map[string]*ecdsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	return parseKeys(document)
}

func parseKeys(document []byte) (map[string]*ecdsa.PublicKey, error) {
	var list struct {
		PublicKeys []struct {
			ID  string `json:"key_identifier"`
			Key string `json:"key"` // PEM
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(document, &list); err != nil {
		return nil, fmt.Errorf("read GitHub's keys: %w", err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, one := range list.PublicKeys {
		if key := parseKey(one.Key); key != nil {
			keys[one.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("read GitHub's keys: there are none of the curve P-256 in PEM")
	}
	return keys, nil
}

// parseKey returns nil for a key of another kind, which GitHub may have beside those.
func parseKey(text string) *ecdsa.PublicKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil
	}
	return key
}
