package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A shop is a client shaped like the modules that connect web shops to Apsis One. It posts JSON,
// keeps its token until an hour before the end, looks at the body alone and never at the HTTP
// status, and switches itself off when the body says that it will never get a token.
type shop struct {
	credentials
	tokenURL string
	early    time.Duration // how long before that hour it wants a new token

	token   string
	renewAt time.Time
	asked   int
	off     string // what its owner reads when it is off
}

// A shopReply is what a shop reads of an answer.
type shopReply struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
	Status      int    `json:"status"`
	Title       string `json:"title"`
	Detail      string `json:"detail"`
}

// accessToken returns the shop's token, which may be one that it already had.
func (s *shop) accessToken(t *testing.T, now time.Time) string {
	t.Helper()
	if s.token != "" && !now.Add(s.early).After(s.renewAt) {
		return s.token
	}
	s.asked++
	body, err := json.Marshal(map[string]string{
		"grant_type": "client_credentials", "client_id": s.ID, "client_secret": s.Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got shopReply
	postTo(t, s.tokenURL, "application/json", bytes.NewReader(body), &got)
	switch {
	case got.AccessToken != "":
		s.token = got.AccessToken
		s.renewAt = now.Add(time.Duration(got.ExpiresIn)*time.Second - time.Hour)
	case slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, got.Status):
		s.token, s.off = "", fmt.Sprintf("Error: %s - Code: %d - Detail: %s", got.Title, got.Status, got.Detail)
	}
	return s.token
}

// The modules differ in when they want a new token.
func shops(s *server) map[string]*shop {
	return map[string]*shop{
		"Magento":    {credentials: s.demo, tokenURL: s.tokenURL(), early: 15 * time.Minute},
		"PrestaShop": {credentials: s.demo, tokenURL: s.tokenURL()},
	}
}

// TestShop has shops ask two servers: as Apsis One, whose tokens live for a day, and as nobody
// configured it.
func TestShop(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		server   *server
		at       []time.Duration // when the shop wants its token
		requests int             // that this takes
	}{
		{defaults, []time.Duration{0, time.Second}, 2}, // lives less than an hour
		{likeApsis, []time.Duration{0, time.Hour, 22*time.Hour + 44*time.Minute, 23*time.Hour + time.Minute}, 2},
	} {
		for name, shop := range shops(tt.server) {
			t.Run(tt.server.alg+"/"+name, func(t *testing.T) {
				for _, at := range tt.at {
					if shop.accessToken(t, now.Add(at)) == "" || shop.off != "" {
						t.Fatalf("after %s the shop has no token, off = %q", at, shop.off)
					}
				}
				if shop.asked != tt.requests {
					t.Errorf("the shop asked %d times, want %d", shop.asked, tt.requests)
				}
			})
		}
	}
}

// TestShopReadsExpiry has a shop find the same end in expires_in and in the token.
func TestShopReadsExpiry(t *testing.T) {
	for _, s := range servers {
		t.Run(s.alg, func(t *testing.T) {
			shop := shops(s)["PrestaShop"]
			before := time.Now().Truncate(time.Second)
			expiry := time.Unix(claims(t, shop.accessToken(t, before)).ExpiresAt, 0)
			if late := expiry.Sub(shop.renewAt.Add(time.Hour)); late < 0 || late > 10*time.Second {
				t.Errorf("exp is %s after what expires_in says, want at most the time that the request took", late)
			}
		})
	}
}

// TestShopSwitchesOff has shops with credentials that will never do tell their owners why, and one
// that came at a bad moment try again later.
func TestShopSwitchesOff(t *testing.T) {
	id, secret := defaults.demo.ID, defaults.demo.Secret
	for _, tt := range []struct {
		name string
		credentials
		off string
	}{
		{"a wrong secret", credentials{id, likeApsis.demo.Secret}, "client authentication failed"},
		{"an unknown client", credentials{likeApsis.demo.ID, secret}, "client authentication failed"},
		{"a blank pasted along", credentials{id, secret + " "}, "client authentication failed: there are blanks around the client_secret"},
		{"a secret cut off", credentials{id, secret[:len(secret)-1]}, "client authentication failed: the client_secret was cut or mistyped, its checksum does not match"},
		{"no secret", credentials{ID: id}, "client_secret is missing"},
		{"nothing", credentials{}, "client authentication is missing; send client_id and client_secret with HTTP Basic or in the body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shop := shop{credentials: tt.credentials, tokenURL: defaults.tokenURL()}
			token := shop.accessToken(t, time.Now())
			if want := "Error: Client authentication failed - Code: 401 - Detail: " + tt.off; token != "" || shop.off != want {
				t.Errorf("the shop has token %q and reads %q; want none and %q", token, shop.off, want)
			}
		})
	}
	t.Run("a server without its store", func(t *testing.T) {
		shop := shop{credentials: defaults.demo, tokenURL: startWithoutStore(t) + "/oauth/token", token: "old"}
		if token := shop.accessToken(t, time.Now()); token != "old" || shop.asked != 1 || shop.off != "" {
			t.Errorf("the shop has token %q and off = %q, asked %d times; want the old one, on, once", token, shop.off, shop.asked)
		}
	})
}

// startWithoutStore runs a server whose PostgreSQL is away, until the test ends.
func startWithoutStore(t *testing.T) (issuer string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), binary, "serve", "--listen", address, "--data-dir", dir,
		"--database", "postgres://127.0.0.1:1/nowhere")
	cmd.Env = append(os.Environ(), "WARDKEY_MASTER_KEY="+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context of the test has ended
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name()) // it may have said why
	t.Fatalf("the server does not answer at %s:\n%s", address, text)
	return ""
}

// TestDrupal is shaped like the Drupal module for Apsis One, which posts a form, keeps its token
// until an hour before the end, and looks for nothing but the access_token.
func TestDrupal(t *testing.T) {
	ask := func(c credentials) (got shopReply) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}}
		postTo(t, likeApsis.tokenURL(), "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), &got)
		return got
	}
	if got := ask(likeApsis.demo); got.AccessToken == "" || got.ExpiresIn-3600 <= 0 {
		t.Errorf("the module read %+v, want a token for more than an hour", got)
	}
	if got := ask(defaults.demo); got.AccessToken != "" {
		t.Error("the module got a token with another server's credentials")
	}
}
