package clients

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestAuthenticate(t *testing.T) {
	old, oldSecret := NewCredential(noon.Add(-time.Hour), noon.Add(time.Minute))
	current, currentSecret := NewCredential(noon, time.Time{})
	stranger := NewSecret().Reveal()
	both := []Credential{old, current}
	for _, tt := range []struct {
		name   string
		client Client
		secret string
		at     time.Time
		want   Verdict
		id     string
	}{
		{"the only secret", Client{Credentials: both[1:]}, currentSecret.Reveal(), noon, Authenticated, current.ID},
		{"the first of two", Client{Credentials: both}, oldSecret.Reveal(), noon, Authenticated, old.ID},
		{"the second of two", Client{Credentials: both}, currentSecret.Reveal(), noon, Authenticated, current.ID},
		{"the last moment of a secret", Client{Credentials: both}, oldSecret.Reveal(), noon.Add(time.Minute - 1), Authenticated, old.ID},
		{"the end of a secret", Client{Credentials: both}, oldSecret.Reveal(), noon.Add(time.Minute), SecretExpired, old.ID},
		{"another secret", Client{Credentials: both}, stranger, noon, WrongSecret, ""},
		{"no secret", Client{Credentials: both}, "", noon, WrongSecret, ""},
		{"no credentials", Client{}, currentSecret.Reveal(), noon, WrongSecret, ""},
		{"nothing for nothing", Client{}, "", noon, WrongSecret, ""},
		{"the hash itself", Client{Credentials: both}, current.hash.String(), noon, WrongSecret, ""},
		{"the hint", Client{Credentials: both}, current.Hint, noon, WrongSecret, ""},
		{"a blank behind", Client{Credentials: both}, currentSecret.Reveal() + " ", noon, WrongSecret, ""},
		{"a NUL behind", Client{Credentials: both}, currentSecret.Reveal() + "\x00", noon, WrongSecret, ""},
		{"one character less", Client{Credentials: both}, currentSecret.Reveal()[:52], noon, WrongSecret, ""},
		{"other case", Client{Credentials: both}, strings.ToUpper(currentSecret.Reveal()), noon, WrongSecret, ""},
		{"disabled", Client{Credentials: both, Disabled: true}, currentSecret.Reveal(), noon, IsDisabled, current.ID},
		{"disabled, wrong secret", Client{Credentials: both, Disabled: true}, stranger, noon, WrongSecret, ""},
		{"expires later", Client{Credentials: both, ExpiresAt: noon.Add(1)}, currentSecret.Reveal(), noon, Authenticated, current.ID},
		{"expires now", Client{Credentials: both, ExpiresAt: noon}, currentSecret.Reveal(), noon, HasExpired, current.ID},
		{"expired, wrong secret", Client{Credentials: both, ExpiresAt: noon}, stranger, noon, WrongSecret, ""},
		{"expired secret of a disabled client", Client{Credentials: both, Disabled: true}, oldSecret.Reveal(), noon.Add(time.Hour), SecretExpired, old.ID},
	} {
		if verdict, id := tt.client.Authenticate(tt.secret, tt.at); verdict != tt.want || id != tt.id {
			t.Errorf("%s: Authenticate = %q, %q; want %q, %q", tt.name, verdict, id, tt.want, tt.id)
		}
	}
}

// Nobody is opened by nothing, not even by what its empty credential might be taken for.
func TestNobody(t *testing.T) {
	for _, secret := range []string{"", "\x00", strings.Repeat("\x00", 32), NewSecret().Reveal(), hash{}.String()} {
		if verdict, id := Nobody.Authenticate(secret, noon); verdict != UnknownClient || id != "" {
			t.Errorf("Nobody.Authenticate(%q) = %q, %q", secret, verdict, id)
		}
	}
	if Nobody.Usable(noon) || len(Nobody.Credentials) == 0 {
		t.Error("Nobody is usable, or costs less than a wrong secret")
	}
}

func TestLive(t *testing.T) {
	dead, _ := NewCredential(noon, noon.Add(time.Second))
	ending, _ := NewCredential(noon, noon.Add(time.Minute))
	lasting, _ := NewCredential(noon, time.Time{})
	c := Client{Credentials: []Credential{dead, ending, lasting}}
	for after, want := range map[time.Duration]int{0: 3, time.Second: 2, time.Minute - 1: 2, time.Minute: 1, 1000 * time.Hour: 1} {
		if got := c.Live(noon.Add(after)); len(got) != want {
			t.Errorf("%s later %d secrets are live; want %d", after, len(got), want)
		}
	}
	if len(c.Credentials) != 3 || c.Credentials[0].ID != dead.ID {
		t.Error("Live changed the client")
	}
}

// Neither form nor comparison ever panics, and only the right text opens a client.
func FuzzSecret(f *testing.F) {
	const right = "wks_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf4YY7xi"
	credential := Credential{ID: "the one", hash: sha256.Sum256([]byte(right))}
	c := &Client{Credentials: []Credential{credential, {}}}
	for _, text := range []string{
		"", " ", right, right + " ", right[1:], right[:52], "wks_", "wks_" + strings.Repeat("0", 49), strings.Repeat("wks_", 1000),
		"\x00", "\xff\xfe", strings.Repeat("é", 53), right[:4] + strings.Repeat("z", 49), credential.hash.String(),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form := FormOf(text)
		if whole := secretGrammar.MatchString(text) && decode62(t, text[47:]).Int64() == crc32Bitwise(text[:47]); whole != (form == Whole) {
			t.Errorf("FormOf(%q) = %d", text, form)
		}
		verdict, id := c.Authenticate(text, noon)
		if opens := text == right; opens != (verdict == Authenticated) || opens != (id == credential.ID) {
			t.Errorf("Authenticate(%q) = %q, %q", text, verdict, id)
		}
		if verdict, _ := Nobody.Authenticate(text, noon); verdict != UnknownClient {
			t.Errorf("Nobody.Authenticate(%q) = %q", text, verdict)
		}
	})
}
