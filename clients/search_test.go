package clients

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
)

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// variety makes clients that are alike in much, so that orders have ties and filters find several.
func variety(t *testing.T, db *database.DB, store *Store, n int) (all []*Client) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	usage := NewUsage(db, slog.New(slog.DiscardHandler))
	for range n {
		c := &Client{
			Name:        pick(random, "Billing", "billing", "BILLING 2", "ÅRE shop", "åre", "100% CRM", "a_b", `c\d`, "CRM – 北"),
			Description: pick(random, "", "", "The shop's nightly import", "of Åre", "cafe", "Straße\nÄngelholm"),
			Held: held(pick(random, "nordic", "baltic", "baltic nordic", "*", ""),
				pick(random, "email:read", "email:write", "*:read", "mail:send"), pick(random, "email:read", "mail:send")),
			Disabled:  random.IntN(5) == 0,
			ExpiresAt: pick(random, time.Time{}, time.Time{}, at(1000), at(2000), at(3000)),
		}
		_, err := store.Create(t.Context(), c, at(random.IntN(5)))
		must(t, err)
		if random.IntN(2) == 0 {
			c.LastUsedAt = at(10 + 10*random.IntN(4))
			usage.Record(c.ID, c.Credentials[0].ID, "192.0.2.1", c.LastUsedAt)
		}
		if random.IntN(5) == 0 {
			c.SuspendedAt = at(1500)
			must(t, store.Suspend(t.Context(), c.ID, c.SuspendedAt))
		}
		all = append(all, c)
	}
	must(t, usage.Flush(t.Context()))
	return all
}

// matches says whether the query finds the client.
func (q Query) matches(c *Client) bool {
	text := fold(q.Text)
	inText := strings.Contains(fold(c.Name), text) || strings.Contains(fold(c.Description), text) || strings.Contains(c.ID, text)
	inSection := q.SectionID == "" || slices.Contains(c.Held.Sections, q.SectionID) || slices.Contains(c.Held.Sections, "*")
	may := len(q.Permissions) == 0 || slices.ContainsFunc(q.Permissions, func(p sections.Permission) bool { return slices.Contains(c.Held.Permissions, p) })
	ends := q.ExpiresBefore.IsZero() || !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(q.ExpiresBefore)
	unused := q.UnusedSince.IsZero() || c.CreatedAt.Before(q.UnusedSince) && c.LastUsedAt.Before(q.UnusedSince)
	state := StateActive
	switch c.usable(q.Now) {
	case IsDisabled:
		state = StateDisabled
	case IsSuspended:
		state = StateSuspended
	case HasExpired:
		state = StateExpired
	}
	return inText && inSection && may && ends && unused && (q.State == AnyState || q.State == state)
}

// compare is the order of the query.
func (q Query) compare(a, b *Client) int {
	end := func(c *Client) int64 {
		if c.ExpiresAt.IsZero() {
			return 1 << 62
		}
		return c.ExpiresAt.Unix()
	}
	by := map[Sort]int{
		ByAge: a.CreatedAt.Compare(b.CreatedAt), ByName: strings.Compare(fold(a.Name), fold(b.Name)),
		ByLastUse: a.LastUsedAt.Compare(b.LastUsedAt), ByExpiry: cmp.Compare(end(a), end(b)),
	}
	order := cmp.Or(by[q.by()], strings.Compare(a.ID, b.ID))
	if q.Descending {
		return -order
	}
	return order
}

// Whatever is asked for, in whichever order and in pages of whichever size, is what a look at
// every client finds.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		all := variety(t, db, store, 80)
		moments := []time.Time{{}, {}, at(3), at(5), at(20), at(1000), at(1001), at(2500), at(1 << 20)}
		texts := []string{
			"", "", "", "bill", "BILLING", "åre", "Å", "0%", "_", `\`, "%", "北", "shop", "import nightly", "'", "cafe", "ca", "a_b", "ing 2\n", "ß", "ängel",
			all[0].ID, all[1].ID[:6], strings.ToUpper(all[2].ID[4:20]), "no such text", "-", "\x00", "a\xff", strings.Repeat("x", 2000), "billing\nthe",
		}
		permissions := [][]sections.Permission{
			nil, nil, {permission("email:read")}, {permission("email:read"), permission("*:read")}, {permission("mail:send")}, {permission("fax:send")},
		}
		rapid.Check(t, func(r *rapid.T) {
			q := Query{
				Text:          rapid.SampledFrom(texts).Draw(r, "text"),
				SectionID:     rapid.SampledFrom([]string{"", "", "nordic", "baltic", "atlantis"}).Draw(r, "Section"),
				Permissions:   rapid.SampledFrom(permissions).Draw(r, "permissions"),
				ExpiresBefore: rapid.SampledFrom(moments).Draw(r, "expires before"),
				UnusedSince:   rapid.SampledFrom(moments).Draw(r, "unused since"),
				State:         rapid.SampledFrom([]State{AnyState, AnyState, StateActive, StateDisabled, StateSuspended, StateExpired}).Draw(r, "state"),
				Now:           at(2000),
				Sort:          rapid.SampledFrom([]Sort{"", ByAge, ByName, ByLastUse, ByExpiry}).Draw(r, "sort"),
				Descending:    rapid.Bool().Draw(r, "descending"),
				Limit:         rapid.IntRange(1, 30).Draw(r, "limit"),
			}
			var want []string
			for _, c := range slices.SortedFunc(slices.Values(all), q.compare) {
				if q.matches(c) {
					want = append(want, c.ID)
				}
			}
			if got, err := store.IDs(t.Context(), q); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				r.Fatalf("IDs = %q, %v; want %q", got, err, want)
			}
			if got := listed(t, r, store, q); !slices.Equal(got, want) {
				r.Fatalf("Search = %q; want %q", got, want)
			}
			if !findable(q.Text) {
				return
			}
			// Among so few, Search has seen all before it would begin with what a filter leaves.
			var begun []string
			found, err := store.begin(t.Context(), q, len(all))
			for _, p := range found {
				begun = append(begun, p.ID)
			}
			if err != nil || !slices.Equal(begun, want) {
				r.Fatalf("begin = %q, %v; want %q", begun, err, want)
			}
		})
	})
}

// listed are the ids of what the query finds, page by page.
func listed(t *testing.T, r rapid.TB, store *Store, q Query) (ids []string) {
	for {
		page, err := store.Search(t.Context(), q)
		if err != nil {
			r.Fatal(err)
		}
		if len(page.Clients) > q.Limit {
			r.Fatalf("a page has %d clients; at most %d were asked for", len(page.Clients), q.Limit)
		}
		for _, c := range page.Clients {
			ids = append(ids, c.ID)
		}
		if len(ids) > 1000 {
			r.Fatalf("the pages never end: %q …", ids[:10])
		}
		if page.Next == (Position{}) {
			return ids
		}
		if len(page.Clients) != q.Limit {
			r.Fatalf("a page that another follows has %d clients; want %d", len(page.Clients), q.Limit)
		}
		q.After = page.Next
	}
}

// What is found is read whole, and what was changed or deleted is found as it is now.
func TestSearchFollowsChanges(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, store *Store) {
		c, stays := full(), billing()
		create(t, store, c)
		create(t, store, stays)
		find := func(text string) []*Client {
			t.Helper()
			page, err := store.Search(t.Context(), Query{Text: text, Limit: 10})
			must(t, err)
			return page.Clients
		}
		if found := find("crm"); len(found) != 1 || !equal(found[0], read(t, store, c.ID)) {
			t.Errorf("before, Search = %+v; want %+v", found, c)
		}
		c.Name, c.Description = "Loyalty", "No longer"
		must(t, store.Update(t.Context(), c))
		for text, want := range map[string]int{"crm": 0, "LOYAL": 1, "no longer": 1, "loyalty no": 0} {
			if found := find(text); len(found) != want {
				t.Errorf("renamed, Search(%q) finds %d; want %d", text, len(found), want)
			}
		}
		must(t, store.Delete(t.Context(), c.ID, "me", noon))
		if found := find(""); len(found) != 1 || found[0].ID != stays.ID {
			t.Errorf("deleted, Search = %+v; want only %s", found, stays.ID)
		}
		if n := count(t, db, `SELECT count(*) FROM client_search`) + count(t, db, `SELECT count(*) FROM client_uses`); n != 2 {
			t.Errorf("%d rows are left of what clients are found by; want 2", n)
		}
	})
}

// A page may be asked for from a position that nothing has any more; one that is none is an error.
func TestSearchFromAnyPosition(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, store *Store) {
		for range 3 {
			create(t, store, billing())
		}
		for _, tt := range []struct {
			by    Sort
			after Position
			want  int
			fails bool
		}{
			{ByAge, Position{fmt.Sprint(noon.Unix()), ""}, 3, false},
			{ByAge, Position{fmt.Sprint(noon.Unix()), "z"}, 0, false},
			{ByName, Position{"a", "z"}, 3, false},
			{ByName, Position{"billing", "z"}, 0, false},
			{ByLastUse, Position{"-1", "z"}, 3, false},
			{ByExpiry, Position{"x", ""}, 0, true},
		} {
			page, err := store.Search(t.Context(), Query{Sort: tt.by, After: tt.after, Limit: 10})
			if len(page.Clients) != tt.want || (err != nil) != tt.fails {
				t.Errorf("%s after %+v: %d clients, %v; want %d", tt.by, tt.after, len(page.Clients), err, tt.want)
			}
		}
	})
}

func TestParseSort(t *testing.T) {
	for text, want := range map[string]string{
		"created_at": "created_at false true", "-name": "name true true", "last_used_at": "last_used_at false true", "-expires_at": "expires_at true true",
		"": " false false", "--name": "-name true false", "id": "id false false", "name ": "name  false false",
	} {
		by, descending, ok := ParseSort(text)
		if got := fmt.Sprint(by, " ", descending, " ", ok); got != want {
			t.Errorf("ParseSort(%q) = %q; want %q", text, got, want)
		}
	}
}

func fourSigns(text string) [4]int64 {
	has := signs(text)
	return [4]int64{has[0], has[1], has[2], idSigns(text)}
}

// A text that contains another has all its signs.
func TestSigns(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		part := rapid.String().Draw(r, "part")
		whole := rapid.String().Draw(r, "before") + part + rapid.String().Draw(r, "after")
		some, all := fourSigns(part), fourSigns(whole)
		for i := range some {
			if all[i]&some[i] != some[i] {
				r.Fatalf("%q has not the signs of %q", whole, part)
			}
		}
	})
}
