package admin_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/sections"
)

// A page of any list.
type listing struct {
	Items []map[string]any `json:"items"`
	Next  string           `json:"next"`
}

// walk reads a list page by page, and returns the values of one member.
func (w *world) walk(path, member string, limit int) (values []string, pages int) {
	w.t.Helper()
	cursor := ""
	for {
		var page listing
		w.do("GET", fmt.Sprintf("%s?limit=%d%s", path, limit, cursor), "").is(200).into(&page)
		pages++
		for _, item := range page.Items {
			values = append(values, item[member].(string))
		}
		if len(page.Items) > limit {
			w.t.Errorf("%s with limit %d has %d items", path, limit, len(page.Items))
		}
		if page.Next == "" {
			return values, pages
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
}

// Every list is read whole, each item once, whatever the pages' size.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		now := time.Now()
		ids := map[string][]string{}
		for i := range 7 {
			id := fmt.Sprintf("id-%d", i)
			at := now.Add(time.Duration(i/3) * time.Hour) // three share a second
			must(t, w.Sections.CreateSection(t.Context(), &sections.Section{ID: id, Name: "n", CreatedAt: at}))
			must(t, w.Sections.CreateKeyspace(t.Context(), &sections.Keyspace{ID: id, Name: "n", Actions: []string{"read"}, CreatedAt: at}))
			must(t, w.Sections.CreateCapability(t.Context(), &sections.Capability{ID: "c" + id, Name: "n", Actions: []string{"send"}, CreatedAt: at}))
			ids["/sections"], ids["/keyspaces"] = append(ids["/sections"], id), append(ids["/keyspaces"], id)
			ids["/capabilities"] = append(ids["/capabilities"], "c"+id)
			ids["/clients"] = append(ids["/clients"], w.client(id, "read").ID)
		}
		ids["/clients"] = append(ids["/clients"], w.root.ID)
		c := w.client("secrets", "read")
		ids["/clients"] = append(ids["/clients"], c.ID)
		w.do("POST", "/clients/"+c.ID+"/secrets", "").is(201)
		for _, secret := range w.read(c.ID).Secrets {
			ids["/clients/"+c.ID+"/secrets"] = append(ids["/clients/"+c.ID+"/secrets"], secret.ID)
		}
		for range 3 {
			w.do("POST", "/signing-keys/rotate", "").is(201)
		}
		for _, k := range w.keys() {
			ids["/signing-keys"] = append(ids["/signing-keys"], k.Kid)
		}
		for path, want := range ids {
			member := "id"
			if path == "/signing-keys" {
				member = "kid"
			}
			for _, limit := range []int{1, 2, 3, 7, 8, 200} {
				got, pages := w.walk(path, member, limit)
				if wantPages := (len(want) + limit - 1) / limit; pages != wantPages {
					t.Errorf("%s with limit %d has %d pages, want %d", path, limit, pages, wantPages)
				}
				if path == "/clients" || strings.HasSuffix(path, "/secrets") { // their ids are random
					slices.Sort(got)
					slices.Sort(want)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s with limit %d = %q, want %q", path, limit, got, want)
				}
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		must(t, w.DB.Transact(t.Context(), func(ctx context.Context) error {
			for i := range 210 {
				s := &sections.Section{ID: fmt.Sprintf("s%03d", i), Name: "n", CreatedAt: time.Now()}
				if err := w.Sections.CreateSection(ctx, s); err != nil {
					return err
				}
			}
			return nil
		}))
		for query, want := range map[string]int{
			"": 50, "?limit=1": 1, "?limit=200": 200, "?limit=201": 200, "?limit=1000000": 200, "?limit=9223372036854775807": 200, "?limit=100000000000000000000": 200, "?limit=007": 7,
		} {
			var page listing
			w.do("GET", "/sections"+query, "").is(200).into(&page)
			if len(page.Items) != want || page.Next == "" {
				t.Errorf("%q has %d items and next %q, want %d and a next", query, len(page.Items), page.Next, want)
			}
		}
		for _, path := range []string{"/sections", "/keyspaces", "/capabilities", "/clients", "/signing-keys", "/clients/" + w.root.ID + "/secrets"} {
			for _, limit := range []string{"0", "-1", "x", "1.5", "", "1e2", "-100000000000000000000", "%00", "5&limit=6"} {
				w.do("GET", path+"?limit="+limit, "").isProblem(400, "malformed")
			}
		}
	})
}

// A cursor that was made up, edited, or is of another list or server is refused (ZF-08).
func TestForgedCursors(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		next := func(path string) string {
			var page listing
			w.do("GET", path+"?limit=1", "").is(200).into(&page)
			return page.Next
		}
		good := next("/sections")
		w.do("GET", "/sections?cursor="+good, "").is(200)
		raw, err := base64.RawURLEncoding.DecodeString(good)
		must(t, err)
		forged := []string{"", "x", "====", good[:len(good)-1], good + "A", good + "%0A", good[:4] + "%0A" + good[4:], next("/keyspaces"), strings.Repeat("A", 10000), "1%27%20OR%201=1"}
		for i := range raw {
			edited := slices.Clone(raw)
			edited[i] ^= 1
			forged = append(forged, base64.RawURLEncoding.EncodeToString(edited))
		}
		forged = append(forged, base64.RawURLEncoding.EncodeToString(raw[:len(raw)-16]), base64.RawURLEncoding.EncodeToString(raw[len(raw)-16:]))
		for _, cursor := range forged {
			w.do("GET", "/sections?cursor="+cursor, "").isProblem(400, "malformed")
		}
		w.do("GET", "/keyspaces?cursor="+good, "").isProblem(400, "malformed")

		// Secrets of one client are a list of their own.
		list := func(c *clients.Client) string {
			w.do("POST", "/clients/"+c.ID+"/secrets", "").is(201)
			return "/clients/" + c.ID + "/secrets"
		}
		a, b := list(w.client("a", "read")), list(w.client("b", "read"))
		w.do("GET", a+"?cursor="+next(a), "").is(200)
		w.do("GET", b+"?cursor="+next(a), "").isProblem(400, "malformed")
	})
}
