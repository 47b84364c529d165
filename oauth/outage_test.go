package oauth

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/tokens"
)

// TestStoreAway holds that a store that does not answer is nobody's wrong secret: 503 for
// everyone, and what needs no store goes on.
func TestStoreAway(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.Close())
	billing := w.clients["billing"]
	for _, authorization := range []string{billing.basic(), basic(billing.ID, clients.NewSecret().Reveal()), basic("nobody", "x")} {
		unavailable(t, w.ask(authorization), "the store does not answer; try again soon")
	}
	unavailable(t, w.get("/readyz"), "the store does not answer")
	for _, path := range []string{"/healthz", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		status(t, w.get(path), 200)
	}
	status(t, w.ask(billing.basic(), "scope", "x", "scope", "y"), 400) // needs no store to be wrong
	if !strings.Contains(w.log.String(), "database is closed") {
		t.Errorf("the log does not say why:\n%s", &w.log)
	}
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	return w.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func unavailable(t *testing.T, answer *httptest.ResponseRecorder, description string) {
	t.Helper()
	status(t, answer, 503)
	body, err := decode[errorBody](answer)
	if err != nil || body.Error != TemporarilyUnavailable || body.Description != description || body.ErrorID == "" {
		t.Errorf("the answer is %s (%v), want temporarily_unavailable: %s", answer.Body, err, description)
	}
	if answer.Header().Get("Retry-After") != "1" || answer.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("the headers are %v, want Retry-After and no challenge", answer.Header())
	}
}

// TestStoreHangs holds the time limits: all connections are taken and none comes free.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range database.SQLiteReaders {
			rows, err := w.db.Query(t.Context(), `SELECT 1 UNION SELECT 2`)
			w.must(err)
			defer closeRows(t, rows)
		}
		start := time.Now()
		unavailable(t, w.ask(w.clients["billing"].basic()), "the store does not answer; try again soon")
		if took := time.Since(start); took != storeTimeout {
			t.Errorf("a token took %v, want %v", took, storeTimeout)
		}
		start = time.Now()
		unavailable(t, w.get("/readyz"), "the store does not answer")
		if took := time.Since(start); took != time.Second {
			t.Errorf("readyz took %v, want a second", took)
		}
	})
}

func closeRows(t *testing.T, rows *sql.Rows) {
	for rows.Next() {
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Error(err)
	}
}

// TestClientHangsUp holds that a client that goes away gets no verdict.
func TestClientHangsUp(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", basic(w.clients["billing"].ID, "wrong"))
	if code := w.do(r).Code; code == 200 {
		t.Errorf("status %d", code)
	}
}

// TestNoKey holds that a token that cannot be signed is the server's fault, and that a server
// that cannot sign is not ready.
func TestNoKey(t *testing.T) {
	w := newWorld(t) // has a key of ES256 alone
	unavailable(t, w.ask(w.clients["billing"].basic(), "resource", "urn:example:tv"), "no signing key is ready; try again soon")
	status(t, w.get("/readyz"), 200)
	w.oauth.Alg = tokens.RS256
	unavailable(t, w.get("/readyz"), "no signing key is active")
}

// TestUnconfirmedKeys holds that a server that has not heard from its store stops signing: its
// keys may have been removed.
func TestUnconfirmedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(2 * time.Minute) // nobody runs Keys.Run
		unavailable(t, w.ask(w.clients["billing"].basic()), "no signing key is ready; try again soon")
		unavailable(t, w.get("/readyz"), "no signing key is active")
		w.must(w.keys.Refresh(t.Context()))
		status(t, w.ask(w.clients["billing"].basic()), 200)
	})
}

// TestPanic holds that a failure of the program tells nothing to the client and all to the log.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.oauth.Used = func(context.Context, Use) error { panic("something private") }
	answer := w.ask(w.clients["billing"].basic())
	status(t, answer, 500)
	body, err := decode[errorBody](answer)
	if err != nil || brokenBody(500, answer.Body.String()) != "" || !strings.Contains(w.log.String(), body.ErrorID) {
		t.Errorf("the answer is %s (%v), and the log\n%s", answer.Body, err, &w.log)
	}
	if text := answer.Body.String(); strings.Contains(text, "private") || strings.Contains(text, ".go") || strings.Contains(text, "access_token") {
		t.Errorf("the answer tells too much: %s", text)
	}
	if !strings.Contains(w.log.String(), "something private") || !strings.Contains(w.log.String(), "outage_test.go") {
		t.Errorf("the log tells too little:\n%s", &w.log)
	}
}

// TestUnforeseenError holds that the client is told nothing of an error that nobody foresaw.
func TestUnforeseenError(t *testing.T) {
	rec := httptest.NewRecorder()
	fail(rec, httptest.NewRequest(http.MethodPost, "/oauth/token", nil), errors.New("dial tcp 10.0.0.7:5432: secret"))
	status(t, rec, 500)
	if body, err := decode[errorBody](rec); err != nil || body.Error != ServerError || strings.Contains(rec.Body.String(), "10.0.0.7") {
		t.Errorf("the answer is %s (%v)", rec.Body, err)
	}
}
