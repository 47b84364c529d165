package verify_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wardkey/wardkey/verify"
)

// TestOutcomes holds that each token that is checked has one outcome, what it says,
// and what the log is told of it.
func TestOutcomes(t *testing.T) { synctest.Test(t, testOutcomes) }

func testOutcomes(t *testing.T) {
	key := newES256("1", 1)
	i := newIssuer(key)
	i.serveList(newList(key, 1))
	var outcomes []verify.Outcome
	var log bytes.Buffer
	v := i.verifier(t, verify.WithObserver(func(o verify.Outcome) { outcomes = append(outcomes, o) }),
		verify.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	const genuine = "client_id=billing jti=1 kid=1"
	for _, tt := range []struct {
		name, token, result string
		genuine             bool
	}{
		{"good", key.listed(0), "accepted", true},
		{"not a token", "x", "malformed", false},
		{"another's", newES256("1", 2).token(nil), "signature", false},
		{"unknown kid", newES256("2", 2).token(nil), "signature", false},
		{"another issuer's", key.token(object{"iss": "https://other.example"}), "issuer", true},
		{"for another", key.token(object{"aud": "x"}), "audience", true},
		{"old", key.token(object{"exp": 1}), "expired", true},
		{"new", key.token(object{"nbf": 4_000_000_000}), "not_yet_valid", true},
		{"bound", key.token(object{"cnf": object{}}), "bound", true},
		{"revoked", key.listed(1), "revoked", true},
		{"list missing", key.token(object{"status": object{"status_list": object{"idx": 0, "uri": issuerURL + "/x"}}}), "unavailable", true},
		{"list elsewhere", key.token(object{"status": object{"status_list": object{"idx": 0, "uri": "u"}}}), "malformed", true},
	} {
		outcomes = nil
		log.Reset()
		_, err := v.Verify(t.Context(), tt.token)
		synctest.Wait() // a list that cannot be had is told to the log as well
		if len(outcomes) != 1 {
			t.Errorf("%s: %d outcomes, want one", tt.name, len(outcomes))
			continue
		}
		o := outcomes[0]
		if o.Result != tt.result || !errors.Is(err, o.Err) || (o.Token != nil) != tt.genuine || (o.KeyID == "1") != tt.genuine {
			t.Errorf("%s: outcome %+v with %v, want %s, genuine %v", tt.name, o, err, tt.result, tt.genuine)
		}
		if !slices.Contains(verify.Results(), o.Result) {
			t.Errorf("%s is not among Results", o.Result)
		}
		text := log.String()
		if told := strings.Contains(text, "reason="+tt.result); told != (tt.result != "accepted") || tt.genuine && told != strings.Contains(text, genuine) {
			t.Errorf("%s: logged %s", tt.name, text)
		}
		if tt.token != "x" && strings.Contains(text, tt.token[strings.LastIndex(tt.token, ".")+1:]) {
			t.Errorf("%s: logged the token: %s", tt.name, text)
		}
	}
}

// TestOutcomeOfRequest holds that the log says which request was refused.
func TestOutcomeOfRequest(t *testing.T) {
	key := newES256("1", 1)
	var log bytes.Buffer
	var outcomes []string
	v := newIssuer(key).verifier(t, verify.WithObserver(func(o verify.Outcome) { outcomes = append(outcomes, o.Result+" "+o.Method+" "+o.Path) }),
		verify.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	handler := v.Require(verify.Section("baltic"))(http.NotFoundHandler())
	get(handler, key.token(object{"exp": 1}))
	get(handler, key.token(nil))
	want := []string{"expired GET /", "accepted GET /", "insufficient_scope GET /"}
	if !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %q, want %q", outcomes, want)
	}
	for _, line := range []string{"reason=expired", "reason=insufficient_scope"} {
		if !strings.Contains(log.String(), line) || strings.Count(log.String(), "method=GET path=/") != 2 {
			t.Errorf("logged %s, want %s with the request", log.String(), line)
		}
	}
}
