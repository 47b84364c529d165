package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/usage"
)

// totalsBy are what requests can be added up by.
var totalsBy = map[wire.ReadUsageTotalsParamsBy]usage.Dimension{
	"client": usage.ByClient, "outcome": usage.ByOutcome, "audience": usage.ByAudience, "block": usage.ByBlock,
}

// ReadUsageTotals answers GET /usage/totals.
func (h endpoints) ReadUsageTotals(ctx context.Context, req wire.ReadUsageTotalsRequestObject) (wire.ReadUsageTotalsResponseObject, error) {
	p := req.Params
	by, known := totalsBy[p.By]
	if !known {
		return nil, badUsage(`the parameter "by" is client, outcome, audience or block`)
	}
	order := usage.Order(orEmpty((*string)(p.Sort)))
	if !slices.Contains([]usage.Order{"", usage.MostRequests, usage.MostRefused}, order) {
		return nil, badUsage(`the parameter "sort" is requests or refused`)
	}
	q, err := usageParams{Since: p.Since, Until: p.Until, Step: (*wire.ReadUsageParamsStep)(p.Step)}.query(usage.Account, time.Now())
	if err != nil {
		return nil, err
	}
	page, err := pageParams{Limit: p.Limit}.page(nil, "")
	if err != nil {
		return nil, err
	}
	return h.usageTotals(ctx, q, by, order, page.Limit)
}

func (h *Handler) usageTotals(ctx context.Context, q usage.Query, by usage.Dimension, order usage.Order, limit int) (usageTotals, error) {
	answer := usageTotals{by: by, csv: wantsCSV(ctx)}
	answer.Since, answer.Until = stamp(q.Step.Start(q.From)), stamp(q.Step.Start(q.Until))
	q.By = []usage.Dimension{usage.ByOutcome}
	all, err := h.Usage.Totals(ctx, q, order)
	if err != nil {
		return answer, err
	}
	for _, t := range all {
		answer.Granted += t.Granted
		answer.Refused += t.Refused
	}
	q.By, q.Limit = []usage.Dimension{by}, limit
	totals, err := h.Usage.Totals(ctx, q, order)
	if err != nil {
		return answer, err
	}
	answer.Items = make([]wire.UsageTotal, len(totals))
	for i, t := range totals {
		if answer.Items[i], err = h.usageTotal(ctx, by, t); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// usageTotal shows a sum, with the name of its client.
func (h *Handler) usageTotal(ctx context.Context, by usage.Dimension, t usage.Total) (wire.UsageTotal, error) {
	item := wire.UsageTotal{Granted: t.Granted, Refused: t.Refused}
	switch by {
	case usage.ByOutcome:
		item.Outcome = &t.Of
	case usage.ByAudience:
		item.Audience = &t.Of
	case usage.ByBlock:
		item.Block = &t.Of
	case usage.ByClient:
		name, deleted, err := h.nameOf(ctx, t.Of)
		item.ClientID, item.ClientName, item.ClientDeleted = &t.Of, unlessEmpty(name), &deleted
		return item, err
	}
	return item, nil
}

// nameOf is the name of a client, or the one that it had when it was deleted; "" if nobody knows it.
func (h *Handler) nameOf(ctx context.Context, id string) (name string, deleted bool, err error) {
	if id == "" {
		return "", false, nil
	}
	c, err := h.Clients.Client(ctx, id)
	if err == nil {
		return c.Name, false, nil
	}
	if !errors.Is(err, clients.ErrNotFound) {
		return "", false, err
	}
	left, err := h.Clients.Deleted(ctx, id)
	if errors.Is(err, clients.ErrNotFound) {
		err = nil // it is forgotten
	}
	return left.Name, true, err
}

// A usageTotals is what was added up, in the form that is wanted.
type usageTotals struct {
	wire.UsageTotals
	by  usage.Dimension
	csv bool
}

// VisitReadUsageTotalsResponse implements [wire.ReadUsageTotalsResponseObject].
func (a usageTotals) VisitReadUsageTotalsResponse(w http.ResponseWriter) error {
	if a.csv {
		return a.writeCSV(w)
	}
	return wire.ReadUsageTotals200JSONResponse(a.UsageTotals).VisitReadUsageTotalsResponse(w)
}

func (a usageTotals) writeCSV(w http.ResponseWriter) error {
	out := beginCSV(w)
	names := []string{string(a.by)}
	if a.by == usage.ByClient {
		names = append(names, "client_name")
	}
	_ = out.Write(append(names, "granted", "refused"))
	for _, item := range a.Items {
		_ = out.Write(totalCells(item))
	}
	out.Flush() // a reader that went away needs no answer
	return nil
}

func totalCells(item wire.UsageTotal) (cells []string) {
	for _, text := range []*string{item.ClientID, item.Outcome, item.Audience, item.Block} {
		if text != nil {
			cells = append(cells, cell(*text))
		}
	}
	if item.ClientID != nil {
		cells = append(cells, cell(orEmpty(item.ClientName)))
	}
	return append(cells, strconv.FormatInt(item.Granted, 10), strconv.FormatInt(item.Refused, 10))
}

// beginCSV begins an answer in CSV (RFC 4180).
func beginCSV(w http.ResponseWriter) *csv.Writer {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.WriteHeader(http.StatusOK)
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180 §2
	return out
}

// cell is a text as no spreadsheet takes it for a formula: whoever may name a client may not run
// something on the machine of whoever opens the file. Some spreadsheets skip blanks, and read wide
// signs as well.
func cell(text string) string {
	begin := strings.TrimLeftFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
	if strings.IndexAny(begin, "'=+-@＝＋－＠") == 0 {
		return "'" + text
	}
	return text
}
