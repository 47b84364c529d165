package tokens

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wardkey/wardkey/internal/database"
)

// ErrNoList means that there is no status list of the number asked for.
var ErrNoList = errors.New("tokens: no such status list")

// StatusListType is the media type of a status list, and without "application/" its JOSE typ
// (Token Status List §5.1).
const StatusListType = "application/statuslist+jwt"

const (
	// StatusListLifetime is how long a status list may be used when no newer one can be had: an
	// outage of the issuer so long refuses nobody, and whoever cuts a resource server off the
	// issuer keeps a revoked token alive no longer.
	StatusListLifetime = 30 * time.Minute

	// statusListRenewed is how old a list gets before it is signed again without a change.
	statusListRenewed = 5 * time.Minute

	// statusPatience is how long ago the store may have confirmed the bits of a list that is signed
	// now. Past it, the last one is served as it is, so that its exp tells how old it is.
	statusPatience = 10 * time.Second
)

// statusListSize is how many clients share one status list.
const statusListSize = 1 << 17

// Status is where a token's bit stands (Token Status List §6.2).
type Status struct {
	List struct {
		Index int64  `json:"idx"`
		URI   string `json:"uri"`
	} `json:"status_list"`
}

// Status says where the bit of a client stands, by its position in the status lists.
func (i *Issuer) Status(position int64) (s Status) {
	s.List.Index = position % statusListSize
	s.List.URI = i.StatusURI(position / statusListSize)
	return s
}

// StatusURI is where the status list of the given number is.
func (i *Issuer) StatusURI(list int64) string {
	return i.URL + "/oauth/status/" + strconv.FormatInt(list, 10)
}

// StatusLists are the status lists of an issuer (Token Status List draft-20): one bit for each
// position, 1 for revoked. They are served from memory. Every server on one database has the
// same, but for the second in which a change reaches it.
type StatusLists struct {
	DB     *database.DB
	Issuer *Issuer
	Alg    Alg           // that the lists are signed with
	TTL    time.Duration // how often others should look
	Log    *slog.Logger

	mu        sync.Mutex
	version   int64 // of the bits
	confirmed time.Time
	count     int64 // of lists
	lists     map[int64]*statusList
}

// A statusList is the bits of one list, and what was made of them last.
type statusList struct {
	version int64  // with which a bit changed last
	bits    []byte // nil: all are 0
	made    *StatusListToken
}

// A StatusListToken is a status list as it is served (Token Status List §5.1). Nothing in it is
// changed once it is made.
type StatusListToken struct {
	JWT     []byte
	Gzip    []byte // the same, compressed
	ETag    string // weak: servers sign the same bits each for itself
	Expires time.Time

	version int64
	kid     string
	term    time.Time
}

// Run keeps the bits in step with the store until ctx ends: what any server changed is in the
// lists within two seconds.
func (l *StatusLists) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := l.Refresh(ctx); err != nil && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "status lists: cannot read the store, serving what is known", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Refresh reads the bits that have changed since it last did.
func (l *StatusLists) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusPatience/2)
	defer cancel()
	l.mu.Lock()
	known := l.version
	l.mu.Unlock()
	now := time.Now()
	var version int64
	if err := l.DB.QueryRow(ctx, `SELECT version FROM status_version WHERE id = 1`).Scan(&version); err != nil {
		return fmt.Errorf("read the version of the status lists: %w", err)
	}
	if version < known {
		// Somebody put a backup back under us. What we know of it is of another life.
		l.Log.WarnContext(ctx, "status lists: the store is older than what was read from it; reading it anew", "version", version, "known", known)
		known = l.forget()
	}
	var changes []statusChange
	if version != known {
		var err error
		if changes, err = l.read(ctx, known); err != nil {
			return fmt.Errorf("read the status lists: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if version < l.version { // somebody else was quicker
		return nil
	}
	for _, c := range changes {
		l.apply(c)
	}
	l.version, l.confirmed = version, now
	return nil
}

// Confirmed is when the lists were found to be as the store has them; the zero time for never.
func (l *StatusLists) Confirmed() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.confirmed
}

// forget drops all lists, and returns the version of none.
func (l *StatusLists) forget() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version, l.lists = 0, nil
	return 0
}

// A statusChange is one bit as it is now.
type statusChange struct {
	position, version int64
	revoked           bool
}

// read returns the bits that changed after the given version. The version in the store was read
// before, so that none is missed.
func (l *StatusLists) read(ctx context.Context, after int64) (changes []statusChange, err error) {
	rows, err := l.DB.Query(ctx, `SELECT position, changed, revoked_at FROM status_entries WHERE changed > 0 AND changed > $1`, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c statusChange
		var at database.Time
		if err := rows.Scan(&c.position, &c.version, &at); err != nil {
			return nil, err
		}
		c.revoked = !at.IsZero()
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

func (l *StatusLists) apply(c statusChange) {
	list := l.list(c.position / statusListSize)
	if list.bits == nil {
		list.bits = make([]byte, statusListSize/8)
	}
	list.version = max(list.version, c.version)
	index := c.position % statusListSize
	if bit := byte(1) << (index % 8); c.revoked { // Token Status List §4.1: the least significant bit first
		list.bits[index/8] |= bit
	} else {
		list.bits[index/8] &^= bit
	}
}

func (l *StatusLists) list(n int64) *statusList {
	if l.lists == nil {
		l.lists = map[int64]*statusList{}
	}
	if l.lists[n] == nil {
		l.lists[n] = &statusList{}
	}
	l.count = max(l.count, n+1)
	return l.lists[n]
}

// Count returns how many lists there are; they are numbered from 0.
func (l *StatusLists) Count(ctx context.Context) (int64, error) {
	var last int64
	if err := l.DB.QueryRow(ctx, `SELECT COALESCE(max(position), 0) FROM status_entries`).Scan(&last); err != nil {
		return 0, fmt.Errorf("count the status lists: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count = max(l.count, last/statusListSize+1)
	return l.count, nil
}

// Token returns a list as it is to be served, or ErrNoList. Only a list that nobody asked for yet
// may need the store.
func (l *StatusLists) Token(ctx context.Context, n int64) (*StatusListToken, error) {
	l.mu.Lock()
	known := n < l.count
	l.mu.Unlock()
	if !known {
		if count, err := l.Count(ctx); err != nil || n >= count {
			return nil, errors.Join(err, ErrNoList)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	list, now := l.list(n), time.Now()
	if made := list.made; made != nil && (l.current(list, now) || now.Sub(l.confirmed) > statusPatience) {
		return l.living(made, now)
	}
	if now.Sub(l.confirmed) > statusPatience {
		return nil, fmt.Errorf("status list %d: the store has not confirmed it for %s", n, statusPatience)
	}
	made, err := l.make(n, list, now)
	if err != nil {
		if list.made == nil {
			return nil, err
		}
		return l.living(list.made, now)
	}
	list.made = made
	return made, nil
}

func (l *StatusLists) living(made *StatusListToken, now time.Time) (*StatusListToken, error) {
	if !now.Before(made.Expires) {
		return nil, fmt.Errorf("the status list is of %s, and the store has confirmed no newer one", made.term)
	}
	return made, nil
}

// current says whether what was made of a list last is still right: its bits, its key, its age.
func (l *StatusLists) current(list *statusList, now time.Time) bool {
	made := list.made
	_, published := l.Issuer.Keys.ring.Load().byID[made.kid]
	return made.version == list.version && published && made.term.Equal(now.Truncate(statusListRenewed))
}

// statusClaims are what a status list says (Token Status List §5.1).
type statusClaims struct {
	Subject   string `json:"sub"` // the URI of the list
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	TTL       int64  `json:"ttl"` // seconds
	List      struct {
		Bits int    `json:"bits"`
		List string `json:"lst"`
	} `json:"status_list"`
}

func (l *StatusLists) make(n int64, list *statusList, now time.Time) (*StatusListToken, error) {
	expires := now.Add(StatusListLifetime)
	claims := statusClaims{
		Subject: l.Issuer.StatusURI(n), IssuedAt: now.Unix(), ExpiresAt: expires.Unix(), TTL: int64(l.TTL / time.Second),
	}
	claims.List.Bits, claims.List.List = 1, compressBits(list.bits)
	token, kid, err := l.Issuer.Sign(l.Alg, strings.TrimPrefix(StatusListType, "application/"), claims)
	if err != nil {
		return nil, fmt.Errorf("sign status list %d: %w", n, err)
	}
	made := &StatusListToken{
		JWT: []byte(token), Gzip: gzipped(token), Expires: time.Unix(claims.ExpiresAt, 0),
		version: list.version, kid: kid, term: now.Truncate(statusListRenewed),
	}
	made.ETag = fmt.Sprintf(`W/"%d-%x-%.8s"`, made.version, made.term.Unix(), kid)
	return made, nil
}

// compressBits writes bits as Token Status List §4.1 has it: ZLIB, base64url.
func compressBits(bits []byte) string {
	if bits == nil {
		bits = make([]byte, statusListSize/8)
	}
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(bits) // into memory, which does not fail
	_ = w.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // into memory, which does not fail
	_ = w.Close()
	return b.Bytes()
}
