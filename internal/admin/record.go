package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
)

// changes are the members in which two ways to show a thing differ; nil stands for no thing. What
// changes by itself, as the time of the last use, is left out, and so is what never does.
func changes(before, after any) (map[string]audit.Change, error) {
	was, err := members(before)
	if err != nil {
		return nil, err
	}
	is, err := members(after)
	if err != nil {
		return nil, err
	}
	found := map[string]audit.Change{}
	for name, value := range was {
		if now, ok := is[name]; !ok {
			found[name] = audit.Change{Before: value}
		} else if !bytes.Equal(value, now) {
			found[name] = audit.Change{Before: value, After: now}
		}
	}
	for name, value := range is {
		if _, ok := was[name]; !ok {
			found[name] = audit.Change{After: value}
		}
	}
	return found, nil
}

// members are those of a thing as it is shown, without null ones.
func members(shown any) (map[string]json.RawMessage, error) {
	if shown == nil {
		return nil, nil
	}
	text, err := json.Marshal(stable(shown))
	if err != nil {
		return nil, fmt.Errorf("write what changed: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read what changed: %w", err)
	}
	for name, value := range all {
		if string(value) == "null" || name == "id" || name == "created_at" || name == "created_by" {
			delete(all, name)
		}
	}
	return all, nil
}

// union are the keys of both maps, in order.
func union[T any](a, b map[string]T) []string {
	keys := append(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))...)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// record adds what was done to a thing to the audit log. Before and after are the thing as it is
// shown, nil for no thing.
func (h *Handler) record(ctx context.Context, action string, target audit.Target, clientID string, before, after any) error {
	found, err := changes(before, after)
	if err != nil {
		return err
	}
	return h.Audit.Record(ctx, audit.Act{Action: target.Kind + "." + action, Target: target, ClientID: clientID, Changes: found, At: time.Now()})
}
