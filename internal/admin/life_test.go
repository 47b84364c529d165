package admin_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/people"
)

// Tokens that were revoked open nothing here from that answer on; those that come later do.
func TestRevokeTokens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.client("c", "read")
		old := "Bearer " + w.token(c, "wardkey:read")
		w.do("GET", "/clients", "", "Authorization", old).is(200)
		before := w.do("GET", "/clients/"+c.ID, "").is(200)
		w.do("POST", "/clients/"+c.ID+"/revoke-tokens", "").is(204)
		w.do("GET", "/clients", "", "Authorization", old).isProblem(401, "unauthenticated")

		after, err := w.Clients.Client(t.Context(), c.ID)
		must(t, err)
		if after.StatusIndex == c.StatusIndex {
			t.Errorf("new tokens have the place %d in the status lists, as those that were revoked", c.StatusIndex)
		}
		var revoked int64
		must(t, w.DB.QueryRow(t.Context(), `SELECT revoked_at FROM status_entries WHERE position = $1`, c.StatusIndex).Scan(&revoked))
		if time.Since(time.Unix(revoked, 0)) > time.Minute {
			t.Errorf("the bit of the old place is set at %d", revoked)
		}
		w.do("GET", "/clients", "", "Authorization", "Bearer "+w.token(after, "wardkey:read")).is(200)
		wantJSON(t, string(w.do("GET", "/clients/"+c.ID, "").body), string(before.body)) // the client stays as it was

		w.do("POST", "/clients/x/revoke-tokens", "").isProblem(404, "not-found")
		w.do("POST", "/clients/"+w.root.ID+"/revoke-tokens", "").is(204) // one's own, too
		w.do("GET", "/clients", "").isProblem(401, "unauthenticated")
	})
}

// A single token that its client revoked (RFC 7009) opens nothing here either.
func TestRevokedToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		raw := w.token(w.root, "wardkey:read")
		w.do("GET", "/clients", "", "Authorization", "Bearer "+raw).is(200)
		claims, err := w.Issuer.Parse(raw)
		must(t, err)
		must(t, w.Revoked.Revoke(t.Context(), claims))
		w.do("GET", "/clients", "", "Authorization", "Bearer "+raw).isProblem(401, "unauthenticated")
		w.do("GET", "/clients", "", "Authorization", "Bearer "+w.token(w.root, "wardkey:read")).is(200)
	})
}

// An end is kept to the second, and from that second on the client or the secret opens nothing.
func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		end := time.Now().Add(time.Hour).Truncate(time.Second)
		at := fmt.Sprintf(`"expires_at":%q`, end.Add(400*time.Millisecond).Format(time.RFC3339Nano))
		c := w.register(`{"name":"n","sections":["nordic"],"permissions":{"email":["read"]},` + at + `}`)
		if !c.ExpiresAt.Equal(end) {
			t.Errorf("expires_at = %v, want %v", c.ExpiresAt, end)
		}
		stored, err := w.Clients.Client(t.Context(), c.ID)
		must(t, err)
		for _, tt := range []struct {
			at     time.Time
			usable bool
		}{{end.Add(-time.Nanosecond), true}, {end, false}, {end.Add(time.Hour), false}} {
			if got := stored.Usable(tt.at); got != tt.usable {
				t.Errorf("Usable %v before its end = %v", end.Sub(tt.at), got)
			}
		}

		c = w.register(newClient)
		var second adminclient.SecretCreated
		w.do("POST", "/clients/"+c.ID+"/secrets", "{"+at+"}").is(201).into(&second)
		if !second.ExpiresAt.Equal(end) {
			t.Errorf("expires_at of a secret = %v, want %v", second.ExpiresAt, end)
		}
		for verdict, at := range map[clients.Verdict]time.Time{clients.Authenticated: end.Add(-time.Nanosecond), clients.SecretExpired: end} {
			if got := w.opens(c.ID, second.ClientSecret, at); got != verdict {
				t.Errorf("%v before its end the secret is %q, want %q", end.Sub(at), got, verdict)
			}
			if got := w.opens(c.ID, c.ClientSecret, at); got != clients.Authenticated {
				t.Errorf("the other secret is %q", got)
			}
		}

		// A client's own token ends with the client, in this API too.
		reader := w.client("reader", "read")
		raw := "Bearer " + w.token(reader, "wardkey:read")
		w.do("PATCH", "/clients/"+reader.ID, `{"expires_at":"`+end.Format(time.RFC3339)+`"}`).is(200)
		w.do("GET", "/clients", "", "Authorization", raw).is(200)
		must(t, w.exec(`UPDATE clients SET expires_at = $1 WHERE id = $2`, time.Now().Unix(), reader.ID))
		w.do("GET", "/clients", "", "Authorization", raw).isProblem(401, "unauthenticated")
		w.do("PATCH", "/clients/"+reader.ID, `{"expires_at":null}`).is(200)
		w.do("GET", "/clients", "", "Authorization", raw).is(200)
	})
}

// Whoever asks for a deleted client is told when it was deleted and by whom, whatever they want
// to do with it.
func TestTombstones(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		ann := w.person("ann@example.com", people.Owner)
		ann.arrive()
		byToken := w.register(`{"name":"Gone %_ Ä","sections":["nordic"],"permissions":{"email":["read"]}}`)
		byAnn := w.register(`{"name":"\"quoted\"","sections":["nordic"],"permissions":{"email":["read"]}}`)
		w.do("DELETE", "/clients/"+byToken.ID, "").is(204)
		ann.do("DELETE", "/clients/"+byAnn.ID, "").is(204)
		must(t, w.exec(`UPDATE deleted_clients SET deleted_at = 1893456000 WHERE id = $1`, byAnn.ID))

		says := regexp.MustCompile(`^the client "\\"quoted\\"" was deleted on 2030-01-01 at 00:00:00 UTC by admin ann@example\.com; that cannot be undone$`)
		path := "/clients/" + byAnn.ID
		for _, a := range []*answer{
			w.do("GET", path, ""), w.do("PATCH", path, `{"name":"n"}`), w.do("DELETE", path, ""), w.do("DELETE", path+"?dry_run=true", ""),
			w.do("POST", path+"/secrets", ""), w.do("GET", path+"/secrets", ""), w.do("DELETE", path+"/secrets/"+byAnn.Secrets[0].ID, ""),
			w.do("GET", path+"/secrets/x/addresses", ""), w.do("POST", path+"/revoke-tokens", ""), w.do("POST", path+"/cancel-rotation", ""),
		} {
			if p := a.isProblem(404, "not-found").problem(); !says.MatchString(*p.Detail) {
				t.Errorf("%s: %q", a.what, *p.Detail)
			}
		}
		if p := w.do("GET", "/clients/"+byToken.ID, "").isProblem(404, "not-found").problem(); !strings.Contains(*p.Detail, " by client ") {
			t.Errorf("%q does not say by which client", *p.Detail)
		}

		var gone adminclient.DeletedClient
		w.do("GET", "/deleted-clients/"+byAnn.ID, "").is(200).into(&gone)
		if gone.ID != byAnn.ID || gone.Name != `"quoted"` || gone.DeletedAt.Unix() != 1893456000 || gone.DeletedBy != "admin ann@example.com" {
			t.Errorf("what is left is %+v", gone)
		}
		for _, id := range []string{"x", w.root.ID} {
			w.do("GET", "/deleted-clients/"+id, "").isProblem(404, "not-found")
		}
		for query, want := range map[string][]string{
			"":                    {byAnn.ID, byToken.ID}, // newest first
			"q=":                  {byAnn.ID, byToken.ID},
			"q=GONE":              {byToken.ID},
			"q=%C3%A4":            {byToken.ID},
			"q=%25_":              {byToken.ID},
			"q=%25%25":            nil,
			"q=" + byAnn.ID[4:20]: {byAnn.ID},
			"q=root":              nil, // it lives
		} {
			if got, _ := w.walkQuery("/deleted-clients?"+query, "id", 1); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		for _, method := range []string{"POST", "PATCH", "DELETE"} {
			w.do(method, "/deleted-clients/"+byAnn.ID, "").isProblem(405, "method-not-allowed")
		}
	})
}

// Taking a rotation back brings the state before: one live secret, with the end that it had.
func TestCancelRotation(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		for _, body := range []string{`{}`, `{"overlap":0}`, `{"overlap":3600}`} {
			c := w.register(newClient)
			path := "/clients/" + c.ID
			w.do("POST", path+"/cancel-rotation", "").isProblem(409, "no-rotation")
			end := time.Now().Add(48 * time.Hour).Truncate(time.Second)
			must(t, w.exec(`UPDATE client_secrets SET expires_at = $1, created_at = created_at - 60 WHERE id = $2`, end.Unix(), c.Secrets[0].ID))
			var second adminclient.SecretCreated
			w.do("POST", path+"/secrets", body).is(201).into(&second)
			if body == `{"overlap":0}` { // the older one has ended at once: there is nothing to go back to
				w.do("POST", path+"/cancel-rotation", "").isProblem(409, "no-rotation")
				continue
			}
			var after adminclient.Client
			a := w.do("POST", path+"/cancel-rotation", "").is(200).into(&after)
			if len(after.Secrets) != 1 || after.Secrets[0].ID != c.Secrets[0].ID || !after.Secrets[0].ExpiresAt.Equal(end) {
				t.Errorf("after %s and cancelling: %+v, want an end at %v", body, after.Secrets, end)
			}
			read := w.do("GET", path, "").is(200)
			if wantJSON(t, string(read.body), string(a.body)); read.header.Get("ETag") != a.header.Get("ETag") {
				t.Errorf("ETag = %s, and %s when it was cancelled", read.header.Get("ETag"), a.header.Get("ETag"))
			}
			if got := w.opens(c.ID, second.ClientSecret, time.Now()); got == clients.Authenticated {
				t.Error("the newer secret still opens the client")
			}
			if got := w.opens(c.ID, c.ClientSecret, end.Add(-time.Second)); got != clients.Authenticated {
				t.Errorf("the older secret is %q", got)
			}
			w.do("POST", path+"/cancel-rotation", "").isProblem(409, "no-rotation")
		}
		w.do("POST", "/clients/x/cancel-rotation", "").isProblem(404, "not-found")
	})
}

// How often and from where each secret was used in the last day.
func TestSecretsInUse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		var second adminclient.SecretCreated
		w.do("POST", "/clients/"+c.ID+"/secrets", "").is(201).into(&second)
		usage := clients.NewUsage(w.DB, slog.New(slog.DiscardHandler))
		now := time.Now()
		for _, use := range []struct {
			secret, address string
			ago             time.Duration
		}{
			{c.Secrets[0].ID, "192.0.2.1", 30 * time.Hour}, // too long ago
			{c.Secrets[0].ID, "192.0.2.1", 2 * time.Hour},
			{c.Secrets[0].ID, "192.0.2.2", time.Hour},
			{c.Secrets[0].ID, "192.0.2.1", 0},
			{c.Secrets[0].ID, "192.0.2.1", 0},
			{second.ID, "2001:db8::1", 0},
		} {
			usage.Record(c.ID, use.secret, use.address, now.Add(-use.ago))
		}
		must(t, usage.Flush(t.Context()))

		var list adminclient.SecretList
		w.do("GET", "/clients/"+c.ID+"/secrets", "").is(200).into(&list)
		for _, s := range list.Items {
			want := "1 from 1"
			if s.ID == c.Secrets[0].ID {
				want = "4 from 2"
			}
			if got := fmt.Sprintf("%d from %d", s.UsesLastDay, s.AddressesLastDay); got != want || s.LastUsedAt.Unix() != now.Unix() {
				t.Errorf("the secret %s was used %s at %v, want %s", s.ID, got, s.LastUsedAt, want)
			}
		}
		path := "/clients/" + c.ID + "/secrets/" + c.Secrets[0].ID
		var from adminclient.AddressList
		w.do("GET", path+"/addresses", "").is(200).into(&from)
		var got []string
		for _, a := range from.Items {
			got = append(got, fmt.Sprintf("%s %d %v", a.Address, a.Uses, now.Sub(a.LastUsedAt).Round(time.Hour)))
		}
		if want := "[192.0.2.1 3 0s 192.0.2.2 1 1h0m0s]"; fmt.Sprint(got) != want {
			t.Errorf("the addresses are %v, want %s", got, want)
		}
		unused := w.register(newClient)
		wantJSON(t, string(w.do("GET", "/clients/"+unused.ID+"/secrets/"+unused.Secrets[0].ID+"/addresses", "").is(200).body), `{"items":[]}`)
		for _, path := range []string{"/clients/" + c.ID + "/secrets/x/addresses", "/clients/" + unused.ID + "/secrets/" + second.ID + "/addresses", "/clients/x/secrets/x/addresses"} {
			w.do("GET", path, "").isProblem(404, "not-found")
		}
	})
}
