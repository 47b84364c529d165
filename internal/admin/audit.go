package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
)

// eventFilter is which events are asked for.
type eventFilter wire.ExportAuditEventsParams

func (f eventFilter) filter() audit.Filter {
	return audit.Filter{
		ClientID: orEmpty(f.Client), Actor: orEmpty(f.Actor), Action: orEmpty(f.Action),
		Since: moment(f.Since), Until: moment(f.Until),
	}
}

// ListAuditEvents answers GET /audit-events.
func (h endpoints) ListAuditEvents(ctx context.Context, req wire.ListAuditEventsRequestObject) (wire.ListAuditEventsResponseObject, error) {
	const list = "audit-events"
	p := req.Params
	page, err := pageParams{Limit: p.Limit, Cursor: p.Cursor}.page(h.CursorKey, list)
	if err != nil {
		return nil, err
	}
	before, _ := strconv.ParseInt(page.AfterID, 10, 64) // "" at the beginning; otherwise we wrote it
	filter := eventFilter{Client: p.Client, Actor: p.Actor, Action: p.Action, Since: p.Since, Until: p.Until}.filter()
	events, err := h.Audit.Events(ctx, filter, before, page.Limit+1)
	if err != nil {
		return nil, err
	}
	answer := wire.ListAuditEvents200JSONResponse{Items: []wire.AuditEvent{}}
	if len(events) > page.Limit {
		events = events[:page.Limit]
		last := events[len(events)-1]
		answer.Next = new(cursor(h.CursorKey, list, last.At, strconv.FormatInt(last.Seq, 10)))
	}
	for _, e := range events {
		shown, err := showEvent(e)
		if err != nil {
			return nil, err
		}
		answer.Items = append(answer.Items, shown)
	}
	return answer, nil
}

func showEvent(e audit.Event) (wire.AuditEvent, error) {
	shown := wire.AuditEvent{
		Seq: e.Seq, ID: e.ID, At: stamp(e.At), Action: e.Action,
		Actor:    wire.AuditActor{Kind: wire.AuditActorKind(e.Actor.Kind), ID: e.Actor.ID, Name: unlessEmpty(e.Actor.Name)},
		Target:   wire.AuditTarget{Kind: e.Target.Kind, ID: e.Target.ID, Name: unlessEmpty(e.Target.Name)},
		ClientID: unlessEmpty(e.ClientID), IP: unlessEmpty(e.IP), RequestID: unlessEmpty(e.RequestID),
		Previous: e.Previous, Hash: e.Hash,
	}
	return shown, json.Unmarshal(e.Changes, &shown.Changes)
}

// unlessEmpty is a text that is left out when it is empty.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ExportAuditEvents answers GET /audit-events/export.
func (h endpoints) ExportAuditEvents(ctx context.Context, req wire.ExportAuditEventsRequestObject) (wire.ExportAuditEventsResponseObject, error) {
	return export{ctx, h.Audit, eventFilter(req.Params).filter()}, nil
}

// An export writes events as they are read, however many there are.
type export struct {
	ctx    context.Context //nolint:containedctx // the generated code gives the answer none
	log    *audit.Log
	filter audit.Filter
}

// wholeLog is how long an answer may take that goes through the whole log.
const wholeLog = 10 * time.Minute

// unhurried gives an answer more time than others have: logs are long, and readers slow.
func unhurried(ctx context.Context, w http.ResponseWriter) (context.Context, context.CancelFunc) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wholeLog)) // not every writer has one
	return context.WithTimeout(context.WithoutCancel(ctx), wholeLog)
}

// VisitExportAuditEventsResponse implements [wire.ExportAuditEventsResponseObject].
func (x export) VisitExportAuditEventsResponse(w http.ResponseWriter) error {
	ctx, cancel := unhurried(x.ctx, w)
	defer cancel()
	begun := false
	for e, err := range x.log.All(ctx, x.filter) {
		if err != nil && begun {
			panic(http.ErrAbortHandler) // nobody takes a part for the whole
		}
		if err != nil {
			return err
		}
		if !begun {
			w.Header().Set("Content-Type", "application/jsonl")
			begun = true
		}
		if err := audit.Write(w, e); err != nil {
			return nil //nolint:nilerr // the reader went away
		}
	}
	if !begun {
		w.Header().Set("Content-Type", "application/jsonl")
		w.WriteHeader(http.StatusOK)
	}
	return nil
}

// VerifyAuditEvents answers GET /audit-events/verification.
func (h endpoints) VerifyAuditEvents(ctx context.Context, _ wire.VerifyAuditEventsRequestObject) (wire.VerifyAuditEventsResponseObject, error) {
	return verification{ctx, h.Audit}, nil
}

// A verification goes through the log when it is answered.
type verification struct {
	ctx context.Context //nolint:containedctx // the generated code gives the answer none
	log *audit.Log
}

// VisitVerifyAuditEventsResponse implements [wire.VerifyAuditEventsResponseObject].
func (v verification) VisitVerifyAuditEventsResponse(w http.ResponseWriter) error {
	ctx, cancel := unhurried(v.ctx, w)
	defer cancel()
	events, fault, err := v.log.Verify(ctx)
	if err != nil {
		return err
	}
	answer := wire.VerifyAuditEvents200JSONResponse{Whole: fault == nil, Events: events}
	if fault != nil {
		answer.Fault = &wire.AuditFault{Seq: fault.Seq, Reason: fault.Reason}
	}
	return answer.VisitVerifyAuditEventsResponse(w)
}
