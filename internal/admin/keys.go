package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/sections"
	"github.com/wardkey/wardkey/tokens"
)

// Signing keys are changed by tokens.Keys in transactions of its own: it makes keys outside of
// them, which takes long, and shows them to the token path once they are committed.

func (h endpoints) keys() resource[tokens.Key, wire.SigningKey] {
	position := func(k *tokens.Key) (time.Time, string) { return k.CreatedAt, k.ID }
	return resource[tokens.Key, wire.SigningKey]{
		Handler: h.Handler, list: "signing-keys", show: showKeyHere, position: position,
		target: keyTarget,
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

func keyTarget(k *tokens.Key) audit.Target {
	return audit.Target{Kind: "signing_key", ID: k.ID, Name: string(k.Alg)}
}

// KeyChanges returns what records changes of signing keys in the transaction that makes them
// ([tokens.Keys.Changed]): those that admins ask for, and those that are due.
func KeyChanges(db *database.DB, log *audit.Log) func(ctx context.Context, before, after []*tokens.Key) error {
	return func(ctx context.Context, before, after []*tokens.Key) error {
		was, is := keysByID(before), keysByID(after)
		var acts []audit.Act
		for _, id := range union(was, is) {
			old, current := was[id], is[id]
			found, err := changes(shownKey(old), shownKey(current))
			if err != nil {
				return err
			}
			if len(found) == 0 {
				continue
			}
			if old == nil && strings.HasSuffix(operation(ctx), "/signing-keys/rotate") {
				err := once(ctx, db) // asked again, because the same request may have come twice at once
				if err == nil {
					err = made(ctx, db, id)
				}
				if err != nil {
					return err
				}
			}
			acts = append(acts, audit.Act{Action: "signing_key." + verb(old, current), Target: keyTarget(cmp.Or(current, old)), Changes: found, At: time.Now()})
		}
		return log.Record(ctx, acts...)
	}
}

func keysByID(keys []*tokens.Key) map[string]*tokens.Key {
	byID := map[string]*tokens.Key{}
	for _, k := range keys {
		byID[k.ID] = k
	}
	return byID
}

// shownKey is a key as it is shown, nil for none.
func shownKey(k *tokens.Key) any {
	if k == nil {
		return nil
	}
	return showKey(k)
}

// verb says what was done to a key; nil stands for no key.
func verb(before, after *tokens.Key) string {
	switch {
	case before == nil:
		return "create"
	case after == nil:
		return "delete"
	case after.State == tokens.Active:
		return "activate"
	}
	return "retire"
}

func showKey(k *tokens.Key) wire.SigningKey {
	return wire.SigningKey{
		Kid: k.ID, Alg: wire.SigningKeyAlg(k.Alg), State: wire.SigningKeyState(k.State),
		CreatedAt: stamp(k.CreatedAt), ActivatesAt: stamp(k.ActivatesAt), ActivatedAt: stampIf(k.ActivatedAt),
		RetiredAt: stampIf(k.RetiredAt), RemovesAt: stampIf(k.RemovesAt),
	}
}

// showKeyHere is a key as this server shows it, which may let it wait longer than the store says.
func showKeyHere(k *tokens.Key) wire.SigningKey {
	shown := showKey(k)
	shown.ActivatesAt = stamp(k.SignsAt())
	return shown
}

// ListSigningKeys answers GET /signing-keys. They are in memory, as new as the token check, which
// read them.
func (h endpoints) ListSigningKeys(ctx context.Context, req wire.ListSigningKeysRequestObject) (wire.ListSigningKeysResponseObject, error) {
	items, next, err := h.keys().items(ctx, pageParams(req.Params))
	if err != nil {
		return nil, err
	}
	reach, err := h.Fetches.Reach(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	for i := range items {
		items[i] = reached(items[i], reach)
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
	reach, err := h.Fetches.Reach(ctx, time.Now()) // before: a key that was made must be told of
	if err == nil {
		err = once(ctx, h.DB)
	}
	if err != nil {
		return nil, err
	}
	key, err := h.Keys.Rotate(ctx, tokens.Alg(alg), isTrue(in.Now)) // KeyChanges notes what it made
	if err != nil {
		return nil, err
	}
	return wire.RotateSigningKey201JSONResponse(reached(showKey(key), reach)), nil
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
