package admin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/databasetest"
	"github.com/wardkey/wardkey/tokens"
)

func (w *world) keys() []adminclient.SigningKey {
	w.t.Helper()
	var list adminclient.SigningKeyList
	w.do("GET", "/signing-keys", "").is(200).into(&list)
	return list.Items
}

// states are those of the keys, oldest first.
func (w *world) states() []adminclient.SigningKeyState {
	w.t.Helper()
	var states []adminclient.SigningKeyState
	for _, k := range w.keys() {
		states = append(states, k.State)
	}
	slices.Sort(states)
	return states
}

func TestSigningKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.keys()
		if len(first) != 1 || first[0].Alg != adminclient.ES256 || first[0].State != adminclient.SigningKeyStateActive || first[0].ActivatedAt == nil || first[0].RetiredAt != nil || first[0].RemovesAt != nil {
			t.Fatalf("the first key = %+v", first)
		}
		rotated, err := w.api().RotateSigningKeyWithResponse(t.Context(), nil, adminclient.SigningKeyRotate{})
		if err != nil || rotated.StatusCode() != 201 {
			t.Fatalf("RotateSigningKey = %v, %s", err, rotated.Body)
		}
		k := rotated.JSON201
		if k.State != adminclient.SigningKeyStatePending || k.Alg != adminclient.ES256 || k.ActivatedAt != nil || k.Kid == first[0].Kid || k.ActivatesAt.Sub(k.CreatedAt) != tokens.DefaultSchedule.Publish {
			t.Errorf("RotateSigningKey = %+v, want a pending ES256 key that signs in %v", k, tokens.DefaultSchedule.Publish)
		}
		w.do("DELETE", "/signing-keys/"+k.Kid, "").is(204)

		var now adminclient.SigningKey
		w.do("POST", "/signing-keys/rotate", `{"now":true}`).is(201).into(&now)
		if now.State != adminclient.SigningKeyStateActive || now.ActivatedAt == nil {
			t.Errorf("rotate now = %+v, want an active key", now)
		}
		if got := w.states(); !slices.Equal(got, []adminclient.SigningKeyState{adminclient.SigningKeyStateActive, adminclient.SigningKeyStateRetired}) {
			t.Errorf("after a rotation at once the keys are %v, want active, retired", got)
		}
		for _, k := range w.keys() {
			if k.State == adminclient.SigningKeyStateRetired && (k.RetiredAt == nil || k.RemovesAt == nil || !k.RemovesAt.After(*k.RetiredAt)) {
				t.Errorf("the retired key = %+v, want its times", k)
			}
		}
		var other adminclient.SigningKey
		w.do("POST", "/signing-keys/rotate", `{"alg":"EdDSA","now":true}`).is(201).into(&other)
		if other.Alg != adminclient.EdDSA || !w.Keys.Ready(tokens.EdDSA) {
			t.Errorf("rotate EdDSA = %+v, want a key that signs", other)
		}
		for _, alg := range []string{"none", "HS256", "es256", ""} {
			w.do("POST", "/signing-keys/rotate", `{"alg":"`+alg+`"}`).isProblem(422, "invalid", "/alg")
		}
		w.do("POST", "/signing-keys/rotate", `{"force":true}`).isProblem(400, "malformed", "/force")
		w.do("POST", "/signing-keys/rotate", "").is(201) // the body may be left out
	})
}

// A key that leaked is out at once: tokens it signed open nothing, and a new one signs.
func TestDeleteSigningKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		kid := w.keys()[0].Kid
		var p adminclient.Preview
		a := w.do("DELETE", "/signing-keys/"+kid+"?dry_run=true", "").is(200).into(&p)
		for _, list := range []string{"clients_narrowed", "clients_deleted", "secrets_ended"} {
			if got := a.member(list); got != "[]" {
				t.Errorf("%s = %s, want []", list, got)
			}
		}
		if p.Kind != "signing_key" || p.ID != kid || p.KeyState == nil || *p.KeyState != "active" {
			t.Errorf("dry run = %+v", p)
		}
		if got := w.keys(); len(got) != 1 || got[0].Kid != kid {
			t.Fatalf("after a dry run the keys are %+v", got)
		}
		w.do("DELETE", "/signing-keys/"+kid, "", "If-Match", `"other"`).isProblem(412, "precondition-failed")
		w.do("DELETE", "/signing-keys/"+kid, "", "If-Match", `*`).is(204)
		w.do("GET", "/sections", "").isProblem(401, "unauthenticated")

		w.raw = w.token(w.root, "wardkey:write")
		w.do("DELETE", "/signing-keys/"+kid, "").isProblem(404, "not-found")
		if got := w.keys(); len(got) != 1 || got[0].Kid == kid || got[0].State != adminclient.SigningKeyStateActive {
			t.Errorf("the keys are %+v, want a new active one", got)
		}
	})
}

// A key that was deleted on one server opens nothing on another, without delay.
func TestDeleteSigningKeyOnAnotherServer(t *testing.T) {
	url, master := databasetest.PostgresURL(t), tokens.NewMasterKey()
	here, there := newWorld(t, openAt(t, url), master), newWorld(t, openAt(t, url), master)
	there.raw = here.raw
	there.do("GET", "/sections", "").is(200)
	here.do("DELETE", "/signing-keys/"+here.keys()[0].Kid, "").is(204)
	there.do("GET", "/sections", "").isProblem(401, "unauthenticated")
	there.raw = here.token(here.root, "wardkey:read")
	there.do("GET", "/sections", "").is(200)
}

func TestSigningKeyTimes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.keys()[0]
		for _, at := range []time.Time{k.CreatedAt, k.ActivatesAt, *k.ActivatedAt} {
			if at.Location() != time.UTC || time.Since(at) > time.Minute || at.Nanosecond() != 0 {
				t.Errorf("a time of the first key is %v, want now, to the second", at)
			}
		}
	})
}
