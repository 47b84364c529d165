package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Whatever hangs, its caller is answered: every request has a deadline.
func TestEveryRequestHasADeadline(t *testing.T) {
	var at time.Time
	var ok bool
	handler := (&Handler{}).frame(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		at, ok = r.Context().Deadline()
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if left := time.Until(at); !ok || left <= 0 || left > 15*time.Second {
		t.Errorf("a request has %v, %v, want 15 s", left, ok)
	}
}
