package admin

import (
	"context"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/alerts"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

func (h endpoints) webhooks() resource[alerts.Webhook, wire.Webhook] {
	return resource[alerts.Webhook, wire.Webhook]{
		Handler: h.Handler, list: "webhooks",
		target: func(w *alerts.Webhook) audit.Target { return audit.Target{Kind: "webhook", ID: w.ID} },
		one: func(ctx context.Context, id string) (*alerts.Webhook, error) {
			w, err := h.Alerts.Webhook(ctx, id)
			return &w, err
		},
		page: pointers(func(ctx context.Context, p sections.Page) ([]alerts.Webhook, error) {
			return h.Alerts.Webhooks(ctx, alerts.Position{At: p.After, ID: p.AfterID}, p.Limit)
		}),
		show: showWebhook, position: func(w *alerts.Webhook) (time.Time, string) { return w.CreatedAt, w.ID },
	}
}

func showWebhook(w *alerts.Webhook) wire.Webhook {
	shown := wire.Webhook{
		ID: w.ID, URL: w.URL, Kinds: []wire.AlertKind{}, Enabled: w.DisabledAt.IsZero(), FailingSince: stampIf(w.FailingSince),
		CreatedAt: stamp(w.CreatedAt), CreatedBy: w.CreatedBy,
	}
	for _, k := range w.Kinds {
		shown.Kinds = append(shown.Kinds, wire.AlertKind(k))
	}
	return shown
}

func kindsOf(names []string) (kinds []alerts.Kind) {
	for _, name := range names {
		kinds = append(kinds, alerts.Kind(name))
	}
	return kinds
}

// ListWebhooks answers GET /webhooks.
func (h endpoints) ListWebhooks(ctx context.Context, req wire.ListWebhooksRequestObject) (wire.ListWebhooksResponseObject, error) {
	items, next, err := h.webhooks().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListWebhooks200JSONResponse{Items: items, Next: next}, nil
}

// CreateWebhook answers POST /webhooks.
func (h endpoints) CreateWebhook(ctx context.Context, req wire.CreateWebhookRequestObject) (wire.CreateWebhookResponseObject, error) {
	in, err := decode[wire.WebhookCreate](req.Body)
	if err != nil {
		return nil, err
	}
	w := &alerts.Webhook{URL: in.URL, Kinds: kindsOf(in.Kinds), CreatedBy: actor(ctx)}
	if err := h.Alerts.Check(w); err != nil {
		return nil, err
	}
	var secret alerts.Secret
	shown, tag, err := h.webhooks().create(ctx, w, func(ctx context.Context, w *alerts.Webhook) (err error) {
		secret, err = h.Alerts.CreateWebhook(ctx, w, now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return wire.CreateWebhook201JSONResponse{
		Body: wire.WebhookCreated{
			ID: shown.ID, URL: shown.URL, Kinds: shown.Kinds, Enabled: shown.Enabled, FailingSince: shown.FailingSince,
			CreatedAt: shown.CreatedAt, CreatedBy: shown.CreatedBy, Secret: secret.Reveal(),
		},
		Headers: wire.CreateWebhook201ResponseHeaders{ETag: tag, Location: h.webhooks().location(w)},
	}, nil
}

// ReadWebhook answers GET /webhooks/{id}.
func (h endpoints) ReadWebhook(ctx context.Context, req wire.ReadWebhookRequestObject) (wire.ReadWebhookResponseObject, error) {
	shown, tag, err := h.webhooks().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if ifNoneMatch(req.Params.IfNoneMatch, tag) {
		return wire.ReadWebhook304Response{Headers: wire.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return wire.ReadWebhook200JSONResponse{Body: shown, Headers: wire.ReadWebhook200ResponseHeaders{ETag: tag}}, nil
}

// whole is a webhook as a patch sees it: one that says nothing of enabled is.
type whole struct {
	URL     string   `json:"url"`
	Kinds   []string `json:"kinds,omitempty"`
	Enabled *bool    `json:"enabled,omitempty"`
}

// UpdateWebhook answers PATCH /webhooks/{id}.
func (h endpoints) UpdateWebhook(ctx context.Context, req wire.UpdateWebhookRequestObject) (wire.UpdateWebhookResponseObject, error) {
	shown, tag, err := h.webhooks().update(ctx, req.ID, req.Params.IfMatch, func(ctx context.Context, w *alerts.Webhook) error {
		was := whole{URL: w.URL, Enabled: new(w.DisabledAt.IsZero())}
		for _, k := range w.Kinds {
			was.Kinds = append(was.Kinds, string(k))
		}
		in, err := merge[wire.WebhookPatch](was, req.Body)
		if err != nil {
			return err
		}
		w.URL, w.Kinds = in.URL, kindsOf(in.Kinds)
		// One that may not lead where it does any more can be switched off all the same.
		if in.URL != was.URL || !slices.Equal(in.Kinds, was.Kinds) {
			if err := h.Alerts.Check(w); err != nil {
				return err
			}
		}
		switch enabled := in.Enabled == nil || *in.Enabled; {
		case enabled && !w.DisabledAt.IsZero():
			w.DisabledAt, w.FailingSince = time.Time{}, time.Time{}
		case !enabled && w.DisabledAt.IsZero():
			w.DisabledAt = now()
		}
		return h.Alerts.UpdateWebhook(ctx, w)
	})
	if err != nil {
		return nil, err
	}
	return wire.UpdateWebhook200JSONResponse{Body: shown, Headers: wire.UpdateWebhook200ResponseHeaders{ETag: tag}}, nil
}

// DeleteWebhook answers DELETE /webhooks/{id}.
func (h endpoints) DeleteWebhook(ctx context.Context, req wire.DeleteWebhookRequestObject) (wire.DeleteWebhookResponseObject, error) {
	preview, err := h.webhooks().remove(ctx, req.ID, deleteParams(req.Params), func(ctx context.Context, w *alerts.Webhook) (wire.Preview, error) {
		return wire.Preview{Kind: wire.PreviewKindWebhook, ID: w.ID, Name: &w.URL}, h.Alerts.DeleteWebhook(ctx, w.ID)
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteWebhook200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteWebhook204Response{}, nil
}

// TestWebhook answers POST /webhooks/{id}/test.
func (h endpoints) TestWebhook(ctx context.Context, req wire.TestWebhookRequestObject) (wire.TestWebhookResponseObject, error) {
	err := h.onceOnly(ctx, func(ctx context.Context) (made string, err error) {
		if err := h.Alerts.Test(ctx, req.ID, now()); err != nil {
			return "", err
		}
		return req.ID, h.Audit.Record(ctx, audit.Act{Action: "webhook.test", Target: audit.Target{Kind: "webhook", ID: req.ID}, At: now()})
	})
	if err != nil {
		return nil, err
	}
	return wire.TestWebhook204Response{}, nil
}
