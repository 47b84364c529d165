package admin_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/audit"
)

// found are the names of the clients that a query finds, page by page in its order.
func (w *world) found(query string, limit int) []string {
	w.t.Helper()
	names, _ := w.walkQuery("/clients?"+query, "name", limit)
	return names
}

// walkQuery is walk for a list with a query.
func (w *world) walkQuery(path, member string, limit int) (values []string, pages int) {
	w.t.Helper()
	for cursor := ""; ; pages++ {
		var page listing
		w.do("GET", fmt.Sprintf("%s&limit=%d%s", path, limit, cursor), "").is(200).into(&page)
		for _, item := range page.Items {
			values = append(values, item[member].(string))
		}
		if page.Next == "" {
			return values, pages + 1
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
}

// crowd makes the clients that the tests look for, and takes root's name out of the way.
func (w *world) crowd() map[string]adminclient.ClientCreated {
	w.t.Helper()
	w.setUp()
	crowd := map[string]adminclient.ClientCreated{}
	for _, body := range []string{
		`{"name":"Ängel","sections":["nordic"],"permissions":{"email":["read"]}}`,
		`{"name":"100% sure","sections":["nordic","baltic"],"permissions":{"email":["read","write"]}}`,
		`{"name":"under_score","sections":["*"],"permissions":{"*":["read"]}}`,
		`{"name":"back\\slash","description":"of CRM","sections":["baltic"],"permissions":{"crm-id":["write"]},"disabled":true}`,
		`{"name":"mailer","sections":[],"permissions":{"transactional-email":["send"]},"expires_at":"2035-01-01T00:00:00Z"}`,
		`{"name":"old","sections":["nordic"],"permissions":{"email":["delete"]},"expires_at":"2035-06-01T00:00:00Z"}`,
	} {
		c := w.register(body)
		crowd[c.Name] = c
	}
	must(w.t, w.exec(`UPDATE clients SET expires_at = 1000 WHERE name = 'old'`))
	must(w.t, w.exec(`UPDATE client_search SET expires_at = 1000 WHERE name = 'old'`))
	return crowd
}

func TestFindClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		crowd := w.crowd()
		usage := clients.NewUsage(w.DB, slog.New(slog.DiscardHandler))
		usage.Record(crowd["mailer"].ID, crowd["mailer"].Secrets[0].ID, "192.0.2.1", time.Now())
		usage.Record(crowd["old"].ID, crowd["old"].Secrets[0].ID, "192.0.2.1", time.Now().Add(-72*time.Hour))
		must(t, usage.Flush(t.Context()))
		must(t, w.exec(`UPDATE clients SET created_at = created_at - 864000 WHERE name <> 'Ängel'`))
		must(t, w.exec(`UPDATE client_search SET created_at = created_at - 864000 WHERE name <> 'ängel'`))
		all := []string{"Ängel", "100% sure", "under_score", `back\slash`, "mailer", "old", "root"}
		but := func(names ...string) []string {
			return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(names, name) })
		}
		yesterday := url.QueryEscape(time.Now().Add(-24 * time.Hour).Format(time.RFC3339))
		for query, want := range map[string][]string{
			"":                              all,
			"q=":                            all,
			"q=ängel":                       {"Ängel"},
			"q=" + url.QueryEscape("ÄNGEL"): {"Ängel"},
			"q=%25":                         {"100% sure"},
			"q=_":                           {"under_score"},
			"q=" + url.QueryEscape(`\`):     {`back\slash`},
			"q=CRM":                         {`back\slash`}, // in the description
			"q=e":                           append([]string{}, w.containing(all, crowd, "e")...),
			"q=" + crowd["mailer"].ID:       {"mailer"},
			"q=" + crowd["mailer"].ID[9:23]: {"mailer"},
			"q=" + strings.ToUpper(crowd["mailer"].ID):                  {"mailer"},
			"q=" + url.QueryEscape("' OR 1=1 --"):                       nil,
			"q=" + strings.Repeat("%C3%A4", 200):                        nil, // as long as may be, in characters
			"section=nordic":                                            {"Ängel", "100% sure", "under_score", "old"},
			"section=baltic":                                            {"100% sure", "under_score", `back\slash`},
			"section=*":                                                 {"under_score"},
			"section=nothing":                                           {"under_score"}, // every Section, future ones too
			"permission=email:read":                                     {"Ängel", "100% sure", "under_score"},
			"permission=*:read":                                         {"under_score"},
			"permission=crm-id:write":                                   {`back\slash`},
			"permission=crm-id:read":                                    {"under_score"},
			"permission=email:delete":                                   {"old"},
			"permission=transactional-email:send":                       {"mailer"},
			"permission=wardkey:write":                                  {"root"},
			"permission=nothing:read":                                   nil,
			"state=active":                                              but(`back\slash`, "old"),
			"state=disabled":                                            {`back\slash`},
			"state=expired":                                             {"old"},
			"state=suspended":                                           nil,
			"expires_before=2035-01-01T00:00:00Z":                       {"old"},
			"expires_before=2035-01-01T00:00:01Z":                       {"old", "mailer"},
			"expires_before=2035-01-01T01:00:01%2B01:00":                {"old", "mailer"},
			"unused_since=" + yesterday:                                 but("Ängel", "mailer"),
			"unused_since=2000-01-01T00:00:00Z":                         nil,
			"section=nordic&permission=email:read":                      {"Ängel", "100% sure", "under_score"},
			"section=baltic&permission=email:write&q=sure&state=active": {"100% sure"},
			"q=sure&state=disabled":                                     nil,
		} {
			wantSame(t, query, w.found(query, 2), want)
		}
		for _, query := range []string{
			"state=ended", "state=Active", "sort=age", "sort=", "sort=--name", "sort=name,id", "permission=email", "permission=:read", "permission=email:",
			"expires_before=tomorrow", "unused_since=1", "q=" + strings.Repeat("q", 201), "q=a&q=b", "limit=0", "limit=-1", "limit=x", "limit=1.5",
		} {
			p := w.do("GET", "/clients?"+query, "").isProblem(400, "malformed").problem()
			if name, _, _ := strings.Cut(query, "="); !strings.Contains(*p.Detail, name) {
				t.Errorf("%s: %q does not name it", query, *p.Detail)
			}
		}
		w.do("GET", "/deleted-clients?q="+strings.Repeat("q", 201), "").isProblem(400, "malformed")
	})
}

// containing are the names that have a text in them, or whose client's id has it.
func (w *world) containing(names []string, crowd map[string]adminclient.ClientCreated, text string) (with []string) {
	for _, name := range names {
		id := crowd[name].ID
		if name == "root" {
			id = w.root.ID
		}
		if strings.Contains(strings.ToLower(name), text) || strings.Contains(id, text) {
			with = append(with, name)
		}
	}
	return with
}

// Whatever a list is sorted by, and however small its pages are, each client is in it once.
func TestSortClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		usage := clients.NewUsage(w.DB, slog.New(slog.DiscardHandler))
		start := time.Now().Add(-time.Hour).Truncate(time.Second)
		for i, name := range []string{"b", "B", "a", "ä", "c", "b", "_"} {
			c := &clients.Client{Name: name, CreatedBy: "the test", ExpiresAt: start.Add(time.Duration(i/3) * 48 * time.Hour)}
			c.Held = w.root.Held
			if i%3 == 0 {
				c.ExpiresAt = time.Time{}
			}
			_, err := w.Clients.Create(t.Context(), c, start.Add(time.Duration(i/2)*time.Minute))
			must(t, err)
			if i%2 == 0 {
				usage.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", start.Add(time.Duration(i/4)*time.Minute))
			}
		}
		must(t, usage.Flush(t.Context()))
		member := map[string]func(c adminclient.Client) string{
			"created_at":   func(c adminclient.Client) string { return c.CreatedAt.Format(time.RFC3339) },
			"name":         func(c adminclient.Client) string { return strings.ToLower(c.Name) },
			"last_used_at": func(c adminclient.Client) string { return text(c.LastUsedAt, "0") },
			"expires_at":   func(c adminclient.Client) string { return text(c.ExpiresAt, "9") },
		}
		for by, value := range member {
			for _, sort := range []string{by, "-" + by} {
				for _, limit := range []int{1, 3} {
					var got []string
					for _, c := range w.clientsIn("/clients?sort="+sort, limit) {
						got = append(got, value(c)+" "+c.ID)
					}
					want := slices.Sorted(slices.Values(got))
					if sort != by {
						slices.Reverse(want)
					}
					if !slices.Equal(got, want) || len(slices.Compact(want)) != 8 {
						t.Errorf("sorted by %s in pages of %d: %q", sort, limit, got)
					}
				}
			}
		}
	})
}

// text is a time that sorts, never as it is given.
func text(at *time.Time, never string) string {
	if at == nil {
		return never
	}
	return at.Format(time.RFC3339)
}

// clientsIn reads a list of clients page by page.
func (w *world) clientsIn(path string, limit int) (all []adminclient.Client) {
	w.t.Helper()
	for cursor := ""; ; {
		var list adminclient.ClientList
		w.do("GET", path+"&limit="+strconv.Itoa(limit)+cursor, "").is(200).into(&list)
		all = append(all, list.Items...)
		if list.Next == nil {
			return all
		}
		cursor = "&cursor=" + url.QueryEscape(*list.Next)
	}
}

// A cursor is good for the order that it is of, and for no other list (ZF-08).
func TestCursorsOfOrders(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.client("second", "read")
		lists := []string{
			"/clients?sort=created_at", "/clients?sort=-created_at", "/clients?sort=name", "/clients?sort=-name", "/clients?sort=last_used_at", "/clients?sort=expires_at",
			"/audit-events?x", "/signing-keys?x", "/sections?x", "/deleted-clients?x", "/refusals?x", "/admins?x", "/sessions?x",
			"/clients/" + w.root.ID + "/secrets?x", "/clients/" + w.root.ID + "/refusals?x",
		}
		for _, from := range lists[:4] {
			var page listing
			w.do("GET", from+"&limit=1", "").is(200).into(&page)
			if page.Next == "" {
				t.Fatalf("%s has one page of one", from)
			}
			for _, to := range lists {
				a := w.do("GET", to+"&cursor="+page.Next, "")
				if to == from {
					a.is(200)
				} else {
					a.isProblem(400, "malformed")
				}
			}
			raw, err := base64.RawURLEncoding.DecodeString(page.Next)
			must(t, err)
			raw[len(raw)/2]++
			for _, forged := range []string{base64.RawURLEncoding.EncodeToString(raw), page.Next + "A", page.Next[1:], "x", "%00", "' OR 1=1"} {
				w.do("GET", from+"&cursor="+url.QueryEscape(forged), "").isProblem(400, "malformed")
			}
		}
		w.do("GET", "/clients?limit=1&cursor="+w.next("/clients?limit=1"), "").is(200) // without a sort it is created_at
		w.do("GET", "/clients?sort=created_at&limit=1&cursor="+w.next("/clients?limit=1"), "").is(200)
	})
}

// next is the cursor at the end of a page.
func (w *world) next(path string) string {
	w.t.Helper()
	var page listing
	w.do("GET", path, "").is(200).into(&page)
	return page.Next
}

// Clients are deleted by a filter in two steps: what would be deleted, and that it be just that.
func TestDeleteClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		crowd := w.crowd()
		before := w.contents()
		preview := w.preview("section=baltic")
		var names []string
		for _, c := range preview.ClientsDeleted {
			names = append(names, c.Name)
			if c.ID != crowd[c.Name].ID || c.LastUsedAt != nil {
				t.Errorf("the dry run says %+v", c)
			}
		}
		wantSame(t, "dry run", names, []string{"100% sure", "under_score", `back\slash`})
		if other := w.preview("section=baltic"); other.Confirm != preview.Confirm {
			t.Error("two dry runs of the same give different words to confirm")
		}
		nothing := w.preview("q=nothing+like+this")
		if len(nothing.ClientsDeleted) != 0 || nothing.Confirm == "" {
			t.Errorf("a dry run that finds nothing = %+v", nothing)
		}

		for _, tt := range []struct {
			query, kind string
			status      int
		}{
			{"", "malformed", 400},
			{"dry_run=true", "malformed", 400},
			{"confirm=" + preview.Confirm, "malformed", 400},
			{"dry_run=false&confirm=" + preview.Confirm, "malformed", 400},
			{"q=&dry_run=true", "malformed", 400}, // whoever forgot the value does not mean all
			{"q=&section=&state=&dry_run=true", "malformed", 400},
			{"section=baltic", "malformed", 400},
			{"section=baltic&dry_run=false", "malformed", 400},
			{"section=baltic&dryrun=true&confirm=" + preview.Confirm, "malformed", 400},
			{"section=baltic&limit=1&confirm=" + preview.Confirm, "malformed", 400},
			{"section=baltic&sort=name&confirm=" + preview.Confirm, "malformed", 400},
			{"state=ended&dry_run=true", "malformed", 400},
			{"permission=email&dry_run=true", "malformed", 400},
			{"expires_before=soon&dry_run=true", "malformed", 400},
			{"section=baltic&section=nordic&dry_run=true", "malformed", 400},
			{"section=baltic&confirm=", "changed-since", 409},
			{"section=baltic&confirm=x", "changed-since", 409},
			{"section=nordic&confirm=" + preview.Confirm, "changed-since", 409},
			{"section=baltic&confirm=" + nothing.Confirm, "changed-since", 409},
		} {
			w.do("DELETE", "/clients?"+tt.query, "").isProblem(tt.status, tt.kind)
		}
		if w.contents() != before {
			t.Error("dry runs and refusals changed something")
		}

		// Found by one more, or one less, it is not what was confirmed.
		late := w.register(`{"name":"late","sections":["baltic"],"permissions":{"email":["read"]}}`)
		w.do("DELETE", "/clients?section=baltic&confirm="+preview.Confirm, "").isProblem(409, "changed-since")
		w.do("DELETE", "/clients/"+late.ID, "").is(204)
		last := w.head()
		a := w.do("DELETE", "/clients?section=baltic&confirm="+preview.Confirm, "").is(204)
		wantSame(t, "what is left", w.found("", 200), []string{"Ängel", "mailer", "old", "root"})
		var want []string
		for _, name := range names {
			want = append(want, `client.delete client `+crowd[name].ID+` `+name+` of `+crowd[name].ID+` {"name":{"before":`+strconv.Quote(name)+`}}`)
			w.do("GET", "/deleted-clients/"+crowd[name].ID, "").is(200)
		}
		w.wantEvents(last, strings.NewReplacer(), want...)
		w.wantOrigin(last, a, audit.Actor{Kind: audit.Client, ID: w.root.ID, Name: "root"})
		w.do("DELETE", "/clients?section=baltic&confirm="+preview.Confirm, "").isProblem(409, "changed-since") // they are gone
		w.do("DELETE", "/clients?q=nothing+like+this&confirm="+nothing.Confirm, "").is(204)
	})
}

// preview is a dry run of deleting the clients that a query finds.
func (w *world) preview(query string) (p adminclient.BulkPreview) {
	w.t.Helper()
	w.do("DELETE", "/clients?dry_run=true&"+query, "").is(200).into(&p)
	return p
}

// Many clients go together, or none does.
func TestDeleteManyClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		must(t, w.DB.Transact(t.Context(), func(ctx context.Context) error {
			for i := range 205 { // more than a page of a search
				c := &clients.Client{Name: fmt.Sprintf("many %d", i), CreatedBy: "the test", Held: w.root.Held}
				if _, err := w.Clients.Create(ctx, c, time.Now()); err != nil {
					return err
				}
			}
			return nil
		}))
		preview, last := w.preview("q=many"), w.head()
		if len(preview.ClientsDeleted) != 205 {
			t.Fatalf("the dry run finds %d of 205", len(preview.ClientsDeleted))
		}
		must(t, w.exec(`ALTER TABLE audit_head RENAME TO audit_head_away`))
		w.do("DELETE", "/clients?q=many&confirm="+preview.Confirm, "").isProblem(500, "internal")
		must(t, w.exec(`ALTER TABLE audit_head_away RENAME TO audit_head`))
		if again := w.preview("q=many"); again.Confirm != preview.Confirm {
			t.Errorf("after a failure %d are left of 205", len(again.ClientsDeleted))
		}
		w.do("DELETE", "/clients?q=many&confirm="+preview.Confirm, "").is(204)
		if left, events := w.found("q=many", 200), w.head()-last; len(left) != 0 || events != 205 {
			t.Errorf("%d are left, and %d events were written, want 0 and 205", len(left), events)
		}
		ids, pages := w.walk("/deleted-clients", "id", 200)
		if slices.Sort(ids); len(slices.Compact(ids)) != 205 || pages != 2 {
			t.Errorf("there are %d deleted clients in %d pages", len(ids), pages)
		}
	})
}
