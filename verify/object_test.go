package verify

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeObject(t *testing.T) {
	for text, want := range map[string]map[string]any{
		`{}`:                           {},
		" {\"a\" : 1 }\n":              {"a": json.Number("1")},
		`{"a":[1,"x",null,true,{}]}`:   {"a": []any{json.Number("1"), "x", nil, true, map[string]any{}}},
		`{"a":1,"A":2,"ａ":3}`:          {"a": json.Number("1"), "A": json.Number("2"), "ａ": json.Number("3")},
		`{"a":{"b":1},"b":{"b":1}}`:    {"a": map[string]any{"b": json.Number("1")}, "b": map[string]any{"b": json.Number("1")}},
		`{"\ud83d\ude00":"😀"}`:         {"😀": "😀"},
		nested(maxDepth + 1):           nil,
		manyNames:                      nil,
		`{"a":"\ufffd"}`:               nil,
		"{\"a\":\"\ufffd\"}":           nil,
		``:                             nil,
		`null`:                         nil,
		`[]`:                           nil,
		`"a"`:                          nil,
		`{"a":1}{}`:                    nil,
		`{"a":1} x`:                    nil,
		`{"a":1`:                       nil,
		`{"a":1,}`:                     nil,
		`{"a" 1}`:                      nil,
		`{a:1}`:                        nil,
		`{"a":01}`:                     nil,
		`{"a":1,"a":1}`:                nil,
		`{"a":1,"\u0061":1}`:           nil,
		`{"x":{"a":1,"a":1}}`:          nil,
		`{"x":[[{"a":1,"a":1}]]}`:      nil,
		"{\"a\":\"\xff\"}":             nil,
		"{\"\xff\":1}":                 nil,
		`{"a":"\ud800"}`:               nil,
		`{"\ude00":1}`:                 nil,
		"\ufeff{}":                     nil,
		"{\"a\":\"\n\"}":               nil,
		strings.Repeat("[", 100000):    nil,
		strings.Repeat(`{"a":`, 10000): nil,
	} {
		got, err := decodeObject([]byte(text))
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("decodeObject(%.60q) = %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := decodeObject([]byte(nested(maxDepth))); err != nil {
		t.Errorf("decodeObject(%s) = %v, want no error", nested(maxDepth), err)
	}
}

// nested is an object with arrays in it, depth levels deep in all.
func nested(depth int) string {
	return `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
}

// FuzzParseObject holds that a walk over the text finds what another reader finds,
// which goes from token to token by encoding/json, and that both refuse the same.
func FuzzParseObject(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":{"b":[1,2.5e3,"x",null,true]}}`, ` { "a" : [ ] , "b" : { } } `, `{"\"a\\":"\\\"]}"}`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":"\ud800"}`, `{"a":"\ufffd"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\ufffd\"}", nested(maxDepth + 1), `[]`, manyNames,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, wantErr := reference(text)
		got, err := parseObject(text)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("parseObject(%q) = %v, want %v", text, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(unpack(got), any(want)) {
			t.Errorf("parseObject(%q) holds %v, want %v", text, unpack(got), want)
		}
	})
}

// manyNames is an object with more names than are kept on the stack, two of them the same.
var manyNames = func() string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	return "{" + b.String() + `"39":1}`
}()

// unpack makes of v what encoding/json would.
func unpack(v value) any {
	switch v.kind() {
	case '{':
		object := map[string]any{}
		for name, member := range v.members() {
			object[name] = unpack(member)
		}
		return object
	case '[':
		array := []any{}
		for element := range v.elements() {
			array = append(array, unpack(element))
		}
		return array
	case '"':
		text, _ := v.text()
		return text
	case 't', 'f':
		return v == "true"
	case 'n':
		return nil
	}
	return json.Number(v)
}

// reference reads what parseObject does, with a Decoder.
func reference(text string) (map[string]any, error) {
	if !json.Valid([]byte(text)) {
		return nil, errNotObject
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	v, err := referenceValue(dec, 0)
	object, ok := v.(map[string]any)
	if !ok && err == nil {
		return nil, errNotObject
	}
	return object, err
}

func referenceValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if text, ok := token.(string); ok && strings.ContainsRune(text, utf8.RuneError) {
		return nil, errNotUnicode
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxDepth {
		return nil, errTooDeep
	}
	object, array := map[string]any{}, []any{}
	for dec.More() {
		v, err := referenceValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if delim == '[' {
			array = append(array, v)
			continue
		}
		name := v.(string)
		if _, duplicate := object[name]; duplicate {
			return nil, errDuplicate
		}
		if object[name], err = referenceValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token() // the bracket that closes
	if delim == '[' {
		return array, err
	}
	return object, err
}
