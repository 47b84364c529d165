package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// An Outage is what becomes of a token whose revocation the issuer cannot be asked
// about. Without the issuer's keys no token is ever accepted.
type Outage int

const (
	// FailClosed has Verify return [ErrUnavailable]: nobody gets in who may have
	// been revoked. This is the default.
	FailClosed Outage = iota

	// FailOpen has it accept the token, as if it had not been revoked: nobody is kept
	// out because the issuer is away. A revoked token then lives until its exp.
	FailOpen
)

// WithOutage says what becomes of a token that is good in itself while its status
// list has expired and no newer one can be had, or what is had is not the issuer's, or
// while introspection does not answer. An issuer that refuses our credentials is no outage.
func WithOutage(outage Outage) Option {
	return func(v *Verifier) { v.outage = outage }
}

// WithStatusTTL has the status lists fetched that often, if they say in ttl that less
// often is enough. The shortest is a second.
func WithStatusTTL(ttl time.Duration) Option {
	return func(v *Verifier) { v.statuses.longest = ttl }
}

// WithoutStatusLists is for a resource server that cannot reach the issuer, and has
// its keys from elsewhere. It gives up revocation: a revoked token is accepted until it
// expires, also if its client was deleted. Introspection, if there is any, goes on.
func WithoutStatusLists() Option {
	return func(v *Verifier) { v.statuses.off = true }
}

// errNoList means that there is no status list to rely on.
var errNoList = errors.New("there is no status list that has not expired")

// A place is where the status of a token stands: at an index of the list at a URI.
type place struct {
	uri   string
	index int64
}

// check says whether the token whose status stands at p has been revoked.
func (s *statuses) check(ctx context.Context, p place) error {
	if s.off || p.uri == "" {
		return nil
	}
	w, err := s.watch(p.uri)
	if err != nil {
		return err
	}
	list, err := w.read(ctx)
	if err != nil {
		return err
	}
	return list.verdict(p.index)
}

// sameOrigin says whether the list at uri is the issuer's to serve. Nobody else is
// asked, whatever a token says.
func (s *statuses) sameOrigin(uri string) bool {
	issuer, err := url.Parse(s.source.issuer)
	if err != nil {
		return false
	}
	u, err := parseURL(uri)
	return err == nil && u.Scheme == issuer.Scheme && strings.EqualFold(u.Host, issuer.Host) && !strings.Contains(uri, "#")
}

// readStatus reads where the token's status stands (Token Status List §6.2).
func readStatus(claim value) (place, error) {
	if claim != "" && claim.kind() != '{' {
		return place{}, fmt.Errorf("%w: status is not an object", ErrMalformed)
	}
	list := claim.member("status_list")
	if list == "" {
		return place{}, nil // the mechanism is another, and not one of ours
	}
	uri, _ := list.member("uri").text()
	index, err := strconv.ParseUint(string(list.member("idx")), 10, 63) // it reads no value but a number
	if uri == "" || err != nil {
		return place{}, fmt.Errorf("%w: status_list has no idx and uri", ErrMalformed)
	}
	return place{uri, int64(index)}, nil
}
