package oauth

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/refusals"
)

// A client that was suspended because nobody used it is answered like one that is disabled, until it
// is resumed, and so are those who ask about its tokens; why, only an admin is told.
func TestSuspended(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.tally()
		billing, store := w.clients["billing"], clients.NewStore(w.db)
		var granted tokenBody
		if err := json.Unmarshal(w.ask(billing.basic()).Body.Bytes(), &granted); err != nil || granted.AccessToken == "" {
			t.Fatalf("no token: %v", err)
		}
		active := func() bool {
			t.Helper()
			claims, err := w.oauth.living(t.Context(), &attempt{client: billing.Client, now: time.Now()}, granted.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			return claims != nil
		}
		if !active() {
			t.Error("its token is not active from the start")
		}
		if err := store.Suspend(t.Context(), billing.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		refused, disabled := w.ask(billing.basic()), w.ask(w.clients["disabled"].basic())
		if refused.Code != disabled.Code || refused.Code != http.StatusUnauthorized || active() {
			t.Errorf("suspended, it is answered %d, a disabled one %d; its token is active: %t", refused.Code, disabled.Code, active())
		}
		if row := w.why(refused); row.Cause != refusals.ClientSuspended || row.ClientID != billing.ID {
			t.Errorf("the cause is %+v", row)
		}
		if err := store.Resume(t.Context(), billing.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if again := w.ask(billing.basic()); again.Code != http.StatusOK || !active() {
			t.Errorf("resumed, it is answered %d; its token is active: %t", again.Code, active())
		}
	})
}
