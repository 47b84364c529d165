package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/usage"
)

// ReadUsage answers GET /clients/{id}/usage.
func (h endpoints) ReadUsage(ctx context.Context, req wire.ReadUsageRequestObject) (wire.ReadUsageResponseObject, error) {
	if _, err := h.client(ctx, req.ID); err != nil {
		return nil, err
	}
	return h.usage(ctx, req.ID, usageParams(req.Params))
}

// ReadAccountUsage answers GET /usage.
func (h endpoints) ReadAccountUsage(ctx context.Context, req wire.ReadAccountUsageRequestObject) (wire.ReadAccountUsageResponseObject, error) {
	p := req.Params
	return h.usage(ctx, usage.Account, usageParams{
		Since: p.Since, Until: p.Until, Step: (*wire.ReadUsageParamsStep)(p.Step), Group: p.Group,
	})
}

// usageParams are which usage is wanted.
type usageParams wire.ReadUsageParams

// maxUsageItems is how many items one answer has.
const maxUsageItems = 10_000

// How much time an answer is about: at most, and if nobody says.
var usageRanges = map[usage.Step]struct{ most, standard time.Duration }{
	usage.Hour: {usage.HoursKept, 48 * time.Hour},
	usage.Day:  {usage.DaysKept, 30 * 24 * time.Hour},
}

// query is what the parameters ask for.
func (p usageParams) query(clientID string, now time.Time) (usage.Query, error) {
	q := usage.Query{ClientID: clientID, Step: usage.Hour, Limit: maxUsageItems + 1}
	switch step := orEmpty((*string)(p.Step)); step {
	case "", "hour":
	case "day":
		q.Step = usage.Day
	default:
		return q, badUsage("the parameter \"step\" is hour or day")
	}
	for _, name := range p.Group {
		if !slices.Contains(usage.Dimensions, usage.Dimension(name)) {
			return q, badUsage("the parameter \"group\" is a list of outcome, audience and block, separated by commas")
		}
		q.By = append(q.By, usage.Dimension(name))
	}
	q.Until = q.Step.Period(now) + 1
	if p.Until != nil {
		q.Until = q.Step.Period(p.Until.Add(-time.Second)) + 1 // at its first moment, a period is not in yet
	}
	q.From = q.Step.Period(q.Step.Start(q.Until).Add(-usageRanges[q.Step].standard))
	if p.Since != nil {
		q.From = q.Step.Period(*p.Since)
	}
	switch most := usageRanges[q.Step].most; {
	case q.From >= q.Until:
		return q, badUsage("\"since\" is not before \"until\"")
	case q.Step.Start(q.Until-1).Sub(q.Step.Start(q.From)) > most:
		return q, badUsage(fmt.Sprintf("from \"since\" to \"until\" are at most %d days, with this step", int(most.Hours()/24)))
	}
	return q, nil
}

func badUsage(detail string) error { return &problem{kind: malformed, detail: detail} }

// usage reads what is asked for.
func (h endpoints) usage(ctx context.Context, clientID string, p usageParams) (usageAnswer, error) {
	q, err := p.query(clientID, time.Now())
	if err != nil {
		return usageAnswer{}, err
	}
	rows, err := h.Usage.Read(ctx, q)
	if err != nil {
		return usageAnswer{}, err
	}
	if len(rows) > maxUsageItems {
		return usageAnswer{}, badUsage(fmt.Sprintf("that is more than %d items; ask for less time, a longer step, or fewer groups", maxUsageItems))
	}
	return usageAnswer{q, rows, wantsCSV(ctx)}, nil
}

// A usageAnswer is what was read, in the form that is wanted.
type usageAnswer struct {
	query usage.Query
	rows  []usage.Row
	csv   bool
}

// VisitReadUsageResponse implements [wire.ReadUsageResponseObject].
func (a usageAnswer) VisitReadUsageResponse(w http.ResponseWriter) error {
	if a.csv {
		return a.writeCSV(w)
	}
	return wire.ReadUsage200JSONResponse(a.body()).VisitReadUsageResponse(w)
}

// VisitReadAccountUsageResponse implements [wire.ReadAccountUsageResponseObject].
func (a usageAnswer) VisitReadAccountUsageResponse(w http.ResponseWriter) error {
	return a.VisitReadUsageResponse(w)
}

func (a usageAnswer) body() wire.Usage {
	q := a.query
	u := wire.Usage{
		Step: "hour", Since: stamp(q.Step.Start(q.From)), Until: stamp(q.Step.Start(q.Until)),
		Hours: []wire.UsageHour{}, Items: make([]wire.UsageItem, len(a.rows)),
	}
	if q.Step == usage.Day {
		u.Step = "day"
	} else {
		u.Hours = a.hours()
	}
	for i, r := range a.rows {
		u.Granted += r.Granted
		u.Refused += r.Refused
		u.Items[i] = a.item(r)
	}
	return u
}

func (a usageAnswer) item(r usage.Row) wire.UsageItem {
	item := wire.UsageItem{At: stamp(r.At), Granted: r.Granted, Refused: r.Refused}
	for _, by := range a.query.By {
		switch by {
		case usage.ByOutcome:
			item.Outcome = &r.Outcome
		case usage.ByAudience:
			item.Audience = &r.Audience
		case usage.ByBlock:
			item.Block = &r.Block
		}
	}
	return item
}

// hours are all hours, with the sums of their groups.
func (a usageAnswer) hours() []wire.UsageHour {
	q := a.query
	all := make([]wire.UsageHour, q.Until-q.From)
	for i := range all {
		all[i].Hour = stamp(q.Step.Start(q.From + int64(i)))
	}
	for _, r := range a.rows {
		hour := &all[q.Step.Period(r.At)-q.From]
		hour.Granted += r.Granted
		hour.Refused += r.Refused
	}
	return all
}

// writeCSV writes a row for each item, with the columns that were asked for.
func (a usageAnswer) writeCSV(w http.ResponseWriter) error {
	out := beginCSV(w)
	grouped := func(outcome, audience, block string) (columns []string) {
		for _, by := range usage.Dimensions {
			if slices.Contains(a.query.By, by) {
				columns = append(columns, map[usage.Dimension]string{usage.ByOutcome: outcome, usage.ByAudience: audience, usage.ByBlock: block}[by])
			}
		}
		return columns
	}
	_ = out.Write(slices.Concat([]string{"at"}, grouped("outcome", "audience", "block"), []string{"granted", "refused"}))
	for _, r := range a.rows {
		_ = out.Write(slices.Concat([]string{r.At.Format(time.RFC3339)}, grouped(cell(r.Outcome), cell(r.Audience), cell(r.Block)),
			[]string{strconv.FormatInt(r.Granted, 10), strconv.FormatInt(r.Refused, 10)}))
	}
	out.Flush() // a reader that went away needs no answer
	return nil
}

type acceptKey struct{}

// accepting lets operations know what a caller accepts, where they have more than JSON to give.
func accepting(next wire.StrictHandlerFunc, _ string) wire.StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		return next(context.WithValue(ctx, acceptKey{}, r.Header.Get("Accept")), w, r, request)
	}
}

// wantsCSV says whether a caller named CSV, and not JSON before it.
func wantsCSV(ctx context.Context) bool {
	accept, _ := ctx.Value(acceptKey{}).(string)
	for media := range strings.SplitSeq(strings.ToLower(accept), ",") {
		media, _, _ = strings.Cut(media, ";")
		switch strings.TrimSpace(media) {
		case "text/csv":
			return true
		case "application/json":
			return false
		}
	}
	return false
}
