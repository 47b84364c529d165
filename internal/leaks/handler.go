package leaks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/request"
)

// A Handler answers POST /security/leaked-secrets, which anybody may send: who has a secret could
// as well publish it, and so have it revoked (docs/decisions/0022). Set its fields.
//
// GitHub's secret scanning learns of each secret whether it was one; a stranger learns nothing, not
// from the time of his answer either.
type Handler struct {
	Reports *Reports
	GitHub  *GitHubKeys // nil: a signature counts for nothing
	// Committed is told when something may have been changed, before the answer says so. It may be nil.
	Committed func(context.Context)

	strangers strangers
	reading   atomic.Int32 // large reports
}

// Bounds of a report.
const (
	maxSigned    = 4 << 20  // bytes of one by GitHub
	maxUnsigned  = 64 << 10 // bytes of one by a stranger,
	maxStrangers = 100      // and secrets in it
	maxReading   = 8        // reports larger than a stranger's that are read at a time
	deadline     = 25 * time.Second
	toWrite      = 5 * time.Second // the answer, after that
)

// A match is one secret of a report, as GitHub sends it. What else it says does not matter.
type match struct {
	Token string `json:"token"`
	Type  string `json:"type"`
	URL   string `json:"url"`
}

// Feedback is what GitHub is told of a match.
type feedback struct {
	TokenHash string `json:"token_hash"` // SHA-256, hex
	TokenType string `json:"token_type"`
	Label     string `json:"label"`
}

// A refusal is an answer to a report that was not taken.
type refusal struct {
	status     int
	code       string
	detail     string
	retryAfter int
	cause      error
}

func (r *refusal) Error() string { return r.detail }

// ServeHTTP takes a report.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(deadline + toWrite)) // not every writer has one
	answer, err := h.serve(w, r.WithContext(ctx))
	if err != nil {
		fail(w, r, err)
		return
	}
	if answer == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // who went away needs no answer
}

// serve returns the feedback to a report by GitHub, nil to one by a stranger.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) ([]feedback, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, &refusal{status: http.StatusMethodNotAllowed, code: "invalid_request", detail: "the method here is POST"}
	}
	id, signature := r.Header.Get("Github-Public-Key-Identifier"), r.Header.Get("Github-Public-Key-Signature")
	signed := h.GitHub != nil && signature != ""
	if !signed {
		if wait := h.strangers.wait(request.Address(r), time.Now()); wait > 0 {
			return nil, &refusal{status: http.StatusTooManyRequests, code: "slow_down", detail: "too many reports; try again later", retryAfter: wait}
		}
	}
	body, err := h.read(w, r, signed)
	if err != nil {
		return nil, err
	}
	if signed {
		if err := h.GitHub.verify(r.Context(), body, id, signature, time.Now()); err != nil {
			return nil, unsigned(err)
		}
	}
	matches, err := parse(body, signed)
	if err != nil {
		return nil, err
	}
	if !signed {
		// From here, since whoever sends the end of a report late would choose when the work begins.
		defer steady(r.Context(), time.Now())
	}
	return h.take(r, matches, signed)
}

// read returns the body of a report. A large one may only be GitHub's, and waits for none: whether
// it is, is known at its end.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, signed bool) ([]byte, error) {
	limit := int64(maxUnsigned)
	if signed {
		limit = maxSigned
	}
	from := http.MaxBytesReader(w, r.Body, limit)
	body, err := io.ReadAll(io.LimitReader(from, maxUnsigned+1))
	if err == nil && len(body) > maxUnsigned {
		defer h.reading.Add(-1)
		if h.reading.Add(1) > maxReading {
			return nil, &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", detail: "too many large reports at once; try again soon", retryAfter: 1}
		}
		var rest []byte
		rest, err = io.ReadAll(from)
		body = append(body, rest...)
	}
	if err != nil {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, code: "invalid_request", detail: fmt.Sprintf("the report is cut, or larger than %d bytes", limit), cause: err}
	}
	return body, nil
}

// pace is the clock by which strangers are answered.
const pace = time.Second

// steady waits for the next beat after start. A secret that is revoked is written to the disk, and
// one that nobody has is not; a beat is much longer than that takes for all of a report.
func steady(ctx context.Context, start time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(pace - time.Since(start)%pace):
	}
}

func unsigned(err error) *refusal {
	if errors.Is(err, errNoKeys) {
		return &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", detail: "the signature cannot be checked now; try again soon", retryAfter: int(keysPause / time.Second), cause: err}
	}
	return &refusal{status: http.StatusUnauthorized, code: "invalid_signature", detail: "the signature of the report is not right", cause: err}
}

// parse reads a report. A match in which something is of another type is one without it, so that the
// others are taken. What goes wrong is not repeated: it may hold a secret.
func parse(body []byte, signed bool) (matches []match, err error) {
	if json.Unmarshal(body, &matches) != nil && matches == nil {
		return nil, &refusal{status: http.StatusBadRequest, code: "invalid_request", detail: `the report must be a JSON list, like [{"token":"wks_…","type":"…","url":"…"}]`}
	}
	if !signed && len(matches) > maxStrangers {
		return nil, &refusal{status: http.StatusBadRequest, code: "invalid_request", detail: "at most " + strconv.Itoa(maxStrangers) + " secrets may be reported at once"}
	}
	return matches, nil
}

// take revokes what was reported.
func (h *Handler) take(r *http.Request, matches []match, signed bool) ([]feedback, error) {
	by, actor := "a leak report", audit.Actor{Kind: audit.Nobody}
	if signed {
		by, actor = "GitHub secret scanning", audit.Actor{Kind: audit.Server}
	}
	ctx := audit.With(r.Context(), audit.Origin{Actor: actor, IP: request.Address(r), RequestID: request.ID(r.Context())})
	findings := make([]Finding, len(matches))
	for i, m := range matches {
		findings[i] = Finding{Secret: clients.SecretOf(m.Token), FoundAt: m.URL}
	}
	results, err := h.Reports.Take(ctx, findings, by, false)
	if h.Committed != nil {
		h.Committed(ctx)
	}
	if err != nil {
		return nil, err
	}
	note(ctx, results)
	if !signed {
		return nil, nil
	}
	return told(matches, results), nil
}

// told is what GitHub is told of its matches. Of one without a token nothing can be said.
func told(matches []match, results []Result) []feedback {
	answer := []feedback{}
	for i, m := range matches {
		if m.Token == "" {
			continue
		}
		sum := sha256.Sum256([]byte(m.Token))
		label := "false_positive"
		if results[i].ClientID != "" {
			label = "true_positive"
		}
		answer = append(answer, feedback{TokenHash: hex.EncodeToString(sum[:]), TokenType: m.Type, Label: label})
	}
	return answer
}

// note leaves in the log what became of a report.
func note(ctx context.Context, results []Result) {
	revoked := 0
	for _, r := range results {
		if r.Outcome == Revoked {
			revoked++
		}
	}
	request.Note(ctx, slog.Int("reported", len(results)), slog.Int("revoked", revoked))
}

// fail answers a report that was not taken, and leaves the cause in the log.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	no, ok := errors.AsType[*refusal](err)
	if !ok {
		no = &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", detail: "the store does not answer; send the report again", retryAfter: 1, cause: err}
	}
	if no.cause != nil {
		request.Note(r.Context(), slog.String("cause", no.cause.Error()))
	}
	if no.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(no.retryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(no.status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // who went away needs no answer
		"error": no.code, "error_description": no.detail, "title": http.StatusText(no.status), "status": no.status, "detail": no.detail,
	})
}
