package browser

import (
	"os"
	"path/filepath"
	"testing"
)

// With SCREENSHOTS=folder, the pictures of the documentation are written there (make screenshots).
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		t.Skip("SCREENSHOTS says where to write the pictures of the documentation")
	}
	s := start(t)
	h := s.furnish(plainly)
	for _, shot := range []struct {
		file, page string
		width      int64
		dark       bool
	}{
		{"keys.png", "keys", laptop, false},
		{"keys-dark.png", "keys", laptop, true},
		{"keys-phone.png", "keys", phone, false},
		{"key-new.png", "key-new", laptop, false},
		{"key-secret.png", "key-secret", laptop, false},
		{"key.png", "key", laptop, false},
		{"key-rotating.png", "key-rotating", laptop, true},
		{"key-phone.png", "key-rotating", phone, true},
		{"key-summary.png", "key-summary", laptop, false},
		{"simulator.png", "simulator-no", laptop, false},
		{"troubleshoot.png", "troubleshoot-error", laptop, false},
		{"audit.png", "audit-checked", laptop, false},
	} {
		b := s.open(shot.width)
		b.dark(shot.dark)
		b.signIn()
		for _, p := range h.pages() {
			if p.name == shot.page {
				p.open(b)
			}
		}
		b.picture(filepath.Join(dir, shot.file))
	}
}
