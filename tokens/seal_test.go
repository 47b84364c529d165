package tokens

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// What is sealed opens with the same master key, name and algorithm. With any byte changed, or
// any of these, it does not.
func TestSeal(t *testing.T) {
	master, other := NewMasterKey(), NewMasterKey()
	plain := []byte("the private half of a signing key")
	sealed := master.seal(plain, "kid", ES256)
	if got, err := master.open(sealed, "kid", ES256); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open = %q, %v", got, err)
	}
	if again := master.seal(plain, "kid", ES256); again == sealed {
		t.Error("the same is sealed twice to the same: the nonce does not change")
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	must(t, err)
	for i := range raw {
		for bit := range 8 {
			flipped := slices.Clone(raw)
			flipped[i] ^= 1 << bit
			if got, err := master.open(base64.StdEncoding.EncodeToString(flipped), "kid", ES256); !errors.Is(err, ErrMasterKey) || got != nil {
				t.Fatalf("with bit %d of byte %d flipped: open = %q, %v", bit, i, got, err)
			}
		}
	}
	for length := range raw {
		if got, err := master.open(base64.StdEncoding.EncodeToString(raw[:length]), "kid", ES256); err == nil {
			t.Errorf("cut to %d bytes: open = %q", length, got)
		}
	}
	for name, open := range map[string]func() ([]byte, error){
		"another master key": func() ([]byte, error) { return other.open(sealed, "kid", ES256) },
		"another row":        func() ([]byte, error) { return master.open(sealed, "kid2", ES256) },
		"another algorithm":  func() ([]byte, error) { return master.open(sealed, "kid", EdDSA) },
		"a shifted name":     func() ([]byte, error) { return master.open(sealed, "kid\x00ES256", "") },
	} {
		if got, err := open(); !errors.Is(err, ErrMasterKey) {
			t.Errorf("%s: open = %q, %v; want ErrMasterKey", name, got, err)
		}
	}
	for _, text := range []string{"", "no base64!", sealed[:10], "AAAA"} {
		if got, err := master.open(text, "kid", ES256); err == nil || !strings.Contains(err.Error(), "kid") {
			t.Errorf("open of %.20q = %q, %v; want an error that names the key", text, got, err)
		}
	}
	if !strings.Contains(ErrMasterKey.Error(), "--master-key-file") || !strings.Contains(ErrMasterKey.Error(), "WARDKEY_MASTER_KEY") {
		t.Errorf("%q does not say what to do", ErrMasterKey)
	}
}

func TestMasterKeyText(t *testing.T) {
	master := NewMasterKey()
	text := master.Text()
	for _, written := range []string{text, text + "\n", "  " + text + "\r\n\n"} {
		got, err := ParseMasterKey(written)
		if err != nil || got.Text() != text {
			t.Errorf("ParseMasterKey(%q) = another key, %v", written, err)
		}
	}
	for _, bad := range []string{
		"", "x", text[:40], text + text, text[:43], strings.TrimRight(text, "="), base64.StdEncoding.EncodeToString(make([]byte, 31)),
		base64.StdEncoding.EncodeToString(make([]byte, 33)), strings.Repeat("0", 64), "correct horse battery staple",
	} {
		if _, err := ParseMasterKey(bad); err == nil || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("ParseMasterKey(%q) = %v; want an error that says how to make one", bad, err)
		}
	}
}

// Keys for other purposes differ by purpose and master key, and tell neither.
func TestDerive(t *testing.T) {
	master, other := NewMasterKey(), NewMasterKey()
	seen := map[string]bool{*master.key: true}
	for _, key := range [][]byte{master.Derive("cursors"), master.Derive("sessions"), other.Derive("cursors")} {
		if len(key) != 32 || seen[string(key)] {
			t.Errorf("a derived key is %d bytes, or one that there was", len(key))
		}
		seen[string(key)] = true
	}
	same, err := ParseMasterKey(master.Text())
	must(t, err)
	if !bytes.Equal(same.Derive("cursors"), master.Derive("cursors")) {
		t.Error("two servers with one master key derive different keys")
	}
}

func TestMasterKeyIsNotPrinted(t *testing.T) {
	master := NewMasterKey()
	type open struct{ Master MasterKey }
	for _, v := range []any{
		master, &master,
		open{master},
		&open{master},
		struct{ master MasterKey }{master},
		[]MasterKey{master},
		map[string]MasterKey{"a": master},
		Keys{Master: master}.Master, &Keys{Master: master}, fmt.Errorf("open: %v", master),
	} {
		refuseLeak(t, fmt.Sprintf("a %T", v), printings(v), []byte(*master.key))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(verb, master); got != redacted {
			t.Errorf("%s prints %q; want %s", verb, got, redacted)
		}
	}
}
