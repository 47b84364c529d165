package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// Whatever was changed is told to Committed, and only then answered; what was only read, or not
// done, is not.
func TestCommitted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var told []string
		w.Committed = func(ctx context.Context) {
			var events int
			must(t, w.DB.QueryRow(ctx, `SELECT seq FROM audit_head`).Scan(&events))
			told = append(told, fmt.Sprint("after event ", events))
		}
		answered := 0
		w.url = w.serve(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(firstByte{out, func() { answered = len(told) }}, r)
			})
		})
		for _, tt := range []struct {
			method, path, body string
			status, told       int
		}{
			{"POST", "/sections", `{"id":"nordic","name":"Nordic"}`, 201, 1},
			{"POST", "/sections", `{"id":"nordic","name":"Nordic"}`, 409, 0},
			{"GET", "/sections/nordic", "", 200, 0},
			{"HEAD", "/sections/nordic", "", 200, 0},
			{"PATCH", "/sections/nordic", `{"name":"North"}`, 200, 1},
			{"DELETE", "/sections/nordic?mistyped=1", "", 400, 0},
			{"DELETE", "/sections/nordic", "", 204, 1},
			{"POST", "/signing-keys/rotate", `{}`, 201, 1},
		} {
			told, answered = nil, -1
			w.do(tt.method, tt.path, tt.body).is(tt.status)
			if len(told) != tt.told || answered != tt.told {
				t.Errorf("%s %s: told %q, of which %d before the answer; want %d", tt.method, tt.path, told, answered, tt.told)
			}
		}
	})
}

// firstByte tells when an answer begins.
type firstByte struct {
	http.ResponseWriter
	begins func()
}

func (w firstByte) WriteHeader(status int) {
	w.begins()
	w.ResponseWriter.WriteHeader(status)
}
