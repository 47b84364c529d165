package admin

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/sections"
)

// maxOverlap is how long an older secret may live on beside a new one that ends it.
const maxOverlap = 90 * 24 * time.Hour

// secrets are those of one client.
func (h endpoints) secrets(clientID string) resource[clients.Credential, wire.Secret] {
	position := func(c *clients.Credential) (time.Time, string) { return c.CreatedAt, c.ID }
	return resource[clients.Credential, wire.Secret]{
		Handler: h.Handler, list: "clients/" + clientID + "/secrets", show: showSecret, position: position,
		target: secretTarget, client: func(*clients.Credential) string { return clientID },
		one: func(ctx context.Context, id string) (*clients.Credential, error) {
			client, err := h.client(ctx, clientID)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(client.Credentials, func(c clients.Credential) bool { return c.ID == id })
			if i < 0 {
				return nil, clients.ErrSecretNotFound
			}
			return &client.Credentials[i], nil
		},
		page: func(ctx context.Context, page sections.Page) ([]*clients.Credential, error) {
			client, err := h.client(ctx, clientID)
			if err != nil {
				return nil, err
			}
			all := make([]*clients.Credential, len(client.Credentials))
			for i := range client.Credentials {
				all[i] = &client.Credentials[i]
			}
			return part(all, position, page), nil
		},
	}
}

// secretTarget is what the audit log calls a secret: its name is the hint.
func secretTarget(c *clients.Credential) audit.Target {
	return audit.Target{Kind: "secret", ID: c.ID, Name: c.Hint}
}

func showSecret(c *clients.Credential) wire.Secret {
	return wire.Secret{
		ID: c.ID, Hint: c.Hint, CreatedAt: stamp(c.CreatedAt),
		LastUsedAt: stampIf(c.LastUsedAt), ExpiresAt: stampIf(c.ExpiresAt),
	}
}

// ListSecrets answers GET /clients/{id}/secrets.
func (h endpoints) ListSecrets(ctx context.Context, req wire.ListSecretsRequestObject) (wire.ListSecretsResponseObject, error) {
	items, next, err := h.secrets(req.ID).items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	activity, err := h.Clients.Activity(ctx, req.ID, time.Now())
	if err != nil {
		return nil, err
	}
	answer := wire.ListSecrets200JSONResponse{Items: []wire.SecretInUse{}, Next: next}
	for _, s := range items {
		answer.Items = append(answer.Items, wire.SecretInUse{
			ID: s.ID, Hint: s.Hint, CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: s.ExpiresAt,
			UsesLastDay: activity[s.ID].Uses, AddressesLastDay: activity[s.ID].Addresses,
		})
	}
	return answer, nil
}

// AddSecret answers POST /clients/{id}/secrets.
func (h endpoints) AddSecret(ctx context.Context, req wire.AddSecretRequestObject) (wire.AddSecretResponseObject, error) {
	in, err := decode[wire.SecretCreate](req.Body)
	if err != nil {
		return nil, err
	}
	overlap, err := checkSecret(in, time.Now())
	if err != nil {
		return nil, err
	}
	var credential clients.Credential
	var secret clients.Secret
	err = h.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, h.DB); err != nil {
			return err
		}
		return h.changeSecrets(ctx, req.ID, func(ctx context.Context) error {
			credential, secret, err = h.Clients.AddSecret(ctx, req.ID, moment(in.ExpiresAt), overlap, time.Now())
			if err != nil {
				return err
			}
			return made(ctx, h.DB, credential.ID)
		})
	})
	if err != nil {
		return nil, err
	}
	shown := showSecret(&credential)
	return wire.AddSecret201JSONResponse{
		ID: shown.ID, ClientSecret: secret.Reveal(), Hint: shown.Hint,
		CreatedAt: shown.CreatedAt, ExpiresAt: shown.ExpiresAt, LastUsedAt: shown.LastUsedAt,
	}, nil
}

// changeSecrets lets change alter the secrets of a client, and records what became of each.
func (h endpoints) changeSecrets(ctx context.Context, clientID string, change func(ctx context.Context) error) error {
	client, err := h.client(ctx, clientID)
	if err != nil {
		return err
	}
	if err := mayHandle(ctx, client); err != nil {
		return err
	}
	before, err := h.secretsByID(ctx, clientID)
	if err != nil {
		return err
	}
	if err := change(ctx); err != nil {
		return err
	}
	after, err := h.secretsByID(ctx, clientID)
	if err != nil {
		return err
	}
	for _, id := range union(before, after) {
		was, is := before[id], after[id]
		action, shownWas, shownIs := "update", any(nil), any(nil)
		if was != nil {
			shownWas = showSecret(was)
		} else {
			action = "create"
		}
		if is != nil {
			shownIs = showSecret(is)
		} else {
			action = "delete"
		}
		if action == "update" && reflect.DeepEqual(stable(shownWas), stable(shownIs)) {
			continue
		}
		if err := h.record(ctx, action, secretTarget(cmp.Or(is, was)), clientID, shownWas, shownIs); err != nil {
			return err
		}
	}
	return nil
}

func (h endpoints) secretsByID(ctx context.Context, clientID string) (map[string]*clients.Credential, error) {
	client, err := h.client(ctx, clientID)
	if err != nil {
		return nil, err
	}
	byID := map[string]*clients.Credential{}
	for i := range client.Credentials {
		byID[client.Credentials[i].ID] = &client.Credentials[i]
	}
	return byID, nil
}

// CancelRotation answers POST /clients/{id}/cancel-rotation.
func (h endpoints) CancelRotation(ctx context.Context, req wire.CancelRotationRequestObject) (wire.CancelRotationResponseObject, error) {
	err := h.DB.Transact(ctx, func(ctx context.Context) error {
		if err := once(ctx, h.DB); err != nil {
			return err
		}
		return h.changeSecrets(ctx, req.ID, func(ctx context.Context) error {
			if _, err := h.Clients.CancelRotation(ctx, req.ID, actor(ctx), time.Now()); err != nil {
				return err
			}
			return made(ctx, h.DB, req.ID)
		})
	})
	if err != nil {
		return nil, err
	}
	shown, tag, err := h.clients().read(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return wire.CancelRotation200JSONResponse{Body: shown, Headers: wire.CancelRotation200ResponseHeaders{ETag: tag}}, nil
}

// ListSecretAddresses answers GET /clients/{id}/secrets/{secret_id}/addresses.
func (h endpoints) ListSecretAddresses(ctx context.Context, req wire.ListSecretAddressesRequestObject) (wire.ListSecretAddressesResponseObject, error) {
	if _, err := h.secrets(req.ID).one(ctx, req.SecretID); err != nil {
		return nil, err
	}
	found, err := h.Clients.Addresses(ctx, req.ID, req.SecretID, time.Now())
	if err != nil {
		return nil, err
	}
	answer := wire.ListSecretAddresses200JSONResponse{Items: []wire.AddressUse{}}
	for _, a := range found {
		answer.Items = append(answer.Items, wire.AddressUse{Address: a.Address, Uses: a.Uses, LastUsedAt: stamp(a.LastUsedAt)})
	}
	return answer, nil
}

// checkSecret checks what is asked of a new secret, and returns how long the older one lives on,
// nil for as long as it likes.
func checkSecret(in wire.SecretCreate, now time.Time) (*time.Duration, error) {
	var rules sections.Invalid
	if in.ExpiresAt != nil && !moment(in.ExpiresAt).After(now) {
		rules.Add("/expires_at", "must be in the future")
	}
	if in.Overlap == nil {
		return nil, rules.Err()
	}
	if *in.Overlap < 0 || *in.Overlap > int(maxOverlap/time.Second) {
		rules.Add("/overlap", "must be 0 to %d seconds", maxOverlap/time.Second)
	}
	return new(time.Duration(*in.Overlap) * time.Second), rules.Err()
}

// DeleteSecret answers DELETE /clients/{id}/secrets/{secret_id}.
func (h endpoints) DeleteSecret(ctx context.Context, req wire.DeleteSecretRequestObject) (wire.DeleteSecretResponseObject, error) {
	preview, err := h.secrets(req.ID).remove(ctx, req.SecretID, deleteParams(req.Params), func(ctx context.Context, c *clients.Credential) (wire.Preview, error) {
		return wire.Preview{Kind: wire.PreviewKindSecret, ID: c.ID, SecretsEnded: []string{c.ID}}, h.Clients.RevokeSecret(ctx, req.ID, c.ID, actor(ctx), time.Now())
	})
	switch {
	case err != nil:
		return nil, err
	case preview != nil:
		return wire.DeleteSecret200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	return wire.DeleteSecret204Response{}, nil
}
