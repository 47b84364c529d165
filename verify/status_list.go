package verify

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// statusListType is the typ of a status list (Token Status List §5.1), which keeps it
// apart from an access token (RFC 8725 §3.11). Its media type has application/ before it.
const statusListType = "statuslist+jwt"

const (
	maxStatusList = 1 << 20 // bytes of one list, unpacked
	defaultTTL    = 10 * time.Second
	shortestTTL   = time.Second
	longestTTL    = time.Hour
)

// A statusList is one list as the issuer signed it. It is not changed once it is read.
type statusList struct {
	bits    int // of one status
	packed  []byte
	issued  time.Time
	expires time.Time
	ttl     time.Duration
	etag    string // with which it was served
}

// usable says whether the list may still be relied on. No list is not.
func (l *statusList) usable(now time.Time) bool { return l != nil && now.Before(l.expires) }

// verdict says whether the token at index stands (Token Status List §4.1, §7.1).
// Statuses fill a byte from its least significant bit.
func (l *statusList) verdict(index int64) error {
	inByte := int64(8 / l.bits)
	if index/inByte >= int64(len(l.packed)) {
		return fmt.Errorf("%w: its index is beyond the end of the list", ErrRevoked)
	}
	shift := index % inByte * int64(l.bits)
	status := l.packed[index/inByte] >> shift & (1<<l.bits - 1)
	if status != 0 {
		return fmt.Errorf("%w: its status is %d", ErrRevoked, status)
	}
	return nil
}

// parseStatusList reads the claims of a list (Token Status List §5.1, §8.3). An exp is
// optional there and required here: without one a list could be used for ever.
func parseStatusList(claims value, uri string, now time.Time) (*statusList, error) {
	if sub, _ := claims.member("sub").text(); sub != uri {
		return nil, errors.New("sub is not the address of the list")
	}
	issued, ok := claims.member("iat").seconds()
	if !ok || time.Unix(int64(issued), 0).After(now.Add(leeway)) {
		return nil, errors.New("iat is missing or in the future")
	}
	expires, ok := claims.member("exp").seconds()
	list := &statusList{issued: time.Unix(int64(issued), 0), expires: time.Unix(int64(expires), 0), ttl: defaultTTL}
	if !ok || !list.usable(now) {
		return nil, errors.New("exp is missing or past")
	}
	if ttl := claims.member("ttl"); ttl != "" {
		seconds, ok := ttl.seconds()
		if !ok {
			return nil, errors.New("ttl is not a number of seconds")
		}
		list.ttl = time.Duration(min(seconds, longestTTL.Seconds()) * float64(time.Second))
	}
	return list, list.unpack(claims.member("status_list"))
}

// unpack reads the statuses (Token Status List §4.2).
func (l *statusList) unpack(claim value) error {
	switch bits := claim.member("bits"); bits {
	case "1", "2", "4", "8":
		l.bits = int(bits[0] - '0')
	default:
		return errors.New("bits is not 1, 2, 4 or 8")
	}
	text, _ := claim.member("lst").text()
	data, err := base64url.DecodeString(text)
	if err != nil {
		return errors.New("lst is not base64url")
	}
	if l.packed, err = inflate(data); err != nil {
		return fmt.Errorf("lst: %w", err)
	}
	return nil
}

// inflate undoes ZLIB, but not for a bomb (Token Status List §11.1).
func inflate(data []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	inflated, err := io.ReadAll(io.LimitReader(r, maxStatusList+1))
	if err != nil {
		return nil, err
	}
	if len(inflated) > maxStatusList {
		return nil, fmt.Errorf("longer than %d bytes", maxStatusList)
	}
	return inflated, nil
}

// seconds reads a number of seconds, since 1970 or long. It may have a fraction.
func (v value) seconds() (float64, bool) {
	n, err := strconv.ParseFloat(string(v), 64)
	return n, err == nil && n >= 0 && n <= endOfTime
}
