package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested.
const maxDepth = 32

var (
	errNotObject  = errors.New("not a JSON object")
	errTooDeep    = errors.New("JSON nested too deep")
	errNotUnicode = errors.New("JSON text that is not Unicode")
	errDuplicate  = errors.New("a JSON name that stands twice")
)

// decodeObject reads one JSON object. Unlike [json.Unmarshal] it takes no name
// twice (RFC 7515 §4, RFC 7519 §4), tells "exp" from "EXP", and refuses text
// that is not Unicode instead of mending it.
func decodeObject(data []byte) (map[string]any, error) {
	if !json.Valid(data) { // a Decoder would not mind what follows the object
		return nil, errNotObject
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	value, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return object, nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, errTooDeep
		}
		if token == '{' {
			return decodeMembers(dec, depth+1)
		}
		return decodeElements(dec, depth+1)
	case string:
		// What is not Unicode, a lone surrogate too, has been replaced by U+FFFD.
		if strings.ContainsRune(token, utf8.RuneError) {
			return nil, errNotUnicode
		}
	}
	return token, nil
}

func decodeMembers(dec *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for dec.More() {
		name, err := decodeValue(dec, depth)
		if err != nil {
			return nil, err
		}
		value, err := decodeValue(dec, depth)
		if err != nil {
			return nil, err
		}
		if _, duplicate := object[name.(string)]; duplicate {
			return nil, errDuplicate
		}
		object[name.(string)] = value
	}
	_, err := dec.Token() // }
	return object, err
}

func decodeElements(dec *json.Decoder, depth int) (any, error) {
	array := []any{}
	for dec.More() {
		value, err := decodeValue(dec, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := dec.Token() // ]
	return array, err
}
