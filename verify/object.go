package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
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

// replacement is U+FFFD. It is what encoding/json makes of what it cannot decode, a
// lone surrogate for one, so nobody else may write it.
const replacement = "\uFFFD"

// A value is a JSON value as it is written, which parseObject has found sound. It
// is a part of the text, so that reading a token copies nothing. The empty value
// is one that is absent.
type value string

// parseObject reads one JSON object. Unlike [json.Unmarshal] it takes no name
// twice (RFC 7515 §4, RFC 7519 §4), tells "exp" from "EXP", and refuses text
// that is not Unicode instead of mending it.
func parseObject(text string) (value, error) {
	if !json.Valid([]byte(text)) { // a Decoder would not mind what follows the object
		return "", errNotObject
	}
	if !utf8.ValidString(text) || strings.Contains(text, replacement) {
		return "", errNotUnicode
	}
	object, _ := cut(text)
	if object.kind() != '{' {
		return "", errNotObject
	}
	return object, object.check(0)
}

// decodeObject is parseObject for what is not read for each token.
func decodeObject(data []byte) (map[string]any, error) {
	if _, err := parseObject(string(data)); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var object map[string]any
	err := dec.Decode(&object)
	return object, err
}

// check looks for what is valid JSON and means different things to different readers.
func (v value) check(depth int) error {
	switch v.kind() {
	case '{', '[':
		if depth == maxDepth {
			return errTooDeep
		}
		return v.checkInside(depth + 1)
	case '"':
		if _, ok := v.text(); !ok {
			return errNotUnicode
		}
	}
	return nil
}

func (v value) checkInside(depth int) error {
	var seen names
	for name, member := range v.members() {
		if strings.Contains(name, replacement) {
			return errNotUnicode
		}
		if !seen.add(name) {
			return errDuplicate
		}
		if err := member.check(depth); err != nil {
			return err
		}
	}
	for element := range v.elements() {
		if err := element.check(depth); err != nil {
			return err
		}
	}
	return nil
}

// names are those in one object. The first few need no memory of their own.
type names struct {
	few  [16]string
	n    int
	more map[string]bool
}

// add says whether name is new.
func (s *names) add(name string) bool {
	for _, other := range s.few[:s.n] {
		if other == name {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if s.more == nil {
		s.more = map[string]bool{}
	}
	known := s.more[name]
	s.more[name] = true
	return !known
}

// kind is the first character of v, which tells what it is; 0 if it is absent.
func (v value) kind() byte {
	if v == "" {
		return 0
	}
	return v[0]
}

// members yields what is in v, which is an object or has none.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		for rest := v.inside('{'); rest != ""; {
			var name, member value
			name, rest = cut(rest)
			_, rest, _ = strings.Cut(rest, ":")
			member, rest = cut(rest)
			_, rest, _ = strings.Cut(rest, ",")
			if text, _ := name.text(); !yield(text, member) {
				return
			}
		}
	}
}

// member is the member of an object with that name, or empty.
func (v value) member(name string) value {
	for n, member := range v.members() {
		if n == name {
			return member
		}
	}
	return ""
}

// elements yields what is in v, which is an array or has none.
func (v value) elements() iter.Seq[value] {
	return func(yield func(value) bool) {
		for rest := v.inside('['); rest != ""; {
			var element value
			element, rest = cut(rest)
			_, rest, _ = strings.Cut(rest, ",")
			if !yield(element) {
				return
			}
		}
	}
}

// inside is what stands between the brackets, if they are of that kind.
func (v value) inside(bracket byte) string {
	if v.kind() != bracket {
		return ""
	}
	return trim(string(v[1 : len(v)-1]))
}

// text returns the string that v is, if it is one.
func (v value) text() (string, bool) {
	if v.kind() != '"' {
		return "", false
	}
	if text := string(v[1 : len(v)-1]); !strings.Contains(text, `\`) {
		return text, true
	}
	var text string
	err := json.Unmarshal([]byte(v), &text)
	return text, err == nil && !strings.Contains(text, replacement)
}

// cut takes the first value off a list of them.
func cut(list string) (v value, rest string) {
	list = trim(list)
	end := extent(list)
	return value(list[:end]), list[end:]
}

// trim takes off the blanks that a valid text may have between values (RFC 8259 §2).
func trim(text string) string {
	for text != "" && text[0] <= ' ' {
		text = text[1:]
	}
	return text
}

// extent is the length of the value that text begins with. The text is valid, so
// brackets match and strings end.
func extent(text string) int {
	switch text[0] {
	case '"':
		return extentOfString(text)
	case '{', '[':
		return extentOfNested(text)
	}
	end := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == ',' || r == ']' || r == '}' })
	if end < 0 {
		return len(text)
	}
	return end
}

func extentOfString(text string) int {
	i := 1
	for ; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func extentOfNested(text string) int {
	i := 1
	for depth := 1; depth > 0; i++ {
		switch text[i] {
		case '"':
			i += extentOfString(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return i
}
