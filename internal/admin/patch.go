package admin

import (
	"encoding/json"
	"fmt"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// merge returns what now becomes by a merge patch. The patch must be what the specification says
// of Patch; the outcome must be what it says of All, as if it had been sent whole.
func merge[Patch, All any](now All, patch *json.RawMessage) (All, error) {
	if _, err := decode[Patch](patch); err != nil {
		return now, err
	}
	before, err := strict.Marshal(now)
	if err != nil {
		return now, fmt.Errorf("write what is patched: %w", err)
	}
	after, err := mergePatch(before, jsontext.Value(*patch))
	if err != nil {
		return now, fmt.Errorf("merge a patch: %w", err)
	}
	return decode[All]((*json.RawMessage)(&after))
}

// mergePatch is MergePatch of RFC 7396 §2.
func mergePatch(target, patch jsontext.Value) (jsontext.Value, error) {
	if patch.Kind() != '{' {
		return patch, nil
	}
	var members, changes map[string]jsontext.Value
	if target.Kind() == '{' {
		if err := strict.Unmarshal(target, &members); err != nil {
			return nil, err
		}
	}
	if err := strict.Unmarshal(patch, &changes); err != nil {
		return nil, err
	}
	merged := make(map[string]jsontext.Value, len(members)+len(changes))
	for name, value := range members {
		merged[name] = value
	}
	for name, value := range changes {
		if value.Kind() == 'n' {
			delete(merged, name)
			continue
		}
		var err error
		if merged[name], err = mergePatch(merged[name], value); err != nil {
			return nil, err
		}
	}
	return strict.Marshal(merged)
}
