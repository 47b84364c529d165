package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	reportInterval = time.Minute
	farewell       = 5 * time.Second // how long Close waits for the last reports
	longestReport  = 23 * time.Hour  // a day is what the issuer takes

	longestWait = time.Hour // that the issuer may ask for with Retry-After

	maxRowsSent   = 200
	maxBytesSent  = 48 << 10
	maxParcels    = 64
	maxEndpoint   = 200
	maxScopesSent = 16

	adminPath   = "/admin"
	reportsPath = "/admin/v1/usage/reports"
	reportScope = "wardkey:introspect"
)

// A report is what is sent.
type report struct {
	ID       string      `json:"id"`
	Audience string      `json:"audience"`
	From     time.Time   `json:"from"`
	Until    time.Time   `json:"until"`
	Dropped  int64       `json:"dropped,omitempty"`
	Rows     []reportRow `json:"rows"`
}

type reportRow struct {
	ClientID string   `json:"client_id"`
	Endpoint string   `json:"endpoint"`
	Scopes   []string `json:"scopes,omitempty"`
	Outcome  string   `json:"outcome"`
	Requests int64    `json:"requests"`
}

// row is what was seen of one kind of request.
func (t *tally) row(requests int64) reportRow {
	path := t.route
	if first, rest, ok := strings.Cut(path, " "); ok && !strings.Contains(first, "/") {
		path = strings.TrimLeft(rest, " ") // a pattern of http.ServeMux may begin with a method, and GET stands for HEAD too
	}
	return reportRow{t.client, presentable(strings.TrimSpace(t.method + " " + path)), t.scopes, t.outcome, requests}
}

// presentable is a name of a route as the issuer takes it.
func presentable(endpoint string) string {
	endpoint = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, endpoint)
	return endpoint[:min(len(endpoint), maxEndpoint)]
}

// A parcel is a report that waits to be sent. It is the same each time, so that the issuer knows
// it again if its answer was lost.
type parcel struct {
	body     []byte
	from     time.Time
	requests int64
}

// begin starts to send reports.
func (r *reports) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil || r.closed {
		return
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.sending.Go(func() { r.run(ctx) })
}

// run sends a report each minute, even if it says that there was nothing: the issuer must know that
// nothing was missed.
func (r *reports) run(ctx context.Context) {
	sealed := time.Now()
	var asked time.Duration // for which the issuer asks to be left alone
	for failures := 0; ; {
		sleep(ctx, max(delay(reportInterval, failures), asked))
		if ctx.Err() != nil {
			return
		}
		if now := time.Now(); now.Sub(sealed) >= reportInterval/2 {
			r.seal(now)
			sealed = now
		}
		err := r.send(ctx)
		asked = waitAsked(err)
		failures = r.tell(ctx, failures, err)
	}
}

// tell counts failures in a row. The log hears of the first, and of the end.
func (r *reports) tell(ctx context.Context, failures int, err error) int {
	switch {
	case ctx.Err() != nil:
		return failures
	case err != nil && failures == 0:
		r.log.WarnContext(ctx, "verify: the issuer was not told what its tokens are used for", "error", err)
	case err == nil && failures > 0:
		r.log.InfoContext(ctx, "verify: the issuer is told again what its tokens are used for", "failures", failures)
	}
	if err != nil {
		return failures + 1
	}
	return 0
}

// seal makes reports of what was seen until now. The first also says what is missing.
func (r *reports) seal(now time.Time) {
	next := report{Audience: r.audience, From: r.from, Until: now, Dropped: r.dropped.Swap(0) + r.lost.requests}
	if r.lost.requests > 0 && r.lost.from.Before(next.From) {
		next.From = r.lost.from
	}
	if earliest := now.Add(-longestReport); next.From.Before(earliest) {
		next.From = earliest
	}
	if !next.From.Before(now) {
		next.From = now.Add(-time.Second)
	}
	r.from, r.lost = now, parcel{}
	rows := r.take()
	for {
		rows = r.pack(next, rows)
		if next.Dropped = 0; len(rows) == 0 {
			break
		}
	}
	for len(r.waiting) > maxParcels {
		r.giveUp()
	}
}

// pack makes one report of as many rows as fit in, and returns the others.
func (r *reports) pack(next report, rows []reportRow) (others []reportRow) {
	n, size, requests := 0, 0, next.Dropped
	for n < len(rows) && n < maxRowsSent && size < maxBytesSent {
		row := rows[n]
		size += 100 + len(row.ClientID) + 2*len(row.Endpoint) // in JSON a character may become two, or six if it is rare
		for _, value := range row.Scopes {
			size += len(value) + 3
		}
		requests += row.Requests
		n++
	}
	next.ID, next.Rows = rand.Text(), append([]reportRow{}, rows[:n]...)
	body, err := json.Marshal(next)
	if err != nil {
		panic(err) // our own types always can be written
	}
	r.waiting = append(r.waiting, parcel{body, next.From, requests})
	return rows[n:]
}

// giveUp forgets the oldest report, and remembers that there was one.
func (r *reports) giveUp() {
	gone := r.waiting[0]
	r.waiting = r.waiting[1:]
	if r.lost.requests == 0 || gone.from.Before(r.lost.from) {
		r.lost.from = gone.from
	}
	r.lost.requests += max(gone.requests, 1) // also of one that says that there were none
}

// errRefused means that a report will not be taken however often it is sent.
var errRefused = errors.New("the report was refused")

// send sends what waits, the oldest first.
func (r *reports) send(ctx context.Context) (err error) {
	for len(r.waiting) > 0 {
		sent := r.post(ctx, r.waiting[0].body)
		switch {
		case errors.Is(sent, errRefused):
			err = sent
			r.giveUp()
		case sent != nil:
			return sent
		default:
			r.waiting = r.waiting[1:]
		}
	}
	return err
}

// post sends one report.
func (r *reports) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	token, err := r.token(ctx)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.source.issuer+reportsPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", "application/json")
	a, err := r.exchange(q)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusOK:
		return nil
	case a.status == http.StatusUnauthorized:
		r.access = accessToken{} // it may have been revoked; the next try gets another
	case a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests && a.status != http.StatusRequestTimeout:
		return fmt.Errorf("%w: status %d: %s", errRefused, a.status, detail(a.body))
	}
	return fmt.Errorf("send a report: %w", a.unwilling())
}

// unwilling means that the issuer may do another time what it did not do now.
type unwilling struct {
	status int
	wait   time.Duration // that it asks for
}

func (u *unwilling) Error() string { return fmt.Sprintf("status %d", u.status) }

// waitAsked is how long the issuer asks to be left alone, if that is what err says.
func waitAsked(err error) time.Duration {
	if u, ok := errors.AsType[*unwilling](err); ok {
		return u.wait
	}
	return 0
}

// detail is what the issuer says of what it refuses (RFC 9457).
func detail(answer []byte) string {
	var problem struct{ Detail string }
	if json.Unmarshal(answer, &problem) != nil {
		return "it does not say why"
	}
	return problem.Detail
}

// unwilling is an answer as an error, with the wait that it asks for (RFC 9110 §10.2.3) in seconds;
// our issuer names no dates.
func (a *answer) unwilling() error {
	seconds, err := strconv.ParseUint(a.header.Get("Retry-After"), 10, 31)
	if err != nil {
		seconds = 0 // it asks for nothing
	}
	return &unwilling{a.status, min(time.Duration(seconds)*time.Second, longestWait)}
}

// exchange sends a request and reads the answer, whatever it is.
func (r *reports) exchange(q *http.Request) (*answer, error) {
	response, err := r.source.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	return &answer{response.StatusCode, response.Header, body}, err
}

// An accessToken is one of our own, for the issuer's API.
type accessToken struct {
	text  string
	until time.Time // when another is asked for, while it is good still
}

// token returns a token for the issuer's API. One does for most of its life.
func (r *reports) token(ctx context.Context) (string, error) {
	now := time.Now()
	if now.Before(r.access.until) {
		return r.access.text, nil
	}
	endpoint, err := r.source.endpoint(ctx, "token_endpoint")
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {reportScope}, "resource": {r.source.issuer + adminPath}}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.authorize(q)
	a, err := r.exchange(q)
	if err != nil {
		return "", err
	}
	var given struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(a.body, &given); err != nil || a.status != http.StatusOK || given.AccessToken == "" {
		return "", fmt.Errorf("get a token to send reports with: %w: %s", a.unwilling(), given.Description)
	}
	life := time.Duration(min(max(given.ExpiresIn, 0), 86400)) * time.Second
	r.access = accessToken{given.AccessToken, now.Add(life * 4 / 5)}
	return given.AccessToken, nil
}

// close stops and sends what is left.
func (r *reports) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	begun := r.stop != nil && !r.closed
	r.closed = true
	if begun {
		r.stop()
	}
	r.mu.Unlock()
	r.sending.Wait()
	if !begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	r.seal(time.Now())
	if err := r.sendInTime(ctx); err != nil {
		r.log.Warn("verify: the last reports were not sent", "error", err)
	}
}

// sendInTime sends what waits, and waits if the issuer asks for it and there is time.
func (r *reports) sendInTime(ctx context.Context) error {
	for {
		err := r.send(ctx)
		wait := waitAsked(err)
		if end, _ := ctx.Deadline(); wait == 0 || time.Until(end) < wait {
			return err
		}
		sleep(ctx, wait)
	}
}
