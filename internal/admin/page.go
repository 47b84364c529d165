package admin

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/sections"
)

// How many items a page has.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// pageParams are the same for every list.
type pageParams wire.ListSectionsParams

// page is what of a list is asked for.
func (p pageParams) page(key []byte, list string) (page sections.Page, err error) {
	page.Limit = defaultLimit
	if p.Limit != nil {
		if page.Limit, err = parseLimit(*p.Limit); err != nil {
			return page, err
		}
	}
	if p.Cursor != nil {
		page.After, page.AfterID, err = parseCursor(key, list, *p.Cursor)
	}
	return page, err
}

// parseLimit reads how many items a page may have. However large it is, it is no error.
func parseLimit(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n < 1 {
		return 0, &problem{kind: malformed, detail: "limit must be a whole number of at least 1"}
	}
	return min(n, maxLimit), nil
}

// macSize is how much of the HMAC-SHA256 a cursor carries.
const macSize = 16

// A cursor is where a page ended, and the proof that it is ours and of this list: Unix seconds,
// id, HMAC, in base64url.
func cursor(key []byte, list string, at time.Time, id string) string {
	position := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
	position = append(position, id...)
	return base64.RawURLEncoding.EncodeToString(append(position, mac(key, list, position)...))
}

func parseCursor(key []byte, list, text string) (at time.Time, id string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// Read again, because the decoder passes over line breaks.
	if err == nil && len(raw) > 8+macSize && base64.RawURLEncoding.EncodeToString(raw) == text {
		position := raw[:len(raw)-macSize]
		if hmac.Equal(raw[len(position):], mac(key, list, position)) {
			return time.Unix(int64(binary.BigEndian.Uint64(position)), 0), string(position[8:]), nil
		}
	}
	return time.Time{}, "", &problem{kind: malformed, detail: "the cursor is not one of this list; leave it out to begin anew"}
}

func mac(key []byte, list string, position []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(list + "\x00"))
	h.Write(position)
	return h.Sum(nil)[:macSize]
}

// part is the page of a list that is in memory whole, in the order of the store's lists.
func part[T any](all []*T, position func(*T) (time.Time, string), page sections.Page) []*T {
	compare := func(item *T, at time.Time, id string) int {
		created, itemID := position(item)
		return cmp.Or(created.Compare(at), strings.Compare(itemID, id))
	}
	rest := slices.DeleteFunc(slices.Clone(all), func(item *T) bool { return compare(item, page.After, page.AfterID) <= 0 })
	slices.SortFunc(rest, func(a, b *T) int {
		at, id := position(b)
		return compare(a, at, id)
	})
	return rest[:min(len(rest), page.Limit)]
}
