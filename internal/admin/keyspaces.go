package admin

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

func (h endpoints) keyspaces() resource[sections.Keyspace, wire.Keyspace] {
	return resource[sections.Keyspace, wire.Keyspace]{
		Handler: h.Handler, list: "keyspaces",
		target: func(k *sections.Keyspace) audit.Target { return audit.Target{Kind: "keyspace", ID: k.ID, Name: k.Name} },
		one:    h.Sections.Keyspace, page: pointers(h.Sections.Keyspaces), show: showKeyspace,
		position: func(k *sections.Keyspace) (time.Time, string) { return k.CreatedAt, k.ID },
	}
}

func showKeyspace(k *sections.Keyspace) wire.Keyspace {
	return wire.Keyspace{ID: k.ID, Name: k.Name, Actions: k.Actions, CreatedAt: stamp(k.CreatedAt)}
}

// actions are what can be done through the keyspace: what it declares, or the default.
func actions(in wire.KeyspaceCreate) []string {
	if in.Actions == nil {
		return sections.DefaultActions
	}
	return in.Actions
}

// ListKeyspaces answers GET /keyspaces.
func (h endpoints) ListKeyspaces(ctx context.Context, req wire.ListKeyspacesRequestObject) (wire.ListKeyspacesResponseObject, error) {
	items, next, err := h.keyspaces().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListKeyspaces200JSONResponse{Items: items, Next: next}, nil
}

// CreateKeyspace answers POST /keyspaces.
func (h endpoints) CreateKeyspace(ctx context.Context, req wire.CreateKeyspaceRequestObject) (wire.CreateKeyspaceResponseObject, error) {
	in, err := decode[wire.KeyspaceCreate](req.Body)
	if err != nil {
		return nil, err
	}
	k := &sections.Keyspace{ID: in.ID, Name: in.Name, Actions: actions(in), CreatedAt: now()}
	shown, tag, err := h.keyspaces().create(ctx, k, h.Sections.CreateKeyspace)
	if err != nil {
		return nil, err
	}
	return wire.CreateKeyspace201JSONResponse{Body: shown, Headers: wire.CreateKeyspace201ResponseHeaders{ETag: tag, Location: h.keyspaces().location(k)}}, nil
}

// ReadKeyspace answers GET /keyspaces/{id}.
func (h endpoints) ReadKeyspace(ctx context.Context, req wire.ReadKeyspaceRequestObject) (wire.ReadKeyspaceResponseObject, error) {
	shown, tag, err := h.keyspaces().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if ifNoneMatch(req.Params.IfNoneMatch, tag) {
		return wire.ReadKeyspace304Response{Headers: wire.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return wire.ReadKeyspace200JSONResponse{Body: shown, Headers: wire.ReadKeyspace200ResponseHeaders{ETag: tag}}, nil
}

// UpdateKeyspace answers PATCH /keyspaces/{id}.
func (h endpoints) UpdateKeyspace(ctx context.Context, req wire.UpdateKeyspaceRequestObject) (wire.UpdateKeyspaceResponseObject, error) {
	shown, tag, err := h.keyspaces().update(ctx, req.ID, req.Params.IfMatch, func(ctx context.Context, k *sections.Keyspace) error {
		in, err := merge[wire.KeyspacePatch](wire.KeyspaceCreate{ID: k.ID, Name: k.Name, Actions: k.Actions}, req.Body)
		if err != nil {
			return err
		}
		k.Name, k.Actions = in.Name, actions(in)
		if err := h.Sections.UpdateKeyspace(ctx, k); err != nil {
			return err
		}
		narrowed, err := h.Clients.TakePermissions(ctx, k.ID, k.Actions)
		if err != nil {
			return err
		}
		return h.Audit.Record(ctx, losses(narrowed)...)
	})
	if err != nil {
		return nil, err
	}
	return wire.UpdateKeyspace200JSONResponse{Body: shown, Headers: wire.UpdateKeyspace200ResponseHeaders{ETag: tag}}, nil
}

// DeleteKeyspace answers DELETE /keyspaces/{id}.
func (h endpoints) DeleteKeyspace(ctx context.Context, req wire.DeleteKeyspaceRequestObject) (wire.DeleteKeyspaceResponseObject, error) {
	preview, err := h.keyspaces().remove(ctx, req.ID, deleteParams(req.Params), func(ctx context.Context, k *sections.Keyspace) (wire.Preview, error) {
		narrowed, err := h.Clients.TakePermissions(ctx, k.ID, nil)
		if err == nil {
			err = h.Sections.DeleteKeyspace(ctx, k.ID)
		}
		if err == nil {
			err = h.Audit.Record(ctx, losses(narrowed)...)
		}
		return wire.Preview{Kind: wire.PreviewKindKeyspace, ID: k.ID, Name: &k.Name, ClientsNarrowed: narrowed.IDs()}, err
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteKeyspace200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteKeyspace204Response{}, nil
}
