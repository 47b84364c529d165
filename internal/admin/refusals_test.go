package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/refusals"
)

// refused lets a token request be refused, and returns its error_id.
func (w *world) refused(clientID string, cause refusals.Cause, detail, address string, at time.Time) string {
	w.t.Helper()
	_, err := w.Clients.Client(w.t.Context(), clientID)
	return w.Refusals.Record(refusals.Refusal{ClientID: clientID, Known: err == nil, Cause: cause, Detail: detail, Address: address, At: at})
}

func (w *world) refusals(path string) []adminclient.Refusal {
	w.t.Helper()
	var list adminclient.RefusalList
	w.do("GET", path, "").is(200).into(&list)
	return list.Items
}

// Whoever has an error_id is told what was refused, why, and what to do, in the names of things.
func TestRefusalByErrorID(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		now := time.Now().Truncate(time.Second)
		c := w.register(`{"name":"CRM – production","sections":["nordic"],"permissions":{"email":["read"]},"audiences":["https://api.example"]}`)
		gone := w.register(`{"name":"Old import","sections":["nordic"],"permissions":{"email":["read"]}}`)
		w.do("DELETE", "/clients/"+gone.ID, "").is(204)
		expired := w.register(`{"name":"Trial","sections":["nordic"],"permissions":{"email":["read"]}}`)
		must(t, w.exec(`UPDATE clients SET expires_at = 1000000000 WHERE id = $1`, expired.ID))
		rotated := w.register(`{"name":"Rotated","sections":["nordic"],"permissions":{"email":["read"]}}`)
		w.do("POST", "/clients/"+rotated.ID+"/secrets", "").is(201)
		w.do("DELETE", "/clients/"+rotated.ID+"/secrets/"+rotated.Secrets[0].ID, "").is(204)
		for _, tt := range []struct {
			clientID string
			cause    refusals.Cause
			detail   string
			name     string   // of the client
			says     []string // in explanation and cure
		}{
			{c.ID, refusals.WrongSecret, "", "CRM – production", []string{`"CRM – production"`}},
			{c.ID, refusals.WrongSecret, refusals.Damaged, "CRM – production", []string{"checksum", "Copy the secret again"}},
			{c.ID, refusals.ScopeNotHeld, "email:write", "CRM – production", []string{"email:write", "email:read"}},
			{c.ID, refusals.AudienceUnknown, "https://other.example", "CRM – production", []string{"https://other.example", "https://api.example"}},
			{gone.ID, refusals.UnknownClient, "", "Old import", []string{`"Old import" was deleted on `, " by client " + w.root.ID, "final"}},
			{expired.ID, refusals.ClientExpired, "", "Trial", []string{`"Trial" had expired on 2001-09-09 at 01:46:40 UTC`}},
			{rotated.ID, refusals.SecretEnded, rotated.Secrets[0].ID, "Rotated", []string{"the secret that ends in " + rotated.Secrets[0].Hint, "was revoked on ", " by client " + w.root.ID}},
			{rotated.ID, refusals.SecretEnded, "forgotten", "Rotated", []string{"a secret, which had ended"}},
			{"nobody", refusals.UnknownClient, "", "", []string{"No client has or had"}},
			{"", refusals.NoCredentials, "there is none", "", []string{"did not authenticate"}},
		} {
			id := w.refused(tt.clientID, tt.cause, tt.detail, "192.0.2.7", now)
			for _, spelled := range []string{id, strings.ToLower(id), "+" + id + "+"} { // as people copy it
				found := w.refusals("/refusals?error_id=" + spelled)
				if len(found) != 1 {
					t.Fatalf("%s %q: the error_id %q finds %d", tt.cause, tt.detail, spelled, len(found))
				}
				r := found[0]
				if r.At == nil || !r.At.Equal(now) || r.Count != 1 || r.Address != "192.0.2.7" || deref(r.ClientName) != tt.name {
					t.Errorf("%s %q: %+v", tt.cause, tt.detail, r)
				}
				for _, says := range tt.says {
					if !strings.Contains(r.Explanation+" "+r.Cure, says) {
						t.Errorf("%s %q: %q and %q do not say %q", tt.cause, tt.detail, r.Explanation, r.Cure, says)
					}
				}
				if (r.ClientID == nil) != (tt.name == "") || r.ClientID != nil && *r.ClientID != tt.clientID {
					t.Errorf("%s %q: client_id = %q", tt.cause, tt.detail, deref(r.ClientID))
				}
				if r.Explanation == "" || r.Cure == "" {
					t.Errorf("%s %q: nothing is said", tt.cause, tt.detail)
				}
			}
		}
		if r := w.refusals("/refusals?cause=client_deleted"); len(r) != 1 || *r[0].ClientID != gone.ID {
			t.Errorf("of deleted clients: %+v", r)
		}
		for _, unknown := range []string{"", "x", strings.Repeat("A", 26), strings.Repeat("A", 5000), "' OR 1=1 --"} {
			wantJSON(t, string(w.do("GET", "/refusals?error_id="+strings.ReplaceAll(unknown, " ", "+"), "").is(200).body), `{"items":[]}`)
		}
	})
}

func TestListRefusals(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c, other, gone := w.register(newClient), w.register(newClient), w.register(newClient)
		hour := time.Now().Truncate(time.Hour).Add(-5 * time.Hour)
		for i := range 4 {
			w.refused(c.ID, refusals.WrongSecret, "", "192.0.2.1", hour.Add(time.Duration(i)*time.Hour))
			w.refused(c.ID, refusals.WrongSecret, "", "192.0.2.1", hour.Add(time.Duration(i)*time.Hour+time.Minute))
		}
		w.refused(c.ID, refusals.ScopeNotHeld, "email:write", "192.0.2.1", hour)
		w.refused(gone.ID, refusals.ClientDisabled, "", "192.0.2.1", hour)
		w.refused("no-such-id", refusals.UnknownClient, "", "192.0.2.1", hour)
		w.do("DELETE", "/clients/"+gone.ID, "").is(204)
		w.refused(gone.ID, refusals.UnknownClient, "", "192.0.2.1", hour)

		since := "since=" + hour.Add(2*time.Hour).UTC().Format(time.RFC3339)
		for path, want := range map[string]int{
			"/refusals?x":                               8,
			"/refusals?client=" + c.ID:                  5,
			"/refusals?client=no-such-id":               1,
			"/refusals?client=No-Such-Id":               0,
			"/refusals?client=" + gone.ID:               2,
			"/refusals?cause=wrong_secret":              4,
			"/refusals?cause=nothing":                   0,
			"/refusals?" + since:                        2,
			"/refusals?" + since + "&client=" + gone.ID: 0,
			"/clients/" + c.ID + "/refusals?x":          5,
			"/clients/" + gone.ID + "/refusals?x":       2,
			"/clients/" + other.ID + "/refusals?x":      0,
		} {
			for _, limit := range []int{1, 3, 200} {
				if got, _ := w.walkQuery(path, "last_at", limit); len(got) != want {
					t.Errorf("%s in pages of %d has %d items, want %d", path, limit, len(got), want)
				}
			}
		}
		w.do("GET", "/clients/no-such-id/refusals", "").isProblem(404, "not-found")
		for _, query := range []string{"since=yesterday", "limit=0", "cursor=x", "client=a&client=b"} {
			w.do("GET", "/refusals?"+query, "").isProblem(400, "malformed")
		}

		first := w.refusals("/clients/" + c.ID + "/refusals")[0] // newest first
		if first.Count != 2 || !first.FirstAt.Equal(hour.Add(3*time.Hour)) || !first.LastAt.Equal(hour.Add(3*time.Hour+time.Minute)) || first.At != nil {
			t.Errorf("the newest is %+v, want 2 in an hour", first)
		}
		if text := string(w.do("GET", "/refusals", "").body); strings.Contains(text, c.ClientSecret) || strings.Contains(text, "no-such-id") {
			t.Errorf("the list tells a secret, or an id that no-such-id has: %s", text)
		}
		for _, method := range []string{"POST", "PATCH", "DELETE"} {
			w.do(method, "/refusals", "").isProblem(405, "method-not-allowed")
		}
	})
}
