package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// fetched has a party fetch the JWKS, as it is now.
func (w *world) fetched(userAgent, address string, at time.Time) {
	_, etag := w.Keys.JWKS()
	w.Fetches.Record(userAgent, address, etag, at)
}

// have are how many have each key and how many do not, by its kid.
func (w *world) have() map[string]string {
	w.t.Helper()
	have := map[string]string{}
	for _, k := range w.keys() {
		have[k.Kid] = "-"
		if k.SeenBy != nil && k.UnseenBy != nil {
			have[k.Kid] = fmt.Sprintf("%d %d", *k.SeenBy, *k.UnseenBy)
		}
	}
	return have
}

// Before a new key signs, one sees who has it and who has not.
func TestWhoHasTheKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.keys()[0].Kid
		now := time.Now().Truncate(time.Second)
		w.fetched("shop", "192.0.2.1", now.Add(-10*time.Minute))
		w.fetched("crm", "192.0.2.2", now.Add(-9*time.Minute))
		w.fetched("gone", "192.0.2.3", now.Add(-25*time.Hour))
		if got := w.have()[first]; got != "2 0" {
			t.Errorf("of the parties, %q have the first key and do not; want 2 and 0", got)
		}
		var next adminclient.SigningKey
		w.do("POST", "/signing-keys/rotate", "").is(201).into(&next)
		if next.SeenBy == nil || *next.SeenBy != 0 || next.UnseenBy == nil || *next.UnseenBy != 2 {
			t.Errorf("rotate = %+v; want a key that 0 have seen and 2 have not", next)
		}
		w.fetched("shop", "192.0.2.1", now.Add(-time.Minute))
		if got := w.have(); got[first] != "2 0" || got[next.Kid] != "1 1" {
			t.Errorf("the keys are had by %v; want the first by 2, the next by 1", got)
		}
		w.do("POST", "/signing-keys/rotate", `{"now":true}`).is(201)
		if got := w.have(); got[first] != "-" {
			t.Errorf("a retired key is had by %q; want nothing said", got[first])
		}

		var list adminclient.JWKSFetchList
		w.do("GET", "/jwks-fetches", "").is(200).into(&list)
		var got []string
		for _, f := range list.Items {
			got = append(got, fmt.Sprintf("%s %s %d %t", f.UserAgent, f.Address, len(f.Kids), f.Current))
		}
		if want := []string{"shop 192.0.2.1 2 false", "crm 192.0.2.2 1 false", "gone 192.0.2.3 1 false"}; !slices.Equal(got, want) {
			t.Errorf("the fetches are %q; want %q", got, want)
		}
		if f := list.Items[0]; !f.LastFetchedAt.Equal(now.Add(-time.Minute)) || !slices.Contains(f.Kids, first) || !slices.Contains(f.Kids, next.Kid) {
			t.Errorf("the newest fetch is %+v; want one at %s of %s and %s", f, now.Add(-time.Minute), first, next.Kid)
		}
		w.fetched("crm", "192.0.2.2", now)
		w.do("GET", "/jwks-fetches?limit=1", "").is(200).into(&list)
		if !list.Items[0].Current {
			t.Errorf("the newest fetch is %+v; want one of the keys as they are", list.Items[0])
		}
	})
}

func TestListJWKSFetches(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		answer, err := w.api().ListJWKSFetchesWithResponse(t.Context(), nil)
		if err != nil || answer.StatusCode() != 200 || answer.JSON200.Items == nil || len(answer.JSON200.Items) != 0 {
			t.Fatalf("ListJWKSFetches = %v, %s; want an empty list", err, answer.Body)
		}
		now := time.Now()
		for i := range 7 { // some at the same time
			w.fetched(fmt.Sprintf("agent %d of <b>", i), fmt.Sprintf("2001:db8::%d", i%2), now.Add(-time.Duration(i/3)*time.Minute))
		}
		for _, limit := range []int{1, 2, 3, 7, 8, 200} {
			got, _ := w.walk("/jwks-fetches", "user_agent", limit)
			slices.Sort(got)
			if len(slices.Compact(got)) != 7 {
				t.Errorf("in pages of %d the fetches are %q; want 7", limit, got)
			}
		}
		w.do("GET", "/jwks-fetches?limit=0", "").isProblem(400, "malformed")
		w.do("GET", "/jwks-fetches?cursor=x", "").isProblem(400, "malformed")
		var page listing
		w.do("GET", "/jwks-fetches?limit=1", "").is(200).into(&page)
		w.do("GET", "/signing-keys?cursor="+page.Next, "").isProblem(400, "malformed")
		for _, method := range []string{"POST", "PATCH", "DELETE"} {
			if got := w.do(method, "/jwks-fetches", "").isProblem(405, "method-not-allowed").header.Get("Allow"); got != "GET, HEAD" {
				t.Errorf("%s: Allow = %q, want GET, HEAD", method, got)
			}
		}
		w.do("POST", "/signing-keys/rotate", "").is(201)
		w.raw = w.token(w.root, "wardkey:read")
		w.do("GET", "/jwks-fetches", "").is(200)
		if text := string(w.do("GET", "/audit-events", "").is(200).body); strings.Contains(text, "seen_by") {
			t.Errorf("the audit log says who has a key: %s", text)
		}
	})
}
