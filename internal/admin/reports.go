package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/reports"
	"github.com/wardkey/wardkey/sections"
)

// reportsPath is where resource servers report.
const reportsPath = base + "/usage/reports"

// ReportUsage answers POST /usage/reports.
func (h endpoints) ReportUsage(ctx context.Context, req wire.ReportUsageRequestObject) (wire.ReportUsageResponseObject, error) {
	in, err := decode[wire.UsageReport](req.Body)
	if err != nil {
		return nil, err
	}
	who := audit.From(ctx).Actor
	if who.Kind != audit.Client {
		return nil, &problem{kind: insufficientScope, detail: "resource servers report, with a token of their own"}
	}
	by, _, err := h.Lookup.Client(ctx, who.ID)
	if err != nil {
		return nil, err
	}
	receipt, err := h.Reports.Add(ctx, by, reportOf(in), time.Now())
	if errors.Is(err, reports.ErrAudience) {
		return nil, &problem{kind: insufficientScope, detail: fmt.Sprintf("the client may report about its own audiences, which are %q, and not about %q", by.Audiences, in.Audience)}
	}
	if err != nil {
		return nil, err
	}
	return wire.ReportUsage200JSONResponse{Counted: receipt.Counted, Ignored: receipt.Ignored, Duplicate: receipt.Duplicate}, nil
}

func reportOf(in wire.UsageReport) reports.Report {
	r := reports.Report{ID: in.ID, Audience: in.Audience, From: in.From, Until: in.Until, Rows: make([]reports.Row, len(in.Rows))}
	if in.Dropped != nil {
		r.Dropped = int64(*in.Dropped)
	}
	for i, row := range in.Rows {
		r.Rows[i] = reports.Row{
			ClientID: row.ClientID, Endpoint: row.Endpoint, Scopes: row.Scopes, Outcome: string(row.Outcome),
			Requests: int64(row.Requests), Sampled: int64(row.Requests),
		}
		if row.Sampled != nil {
			r.Rows[i].Sampled = int64(*row.Sampled)
		}
	}
	return r
}

// week is how far back endpoints are counted if nobody says.
const week = 7 * 24 * time.Hour

// ListClientEndpoints answers GET /clients/{id}/endpoints.
func (h endpoints) ListClientEndpoints(ctx context.Context, req wire.ListClientEndpointsRequestObject) (wire.ListClientEndpointsResponseObject, error) {
	if _, err := h.client(ctx, req.ID); err != nil {
		return nil, err
	}
	now := time.Now()
	since := now.Add(-week)
	if req.Params.Since != nil {
		since = *req.Params.Since
	}
	if since.After(now) || now.Sub(since) > reports.DaysKept {
		return nil, &problem{kind: malformed, detail: "\"since\" is a time in the last 90 days"}
	}
	found, begun, err := h.Reports.Endpoints(ctx, req.ID, since, now)
	if err != nil {
		return nil, err
	}
	answer := wire.ListClientEndpoints200JSONResponse{Since: stamp(begun), Items: make([]wire.ClientEndpoint, len(found))}
	for i, e := range found {
		answer.Requests += e.Requests()
		answer.Refused += e.Refused()
		answer.Items[i] = wire.ClientEndpoint{
			Endpoint: e.Endpoint, Audience: e.Audience, Requests: e.Requests(), Refused: e.Refused(),
			Outcomes: e.Outcomes, Lacked: append([]string{}, e.Lacked...), Estimated: e.Sampled,
		}
	}
	return answer, nil
}

// Days for which one may ask whether something was used.
const (
	standardUnusedDays = 90
	maxUnusedDays      = 365
)

// ReadScopeUse answers GET /clients/{id}/scope-use.
func (h endpoints) ReadScopeUse(ctx context.Context, req wire.ReadScopeUseRequestObject) (wire.ReadScopeUseResponseObject, error) {
	days := standardUnusedDays
	if req.Params.Days != nil {
		days = *req.Params.Days
	}
	if days < 1 || days > maxUnusedDays {
		return nil, &problem{kind: malformed, detail: fmt.Sprintf("the parameter \"days\" is 1 to %d", maxUnusedDays)}
	}
	c, err := h.client(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	since := now.AddDate(0, 0, -days)
	given, err := h.given(ctx, c.ID, since)
	if err != nil {
		return nil, err
	}
	use, err := h.Reports.Use(ctx, reports.Question{Client: c, Audiences: h.Audiences, Given: given, Since: since}, now)
	if err != nil {
		return nil, err
	}
	return wire.ReadScopeUse200JSONResponse(showUse(c, use, days)), nil
}

func showUse(c *clients.Client, use reports.Use, days int) wire.ScopeUse {
	shown := wire.ScopeUse{
		Days: days, Since: stamp(use.Since), Coverage: []wire.AudienceCoverage{}, Values: []wire.ScopeValueUse{},
		Taken: []string{}, Etag: etag(showClient(c)),
	}
	for _, cover := range use.Coverage {
		shown.Coverage = append(shown.Coverage, wire.AudienceCoverage{Audience: cover.Audience, Since: stampIf(cover.Since)})
	}
	for _, v := range use.Values {
		value := wire.ScopeValueUse{Value: v.Value, State: wire.ScopeValueUseState(v.State)}
		if !v.LastUsed.IsZero() {
			value.LastUsedOn = new(v.LastUsed.Format(time.DateOnly))
		}
		shown.Values = append(shown.Values, value)
	}
	if left, taken := use.Left(c.Held); len(taken) > 0 {
		shown.Taken, shown.Narrowed = taken, patchTo(c.Held, left)
	}
	return shown
}

// patchTo is the merge patch that leaves a client so much of what it holds.
func patchTo(held, left sections.Held) map[string]any {
	patch := map[string]any{}
	if !slices.Equal(held.Sections, left.Sections) {
		patch["sections"] = left.Sections
	}
	before, after := showPermissions(held.Permissions), showPermissions(left.Permissions)
	permissions := map[string]any{}
	for target := range before {
		if actions := after[target]; len(actions) == 0 {
			permissions[target] = nil
		} else if len(actions) < len(before[target]) {
			permissions[target] = actions
		}
	}
	if len(permissions) > 0 {
		patch["permissions"] = permissions
	}
	return patch
}

// eventsAtOnce is how many events are read at once.
const eventsAtOnce = 200

// given are the scope values that a client was given since a time, by the audit log.
func (h *Handler) given(ctx context.Context, clientID string, since time.Time) (map[string]bool, error) {
	given := map[string]bool{}
	filter := audit.Filter{ClientID: clientID, Action: "client.update", Since: since}
	for before := int64(0); ; {
		events, err := h.Audit.Events(ctx, filter, before, eventsAtOnce)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			before = e.Seq
			if e.Target.ID != clientID {
				continue
			}
			if err := addGiven(given, e); err != nil {
				return nil, fmt.Errorf("read event %d of the audit log: %w", e.Seq, err)
			}
		}
		if len(events) < eventsAtOnce {
			return given, nil
		}
	}
}

// addGiven adds what a client holds by a change and did not hold before.
func addGiven(given map[string]bool, e audit.Event) error {
	var changes struct {
		Sections    struct{ Before, After []string }
		Permissions struct{ Before, After wire.Permissions }
	}
	if err := json.Unmarshal(e.Changes, &changes); err != nil {
		return err
	}
	before, err := heldOf(changes.Sections.Before, changes.Permissions.Before)
	if err != nil {
		return err
	}
	after, err := heldOf(changes.Sections.After, changes.Permissions.After)
	if err != nil {
		return err
	}
	for _, value := range after.Scope() {
		if !slices.Contains(before.Scope(), value) {
			given[value] = true
		}
	}
	return nil
}

func heldOf(ids []string, permissions wire.Permissions) (sections.Held, error) {
	held, err := permissionsOf(permissions)
	return sections.Held{Sections: ids, Permissions: held}, err
}
