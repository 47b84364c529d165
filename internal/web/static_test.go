package web

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a page loads is small, and the same whether it is compressed or not.
func TestStatic(t *testing.T) {
	total := 0
	for path, a := range assets {
		plain, zipped := httptest.NewRecorder(), httptest.NewRecorder()
		static(plain, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.Header.Set("Accept-Encoding", "gzip, br")
		static(zipped, r)
		total += zipped.Body.Len()
		reader, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil || string(text) != plain.Body.String() || string(text) != string(a.text) || zipped.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not the same when it is compressed (%v)", path, err)
		}
		if strings.HasSuffix(path, ".js") && !strings.HasPrefix(plain.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("%s is %s", path, plain.Header().Get("Content-Type"))
		}
	}
	if total > 55<<10 {
		t.Errorf("all assets together have %d bytes; with a page of 45 KB that is over 100 KB", total)
	}
	missing := httptest.NewRecorder()
	static(missing, httptest.NewRequestWithContext(t.Context(), "GET", "/admin/static/x/style.css", nil))
	if missing.Code != 404 {
		t.Errorf("an asset of another version = %d", missing.Code)
	}
}
