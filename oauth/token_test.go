package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/sections"
)

// TestStrangersLearnNothing holds that nobody who is not authenticated can tell why, whatever
// else is wrong with the request: one answer, but for its error_id.
func TestStrangersLearnNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.tally()
		billing := w.clients["billing"]
		strangers := map[string]string{
			"wrong secret":       basic(billing.ID, clients.NewSecret().Reveal()),
			"unknown client":     basic("7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11", billing.secret),
			"an id of no client": basic("billing", billing.secret),
			"an id with NUL":     basic("%00"+billing.ID[3:], billing.secret),
			"an id in no UTF-8":  basic("%ff%fe"+billing.ID[6:], billing.secret),
			"id in capitals":     basic(strings.ToUpper(billing.ID), billing.secret),
			"id as a URN":        basic("urn:uuid:"+billing.ID, billing.secret),
			"another's secret":   basic(billing.ID, w.clients["crm"].secret),
			"disabled":           w.clients["disabled"].basic(),
			"expired":            w.clients["expired"].basic(),
			"secret expired":     w.clients["stale"].basic(),
			"deleted":            w.clients["deleted"].basic(),
		}
		for _, form := range [][]string{nil, {"scope", "no such:scope"}, {"resource", "https://evil.example"}, {"resource", "x", "scope", "\xff"}} {
			want := stripped(w.ask(strangers["wrong secret"], form...))
			if !strings.Contains(want, `"error":"invalid_client"`) {
				t.Errorf("a wrong secret with %q is answered with %s", form, want)
			}
			for name, authorization := range strangers {
				if got := stripped(w.ask(authorization, form...)); got != want {
					t.Errorf("%s with %q is answered with\n%s\nbut a wrong secret with\n%s", name, form, got, want)
				}
			}
		}
	})
}

var errorID = regexp.MustCompile(`"error_id":"[A-Z2-7]{26}"`)

// stripped is an answer without what must differ.
func stripped(answer *httptest.ResponseRecorder) string {
	return fmt.Sprintln(answer.Code, answer.Header(), errorID.ReplaceAllString(answer.Body.String(), "an error_id"))
}

// TestDeletedClient holds that a client is gone at once.
func TestDeletedClient(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		billing := w.clients["billing"]
		status(t, w.ask(billing.basic()), 200)
		w.must(w.store.Delete(t.Context(), billing.ID, "test", time.Now()))
		status(t, w.ask(billing.basic()), 401)
	})
}

func status(t *testing.T, answer *httptest.ResponseRecorder, want int) {
	t.Helper()
	if answer.Code != want {
		t.Errorf("status %d, want %d: %s", answer.Code, want, answer.Body)
	}
}

// TestDeletedWhileAsking holds that no request that begins after the deletion gets a token, while
// others are on their way.
func TestDeletedWhileAsking(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		billing := w.clients["billing"].basic()
		type reply struct {
			asked time.Time
			code  int
		}
		replies := make(chan reply, 1<<16)
		ctx, stop := context.WithCancel(t.Context())
		ask := func() {
			asked := time.Now()
			replies <- reply{asked, w.ask(billing).Code}
		}
		var asking, begun sync.WaitGroup
		for range 50 {
			begun.Add(1)
			asking.Go(func() {
				ask()
				begun.Done()
				for ctx.Err() == nil {
					ask()
				}
			})
		}
		begun.Wait()
		w.must(w.store.Delete(t.Context(), w.clients["billing"].ID, "test", time.Now()))
		deleted := time.Now()
		ask()
		stop()
		asking.Wait()
		close(replies)
		codes := map[int]int{}
		for r := range replies {
			codes[r.code]++
			if r.code == 200 && r.asked.After(deleted) {
				t.Fatalf("a token %v after the client was deleted", r.asked.Sub(deleted))
			}
		}
		if codes[200] == 0 || codes[401] == 0 || len(codes) != 2 {
			t.Errorf("the answers were %v, want some 200, some 401 and no others", codes)
		}
	})
}

// TestRenamedClient holds that a name is only a name.
func TestRenamedClient(t *testing.T) {
	w := newWorld(t)
	billing := w.clients["billing"]
	before, err := w.claims(billing.basic())
	w.must(err)
	renamed := *billing.Client
	renamed.Name = "Invoices"
	w.must(w.store.Update(t.Context(), &renamed))
	after, err := w.claims(billing.basic())
	if err != nil || after.ClientID != before.ClientID || after.Scope != before.Scope {
		t.Errorf("after the renaming: %v, %v; before it: %v", after, err, before)
	}
}

// TestTwoSecrets holds that two secrets live during a rotation, and each until its own end.
func TestTwoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.clients["billing"].ID
		overlap := time.Hour
		_, second, err := w.store.AddSecret(t.Context(), id, time.Now().Add(2*time.Hour), &overlap, time.Now())
		w.must(err)
		first, next := w.clients["billing"].basic(), basic(id, second.Reveal())
		status(t, w.ask(first), 200)
		status(t, w.ask(next), 200)
		time.Sleep(overlap - time.Second)
		w.must(w.keys.Refresh(t.Context())) // as Keys.Run does: a server does not sign with keys that it has not seen for long
		status(t, w.ask(first), 200)
		time.Sleep(time.Second)
		status(t, w.ask(first), 401)
		status(t, w.ask(next), 200)
		time.Sleep(time.Hour)
		w.must(w.keys.Refresh(t.Context()))
		status(t, w.ask(next), 401) // its own end

		third, secret, err := w.store.AddSecret(t.Context(), id, time.Time{}, nil, time.Now())
		w.must(err)
		status(t, w.ask(basic(id, secret.Reveal())), 200)
		w.must(w.store.RevokeSecret(t.Context(), id, third.ID, "test", time.Now()))
		status(t, w.ask(basic(id, secret.Reveal())), 401)
	})
}

// TestUse holds that each token, and nothing else, counts as a use of its client and secret.
func TestUse(t *testing.T) {
	w := newWorld(t)
	billing := w.clients["billing"]
	var used []string
	w.oauth.Used = func(_ context.Context, u Use) error {
		if time.Since(u.At) > time.Minute || u.Address != "192.0.2.1" || !slices.Equal(u.Audience, []string{"https://api.example"}) {
			t.Errorf("used as %+v", u)
		}
		used = append(used, u.ClientID+" "+u.SecretID)
		return nil
	}
	added, second, err := w.store.AddSecret(t.Context(), billing.ID, time.Time{}, nil, time.Now())
	w.must(err)
	status(t, w.ask(billing.basic()), 200)
	status(t, w.ask(basic(billing.ID, second.Reveal())), 200)
	status(t, w.ask(basic(billing.ID, "wrong")), 401)
	status(t, w.ask(billing.basic(), "scope", "phone:read"), 400)
	status(t, w.ask(w.clients["disabled"].basic()), 401)
	want := []string{billing.ID + " " + billing.Credentials[0].ID, billing.ID + " " + added.ID}
	if !slices.Equal(used, want) {
		t.Errorf("used were %q, want %q", used, want)
	}
}

// TestUseNotWritten holds that no token is given whose use could not be written.
func TestUseNotWritten(t *testing.T) {
	w := newWorld(t)
	w.oauth.Used = func(context.Context, Use) error { return errors.New("the disk is on fire") }
	answer := w.ask(w.clients["billing"].basic())
	unavailable(t, answer, "the store does not answer; try again soon")
	if text := answer.Body.String(); strings.Contains(text, "fire") || strings.Contains(text, "access_token") {
		t.Errorf("the answer tells too much: %s", text)
	}
}

// TestClientThatEnds holds that a client works until it is disabled or its time is over.
func TestClientThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		billing := *w.clients["billing"].Client
		authorization := w.clients["billing"].basic()
		for _, disabled := range []bool{true, false} {
			billing.Disabled = disabled
			w.must(w.store.Update(t.Context(), &billing))
			status(t, w.ask(authorization), map[bool]int{true: 401, false: 200}[disabled])
		}
		billing.ExpiresAt = time.Now().Add(10 * time.Second)
		w.must(w.store.Update(t.Context(), &billing))
		time.Sleep(9 * time.Second)
		status(t, w.ask(authorization), 200)
		time.Sleep(time.Second)
		status(t, w.ask(authorization), 401)
	})
}

// TestTakenAway holds that what is taken away, or comes to be, is so for the next request.
func TestTakenAway(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		crm, wide := w.clients["crm"].basic(), w.clients["wide"].basic()
		scope := func(authorization, asked, want string) {
			t.Helper()
			got, err := w.claims(authorization, "scope", asked)
			switch {
			case err != nil && !strings.Contains(err.Error(), want):
				t.Errorf("asked for %q: %v, want %s", asked, err, want)
			case err == nil && got.Scope != want:
				t.Errorf("asked for %q: granted %q, want %q", asked, got.Scope, want)
			}
		}
		scope(crm, "", "section:baltic section:nordic crm-id:read email:read transactional-email:send")
		_, _, err := w.store.TakeSection(t.Context(), "baltic", "test", time.Now())
		w.must(err)
		scope(crm, "", "section:nordic crm-id:read email:read transactional-email:send")
		scope(crm, "section:baltic", "invalid_scope")

		scope(wide, "section:baltic", "section:baltic *:read")
		w.must(w.things.DeleteSection(t.Context(), "baltic"))
		scope(wide, "section:baltic", "invalid_scope")
		scope(wide, "section:tropics", "invalid_scope")
		w.must(w.things.CreateSection(t.Context(), &sections.Section{ID: "tropics", Name: "Tropics"}))
		scope(wide, "section:tropics", "section:tropics *:read")

		_, err = w.store.TakePermissions(t.Context(), "crm-id", nil)
		w.must(err)
		scope(crm, "", "section:nordic email:read transactional-email:send")
		scope(wide, "crm-id:read", "crm-id:read section:*")
		w.must(w.things.DeleteKeyspace(t.Context(), "crm-id"))
		scope(wide, "crm-id:read", "invalid_scope")
		w.must(w.things.CreateKeyspace(t.Context(), &sections.Keyspace{ID: "phone", Name: "Phone", Actions: sections.DefaultActions}))
		scope(wide, "phone:read", "phone:read section:*")

		mail := sections.Capability{ID: "transactional-email", Name: "Mail", Actions: []string{"send"}}
		w.must(w.things.UpdateCapability(t.Context(), &mail))
		scope(crm, "", "section:nordic email:read")
		scope(crm, "transactional-email:send", "invalid_scope")
		mail.Enabled = true
		w.must(w.things.UpdateCapability(t.Context(), &mail))
		scope(crm, "", "section:nordic email:read transactional-email:send")

		narrowed := *w.clients["crm"].Client
		narrowed.Held = sections.Held{Sections: []string{"nordic"}, Permissions: []sections.Permission{{Target: "email", Action: "write"}}}
		w.must(w.store.Update(t.Context(), &narrowed))
		scope(crm, "", "section:nordic email:write")
		scope(crm, "email:read", "invalid_scope")
	})
}

// TestSecretLengths holds that a secret is compared whole, however long it is.
func TestSecretLengths(t *testing.T) {
	w := newWorld(t)
	billing := w.clients["billing"]
	wrong := []string{"", "w", billing.secret[:52], billing.secret + "a", billing.secret + billing.secret, billing.secret + "\x00"}
	for _, n := range []int{72, 73, 200, 10 << 10} {
		wrong = append(wrong, (billing.secret + strings.Repeat("a", n))[:n])
	}
	for _, secret := range wrong {
		status(t, w.ask(basic(billing.ID, secret)), 401)
		status(t, w.ask(basic("7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11", secret)), 401)
	}
}

// TestTimeTellsNothing measures that an unknown client, a wrong secret and one that is nearly
// right are refused in about the same time, as are long secrets. It sees what differs by a slow
// hash or a second query, not by nanoseconds: that secrets are compared as hashes, in constant
// time, is for package clients.
func TestTimeTellsNothing(t *testing.T) {
	w := newWorld(t)
	w.tally()
	billing, nobody := w.clients["billing"], "7d9cb5c1-6f3c-4f7e-9d0e-0b4d8d6a1c11"
	last := '0' + (billing.secret[52]-'0'+1)%10
	long := strings.Repeat("a", 10<<10)
	for _, pair := range []struct {
		name string
		a, b string
	}{
		{"unknown client and wrong secret", basic(nobody, clients.NewSecret().Reveal()), basic(billing.ID, clients.NewSecret().Reveal())},
		{"the first and the last character", basic(billing.ID, "x"+billing.secret[1:]), basic(billing.ID, billing.secret[:52]+string(rune(last)))},
		{"a long secret of an unknown client and of a known one", basic(nobody, long), basic(billing.ID, long)},
		{"disabled and wrong secret", w.clients["disabled"].basic(), basic(w.clients["disabled"].ID, clients.NewSecret().Reveal())},
	} {
		var a, b []time.Duration
		for range 100 {
			for times, authorization := range map[*[]time.Duration]string{&a: pair.a, &b: pair.b} {
				start := time.Now()
				w.ask(authorization)
				*times = append(*times, time.Since(start))
			}
		}
		slices.Sort(a)
		slices.Sort(b)
		t.Logf("%s: %v and %v", pair.name, a[10], b[10]) // when nothing gets in the way
		if ratio := float64(a[10]) / float64(b[10]); ratio < 0.25 || ratio > 4 {
			t.Errorf("%s take %v and %v", pair.name, a[10], b[10])
		}
	}
}

// TestManyWrongSecrets holds that a thousand wrong secrets at once do not keep a client waiting.
func TestManyWrongSecrets(t *testing.T) {
	w := newWorld(t)
	billing := w.clients["billing"]
	wrong := basic(billing.ID, clients.NewSecret().Reveal())
	var strangers sync.WaitGroup
	for range 1000 {
		strangers.Go(func() { status(t, w.ask(wrong), 401) })
	}
	start := time.Now()
	status(t, w.ask(billing.basic()), 200)
	if waited := time.Since(start); waited > 10*time.Second {
		t.Errorf("a client waited %v among a thousand wrong secrets", waited)
	}
	strangers.Wait()
}

// TestIssuedCredentials holds what stock clients ask of ids and secrets: letters, digits, dashes
// and underscores, the same encoded or not, and no two alike.
func TestIssuedCredentials(t *testing.T) {
	plain := regexp.MustCompile(`^wks_[0-9A-Za-z]{49}$`) // 43 of them random: 256 bits
	seen := map[string]bool{}
	for range 10_000 {
		secret := clients.NewSecret().Reveal()
		if !plain.MatchString(secret) || seen[secret] {
			t.Fatalf("a bad secret after %d", len(seen))
		}
		seen[secret] = true
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for client := range maps.Values(newWorld(t).clients) {
		if !uuid.MatchString(client.ID) {
			t.Errorf("%q is not a UUID", client.ID)
		}
	}
}

// TestLongScope holds the bounds of a scope: 1024 values are granted, in no time; one more is
// refused.
func TestLongScope(t *testing.T) {
	w := newWorld(t)
	var keyspaces []sections.Keyspace
	var asked []string
	for i := range 1025 {
		id := fmt.Sprintf("k%d", i)
		keyspaces = append(keyspaces, sections.Keyspace{ID: id, Actions: []string{"read"}})
		asked = append(asked, id+":read")
	}
	wide := w.clients["wide"]
	w.oauth.Clients = always{wide.ID, w.store, sections.NewCatalog(nil, keyspaces, nil)}
	start := time.Now()
	got, err := w.claims(wide.basic(), "scope", strings.Join(asked[:1024], " "))
	if err != nil || len(strings.Fields(got.Scope)) != 1025 { // and section:*
		t.Errorf("1024 values: %v", err)
	}
	status(t, w.ask(wide.basic(), "scope", strings.Join(asked, " ")), 400)
	if took := time.Since(start); took > 20*time.Second { // milliseconds, unless it grows with the square
		t.Errorf("two long scopes took %v", took)
	}
}

// always finds one client, in a catalog of its own.
type always struct {
	id      string
	store   *clients.Store
	catalog *sections.Catalog
}

func (a always) Client(ctx context.Context, _ string) (*clients.Client, *sections.Catalog, error) {
	c, err := a.store.Client(ctx, a.id)
	return c, a.catalog, err
}

// TestTokenSize holds that a token of a large client fits a header: servers commonly take 8 KiB.
func TestTokenSize(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.Transact(t.Context(), func(ctx context.Context) error {
		var held, permissions []string
		for i := range 25 {
			s := fmt.Sprintf("usercreated.sections.heartland_demo_%d.1-rppfuhvt6a", i)
			w.must(w.things.CreateSection(ctx, &sections.Section{ID: s, Name: s}))
			k := fmt.Sprintf("com.apsis1.keyspaces.number-%d", i)
			w.must(w.things.CreateKeyspace(ctx, &sections.Keyspace{ID: k, Name: k, Actions: sections.DefaultActions}))
			held, permissions = append(held, s), append(permissions, k+":read", k+":write")
		}
		w.client(ctx, 100, "large", strings.Join(held, " "), strings.Join(permissions, " "), nil)
		return nil
	}))
	answer := w.ask(w.clients["large"].basic())
	var body tokenBody
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || len(body.AccessToken) == 0 || len(body.AccessToken) > 8000 {
		t.Errorf("a token of 25 Sections and 50 permissions has %d bytes (%v); want at most 8000", len(body.AccessToken), err)
	}
}
