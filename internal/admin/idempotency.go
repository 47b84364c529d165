package admin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
)

// An attempt is a POST that may be sent again: its Idempotency-Key, and what tells the same
// request from another one with the same key.
type attempt struct{ key, operation, body string }

type attemptKey struct{}

// operation is the method and path of a POST that has an Idempotency-Key, otherwise "".
func operation(ctx context.Context) string {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return a.operation
	}
	return ""
}

// keepFor is how long an Idempotency-Key is remembered.
const keepFor = 24 * time.Hour

// hashed is how texts are kept that only need to be known again. A body may hold a password, so
// whoever has the database alone must not be able to try some.
func hashed(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("idempotency " + text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// withAttempt notes the Idempotency-Key of a POST, whose body was read.
func (h *Handler) withAttempt(r *http.Request, body []byte) (*http.Request, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 || r.Method != http.MethodPost {
		return r, nil
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > 255 {
		return r, &problem{kind: malformed, detail: "the Idempotency-Key must be one text of 1 to 255 characters"}
	}
	a := &attempt{key: hashed(h.CursorKey, keys[0]), operation: r.Method + " " + r.URL.Path, body: hashed(h.CursorKey, string(body))}
	return r.WithContext(context.WithValue(r.Context(), attemptKey{}, a)), nil
}

// once returns a problem if the request of ctx was done before. Whatever it makes is noted with
// made in the same transaction.
func once(ctx context.Context, db *database.DB) error {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return nil
	}
	var operation, body, made string
	err := db.QueryRow(ctx, `SELECT operation, body_hash, made FROM idempotency_keys WHERE actor = $1 AND key_hash = $2 AND created_at > $3`,
		audit.From(ctx).Actor.ID, a.key, database.At(time.Now().Add(-keepFor))).Scan(&operation, &body, &made)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for an Idempotency-Key: %w", err)
	case operation != a.operation || body != a.body:
		return &problem{kind: keyReused, detail: "another request had this Idempotency-Key; send a new key with each new request"}
	}
	detail := "this was done already"
	if !strings.Contains(a.operation, made) { // otherwise it was done to what was there
		detail += ", and made " + made
	}
	return &problem{kind: alreadyDone, made: made, detail: detail + a.lost(made)}
}

// lost says what to do about a secret that an answer showed which nobody heard: it is not shown
// again.
func (a *attempt) lost(made string) string {
	path := strings.TrimPrefix(a.operation, http.MethodPost+" ")
	switch {
	case path == base+"/clients":
		return "; if its secret got lost, add a new one with POST " + path + "/" + made + "/secrets, and delete the lost one"
	case strings.HasSuffix(path, "/secrets"):
		return "; if it got lost, end it with DELETE " + path + "/" + made + ", and add a new one with a new Idempotency-Key"
	case strings.HasPrefix(path, base+"/admins"):
		return "; if the one-time password got lost, make another with POST " + base + "/admins/" + made + "/reset-password and a new Idempotency-Key"
	}
	return ""
}

// made notes what the request of ctx made, for whoever sends it again.
func made(ctx context.Context, db *database.DB, id string) error {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return nil
	}
	actor := audit.From(ctx).Actor.ID
	now := time.Now()
	_, err := db.Exec(ctx, `DELETE FROM idempotency_keys WHERE created_at <= $1`, database.At(now.Add(-keepFor)))
	if err == nil {
		_, err = db.Exec(ctx, `INSERT INTO idempotency_keys (actor, key_hash, operation, body_hash, made, created_at)
			VALUES ($1, $2, $3, $4, $5, $6)`, actor, a.key, a.operation, a.body, id, database.At(now))
	}
	if err != nil {
		return fmt.Errorf("note an Idempotency-Key: %w", err)
	}
	return nil
}
