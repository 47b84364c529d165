package verify

import (
	"bytes"
	"encoding/json"
	"errors"
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

// FuzzDecodeObject holds that what decodeObject accepts, encoding/json reads as the
// same, and that it refuses nothing but what it says.
func FuzzDecodeObject(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":{"b":[1,2.5e3,"x",null,true]}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `[]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeObject(data)
		var want map[string]any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if !json.Valid(data) || dec.Decode(&want) != nil || want == nil {
			if err == nil {
				t.Fatalf("decodeObject(%q) = %v, which is no JSON object", data, got)
			}
			return
		}
		switch {
		case err == nil:
			if !reflect.DeepEqual(got, want) || !utf8.Valid(data) {
				t.Errorf("decodeObject(%q) = %v, encoding/json %v", data, got, want)
			}
		case errors.Is(err, errDuplicate), errors.Is(err, errNotUnicode), errors.Is(err, errTooDeep):
		default:
			t.Errorf("decodeObject(%q): %v", data, err)
		}
	})
}
