package admin

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

func (h endpoints) capabilities() resource[sections.Capability, wire.Capability] {
	return resource[sections.Capability, wire.Capability]{
		Handler: h.Handler, list: "capabilities",
		target: func(c *sections.Capability) audit.Target {
			return audit.Target{Kind: "capability", ID: c.ID, Name: c.Name}
		},
		one: h.Sections.Capability, page: pointers(h.Sections.Capabilities), show: showCapability,
		position: func(c *sections.Capability) (time.Time, string) { return c.CreatedAt, c.ID },
	}
}

func showCapability(c *sections.Capability) wire.Capability {
	return wire.Capability{ID: c.ID, Name: c.Name, Actions: c.Actions, Enabled: c.Enabled, CreatedAt: stamp(c.CreatedAt)}
}

// ListCapabilities answers GET /capabilities.
func (h endpoints) ListCapabilities(ctx context.Context, req wire.ListCapabilitiesRequestObject) (wire.ListCapabilitiesResponseObject, error) {
	items, next, err := h.capabilities().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListCapabilities200JSONResponse{Items: items, Next: next}, nil
}

// CreateCapability answers POST /capabilities.
func (h endpoints) CreateCapability(ctx context.Context, req wire.CreateCapabilityRequestObject) (wire.CreateCapabilityResponseObject, error) {
	in, err := decode[wire.CapabilityCreate](req.Body)
	if err != nil {
		return nil, err
	}
	c := &sections.Capability{ID: in.ID, Name: in.Name, Actions: in.Actions, Enabled: isTrue(in.Enabled), CreatedAt: now()}
	shown, tag, err := h.capabilities().create(ctx, c, h.Sections.CreateCapability)
	if err != nil {
		return nil, err
	}
	return wire.CreateCapability201JSONResponse{Body: shown, Headers: wire.CreateCapability201ResponseHeaders{ETag: tag, Location: h.capabilities().location(c)}}, nil
}

// ReadCapability answers GET /capabilities/{id}.
func (h endpoints) ReadCapability(ctx context.Context, req wire.ReadCapabilityRequestObject) (wire.ReadCapabilityResponseObject, error) {
	shown, tag, err := h.capabilities().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if ifNoneMatch(req.Params.IfNoneMatch, tag) {
		return wire.ReadCapability304Response{Headers: wire.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return wire.ReadCapability200JSONResponse{Body: shown, Headers: wire.ReadCapability200ResponseHeaders{ETag: tag}}, nil
}

// UpdateCapability answers PATCH /capabilities/{id}.
func (h endpoints) UpdateCapability(ctx context.Context, req wire.UpdateCapabilityRequestObject) (wire.UpdateCapabilityResponseObject, error) {
	shown, tag, err := h.capabilities().update(ctx, req.ID, req.Params.IfMatch, func(ctx context.Context, c *sections.Capability) error {
		in, err := merge[wire.CapabilityPatch](wire.CapabilityCreate{ID: c.ID, Name: c.Name, Actions: c.Actions, Enabled: &c.Enabled}, req.Body)
		if err != nil {
			return err
		}
		c.Name, c.Actions, c.Enabled = in.Name, in.Actions, isTrue(in.Enabled)
		if err := h.Sections.UpdateCapability(ctx, c); err != nil {
			return err
		}
		narrowed, err := h.Clients.TakePermissions(ctx, c.ID, c.Actions)
		if err != nil {
			return err
		}
		return h.Audit.Record(ctx, losses(narrowed)...)
	})
	if err != nil {
		return nil, err
	}
	return wire.UpdateCapability200JSONResponse{Body: shown, Headers: wire.UpdateCapability200ResponseHeaders{ETag: tag}}, nil
}

// DeleteCapability answers DELETE /capabilities/{id}.
func (h endpoints) DeleteCapability(ctx context.Context, req wire.DeleteCapabilityRequestObject) (wire.DeleteCapabilityResponseObject, error) {
	preview, err := h.capabilities().remove(ctx, req.ID, deleteParams(req.Params), func(ctx context.Context, c *sections.Capability) (wire.Preview, error) {
		narrowed, err := h.Clients.TakePermissions(ctx, c.ID, nil)
		if err == nil {
			err = h.Sections.DeleteCapability(ctx, c.ID)
		}
		if err == nil {
			err = h.Audit.Record(ctx, losses(narrowed)...)
		}
		return wire.Preview{Kind: wire.PreviewKindCapability, ID: c.ID, Name: &c.Name, ClientsNarrowed: narrowed.IDs()}, err
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteCapability200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteCapability204Response{}, nil
}
