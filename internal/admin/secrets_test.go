package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// opens says why a secret does not open the client, "" if it does.
func (w *world) opens(clientID, secret string, at time.Time) clients.Verdict {
	w.t.Helper()
	c, err := w.Clients.Client(w.t.Context(), clientID)
	if err != nil {
		w.t.Fatal(err)
	}
	verdict, _ := c.Authenticate(secret, at)
	return verdict
}

// Rotation without an outage: a second secret, both good, the first one ended.
func TestSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		api := w.api()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		added, err := api.AddSecretWithResponse(t.Context(), c.ID, nil, adminclient.SecretCreate{})
		if err != nil || added.StatusCode() != 201 {
			t.Fatalf("AddSecret = %v, %s", err, added.Body)
		}
		second := added.JSON201
		if second.Hint != second.ClientSecret[len(second.ClientSecret)-4:] || second.ExpiresAt != nil || second.LastUsedAt != nil || second.ID == c.Secrets[0].ID {
			t.Errorf("AddSecret = %+v", second)
		}
		if got := added.HTTPResponse.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q, want no-store", got)
		}
		for _, secret := range []string{c.ClientSecret, second.ClientSecret} {
			if verdict := w.opens(c.ID, secret, time.Now().Add(1000*time.Hour)); verdict != clients.Authenticated {
				t.Errorf("one of two live secrets: %q", verdict)
			}
		}
		w.do("POST", "/clients/"+c.ID+"/secrets", `{}`).isProblem(409, "two-secrets")
		w.do("POST", "/clients/"+c.ID+"/secrets", `{"overlap":0}`).isProblem(409, "two-secrets")

		list, err := api.ListSecretsWithResponse(t.Context(), c.ID, nil)
		if err != nil || list.StatusCode() != 200 || len(list.JSON200.Items) != 2 || list.JSON200.Next != nil {
			t.Fatalf("ListSecrets = %v, %s", err, list.Body)
		}
		for i, s := range list.JSON200.Items {
			if want := w.read(c.ID).Secrets[i]; s.ID != want.ID || s.Hint != want.Hint || s.UsesLastDay != 0 || s.AddressesLastDay != 0 {
				t.Errorf("secret %d = %+v, want %+v", i, s, want)
			}
		}

		first := "/clients/" + c.ID + "/secrets/" + c.Secrets[0].ID
		var p adminclient.Preview
		w.do("DELETE", first+"?dry_run=true", "").is(200).into(&p)
		if p.Kind != "secret" || p.ID != c.Secrets[0].ID || p.Name != nil || strings.Join(p.SecretsEnded, " ") != c.Secrets[0].ID {
			t.Errorf("dry run = %+v", p)
		}
		if verdict := w.opens(c.ID, c.ClientSecret, time.Now()); verdict != clients.Authenticated {
			t.Errorf("after a dry run the secret is %q", verdict)
		}
		w.do("DELETE", first, "").is(204)
		w.do("DELETE", first, "").isProblem(404, "not-found")
		if verdict := w.opens(c.ID, c.ClientSecret, time.Now()); verdict != clients.WrongSecret {
			t.Errorf("the secret that was deleted: %q", verdict)
		}
		if verdict := w.opens(c.ID, second.ClientSecret, time.Now()); verdict != clients.Authenticated {
			t.Errorf("the secret that stayed: %q", verdict)
		}

		other := w.register(`{"name":"m","sections":["nordic"],"permissions":{"email":["read"]}}`)
		w.do("DELETE", "/clients/"+other.ID+"/secrets/"+second.ID, "").isProblem(404, "not-found")
	})
}

func TestSecretOverlap(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for _, overlap := range []int{0, 3600, 7776000} {
			c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
			before := time.Now()
			var second adminclient.SecretCreated
			w.do("POST", "/clients/"+c.ID+"/secrets", fmt.Sprintf(`{"overlap":%d}`, overlap)).is(201).into(&second)
			end := before.Add(time.Duration(overlap) * time.Second)
			if overlap > 0 {
				if verdict := w.opens(c.ID, c.ClientSecret, end.Add(-2*time.Second)); verdict != clients.Authenticated {
					t.Errorf("overlap %d: the older secret is %q before its end", overlap, verdict)
				}
			}
			if verdict := w.opens(c.ID, c.ClientSecret, end.Add(time.Minute)); verdict != clients.SecretExpired {
				t.Errorf("overlap %d: the older secret is %q after its end", overlap, verdict)
			}
			if verdict := w.opens(c.ID, second.ClientSecret, end.Add(1000*time.Hour)); verdict != clients.Authenticated {
				t.Errorf("overlap %d: the newer secret is %q", overlap, verdict)
			}
			older := w.read(c.ID).Secrets[0]
			if w.read(c.ID).Secrets[0].ID != c.Secrets[0].ID { // made in the same second: the order is that of the ids
				older = w.read(c.ID).Secrets[1]
			}
			if older.ExpiresAt == nil || older.ExpiresAt.Sub(end).Abs() > time.Minute {
				t.Errorf("overlap %d: the older secret expires at %v, want %v", overlap, older.ExpiresAt, end)
			}
		}
	})
}

func TestRulesOfSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		path := "/clients/" + c.ID + "/secrets"
		past := time.Now().Add(-time.Minute).Format(time.RFC3339)
		w.do("POST", path, `{"expires_at":"`+past+`"}`).isProblem(422, "invalid", "/expires_at")
		w.do("POST", path, `{"expires_at":"0001-01-01T00:00:00Z"}`).isProblem(422, "invalid", "/expires_at")
		w.do("POST", path, `{"overlap":-1}`).isProblem(422, "invalid", "/overlap")
		w.do("POST", path, `{"overlap":7776001}`).isProblem(422, "invalid", "/overlap")
		w.do("POST", path, `{"overlap":9223372036854775807,"expires_at":"`+past+`"}`).isProblem(422, "invalid", "/expires_at", "/overlap")
		w.do("POST", path, `{"overlap":"1"}`).isProblem(400, "malformed", "/overlap")
		w.do("POST", path, `{"client_secret":"mine"}`).isProblem(400, "malformed", "/client_secret")

		// A body may be left out, and with it the Content-Type.
		future := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		a := w.do("POST", path, `{"expires_at":"`+future.In(time.FixedZone("", -3600)).Format(time.RFC3339Nano)+`"}`).is(201)
		if got, want := a.member("expires_at"), `"`+future.Format(time.RFC3339)+`"`; got != want {
			t.Errorf("expires_at = %s, want %s", got, want)
		}
		c = w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]}}`)
		w.send(w.request("POST", "/clients/"+c.ID+"/secrets")).is(201)
	})
}
