package admin

import (
	"context"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// Signing keys are changed by tokens.Keys in transactions of its own: it makes keys outside of
// them, which takes long, and shows them to the token path once they are committed.

func (h endpoints) keys() resource[tokens.Key, wire.SigningKey] {
	position := func(k *tokens.Key) (time.Time, string) { return k.CreatedAt, k.ID }
	return resource[tokens.Key, wire.SigningKey]{
		cursorKey: h.CursorKey, list: "signing-keys", show: showKey, position: position,
		one: func(_ context.Context, kid string) (*tokens.Key, error) {
			all := h.Keys.All()
			i := slices.IndexFunc(all, func(k *tokens.Key) bool { return k.ID == kid })
			if i < 0 {
				return nil, tokens.ErrKeyNotFound
			}
			return all[i], nil
		},
		page: func(_ context.Context, page sections.Page) ([]*tokens.Key, error) {
			return part(h.Keys.All(), position, page), nil
		},
	}
}

func showKey(k *tokens.Key) wire.SigningKey {
	return wire.SigningKey{
		Kid: k.ID, Alg: wire.SigningKeyAlg(k.Alg), State: wire.SigningKeyState(k.State),
		CreatedAt: stamp(k.CreatedAt), ActivatesAt: stamp(k.ActivatesAt), ActivatedAt: stampIf(k.ActivatedAt),
		RetiredAt: stampIf(k.RetiredAt), RemovesAt: stampIf(k.RemovesAt),
	}
}

// ListSigningKeys answers GET /signing-keys. They are in memory, as new as the token check, which
// read them.
func (h endpoints) ListSigningKeys(ctx context.Context, req wire.ListSigningKeysRequestObject) (wire.ListSigningKeysResponseObject, error) {
	items, next, err := h.keys().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	return wire.ListSigningKeys200JSONResponse{Items: items, Next: next}, nil
}

// RotateSigningKey answers POST /signing-keys/rotate.
func (h endpoints) RotateSigningKey(ctx context.Context, req wire.RotateSigningKeyRequestObject) (wire.RotateSigningKeyResponseObject, error) {
	in, err := decode[wire.SigningKeyRotate](req.Body)
	if err != nil {
		return nil, err
	}
	alg := string(h.Alg)
	if in.Alg != nil {
		alg = *in.Alg
	}
	if !slices.Contains(tokens.Algs, alg) {
		return nil, sections.Invalid{{Field: "/alg", Detail: "must be ES256, RS256 or EdDSA"}}
	}
	key, err := h.Keys.Rotate(ctx, tokens.Alg(alg), isTrue(in.Now))
	if err != nil {
		return nil, err
	}
	return wire.RotateSigningKey201JSONResponse(showKey(key)), nil
}

// DeleteSigningKey answers DELETE /signing-keys/{kid}.
func (h endpoints) DeleteSigningKey(ctx context.Context, req wire.DeleteSigningKeyRequestObject) (wire.DeleteSigningKeyResponseObject, error) {
	key, tag, err := h.keys().read(ctx, req.Kid)
	if err == nil {
		err = ifMatch(req.Params.IfMatch, tag)
	}
	if err != nil {
		return nil, err
	}
	if deleteParams(req.Params).dry() {
		preview := complete(wire.Preview{Kind: wire.PreviewKindSigningKey, ID: key.Kid, KeyState: (*string)(&key.State)})
		return wire.DeleteSigningKey200JSONResponse{PreviewJSONResponse: wire.PreviewJSONResponse(*preview)}, nil
	}
	if err := h.Keys.Remove(ctx, req.Kid); err != nil {
		return nil, err
	}
	return wire.DeleteSigningKey204Response{}, nil
}
