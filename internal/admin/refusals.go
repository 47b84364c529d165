package admin

import (
	"context"
	"errors"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/refusals"
)

// ListRefusals answers GET /refusals.
func (h endpoints) ListRefusals(ctx context.Context, req wire.ListRefusalsRequestObject) (wire.ListRefusalsResponseObject, error) {
	p := req.Params
	if p.ErrorID != nil {
		answer, err := h.refusal(ctx, *p.ErrorID)
		return wire.ListRefusals200JSONResponse(answer), err
	}
	answer, err := h.refusals(ctx, "refusals", pageParams{Limit: p.Limit, Cursor: p.Cursor},
		refusals.Filter{ClientID: orEmpty(p.Client), Cause: refusals.Cause(orEmpty(p.Cause)), Since: moment(p.Since)})
	return wire.ListRefusals200JSONResponse(answer), err
}

// ListClientRefusals answers GET /clients/{id}/refusals.
func (h endpoints) ListClientRefusals(ctx context.Context, req wire.ListClientRefusalsRequestObject) (wire.ListClientRefusalsResponseObject, error) {
	_, err := h.Clients.Client(ctx, req.ID)
	if errors.Is(err, clients.ErrNotFound) {
		_, err = h.Clients.Deleted(ctx, req.ID)
	}
	if err != nil {
		return nil, err
	}
	answer, err := h.refusals(ctx, "clients/"+req.ID+"/refusals", pageParams(req.Params), refusals.Filter{ClientID: req.ID})
	return wire.ListClientRefusals200JSONResponse(answer), err
}

// refusal is the one that an error_id belongs to, as a list.
func (h *Handler) refusal(ctx context.Context, errorID string) (wire.RefusalList, error) {
	row, at, err := h.Refusals.ByErrorID(ctx, errorID)
	if errors.Is(err, refusals.ErrNotFound) {
		return wire.RefusalList{Items: []wire.Refusal{}}, nil
	}
	if err != nil {
		return wire.RefusalList{}, err
	}
	shown, err := h.explain(ctx, row)
	shown.At = new(stamp(at))
	return wire.RefusalList{Items: []wire.Refusal{shown}}, err
}

func (h *Handler) refusals(ctx context.Context, list string, params pageParams, filter refusals.Filter) (wire.RefusalList, error) {
	page, err := params.page(h.CursorKey, list)
	if err != nil {
		return wire.RefusalList{}, err
	}
	rows, err := h.Refusals.List(ctx, filter, refusals.Position{LastAt: page.After, Bucket: page.AfterID}, page.Limit+1)
	if err != nil {
		return wire.RefusalList{}, err
	}
	answer := wire.RefusalList{Items: []wire.Refusal{}}
	if len(rows) > page.Limit {
		rows = rows[:page.Limit]
		last := rows[len(rows)-1]
		answer.Next = new(cursor(h.CursorKey, list, last.LastAt, last.Bucket))
	}
	for _, row := range rows {
		shown, err := h.explain(ctx, row)
		if err != nil {
			return answer, err
		}
		answer.Items = append(answer.Items, shown)
	}
	return answer, nil
}

// explain shows a refusal with its cause and cure in sentences, as things are now.
func (h *Handler) explain(ctx context.Context, row refusals.Row) (wire.Refusal, error) {
	facts := refusals.Facts{Audiences: append([]string{h.Audience}, h.Audiences...)}
	gone, err := h.learn(ctx, row, &facts)
	if err != nil {
		return wire.Refusal{}, err
	}
	if gone && row.Cause == refusals.UnknownClient {
		row.Cause = refusals.ClientDeleted
	}
	explanation, cure := refusals.Explain(row, facts)
	return wire.Refusal{
		ClientID: unlessEmpty(row.ClientID), ClientName: unlessEmpty(facts.Name), Cause: string(row.Cause), Detail: row.Detail,
		Explanation: explanation, Cure: cure, Address: row.Address, Count: row.Count,
		FirstAt: stamp(row.FirstAt), LastAt: stamp(row.LastAt),
	}, nil
}

// learn finds out what there is to say of the client of a refusal, and whether it was deleted.
func (h *Handler) learn(ctx context.Context, row refusals.Row, facts *refusals.Facts) (gone bool, err error) {
	if row.ClientID == "" {
		return false, nil
	}
	client, err := h.Clients.Client(ctx, row.ClientID)
	if errors.Is(err, clients.ErrNotFound) {
		left, err := h.Clients.Deleted(ctx, row.ClientID)
		facts.Name, facts.DeletedAt, facts.DeletedBy = left.Name, left.DeletedAt, left.DeletedBy
		if errors.Is(err, clients.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	facts.Name, facts.ExpiresAt, facts.ClientAudiences = client.Name, client.ExpiresAt, client.Audiences
	facts.SuspendedAt, facts.LastUsedAt = client.SuspendedAt, client.LastUsedAt
	facts.Holds = client.Held.Scope()
	if row.Cause != refusals.SecretEnded {
		return false, nil
	}
	ended, err := h.Clients.EndedSecret(ctx, row.ClientID, row.Detail)
	if errors.Is(err, clients.ErrSecretNotFound) {
		return false, nil // it is forgotten
	}
	facts.SecretHint, facts.SecretEndedAt, facts.SecretRevokedBy = ended.Hint, ended.EndedAt, ended.RevokedBy
	return false, err
}
