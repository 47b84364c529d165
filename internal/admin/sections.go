package admin

import (
	"context"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

func (h endpoints) sections() resource[sections.Section, wire.Section] {
	return resource[sections.Section, wire.Section]{
		Handler: h.Handler, list: "sections",
		target: func(s *sections.Section) audit.Target { return audit.Target{Kind: "section", ID: s.ID, Name: s.Name} },
		one:    h.Sections.Section, page: pointers(h.Sections.Sections), show: showSection,
		position: func(s *sections.Section) (time.Time, string) { return s.CreatedAt, s.ID },
	}
}

func showSection(s *sections.Section) wire.Section {
	return wire.Section{ID: s.ID, Name: s.Name, CreatedAt: stamp(s.CreatedAt)}
}

// ListSections answers GET /sections.
func (h endpoints) ListSections(ctx context.Context, req wire.ListSectionsRequestObject) (wire.ListSectionsResponseObject, error) {
	items, next, err := h.sections().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListSections200JSONResponse{Items: items, Next: next}, nil
}

// CreateSection answers POST /sections.
func (h endpoints) CreateSection(ctx context.Context, req wire.CreateSectionRequestObject) (wire.CreateSectionResponseObject, error) {
	in, err := decode[wire.SectionCreate](req.Body)
	if err != nil {
		return nil, err
	}
	s := &sections.Section{ID: in.ID, Name: in.Name, CreatedAt: now()}
	shown, tag, err := h.sections().create(ctx, s, h.Sections.CreateSection)
	if err != nil {
		return nil, err
	}
	return wire.CreateSection201JSONResponse{Body: shown, Headers: wire.CreateSection201ResponseHeaders{ETag: tag, Location: h.sections().location(s)}}, nil
}

// ReadSection answers GET /sections/{id}.
func (h endpoints) ReadSection(ctx context.Context, req wire.ReadSectionRequestObject) (wire.ReadSectionResponseObject, error) {
	shown, tag, err := h.sections().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if ifNoneMatch(req.Params.IfNoneMatch, tag) {
		return wire.ReadSection304Response{Headers: wire.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return wire.ReadSection200JSONResponse{Body: shown, Headers: wire.ReadSection200ResponseHeaders{ETag: tag}}, nil
}

// UpdateSection answers PATCH /sections/{id}.
func (h endpoints) UpdateSection(ctx context.Context, req wire.UpdateSectionRequestObject) (wire.UpdateSectionResponseObject, error) {
	shown, tag, err := h.sections().update(ctx, req.ID, req.Params.IfMatch, func(ctx context.Context, s *sections.Section) error {
		in, err := merge[wire.SectionPatch](wire.SectionCreate{ID: s.ID, Name: s.Name}, req.Body)
		if err != nil {
			return err
		}
		s.Name = in.Name
		return h.Sections.UpdateSection(ctx, s)
	})
	if err != nil {
		return nil, err
	}
	return wire.UpdateSection200JSONResponse{Body: shown, Headers: wire.UpdateSection200ResponseHeaders{ETag: tag}}, nil
}

// DeleteSection answers DELETE /sections/{id}.
func (h endpoints) DeleteSection(ctx context.Context, req wire.DeleteSectionRequestObject) (wire.DeleteSectionResponseObject, error) {
	preview, err := h.sections().remove(ctx, req.ID, deleteParams(req.Params), func(ctx context.Context, s *sections.Section) (wire.Preview, error) {
		narrowed, deleted, err := h.Clients.TakeSection(ctx, s.ID, actor(ctx), now())
		if err == nil {
			err = h.Sections.DeleteSection(ctx, s.ID)
		}
		if err == nil {
			err = h.Audit.Record(ctx, append(losses(narrowed), deletions(deleted)...)...)
		}
		return wire.Preview{Kind: wire.PreviewKindSection, ID: s.ID, Name: &s.Name, ClientsNarrowed: narrowed.IDs(), ClientsDeleted: deleted.IDs()}, err
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteSection200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteSection204Response{}, nil
}
