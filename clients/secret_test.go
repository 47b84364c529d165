package clients

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"testing/cryptotest"
	"text/template"
)

// digits62 and the two functions below are the contract's §4 written anew, the slow and plain way.
const digits62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func decode62(t *testing.T, text string) *big.Int {
	t.Helper()
	n := new(big.Int)
	for _, c := range text {
		digit := strings.IndexRune(digits62, c)
		if digit < 0 {
			t.Fatalf("%q is no digit of base62", c)
		}
		n.Add(n.Mul(n, big.NewInt(62)), big.NewInt(int64(digit)))
	}
	return n
}

// crc32Bitwise is CRC-32 (IEEE 802.3) bit by bit.
func crc32Bitwise(text string) int64 {
	crc := uint32(0xffffffff)
	for _, b := range []byte(text) {
		crc ^= uint32(b)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low == 1 {
				crc ^= 0xedb88320
			}
		}
	}
	return int64(^crc)
}

var secretGrammar = regexp.MustCompile(`^wks_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$`)

// Secrets have the form of the contract's §4, each another one, with 256 bits that are as often
// one as zero.
func TestSecretForm(t *testing.T) {
	const many = 10_000
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	seen := make(map[string]bool, many)
	var ones [256]int
	for range many {
		text := NewSecret().Reveal()
		if !secretGrammar.MatchString(text) {
			t.Fatalf("a secret is %q", text)
		}
		random := decode62(t, text[4:47])
		if random.Cmp(limit) >= 0 {
			t.Fatalf("%q holds more than 256 bits", text)
		}
		if sum := decode62(t, text[47:]).Int64(); sum != crc32Bitwise(text[:47]) {
			t.Fatalf("%q has the checksum %d; want %d", text, sum, crc32Bitwise(text[:47]))
		}
		if FormOf(text) != Whole {
			t.Fatalf("%q is not Whole", text)
		}
		seen[text] = true
		for bit := range ones {
			ones[bit] += int(random.Bit(bit))
		}
	}
	if len(seen) != many {
		t.Errorf("%d secrets, %d different ones", many, len(seen))
	}
	for bit, n := range ones { // 6 standard deviations of a fair coin
		if n < many/2-300 || n > many/2+300 {
			t.Errorf("bit %d is one in %d of %d secrets", bit, n, many)
		}
	}
}

// The vectors were computed by another program in another language.
func TestSecretVectors(t *testing.T) {
	for random, want := range map[string]string{
		strings.Repeat("00", 32): "wks_00000000000000000000000000000000000000000003ulVhK",
		strings.Repeat("ff", 32): "wks_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12JU2Py",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f": "wks_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf4YY7xi",
	} {
		n, _ := new(big.Int).SetString(random, 16)
		body := secretPrefix + base62(n, randomDigits)
		if got := body + checksum(body); got != want || FormOf(want) != Whole {
			t.Errorf("the secret of %s is %s; want %s", random, got, want)
		}
	}
}

// All that makes a secret is the system's randomness.
func TestSecretIsRandom(t *testing.T) {
	make3 := func(seed uint64) (all []string) {
		cryptotest.SetGlobalRandom(t, seed)
		for range 3 {
			all = append(all, NewSecret().Reveal())
		}
		return all
	}
	one, again, other := make3(1), make3(1), make3(2)
	for i := range one {
		if one[i] != again[i] || one[i] == other[i] {
			t.Errorf("with one seed %s and %s, with another %s", one[i], again[i], other[i])
		}
	}
}

func TestFormOf(t *testing.T) {
	const whole = "wks_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf4YY7xi"
	for _, tt := range []struct {
		text string
		want Form
	}{
		{whole, Whole},
		{" " + whole, Blanks},
		{whole + "\n", Blanks},
		{"\t" + whole + " ", Blanks},
		{"\u00a0" + whole, Blanks}, // as copied from a web page
		{" ", Blanks},
		{whole[:len(whole)-1], Damaged},
		{whole + "i", Damaged},
		{"wks_", Damaged},
		{strings.Replace(whole, "a", "b", 1), Damaged},
		{strings.Replace(whole, "aU", "Ua", 1), Damaged},
		{whole[:len(whole)-1] + "j", Damaged},
		{strings.ToLower(whole), Damaged},
		{"", Unlikely},
		{"WKS_" + whole[4:], Unlikely},
		{whole[4:], Unlikely},
		{"password", Unlikely},
	} {
		if got := FormOf(tt.text); got != tt.want {
			t.Errorf("FormOf(%q) = %d; want %d", tt.text, got, tt.want)
		}
	}
}

// A secret that is mistyped in one place, or has two neighbours exchanged, is known by its form.
func TestFormOfSeesMistakes(t *testing.T) {
	whole := NewSecret().Reveal()
	for i := len(secretPrefix); i < len(whole); i++ {
		for _, digit := range digits62 {
			wrong := whole[:i] + string(digit) + whole[i+1:]
			if got := FormOf(wrong); wrong != whole && got != Damaged {
				t.Errorf("FormOf(%q), mistyped at %d, = %d", wrong, i, got)
			}
		}
		if i+1 < len(whole) && whole[i] != whole[i+1] {
			swapped := whole[:i] + whole[i+1:i+2] + whole[i:i+1] + whole[i+2:]
			if got := FormOf(swapped); got != Damaged {
				t.Errorf("FormOf(%q), exchanged at %d, = %d", swapped, i, got)
			}
		}
	}
}

// Nothing prints a secret by accident: no verb of fmt, no log, no encoder, wherever it is kept.
func TestSecretIsNotPrinted(t *testing.T) {
	secret := NewSecret()
	type open struct{ Secret Secret }
	type closed struct{ secret Secret }
	for _, v := range []any{
		secret, &secret,
		open{secret},
		&open{secret},
		closed{secret},
		&closed{secret},
		[]Secret{secret},
		[]*Secret{&secret},
		map[string]Secret{"a": secret},
		map[Secret]bool{secret: true},
		[1]any{secret},
		[]closed{{secret}},
		fmt.Errorf("create: %v", secret),
		errors.Join(fmt.Errorf("%+v", closed{secret})),
		struct{ Credential any }{open{secret}},
	} {
		var out strings.Builder
		for _, verb := range "vTsqxXdbocUeEfFgGtpw!z" {
			for _, flags := range []string{"", "+", "#", " ", "0", "-", ".100", "100", "# +"} {
				fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", v)
			}
		}
		fmt.Fprint(&out, v)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).With("with", v).WithGroup("g").Info("made", "secret", v, slog.Group("in", slog.Any("secret", v)))
		}
		text, _ := json.MarshalIndent(v, "", " ") // what cannot be written is not printed either
		out.Write(text)
		text, _ = xml.Marshal(v)
		out.Write(text)
		_ = template.Must(template.New("").Parse(`{{.}}{{printf "%v" .}}{{print .}}`)).Execute(&out, v)
		refuseLeak(t, fmt.Sprintf("a %T", v), out.String(), secret.Reveal())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(verb, secret); got != redacted {
			t.Errorf("%s prints %q; want %s", verb, got, redacted)
		}
	}
	if secret.String() != redacted || (Secret{}).Reveal() != "" {
		t.Errorf("a secret is %q, none %q", secret.String(), Secret{}.Reveal())
	}
}

// refuseLeak fails if the output holds the secret, whole or in part, in any usual writing.
func refuseLeak(t *testing.T, what, output, secret string) {
	t.Helper()
	part := secret[4:20]
	decimals := strings.Trim(fmt.Sprintf("%d", []byte(part)), "[]")
	for _, form := range []string{
		part, hex.EncodeToString([]byte(part)), strings.ToUpper(hex.EncodeToString([]byte(part))), fmt.Sprintf("% x", part),
		base64.StdEncoding.EncodeToString([]byte(secret))[:20], decimals, strings.ReplaceAll(decimals, " ", ", "),
	} {
		if strings.Contains(output, form) {
			t.Errorf("%s is printed as %q", what, excerpt(output, form))
		}
	}
}

func excerpt(output, form string) string {
	i := strings.Index(output, form)
	return string(bytes.ToValidUTF8([]byte(output[max(0, i-30):min(len(output), i+60)]), nil))
}
