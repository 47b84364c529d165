package admin_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
	"github.com/wardkey/wardkey/internal/usage"
)

// ask counts a token request of a client so long ago.
func (w *world) counted(clientID, outcome, address string, ago time.Duration) {
	w.Usage.Record(usage.Request{ClientID: clientID, Outcome: outcome, Audience: "https://api.example", Address: address, At: time.Now().Add(-ago)})
}

// Without parameters, the usage of a client has an hour for each of the last two days.
func TestUsage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		now := time.Now()
		for _, ago := range []time.Duration{60 * time.Hour, 47 * time.Hour, 3 * time.Hour, 3 * time.Hour, 0} {
			w.counted(c.ID, usage.Granted, "192.0.2.1", ago)
		}
		for range 2 {
			w.counted(c.ID, "wrong_secret", "192.0.2.1", time.Hour)
		}
		var got adminclient.Usage
		w.do("GET", "/clients/"+c.ID+"/usage", "").is(200).into(&got)
		if len(got.Hours) != 48 || !got.Hours[47].Hour.Equal(now.Truncate(time.Hour)) || !got.Hours[0].Hour.Equal(now.Truncate(time.Hour).Add(-47*time.Hour)) {
			t.Fatalf("the hours are %v", got.Hours)
		}
		for i, h := range got.Hours {
			want := adminclient.UsageHour{Hour: h.Hour}
			switch i {
			case 0, 47:
				want.Granted = 1
			case 46:
				want.Refused = 2
			case 44:
				want.Granted = 2
			}
			if h != want {
				t.Errorf("hour %d = %+v, want %+v", i, h, want)
			}
		}
		if got.Granted != 4 || got.Refused != 2 || got.Step != "hour" || !got.Since.Equal(got.Hours[0].Hour) || !got.Until.Equal(got.Hours[47].Hour.Add(time.Hour)) {
			t.Errorf("the rest is %+v", got)
		}
		w.do("GET", "/clients/nothing/usage", "").isProblem(404, "not-found")
	})
}

// Usage is grouped by whatever is asked for, of one client and of the account.
func TestUsageGroups(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c, other := w.register(newClient), w.register(newClient)
		for range 3 {
			w.counted(c.ID, usage.Granted, "192.0.2.1", 0)
		}
		w.counted(c.ID, "wrong_secret", "198.51.100.1", 0)
		w.counted(other.ID, usage.Granted, "192.0.2.1", 400*24*time.Hour)
		w.counted("", "unknown_client", "192.0.2.1", 0)
		w.do("DELETE", "/clients/"+other.ID, "").is(204)
		for _, tt := range []struct{ query, want string }{
			{"/clients/" + c.ID + "/usage?step=day", "- - - 3 1"},
			{"/clients/" + c.ID + "/usage?step=hour&group=outcome", "granted - - 3 0, wrong_secret - - 0 1"},
			{"/clients/" + c.ID + "/usage?group=outcome,block", "granted - 192.0.2.0/24 3 0, wrong_secret - 198.51.100.0/24 0 1"},
			{"/clients/" + c.ID + "/usage?group=audience", "- https://api.example - 3 1"},
			{"/usage", "- - - 3 2"},
			{"/usage?step=day&group=outcome", "granted - - 3 0, unknown_client - - 0 1, wrong_secret - - 0 1"},
			{"/usage?group=block", "- - 192.0.2.0/24 3 1, - - 198.51.100.0/24 0 1"},
			{"/usage?step=day&since=" + day(-500), "- - - 1 0, - - - 3 2"},
			{"/usage?step=day&since=" + day(-500) + "&until=" + day(-300), "- - - 1 0"},
			{"/usage?step=day&since=" + day(0) + "&until=" + day(1), "- - - 3 2"},
			{"/usage?step=day&since=" + day(-1) + "&until=" + day(0), ""},
		} {
			var got adminclient.Usage
			w.do("GET", tt.query, "").is(200).into(&got)
			if text := itemsText(got.Items); text != tt.want {
				t.Errorf("GET %s = %q, want %q", tt.query, text, tt.want)
			}
			if step := strings.Contains(tt.query, "step=day"); step != (len(got.Hours) == 0) {
				t.Errorf("GET %s has %d hours", tt.query, len(got.Hours))
			}
		}
	})
}

// day is the beginning of a day, in a query.
func day(from int) string {
	return url.QueryEscape(time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, from).Format(time.RFC3339))
}

// itemsText is what items say besides their time.
func itemsText(items []adminclient.UsageItem) string {
	var text []string
	for _, item := range items {
		line := []string{}
		for _, value := range []*string{item.Outcome, item.Audience, item.Block} {
			if value == nil {
				value = new("-")
			}
			line = append(line, *value)
		}
		text = append(text, fmt.Sprintf("%s %d %d", strings.Join(line, " "), item.Granted, item.Refused))
	}
	return strings.Join(text, ", ")
}

// Whoever accepts CSV gets it.
func TestUsageAsCSV(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		c := w.register(newClient)
		w.counted(c.ID, usage.Granted, "192.0.2.1", 0)
		w.counted(c.ID, "wrong_secret", "2001:db8::1", 0)
		today := time.Now().UTC().Format(time.DateOnly) + "T00:00:00Z"
		for _, tt := range []struct{ path, want string }{
			{"/clients/" + c.ID + "/usage?step=day", "at,granted,refused\r\n" + today + ",1,1\r\n"},
			{"/usage?step=day&group=block,outcome", "at,outcome,block,granted,refused\r\n" +
				today + ",granted,192.0.2.0/24,1,0\r\n" + today + ",wrong_secret,2001:db8::/48,0,1\r\n"},
			{"/usage?step=day&until=" + day(-400) + "&since=" + day(-500), "at,granted,refused\r\n"},
		} {
			a := w.do("GET", tt.path, "", "Accept", "text/csv").is(200)
			if got := string(a.body); got != tt.want || a.header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" {
				t.Errorf("GET %s = %q as %s, want %q", tt.path, got, a.header.Get("Content-Type"), tt.want)
			}
		}
		for accept, csv := range map[string]bool{
			"": false, "*/*": false, "text/csv;q=1": true, "Text/CSV, application/json": true, "application/json, text/csv;q=0.5": false, "text/html": false,
		} {
			got := strings.HasPrefix(w.do("GET", "/usage", "", "Accept", accept).is(200).header.Get("Content-Type"), "text/csv")
			if got != csv {
				t.Errorf("Accept: %s gets CSV: %v", accept, got)
			}
		}
	})
}

// What was used is added up by whatever is asked for, the most first, of all and of those alone that
// are wanted.
func TestUsageTotals(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.setUp()
		named := func(name string) string {
			return w.register(strings.Replace(newClient, `"name":"n"`, fmt.Sprintf(`"name":%q`, name), 1)).ID
		}
		crm, shop, gone := named("CRM"), named("=HYPERLINK(\"x\")"), named("Gone")
		for range 3 {
			w.counted(crm, usage.Granted, "192.0.2.1", 0)
			w.counted(shop, "wrong_secret", "198.51.100.1", time.Hour)
		}
		w.counted(crm, usage.Granted, "192.0.2.1", time.Hour)
		w.counted(shop, "scope_not_held", "198.51.100.1", 0)
		w.counted(shop, usage.Granted, "198.51.100.1", 0)
		w.counted(gone, usage.Granted, "192.0.2.1", 30*time.Hour)
		w.counted("", "unknown_client", "192.0.2.1", 0)
		w.counted("unheard-of", usage.Granted, "192.0.2.1", 100*24*time.Hour)
		w.do("DELETE", "/clients/"+gone, "").is(204)
		for _, tt := range []struct{ query, want, csv string }{
			{"by=outcome", "granted 6 0, wrong_secret 0 3, scope_not_held 0 1, unknown_client 0 1", "outcome,granted,refused\r\ngranted,6,0\r\nwrong_secret,0,3\r\nscope_not_held,0,1\r\nunknown_client,0,1\r\n"},
			{"by=outcome&sort=refused&limit=2", "wrong_secret 0 3, scope_not_held 0 1", "outcome,granted,refused\r\nwrong_secret,0,3\r\nscope_not_held,0,1\r\n"},
			{"by=audience", "https://api.example 6 5", "audience,granted,refused\r\nhttps://api.example,6,5\r\n"},
			{"by=block", "192.0.2.0/24 5 1, 198.51.100.0/24 1 4", "block,granted,refused\r\n192.0.2.0/24,5,1\r\n198.51.100.0/24,1,4\r\n"},
			{
				"by=client&sort=requests", shop + ` =HYPERLINK("x") 1 4, ` + crm + " CRM 4 0,  0 1, " + gone + " Gone (deleted) 1 0",
				"client_id,client_name,granted,refused\r\n" + shop + `,"'=HYPERLINK(""x"")",1,4` + "\r\n" + crm + ",CRM,4,0\r\n,,0,1\r\n" + gone + ",Gone,1,0\r\n",
			},
			{"by=client&sort=refused&limit=1", shop + ` =HYPERLINK("x") 1 4`, ""},
			{"by=client&step=day&since=" + day(-365) + "&until=" + day(-90), "unheard-of (deleted) 1 0", ""},
			{"by=client&since=" + day(-80) + "&until=" + day(-70), "", "client_id,client_name,granted,refused\r\n"},
		} {
			var got adminclient.UsageTotals
			w.do("GET", "/usage/totals?"+tt.query, "").is(200).into(&got)
			if text := totalsText(got.Items); text != tt.want {
				t.Errorf("?%s has %q, want %q", tt.query, text, tt.want)
			}
			if tt.csv == "" {
				continue
			}
			a := w.do("GET", "/usage/totals?"+tt.query, "", "Accept", "text/csv").is(200)
			if string(a.body) != tt.csv || a.header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" {
				t.Errorf("?%s is %q as %s, want %q", tt.query, a.body, a.header.Get("Content-Type"), tt.csv)
			}
		}
		var all, day adminclient.UsageTotals
		asked := time.Now()
		w.do("GET", "/usage/totals?by=client&limit=1", "").is(200).into(&all)
		w.do("GET", "/usage/totals?by=client&limit=1&step=day", "").is(200).into(&day)
		if all.Granted != 6 || all.Refused != 5 || day.Granted != 6 ||
			all.Until.Before(asked) || all.Until.After(time.Now().Add(time.Hour)) || all.Until.Minute() != 0 { // an hour may end meanwhile
			t.Errorf("of all there are %d granted and %d refused until %v, by the day %d; want 6, 5, 6", all.Granted, all.Refused, all.Until, day.Granted)
		}
	})
}

// totalsText is what sums say.
func totalsText(items []adminclient.UsageTotal) string {
	var text []string
	for _, item := range items {
		var line []string
		for _, value := range []*string{item.ClientID, item.ClientName, item.Outcome, item.Audience, item.Block} {
			if value != nil {
				line = append(line, *value)
			}
		}
		if item.ClientDeleted != nil && *item.ClientDeleted {
			line = append(line, "(deleted)")
		}
		text = append(text, fmt.Sprintf("%s %d %d", strings.Join(line, " "), item.Granted, item.Refused))
	}
	return strings.Join(text, ", ")
}

func TestUsageTotalsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for query, want := range map[string]string{
			"":                          "the parameter by is missing",
			"by=":                       "by",
			"by=name":                   `"by" is client, outcome`,
			"by=client&sort=granted":    `"sort" is requests or refused`,
			"by=client&limit=0":         "limit",
			"by=client&step=week":       `"step" is hour or day`,
			"by=client&since=" + day(2): "not before",
		} {
			a := w.do("GET", "/usage/totals?"+query, "").isProblem(400, "malformed")
			if !strings.Contains(strings.ReplaceAll(string(a.body), `\"`, `"`), want) {
				t.Errorf("?%s is refused with %s, want %q", query, a.body, want)
			}
		}
	})
}

// What cannot be answered is refused, and says why.
func TestUsageRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for query, want := range map[string]string{
			"step=week":                        `"step" is hour or day`,
			"group=client":                     `"group" is a list of`,
			"group=":                           `"group" is a list of`,
			"since=" + day(-91):                "at most 90 days",
			"step=day&since=" + day(-731):      "at most 730 days",
			"since=" + day(2):                  "not before",
			"since=now":                        "since",
			"until=" + url.QueryEscape("2030"): "until",
		} {
			a := w.do("GET", "/usage?"+query, "").isProblem(400, "malformed")
			if !strings.Contains(strings.ReplaceAll(string(a.body), `\"`, `"`), want) {
				t.Errorf("?%s is refused with %s, want %q", query, a.body, want)
			}
		}
		w.do("GET", "/usage?since="+day(-89), "").is(200)
		for i := range 10_001 {
			w.counted(fmt.Sprint("client", i), usage.Granted, fmt.Sprintf("10.%d.%d.1", i/256, i%256), 0)
		}
		a := w.do("GET", "/usage?group=block", "").isProblem(400, "malformed")
		if !slices.Contains(strings.Fields(string(a.body)), "10000") {
			t.Errorf("too much is refused with %s", a.body)
		}
	})
}
