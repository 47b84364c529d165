package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/people"
	"github.com/wardkey/wardkey/sections"
)

// A stretch is a page of a list that has one item more than it shows, if there is one: it shows the
// rest, and says where to go on.
func stretch[T, Shown any](h *Handler, list string, limit int, found []T, position func(T) (time.Time, string), show func(T) Shown) (items []Shown, next *string) {
	if len(found) > limit {
		found = found[:limit]
		at, id := position(found[limit-1])
		next = new(cursor(h.CursorKey, list, at, id))
	}
	items = make([]Shown, len(found))
	for i, thing := range found {
		items[i] = show(thing)
	}
	return items, next
}

// ListAlerts answers GET /alerts.
func (h endpoints) ListAlerts(ctx context.Context, req wire.ListAlertsRequestObject) (wire.ListAlertsResponseObject, error) {
	const list = "alerts"
	p := req.Params
	page, err := pageParams{Limit: p.Limit, Cursor: p.Cursor}.page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	state := alerts.State(orEmpty((*string)(p.State)))
	if state != "" && !slices.Contains(alerts.States, state) {
		return nil, &problem{kind: malformed, detail: `the parameter "state" is open, acknowledged or muted`}
	}
	found, err := h.Alerts.List(ctx, alerts.Filter{State: state, Kind: alerts.Kind(orEmpty(p.Kind)), ClientID: orEmpty(p.Client)},
		alerts.Position{At: page.After, ID: page.AfterID}, page.Limit+1)
	if err != nil {
		return nil, err
	}
	var answer wire.ListAlerts200JSONResponse
	answer.Items, answer.Next = stretch(h.Handler, list, page.Limit, found, func(a alerts.Alert) (time.Time, string) { return a.At, a.ID }, showAlert)
	return answer, nil
}

func showAlert(a alerts.Alert) wire.Alert {
	state := alerts.Open
	switch {
	case a.Muted:
		state = alerts.Muted
	case !a.AcknowledgedAt.IsZero():
		state = alerts.Acknowledged
	}
	return wire.Alert{
		ID: a.ID, Kind: wire.AlertKind(a.Kind), Title: a.Kind.Title(), ClientID: unlessEmpty(a.ClientID), ClientName: unlessEmpty(a.ClientName),
		Text: a.Text, RaisedAt: stamp(a.At), State: wire.AlertState(state),
		AcknowledgedAt: stampIf(a.AcknowledgedAt), AcknowledgedBy: unlessEmpty(a.AcknowledgedBy),
	}
}

// ReadAlert answers GET /alerts/{id}.
func (h endpoints) ReadAlert(ctx context.Context, req wire.ReadAlertRequestObject) (wire.ReadAlertResponseObject, error) {
	a, err := h.Alerts.Alert(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return wire.ReadAlert200JSONResponse(showAlert(a)), nil
}

// AcknowledgeAlert answers POST /alerts/{id}/acknowledge.
func (h endpoints) AcknowledgeAlert(ctx context.Context, req wire.AcknowledgeAlertRequestObject) (wire.AcknowledgeAlertResponseObject, error) {
	var a alerts.Alert
	err := h.onceOnly(ctx, func(ctx context.Context) (made string, err error) {
		fresh, err := h.Alerts.Acknowledge(ctx, req.ID, actor(ctx), now())
		if err != nil {
			return "", err
		}
		if a, err = h.Alerts.Alert(ctx, req.ID); err != nil || !fresh {
			return a.ID, err
		}
		return a.ID, h.Audit.Record(ctx, audit.Act{
			Action: "alert.acknowledge", Target: audit.Target{Kind: "alert", ID: a.ID, Name: a.Kind.Title()}, ClientID: a.ClientID, At: now(),
		})
	})
	if err != nil {
		return nil, err
	}
	return wire.AcknowledgeAlert200JSONResponse(showAlert(a)), nil
}

// onceOnly does something in a transaction, once for each Idempotency-Key.
func (h *Handler) onceOnly(ctx context.Context, do func(ctx context.Context) (id string, err error)) error {
	return h.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, h.DB); err != nil {
			return err
		}
		id, err := do(ctx)
		if err != nil {
			return err
		}
		return made(ctx, h.DB, id)
	})
}

// AcknowledgeAlerts answers POST /alerts/acknowledge.
func (h endpoints) AcknowledgeAlerts(ctx context.Context, req wire.AcknowledgeAlertsRequestObject) (wire.AcknowledgeAlertsResponseObject, error) {
	in, err := decode[wire.AlertAcknowledge](req.Body)
	if err != nil {
		return nil, err
	}
	var n int64
	err = h.onceOnly(ctx, func(ctx context.Context) (made string, err error) {
		n, err = h.Alerts.AcknowledgeAll(ctx, alerts.Filter{Kind: alerts.Kind(orEmpty(in.Kind)), ClientID: orEmpty(in.ClientID)}, actor(ctx), now())
		if err != nil || n == 0 {
			return "alerts", err
		}
		changes := map[string]audit.Change{"acknowledged": {After: n}}
		if in.Kind != nil {
			changes["kind"] = audit.Change{After: *in.Kind}
		}
		return "alerts", h.Audit.Record(ctx, audit.Act{
			Action: "alert.acknowledge_all", Target: audit.Target{Kind: "alert"}, ClientID: orEmpty(in.ClientID), Changes: changes, At: now(),
		})
	})
	if err != nil {
		return nil, err
	}
	return wire.AcknowledgeAlerts200JSONResponse{Acknowledged: n}, nil
}

func muteTarget(m alerts.Mute) audit.Target {
	return audit.Target{Kind: "alert_mute", ID: m.ID, Name: m.Kind.Title()}
}

func showMute(m alerts.Mute) wire.AlertMute {
	return wire.AlertMute{
		ID: m.ID, Kind: unlessEmpty(string(m.Kind)), ClientID: unlessEmpty(m.ClientID), Mail: m.AdminID != "", AdminID: unlessEmpty(m.AdminID),
		CreatedAt: stamp(m.CreatedAt), CreatedBy: m.CreatedBy,
	}
}

// ListAlertMutes answers GET /alert-mutes.
func (h endpoints) ListAlertMutes(ctx context.Context, req wire.ListAlertMutesRequestObject) (wire.ListAlertMutesResponseObject, error) {
	const list = "alert-mutes"
	page, err := pageParams(req.Params).page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	found, err := h.Alerts.Mutes(ctx, alerts.Position{At: page.After, ID: page.AfterID}, page.Limit+1)
	if err != nil {
		return nil, err
	}
	var answer wire.ListAlertMutes200JSONResponse
	answer.Items, answer.Next = stretch(h.Handler, list, page.Limit, found, func(m alerts.Mute) (time.Time, string) { return m.CreatedAt, m.ID }, showMute)
	return answer, nil
}

// CreateAlertMute answers POST /alert-mutes.
func (h endpoints) CreateAlertMute(ctx context.Context, req wire.CreateAlertMuteRequestObject) (wire.CreateAlertMuteResponseObject, error) {
	in, err := decode[wire.AlertMuteCreate](req.Body)
	if err != nil {
		return nil, err
	}
	m := alerts.Mute{Kind: alerts.Kind(orEmpty(in.Kind)), ClientID: orEmpty(in.ClientID), CreatedBy: actor(ctx)}
	if isTrue(in.Mail) {
		m.AdminID = audit.From(ctx).Actor.ID
	}
	if err := checkMute(ctx, m, isTrue(in.Mail)); err != nil {
		return nil, err
	}
	err = h.onceOnly(ctx, func(ctx context.Context) (made string, err error) {
		if m.ClientID != "" {
			if _, err := h.client(ctx, m.ClientID); err != nil {
				return "", sections.Invalid{{Field: "/client_id", Detail: "is not the id of a client"}}
			}
		}
		fresh, err := h.Alerts.Mute(ctx, &m, now())
		if err != nil || !fresh {
			return m.ID, err
		}
		return m.ID, h.record(ctx, "create", muteTarget(m), m.ClientID, nil, showMute(m))
	})
	if err != nil {
		return nil, err
	}
	return wire.CreateAlertMute201JSONResponse{
		Body: showMute(m), Headers: wire.CreateAlertMute201ResponseHeaders{Location: base + "/alert-mutes/" + m.ID},
	}, nil
}

// checkMute says what is wrong with a mute.
func checkMute(ctx context.Context, m alerts.Mute, mail bool) error {
	var rules sections.Invalid
	if m.Kind != "" && !slices.Contains(alerts.Kinds, m.Kind) {
		rules.Add("/kind", "must be one of the kinds of alerts: %q", alerts.Kinds)
	}
	if !mail && m.Kind == "" && m.ClientID == "" {
		rules.Add("", "must have a kind, a client_id or both: nobody mutes everything for everybody")
	}
	if mail && people.Current(ctx) == nil {
		rules.Add("/mail", "is for an admin who is signed in; a client gets no mails")
	}
	return rules.Err()
}

// DeleteAlertMute answers DELETE /alert-mutes/{id}.
func (h endpoints) DeleteAlertMute(ctx context.Context, req wire.DeleteAlertMuteRequestObject) (wire.DeleteAlertMuteResponseObject, error) {
	err := h.DB.Transact(ctx, func(ctx context.Context) error {
		m, err := h.Alerts.MuteByID(ctx, req.ID)
		if err != nil {
			return err
		}
		if err := h.Alerts.Unmute(ctx, m.ID); err != nil {
			return err
		}
		return h.record(ctx, "delete", muteTarget(m), m.ClientID, showMute(m), nil)
	})
	if err != nil {
		return nil, fmt.Errorf("delete a mute: %w", err)
	}
	return wire.DeleteAlertMute204Response{}, nil
}

// ListAlertDeliveries answers GET /alert-deliveries.
func (h endpoints) ListAlertDeliveries(ctx context.Context, req wire.ListAlertDeliveriesRequestObject) (wire.ListAlertDeliveriesResponseObject, error) {
	const list = "alert-deliveries"
	p := req.Params
	page, err := pageParams{Limit: p.Limit, Cursor: p.Cursor}.page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	found, err := h.Alerts.Deliveries(ctx, orEmpty(p.Webhook), alerts.Position{At: page.After, ID: page.AfterID}, page.Limit+1)
	if err != nil {
		return nil, err
	}
	var answer wire.ListAlertDeliveries200JSONResponse
	answer.Items, answer.Next = stretch(h.Handler, list, page.Limit, found, func(d alerts.Delivery) (time.Time, string) { return d.CreatedAt, d.ID }, showDelivery)
	return answer, nil
}

func showDelivery(d alerts.Delivery) wire.AlertDelivery {
	return wire.AlertDelivery{
		ID: d.ID, AlertID: unlessEmpty(d.AlertID), WebhookID: unlessEmpty(d.WebhookID), AdminID: unlessEmpty(d.AdminID),
		State: wire.AlertDeliveryState(d.State), Attempts: d.Attempts, NextAttemptAt: stampIf(d.NextAt),
		CreatedAt: stamp(d.CreatedAt), DoneAt: stampIf(d.DoneAt), Outcome: d.Outcome,
	}
}
