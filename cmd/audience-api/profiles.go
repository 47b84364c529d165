package main

import (
	"maps"
	"sync"
)

// An object is a JSON object. One that has been stored is not changed any more.
type object = map[string]any

// A place is where attributes are: those of a profile, in a Section.
type place struct{ keyspace, key, section string }

// profiles are all attributes there are. The zero value has none.
type profiles struct {
	mu sync.RWMutex
	at map[place]object
}

func (p *profiles) attributes(at place) (object, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	o, ok := p.at[at]
	return o, ok
}

// merge applies a patch to the attributes, which need not be there before, and
// returns the new ones.
func (p *profiles) merge(at place, patch object) object {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[place]object{}
	}
	p.at[at] = merged(p.at[at], patch)
	return p.at[at]
}

// merged is the MergePatch of RFC 7396 §2: null takes a member away, an object is
// merged in turn, anything else takes the place of what was there.
func merged(target, patch object) object {
	result := maps.Clone(target)
	if result == nil {
		result = object{}
	}
	for name, change := range patch {
		nested, isObject := change.(object)
		switch old, _ := result[name].(object); {
		case change == nil:
			delete(result, name)
		case isObject:
			result[name] = merged(old, nested)
		default:
			result[name] = change
		}
	}
	return result
}
