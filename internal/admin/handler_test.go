package admin

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
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

type stateError string

func (e stateError) Error() string    { return "state " + string(e) }
func (e stateError) SQLState() string { return string(e) }

// What can be tried again is 503, what cannot is not.
func TestUnavailable(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want kind
	}{
		{context.DeadlineExceeded, unavailable},
		{context.Canceled, unavailable},
		{driver.ErrBadConn, unavailable},
		{io.ErrUnexpectedEOF, unavailable},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, unavailable},
		{stateError("08006"), unavailable},
		{stateError("40001"), unavailable},
		{stateError("53300"), unavailable},
		{stateError("57P01"), unavailable},
		{stateError("42P01"), internal},
		{stateError(""), internal},
		{errors.New("interrupted"), internal},
	} {
		if got := asProblem(fmt.Errorf("read: %w", tt.err)).kind; got != tt.want {
			t.Errorf("asProblem(%v) = %s, want %s", tt.err, got.name, tt.want.name)
		}
	}
	// Drivers have words of their own for a time that is over.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	fail(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil), errors.New("interrupted"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("after its time is over, a request is answered with %d %v, want 503", w.Code, w.Header())
	}
}

// What another request deleted in the meantime may be asked for again, and is then missed by name.
func TestReferredToIsGone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		_, err := db.Exec(t.Context(), `INSERT INTO client_sections (client_id, section_id) VALUES ('a', 'b')`)
		if got := asProblem(err).kind; err == nil || got != unavailable {
			t.Errorf("asProblem(%v) = %s, want unavailable", err, got.name)
		}
	})
}
