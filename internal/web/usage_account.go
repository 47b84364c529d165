package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// A usagePage is how all API keys together were used.
type usagePage struct {
	Usage     usage
	Query     url.Values // that the page was asked for with
	Sort      string
	Keys      usageTop
	KeysSlow  bool // they could not be added up in time
	Causes    []usageTotal
	Audiences usageTop
	Wasteful  []adminclient.WastefulClient
	More      bool // keys are wasteful that are not shown
}

// A usageTop are the first of the keys or audiences.
type usageTop struct {
	Rows []usageTotal
	More bool // there are others
}

// A usageTotal is how many requests there were of one key, cause or audience.
type usageTotal struct {
	Of               string // the key's id, the cause or the audience
	Name             string // of the key
	Deleted          bool   // the key is no more
	Granted, Refused int64
}

// Share is how many of its requests were refused.
func (t usageTotal) Share() string { return share(t.Refused, t.Granted+t.Refused) }

func usageTotalOf(item adminclient.UsageTotal) usageTotal {
	t := usageTotal{Granted: item.Granted, Refused: item.Refused}
	for _, of := range []*string{item.ClientID, item.Outcome, item.Audience} {
		if of != nil {
			t.Of = *of
		}
	}
	if item.ClientName != nil {
		t.Name = *item.ClientName
	}
	t.Deleted = item.ClientDeleted != nil && *item.ClientDeleted
	return t
}

// Bounds of the page.
const (
	maxTop      = 20
	maxCauses   = 50 // which is more than there are
	maxExported = 200

	// keysPatience is how long it waits for the sums of all keys, of which there may be a million.
	keysPatience = 5 * time.Second
)

func (h *Handler) accountUsage(w http.ResponseWriter, r *http.Request) error {
	values, api, ctx := r.URL.Query(), h.api(r), r.Context()
	chosen, ranges := chosenRange(values.Get("range"))
	now := time.Now()
	page := usagePage{Query: values, Sort: "requests"}
	if values.Get("sort") == "refused" {
		page.Sort = "refused"
	}
	since := chosen.params(now)
	counted, err := read[adminclient.Usage](api.ReadAccountUsage(ctx, &adminclient.ReadAccountUsageParams{
		Since: since.Since, Step: (*adminclient.ReadAccountUsageParamsStep)(since.Step),
	}))
	if err != nil {
		return err
	}
	if page.Usage, err = usageOf(counted); err != nil {
		return err
	}
	page.Usage.Range, page.Usage.Ranges = chosen.Name, ranges
	if err := h.addTotals(ctx, api, &page, chosen, now); err != nil {
		return err
	}
	wasteful, err := read[adminclient.WastefulClientList](api.ListWastefulClients(ctx))
	if err != nil {
		return err
	}
	page.Wasteful = wasteful.Items[:min(len(wasteful.Items), maxTop)]
	page.More = len(wasteful.Items) > maxTop
	return h.render(w, r, http.StatusOK, "usage", "Usage", "", page)
}

// addTotals adds what was used by key, cause and audience.
func (h *Handler) addTotals(ctx context.Context, api *adminclient.API, page *usagePage, of usageRange, now time.Time) error {
	totals := func(ctx context.Context, by, sort string, most int) (top usageTop, err error) {
		answer, err := read[adminclient.UsageTotals](api.ReadUsageTotals(ctx, of.totals(by, sort, most+1, now)))
		for _, item := range answer.Items[:min(len(answer.Items), most)] {
			top.Rows = append(top.Rows, usageTotalOf(item))
		}
		top.More = len(answer.Items) > most
		return top, err
	}
	causes, err := totals(ctx, "outcome", "refused", maxCauses)
	if err != nil {
		return err
	}
	for _, cause := range causes.Rows {
		if cause.Refused > 0 {
			page.Causes = append(page.Causes, cause)
		}
	}
	if page.Audiences, err = totals(ctx, "audience", "requests", maxTop); err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	page.Keys, err = totals(soon, "client", page.Sort, maxTop)
	if err != nil && soon.Err() != nil && ctx.Err() == nil {
		page.KeysSlow, err = true, nil
	}
	return err
}

// totals are the range as the API knows it.
func (r usageRange) totals(by, sort string, limit int, now time.Time) *adminclient.ReadUsageTotalsParams {
	p := r.params(now)
	return &adminclient.ReadUsageTotalsParams{
		By: adminclient.ReadUsageTotalsParamsBy(by), Sort: new(adminclient.ReadUsageTotalsParamsSort(sort)), Limit: &limit,
		Since: p.Since, Step: (*adminclient.ReadUsageTotalsParamsStep)(p.Step),
	}
}

// exportUsage sends as CSV what the page shows: over time, or by key, cause or audience.
func (h *Handler) exportUsage(w http.ResponseWriter, r *http.Request) error {
	values, now := r.URL.Query(), time.Now()
	chosen, _ := chosenRange(values.Get("range"))
	asked, err := chosen.export(values.Get("by"), values.Get("sort"), now)
	if err != nil {
		return err
	}
	asked.Header.Set("Accept", "text/csv")
	name := []string{"wardkey-usage", chosen.ID, now.UTC().Format(time.DateOnly)}
	if by := values.Get("by"); exports[by] {
		name = append(name, "by-"+by)
	}
	return h.save(w, r, asked, strings.Join(name, "-")+".csv")
}

// exports are what totals can be exported by.
var exports = map[string]bool{"client": true, "outcome": true, "audience": true}

// export asks the API for what is exported.
func (r usageRange) export(by, sort string, now time.Time) (*http.Request, error) {
	if exports[by] {
		if sort != "refused" {
			sort = "requests"
		}
		return adminclient.NewReadUsageTotalsRequest(apiURL, r.totals(by, sort, maxExported, now))
	}
	p := r.params(now)
	return adminclient.NewReadAccountUsageRequest(apiURL, &adminclient.ReadAccountUsageParams{Since: p.Since, Step: (*adminclient.ReadAccountUsageParamsStep)(p.Step)})
}

// number is a number as people read it: 1,234,567.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// causeWords is why requests were refused, in words that are the program's.
func causeWords(outcome string) string { return strings.ReplaceAll(outcome, "_", " ") }
