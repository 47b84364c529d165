package request

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A failure in the middle of an answer is in the log like any other.
func TestPanicInTheMiddleIsLogged(t *testing.T) {
	var log bytes.Buffer
	func() {
		defer func() {
			if failure, _ := recover().(error); !errors.Is(failure, http.ErrAbortHandler) {
				t.Errorf("the connection is not cut: %v", failure)
			}
		}()
		Wrap(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("a bug")
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	if !strings.Contains(log.String(), "a bug") || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log says %q", &log)
	}
}

// A handler that writes nothing has answered 200, as net/http does for it.
func TestLogOfNoAnswer(t *testing.T) {
	var log bytes.Buffer
	Wrap(slog.New(slog.NewTextHandler(&log, nil)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if !strings.Contains(log.String(), "status=200") {
		t.Errorf("the log says %q", &log)
	}
}
