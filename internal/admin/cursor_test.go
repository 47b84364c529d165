package admin

import (
	"testing"
	"time"
)

// A cursor comes back as what it was made of, and only on its list and with its key; nothing that
// was not made by this server is one.
func FuzzCursor(f *testing.F) {
	key, other := []byte("a key of thirty-two bytes, really"), []byte("another key of thirty-two bytes..")
	f.Add(int64(1767225600), "nordic", "sections", cursor(key, "sections", time.Unix(1767225600, 0), "nordic"), byte(1), 3)
	f.Add(int64(0), "", "", "", byte(0), 0)
	f.Add(int64(-1), "a\x00b", "clients/x/secrets", "AAAA\nAAAA", byte(255), 20)
	f.Add(int64(1)<<62, "é", "clients", "====", byte(128), -1)
	f.Fuzz(func(t *testing.T, seconds int64, id, list, text string, flip byte, at int) {
		made := cursor(key, list, time.Unix(seconds, 0), id)
		created, gotID, err := parseCursor(key, list, made)
		if id == "" { // no resource has an empty id, so no page ends there
			if err == nil {
				t.Fatal("a cursor without an id is accepted")
			}
		} else if err != nil || created.Unix() != seconds || gotID != id {
			t.Fatalf("parseCursor(cursor(%d, %q)) = %v, %q, %v", seconds, id, created, gotID, err)
		}
		for _, forged := range []struct {
			key        []byte
			list, text string
		}{
			{other, list, made}, {key, list + "x", made}, {key, list, edit(made, flip, at)}, {key, list, text}, {key, list, made + text}, {key, list, text + made},
		} {
			created, gotID, err := parseCursor(forged.key, forged.list, forged.text)
			if err == nil && (string(forged.key) != string(key) || forged.text != cursor(key, forged.list, created, gotID)) {
				t.Fatalf("parseCursor(%q, %q) = %v, %q: it was not made here", forged.list, forged.text, created, gotID)
			}
			if err == nil && forged.list == list && forged.text == edit(made, flip, at) && flip != 0 {
				t.Fatalf("parseCursor(%q) accepts %q, edited from %q", list, forged.text, made)
			}
		}
	})
}

// edit changes one byte.
func edit(text string, flip byte, at int) string {
	raw := []byte(text)
	raw[uint(at)%uint(len(raw))] ^= flip
	return string(raw)
}
