package admin

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

func (h endpoints) clients() resource[clients.Client, wire.Client] {
	return resource[clients.Client, wire.Client]{
		Handler: h.Handler, list: "clients",
		target: clientTarget, client: func(c *clients.Client) string { return c.ID },
		one: h.client, show: showClient,
		position: func(c *clients.Client) (time.Time, string) { return c.CreatedAt, c.ID },
	}
}

func clientTarget(c *clients.Client) audit.Target {
	return audit.Target{Kind: "client", ID: c.ID, Name: c.Name}
}

func showClient(c *clients.Client) wire.Client {
	shown := wire.Client{
		ID: c.ID, Name: c.Name, Description: c.Description,
		Sections: sorted(c.Held.Sections), Permissions: showPermissions(c.Held.Permissions),
		Audiences: append([]string{}, c.Audiences...), Plan: showPlan(c.Plan), Limits: showLimits(c.Limits), Disabled: c.Disabled,
		KeepUnused: c.KeepUnused, SuspendedAt: stampIf(c.SuspendedAt),
		ExpiresAt: stampIf(c.ExpiresAt), CreatedAt: stamp(c.CreatedAt), CreatedBy: c.CreatedBy, LastUsedAt: stampIf(c.LastUsedAt),
		Secrets: make([]wire.Secret, len(c.Credentials)),
	}
	if c.TokenLifetime != 0 {
		shown.TokenLifetime = new(int(c.TokenLifetime / time.Second))
	}
	if c.SigningAlg != "" {
		shown.SigningAlg = &c.SigningAlg
	}
	for i := range c.Credentials {
		shown.Secrets[i] = showSecret(&c.Credentials[i])
	}
	return shown
}

// sorted is a list in order, each item once, and [] rather than null.
func sorted(list []string) []string {
	list = append([]string{}, list...)
	slices.Sort(list)
	return slices.Compact(list)
}

func showPermissions(held []sections.Permission) wire.Permissions {
	shown := wire.Permissions{}
	for _, p := range held {
		shown[p.Target] = append(shown[p.Target], p.Action)
	}
	for target, actions := range shown {
		shown[target] = sorted(actions)
	}
	return shown
}

// writable is what of a client can be written, as if it were sent whole.
func writable(c *clients.Client) wire.ClientCreate {
	shown := showClient(c)
	return wire.ClientCreate{
		Name: c.Name, Description: &c.Description, Sections: shown.Sections, Permissions: shown.Permissions,
		Audiences: shown.Audiences, TokenLifetime: shown.TokenLifetime, SigningAlg: shown.SigningAlg,
		Plan: &shown.Plan, Limits: writableLimits(c), Disabled: &c.Disabled, KeepUnused: &c.KeepUnused, ExpiresAt: shown.ExpiresAt,
	}
}

// assign gives the client what was written, and checks it. Before is the client as it was, nil
// for a new one.
func (h endpoints) assign(ctx context.Context, c *clients.Client, in wire.ClientCreate, before *clients.Client) error {
	permissions, err := permissionsOf(in.Permissions)
	if err != nil {
		return err
	}
	c.Name, c.Description, c.Disabled = in.Name, orEmpty(in.Description), isTrue(in.Disabled)
	c.KeepUnused = isTrue(in.KeepUnused)
	c.Held = sections.Held{Sections: in.Sections, Permissions: permissions}
	c.Audiences, c.SigningAlg = in.Audiences, orEmpty(in.SigningAlg)
	c.TokenLifetime, c.ExpiresAt = lifetime(in.TokenLifetime), moment(in.ExpiresAt)
	c.Plan, c.Limits = h.plan(in.Plan), limitsOf(in.Limits)
	catalog, err := h.Sections.Catalog(ctx)
	if err != nil {
		return err
	}
	return c.Normalize(clients.Rules{Catalog: catalog, Audiences: h.Audiences, Algs: tokens.Algs, Now: time.Now()}, before)
}

func permissionsOf(in wire.Permissions) (held []sections.Permission, err error) {
	var rules sections.Invalid
	for _, target := range slices.Sorted(maps.Keys(in)) {
		if len(in[target]) == 0 {
			rules.Add(sections.Pointer("permissions", target), "must name at least one action; null takes it away")
		}
		for _, action := range in[target] {
			held = append(held, sections.Permission{Target: target, Action: action})
		}
	}
	return held, rules.Err()
}

// lifetime is the time of so many seconds. Zero stands for the server's own in a client, so what
// is not allowed becomes a negative one, which no rule lets pass.
func lifetime(seconds *int) time.Duration {
	switch {
	case seconds == nil:
		return 0
	case *seconds <= 0 || *seconds > int(clients.MaxTokenLifetime/time.Second):
		return -1
	}
	return time.Duration(*seconds) * time.Second
}

// moment is a time to the second, zero for never. Go's zero time, which was long ago, is not never.
func moment(t *time.Time) time.Time {
	switch {
	case t == nil:
		return time.Time{}
	case t.IsZero():
		return time.Unix(0, 0)
	}
	return stamp(*t)
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func isTrue(b *bool) bool { return b != nil && *b }

// ensureKey sees to it that there is a key of the algorithm, so that a client which is given it
// gets tokens at once. A name that is none is for the rules to refuse.
func (h endpoints) ensureKey(ctx context.Context, alg *string) error {
	if alg == nil || !slices.Contains(tokens.Algs, *alg) {
		return nil
	}
	return h.Keys.Ensure(ctx, tokens.Alg(*alg))
}

// CreateClient answers POST /clients.
func (h endpoints) CreateClient(ctx context.Context, req wire.CreateClientRequestObject) (wire.CreateClientResponseObject, error) {
	in, err := decode[wire.ClientCreate](req.Body)
	if err == nil {
		err = h.ensureKey(ctx, in.SigningAlg)
	}
	if err != nil {
		return nil, err
	}
	var secret clients.Secret
	c := &clients.Client{CreatedBy: actor(ctx)}
	shown, tag, err := h.clients().create(ctx, c, func(ctx context.Context, c *clients.Client) error {
		if err := h.assign(ctx, c, in, nil); err != nil {
			return err
		}
		if err := mayHandle(ctx, c); err != nil {
			return err
		}
		secret, err = h.Clients.Create(ctx, c, now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return wire.CreateClient201JSONResponse{
		Body:    created(shown, secret),
		Headers: wire.CreateClient201ResponseHeaders{ETag: tag, Location: h.clients().location(c)},
	}, nil
}

// created is the one answer that shows a new client's secret.
func created(c wire.Client, secret clients.Secret) wire.ClientCreated {
	return wire.ClientCreated{
		ID: c.ID, ClientSecret: secret.Reveal(), Name: c.Name, Description: c.Description,
		Sections: c.Sections, Permissions: c.Permissions, Audiences: c.Audiences,
		TokenLifetime: c.TokenLifetime, SigningAlg: c.SigningAlg, Plan: c.Plan, Limits: c.Limits, Disabled: c.Disabled, KeepUnused: c.KeepUnused, SuspendedAt: c.SuspendedAt, ExpiresAt: c.ExpiresAt,
		CreatedAt: c.CreatedAt, CreatedBy: c.CreatedBy, LastUsedAt: c.LastUsedAt, Secrets: c.Secrets,
	}
}

// ReadClient answers GET /clients/{id}.
func (h endpoints) ReadClient(ctx context.Context, req wire.ReadClientRequestObject) (wire.ReadClientResponseObject, error) {
	shown, tag, err := h.clients().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if ifNoneMatch(req.Params.IfNoneMatch, tag) {
		return wire.ReadClient304Response{Headers: wire.NotModifiedResponseHeaders{ETag: tag}}, nil
	}
	return wire.ReadClient200JSONResponse{Body: shown, Headers: wire.ReadClient200ResponseHeaders{ETag: tag}}, nil
}

// UpdateClient answers PATCH /clients/{id}.
func (h endpoints) UpdateClient(ctx context.Context, req wire.UpdateClientRequestObject) (wire.UpdateClientResponseObject, error) {
	patch, err := decode[wire.ClientPatch](req.Body)
	if err == nil {
		err = h.ensureKey(ctx, patch.SigningAlg)
	}
	if err != nil {
		return nil, err
	}
	shown, tag, err := h.clients().update(ctx, req.ID, req.Params.IfMatch, func(ctx context.Context, c *clients.Client) error {
		in, err := merge[wire.ClientPatch](writable(c), req.Body)
		if err != nil {
			return err
		}
		if patch.Limits == nil && orEmpty(in.Plan) != string(clients.Enterprise) {
			in.Limits = nil // those of the plan that it leaves
		}
		before := *c
		if err := h.assign(ctx, c, in, &before); err != nil {
			return err
		}
		if err := mayHandle(ctx, &before, c); err != nil {
			return err
		}
		return h.Clients.Update(ctx, c)
	})
	if err != nil {
		return nil, err
	}
	return wire.UpdateClient200JSONResponse{Body: shown, Headers: wire.UpdateClient200ResponseHeaders{ETag: tag}}, nil
}

// DeleteClient answers DELETE /clients/{id}.
func (h endpoints) DeleteClient(ctx context.Context, req wire.DeleteClientRequestObject) (wire.DeleteClientResponseObject, error) {
	preview, err := h.clients().remove(ctx, req.ID, deleteParams(req.Params), func(ctx context.Context, c *clients.Client) (wire.Preview, error) {
		preview := wire.Preview{Kind: wire.PreviewKindClient, ID: c.ID, Name: &c.Name, ClientsDeleted: []string{c.ID}}
		for _, secret := range c.Live(time.Now()) {
			preview.SecretsEnded = append(preview.SecretsEnded, secret.ID)
		}
		return preview, h.Clients.Delete(ctx, c.ID, actor(ctx), now())
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteClient200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteClient204Response{}, nil
}
