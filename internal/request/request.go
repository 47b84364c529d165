// Package request gives every HTTP request what all of them share: an id, one line in the log,
// safe headers, and an end without a trace when the program fails.
//
// Begin with [Wrap], around the router of a server. Handlers add to the line of their request
// with [Note].
package request

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"
)

// A record is what becomes the line in the log.
type record struct {
	id    string
	attrs []slog.Attr
	meant bool // that it fails
}

type recordKey struct{}

// ID returns the id of the request that ctx belongs to. It stands in its line in the log, and in
// its answer if it failed.
func ID(ctx context.Context) string {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		return r.id
	}
	return ""
}

// Note adds to the line in the log of the request that ctx belongs to. It must be called by the
// goroutine of the request.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		r.attrs = append(r.attrs, attrs...)
	}
}

// Meant says that the request that ctx belongs to fails as it should, so that its line in the log is no
// error: a server that stops is asked again and again whether it is ready.
func Meant(ctx context.Context) {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		r.meant = true
	}
}

// Address is the network address that the request came from, without its port.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Wrap returns next with an id for each request, one line in log for each, headers that every
// answer has, and 500 for a panic, whose trace goes to the log and nowhere else.
func Wrap(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &record{id: rand.Text()}
		out := &response{ResponseWriter: w}
		out.Header()["X-Content-Type-Options"] = nosniff
		if r.TLS != nil {
			out.Header()["Strict-Transport-Security"] = hsts // RFC 6797
		}
		defer func() {
			failure := recover()
			begun := out.status != 0
			if failure != nil {
				recovered(out, rec, failure)
			}
			write(log, r, rec, cmp.Or(out.status, http.StatusOK), failure != nil, time.Since(start))
			if failure != nil && begun {
				// All that is left is to cut the connection, so that nobody takes a part for the whole.
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
	})
}

// Header values that every answer has, made once.
var (
	nosniff = []string{"nosniff"}
	hsts    = []string{"max-age=63072000"}
)

// recovered answers a request whose handler panicked, unless a part of an answer is out already.
func recovered(w *response, rec *record, failure any) {
	rec.attrs = append(rec.attrs, slog.String("panic", fmt.Sprint(failure)), slog.String("stack", string(debug.Stack())))
	if w.status != 0 {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `{"error":"server_error","error_description":%[1]q,"title":"Server error","status":500,"detail":%[1]q,"error_id":%[2]q}`+"\n",
		"the server failed; its log says why under the error_id", rec.id)
}

// secret is what a secret of a client looks like, or the beginning of one: people paste them
// where an id belongs.
var secret = regexp.MustCompile(`wks_[0-9A-Za-z]*`)

// write writes the line. The query is left out: somebody may have put a secret there.
func write(log *slog.Logger, r *http.Request, rec *record, status int, failed bool, took time.Duration) {
	level := slog.LevelInfo
	if failed || status >= 500 && status != http.StatusNotImplemented && !rec.meant { // which whoever asked could have known
		level = slog.LevelError
	}
	if !log.Enabled(r.Context(), level) {
		return
	}
	path := r.URL.Path
	if len(path) > 200 {
		path = path[:200]
	}
	path = secret.ReplaceAllString(path, "[secret]")
	attrs := make([]slog.Attr, 0, 8+len(rec.attrs))
	attrs = append(attrs,
		slog.String("request_id", rec.id), slog.String("method", r.Method), slog.String("path", path),
		slog.Int("status", status), slog.String("ip", Address(r)), slog.Duration("took", took))
	log.LogAttrs(r.Context(), level, "request", append(attrs, rec.attrs...)...)
}

// response remembers the status of the answer.
type response struct {
	http.ResponseWriter
	status int
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(body []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(body)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
