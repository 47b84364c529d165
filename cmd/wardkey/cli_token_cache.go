package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A cachedToken is a token on the disk, in a file that only its owner can read.
type cachedToken struct {
	URL      string    `json:"url"`
	ClientID string    `json:"client_id"`
	Ends     time.Time `json:"ends"`
	Grant    grant     `json:"grant"`
}

// fresh says whether there is time left to use it: more than a tenth of its life, or a minute.
func (t *cachedToken) fresh(now time.Time) bool {
	life := time.Duration(t.Grant.ExpiresIn) * time.Second
	return now.Add(min(life/10, time.Minute)).Before(t.Ends)
}

// cacheDir is where tokens are kept; there may be no such place.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "wardkey", "tokens"), err
}

// cachePath is where the token for exactly this request is kept. The secret is a part of it, so
// that nobody gets a token by the cache who would not get one from the server.
func cachePath(url string, who credentials, scope string, resource []string) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	request, err := json.Marshal([]any{url, who.id, string(who.secret), scope, resource})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(request)
	return filepath.Join(dir, hex.EncodeToString(sum[:])+".json"), nil
}

// readToken returns the token that is kept at path, or nil.
func readToken(path string) *cachedToken {
	text, err := os.ReadFile(path)
	var t cachedToken
	if err != nil || json.Unmarshal(text, &t) != nil {
		return nil
	}
	return &t
}

// keepToken keeps a token, and forgets those that are over.
func keepToken(path string, t *cachedToken, now time.Time) error {
	text, err := json.Marshal(t)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = writePrivate(path, text)
	}
	if err == nil {
		err = forget(func(old *cachedToken) bool { return !old.fresh(now) })
	}
	if err != nil {
		return fmt.Errorf("keep the token: %w", err)
	}
	return nil
}

// forgetTokens forgets those of one client.
func forgetTokens(url, clientID string) error {
	return forget(func(t *cachedToken) bool { return t.URL == url && t.ClientID == clientID })
}

// forget removes the tokens that are to go, and what is no token.
func forget(goes func(*cachedToken) bool) error {
	dir, err := cacheDir()
	if err != nil {
		return nil // there is none
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !strings.HasSuffix(path, ".json") {
			continue // somebody is writing it
		}
		if t := readToken(path); t != nil && !goes(t) {
			continue
		}
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
