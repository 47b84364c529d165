package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

// client returns a client; of one that was deleted it says when and by whom.
func (h *Handler) client(ctx context.Context, id string) (*clients.Client, error) {
	client, err := h.Clients.Client(ctx, id)
	if !errors.Is(err, clients.ErrNotFound) {
		return client, err
	}
	gone, err := h.Clients.Deleted(ctx, id)
	if errors.Is(err, clients.ErrNotFound) {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return nil, &problem{kind: notFound, detail: fmt.Sprintf("the client %q was deleted on %s by %s; that cannot be undone",
		gone.Name, gone.DeletedAt.UTC().Format("2006-01-02 at 15:04:05 UTC"), gone.DeletedBy)}
}

// RevokeTokens answers POST /clients/{id}/revoke-tokens.
func (h endpoints) RevokeTokens(ctx context.Context, req wire.RevokeTokensRequestObject) (wire.RevokeTokensResponseObject, error) {
	err := h.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, h.DB); err != nil {
			return err
		}
		client, err := h.client(ctx, req.ID)
		if err != nil {
			return err
		}
		if err := h.Clients.RevokeTokens(ctx, req.ID, now()); err != nil {
			return err
		}
		if err := made(ctx, h.DB, req.ID); err != nil {
			return err
		}
		return h.Audit.Record(ctx, audit.Act{
			Action: "client.revoke_tokens", Target: clientTarget(client), ClientID: client.ID, At: time.Now(),
		})
	})
	if err != nil {
		return nil, err
	}
	return wire.RevokeTokens204Response{}, nil
}

func (h endpoints) deletedClients() resource[clients.Tombstone, wire.DeletedClient] {
	return resource[clients.Tombstone, wire.DeletedClient]{
		Handler: h.Handler, list: "deleted-clients",
		show: func(t *clients.Tombstone) wire.DeletedClient {
			return wire.DeletedClient{ID: t.ID, Name: t.Name, DeletedAt: stamp(t.DeletedAt), DeletedBy: t.DeletedBy}
		},
		position: func(t *clients.Tombstone) (time.Time, string) { return t.DeletedAt, t.ID },
	}
}

// ListDeletedClients answers GET /deleted-clients.
func (h endpoints) ListDeletedClients(ctx context.Context, req wire.ListDeletedClientsRequestObject) (wire.ListDeletedClientsResponseObject, error) {
	if err := checkText(orEmpty(req.Params.Q)); err != nil {
		return nil, err
	}
	deleted := h.deletedClients()
	deleted.page = pointers(func(ctx context.Context, page sections.Page) ([]clients.Tombstone, error) {
		return h.Clients.DeletedClients(ctx, page, orEmpty(req.Params.Q))
	})
	items, next, err := deleted.items(ctx, pageParams{Limit: req.Params.Limit, Cursor: req.Params.Cursor})
	if err != nil {
		return nil, err
	}
	return wire.ListDeletedClients200JSONResponse{Items: items, Next: next}, nil
}

// ReadDeletedClient answers GET /deleted-clients/{id}.
func (h endpoints) ReadDeletedClient(ctx context.Context, req wire.ReadDeletedClientRequestObject) (wire.ReadDeletedClientResponseObject, error) {
	gone, err := h.Clients.Deleted(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return wire.ReadDeletedClient200JSONResponse(h.deletedClients().show(&gone)), nil
}
