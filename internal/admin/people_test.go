package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func TestPasswords(t *testing.T) {
	hash := admin.HashPassword("correct horse")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("HashPassword = %q, want a PHC string of argon2id", hash)
	}
	if again := admin.HashPassword("correct horse"); again == hash {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	for password, want := range map[string]bool{"correct horse": true, "Correct horse": false, "correct horse ": false, "": false} {
		if got := admin.CheckPassword(hash, password); got != want {
			t.Errorf("CheckPassword(%q) = %v, want %v", password, got, want)
		}
	}
	// Made by the reference implementation, with another cost: argon2 -id -t 2 -m 16 -p 1, RFC 9106 §5.
	other := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if !admin.CheckPassword(other, "password") {
		t.Error("a hash of another cost is refused")
	}
}

func TestCheckPasswordRefusesWhatIsNoHash(t *testing.T) {
	good := admin.HashPassword("p")
	for _, hash := range []string{
		"", "p", "$", "$$$$$", good + "$", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "m=19456", "m=-1", 1),
		strings.Replace(good, "t=2,", "", 1), good[:strings.LastIndex(good, "$")+1], good[:len(good)-1] + "!",
	} {
		if admin.CheckPassword(hash, "p") || admin.CheckPassword(hash, "") {
			t.Errorf("CheckPassword(%q) = true", hash)
		}
	}
}

func TestPeople(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		people := admin.NewPeople(db)
		if any, err := people.Any(t.Context()); err != nil || any {
			t.Errorf("Any of nobody = %v, %v", any, err)
		}
		must(t, people.Create(t.Context(), "Ann@Example.com", admin.HashPassword("p"), "owner", time.Now()))
		if any, err := people.Any(t.Context()); err != nil || !any {
			t.Errorf("Any of one = %v, %v", any, err)
		}
		if err := people.Create(t.Context(), "ann@example.COM", admin.HashPassword("p"), "admin", time.Now()); err == nil {
			t.Error("two admins have one e-mail address")
		}
	})
}
