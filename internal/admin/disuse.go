package admin

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

// ResumeClient answers POST /clients/{id}/resume.
func (h endpoints) ResumeClient(ctx context.Context, req wire.ResumeClientRequestObject) (wire.ResumeClientResponseObject, error) {
	err := h.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, h.DB); err != nil {
			return err
		}
		client, err := h.client(ctx, req.ID)
		if err != nil {
			return err
		}
		if err := mayHandle(ctx, client); err != nil {
			return err
		}
		if err := h.Clients.Resume(ctx, req.ID, now()); err != nil {
			return err
		}
		if err := made(ctx, h.DB, req.ID); err != nil {
			return err
		}
		return h.Audit.Record(ctx, disuseAct(clients.DisuseAct{
			Kind: clients.ActResume, ClientID: client.ID, Name: client.Name, SuspendedAt: client.SuspendedAt,
		}))
	})
	if err != nil {
		return nil, err
	}
	shown, tag, err := h.clients().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return wire.ResumeClient200JSONResponse{Body: shown, Headers: wire.ResumeClient200ResponseHeaders{ETag: tag}}, nil
}

// DisuseActs records in the audit log what the server does with clients that nobody uses, in the
// transaction that does it.
func DisuseActs(log *audit.Log) func(context.Context, ...clients.DisuseAct) error {
	return func(ctx context.Context, done ...clients.DisuseAct) error {
		acts := make([]audit.Act, len(done))
		for i, d := range done {
			acts[i] = disuseAct(d)
		}
		return log.Record(ctx, acts...)
	}
}

// disuseAct is how the audit log tells that a client was suspended, resumed or deleted.
func disuseAct(d clients.DisuseAct) audit.Act {
	changes := map[string]audit.Change{}
	switch d.Kind {
	case clients.ActSuspend:
		changes["suspended_at"] = audit.Change{After: stamp(d.SuspendedAt)}
	case clients.ActDelete:
		changes["name"] = audit.Change{Before: d.Name}
	}
	if d.Kind != clients.ActSuspend && !d.SuspendedAt.IsZero() {
		changes["suspended_at"] = audit.Change{Before: stamp(d.SuspendedAt)}
	}
	if !d.UnusedSince.IsZero() {
		changes["unused_since"] = audit.Change{After: stamp(d.UnusedSince)}
	}
	return audit.Act{
		Action: "client." + string(d.Kind), Target: audit.Target{Kind: "client", ID: d.ClientID, Name: d.Name},
		ClientID: d.ClientID, Changes: changes, At: time.Now(),
	}
}

func (h endpoints) unusedClients() resource[clients.Unused, wire.UnusedClient] {
	return resource[clients.Unused, wire.UnusedClient]{
		Handler: h.Handler, list: "unused-clients",
		show: func(u *clients.Unused) wire.UnusedClient {
			return wire.UnusedClient{
				ClientID: u.ClientID, Name: u.Name, LastUsedAt: stampIf(u.LastUsedAt), UnusedSince: stamp(u.UnusedSince),
				SuspendedAt: stampIf(u.SuspendedAt), NoticedAt: stampIf(u.NoticedAt), Next: unlessEmpty(string(u.Next)), NextAt: stampIf(u.NextAt),
			}
		},
		position: func(u *clients.Unused) (time.Time, string) { return u.UnusedSince, u.ClientID },
		page: pointers(func(ctx context.Context, page sections.Page) ([]clients.Unused, error) {
			return h.Clients.Unused(ctx, h.Disuse, page, time.Now())
		}),
	}
}

// ListUnusedClients answers GET /unused-clients.
func (h endpoints) ListUnusedClients(ctx context.Context, req wire.ListUnusedClientsRequestObject) (wire.ListUnusedClientsResponseObject, error) {
	items, next, err := h.unusedClients().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListUnusedClients200JSONResponse{Items: items, Next: next}, nil
}
