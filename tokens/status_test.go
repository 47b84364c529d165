package tokens

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// newStatusLists returns the status lists of one server, up to date.
func newStatusLists(t *testing.T, keys *Keys) *StatusLists {
	t.Helper()
	l := &StatusLists{DB: keys.DB, Issuer: &Issuer{URL: issuerURL, Keys: keys}, Alg: ES256, TTL: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
	must(t, l.Refresh(t.Context()))
	return l
}

// setBit sets or clears a bit as package clients does.
func setBit(t *testing.T, db *database.DB, position int64, revokedAt int64) {
	t.Helper()
	_, err := db.Exec(t.Context(), `INSERT INTO status_entries (position, client_id, revoked_at, changed)
		VALUES ($1, 'x', $2, (SELECT version + 1 FROM status_version WHERE id = 1))
		ON CONFLICT (position) DO UPDATE SET revoked_at = excluded.revoked_at, changed = excluded.changed`, position, revokedAt)
	must(t, err)
	_, err = db.Exec(t.Context(), `UPDATE status_version SET version = version + 1 WHERE id = 1`)
	must(t, err)
}

func list(t *testing.T, l *StatusLists, n int64) *StatusListToken {
	t.Helper()
	made, err := l.Token(t.Context(), n)
	must(t, err)
	return made
}

// A shownList is what a resource server reads in a list.
type shownList struct {
	claims statusClaims
	bits   []byte
}

func (s shownList) revoked(index int64) bool { return s.bits[index/8]>>(index%8)&1 == 1 }

// show reads a list with other implementations than ours: its signature by the published keys,
// its bits as Token Status List §4.1 has them.
func show(t *testing.T, keys *Keys, made *StatusListToken) (s shownList) {
	t.Helper()
	published, _ := keys.JWKS()
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal(published, &set))
	parsed, err := jose.ParseSignedCompact(string(made.JWT), []jose.SignatureAlgorithm{jose.ES256})
	must(t, err)
	payload, err := parsed.Verify(&set)
	must(t, err)
	if typ := parsed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; typ != "statuslist+jwt" {
		t.Errorf("typ is %v", typ)
	}
	must(t, json.Unmarshal(payload, &s.claims))
	compressed, err := base64.RawURLEncoding.DecodeString(s.claims.List.List)
	must(t, err)
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	must(t, err)
	s.bits, err = io.ReadAll(r)
	must(t, err)
	return s
}

// A list has every bit that is set, and no other, in the place that the tokens name.
func TestStatusList(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		keys := newKeys(db, NewMasterKey())
		must(t, keys.Start(t.Context(), ES256))
		for _, position := range []int64{0, 9, 131071, 131072 + 5, 3 * 131072} {
			setBit(t, db, position, 1)
		}
		setBit(t, db, 10, 1)
		setBit(t, db, 10, 0)
		l := newStatusLists(t, keys)
		for n, set := range [][]int64{{0, 9, 131071}, {5}, {}, {0}} {
			made := list(t, l, int64(n))
			s := show(t, keys, made)
			if s.claims.Subject != l.Issuer.Status(int64(n)*statusListSize).List.URI {
				t.Errorf("list %d says that it is %s", n, s.claims.Subject)
			}
			if s.claims.List.Bits != 1 || s.claims.TTL != 10 || s.claims.ExpiresAt-s.claims.IssuedAt != 1800 {
				t.Errorf("list %d has bits=%d, ttl=%d, exp-iat=%d", n, s.claims.List.Bits, s.claims.TTL, s.claims.ExpiresAt-s.claims.IssuedAt)
			}
			got := []int64{}
			for i := range int64(statusListSize) {
				if s.revoked(i) {
					got = append(got, i)
				}
			}
			if len(s.bits) != statusListSize/8 || !slices.Equal(got, set) {
				t.Errorf("list %d of %d bytes has the bits %v set, want %v", n, len(s.bits), got, set)
			}
			unzipped, err := gzip.NewReader(bytes.NewReader(made.Gzip))
			must(t, err)
			if text, err := io.ReadAll(unzipped); err != nil || !bytes.Equal(text, made.JWT) {
				t.Errorf("list %d compressed is another (%v)", n, err)
			}
		}
		for _, n := range []int64{4, 1 << 40} {
			if _, err := l.Token(t.Context(), n); !errors.Is(err, ErrNoList) {
				t.Errorf("Token(%d) = %v; want ErrNoList", n, err)
			}
		}
	})
}

// The vectors of Token Status List §4.1: the least significant bit of the first byte comes first.
func TestCompressBits(t *testing.T) {
	r, err := zlib.NewReader(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader("eNrbuRgAAhcBXQ")))
	must(t, err)
	want, err := io.ReadAll(r)
	must(t, err)
	l := &StatusLists{}
	for _, position := range []int64{0, 3, 4, 5, 7, 8, 9, 13, 15} { // 1001110111000101
		l.apply(statusChange{position: position, version: 1, revoked: true})
	}
	if got := l.lists[0].bits[:len(want)]; !bytes.Equal(got, want) {
		t.Errorf("the bits are %08b, want %08b", got, want)
	}
}

// A list that has not changed is not signed again for minutes; one that has, or whose key is
// gone, is at once.
func TestStatusListIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newKeys(databasetest.SQLite(t), NewMasterKey())
		must(t, keys.Start(t.Context(), ES256))
		setBit(t, keys.DB, 1, 1)
		setBit(t, keys.DB, statusListSize+1, 1)
		l := newStatusLists(t, keys)
		first, other := list(t, l, 0), list(t, l, 1)
		same := func(what string, want bool) {
			t.Helper()
			must(t, keys.Refresh(t.Context()))
			must(t, l.Refresh(t.Context()))
			now := list(t, l, 0)
			if got := now == first; got != want || (now.ETag == first.ETag) != want {
				t.Errorf("%s: it is the same list: %t, the same ETag: %t; want %t", what, got, now.ETag == first.ETag, want)
			}
			first = now
		}
		time.Sleep(time.Minute)
		same("a minute later", true)
		setBit(t, keys.DB, 2, 1)
		same("when it changed", false)
		if list(t, l, 1) != other {
			t.Error("the other list has not changed, and was signed again")
		}
		must(t, keys.Remove(t.Context(), first.kid))
		same("when its key is gone", false)
		show(t, keys, first)
		time.Sleep(statusListRenewed)
		same("minutes later", false)
	})
}

// What one transaction changes is in the lists of every server once it is committed, and not
// before; what is rolled back never is.
func TestStatusListsOfTwoServers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		master := NewMasterKey()
		var servers []*StatusLists
		for range 2 {
			keys := newKeys(db, master)
			must(t, keys.Start(t.Context(), ES256))
			servers = append(servers, newStatusLists(t, keys))
		}
		setBit(t, db, 0, 1)
		undone := errors.New("no")
		err := db.Transact(t.Context(), func(ctx context.Context) error {
			_, err := db.Exec(ctx, `UPDATE status_entries SET revoked_at = 0, changed = (SELECT version + 1 FROM status_version WHERE id = 1) WHERE position = 0`)
			must(t, err)
			_, err = db.Exec(ctx, `UPDATE status_version SET version = version + 1 WHERE id = 1`)
			must(t, err)
			for _, l := range servers {
				must(t, l.Refresh(t.Context()))
				if !show(t, l.Issuer.Keys, list(t, l, 0)).revoked(0) {
					t.Error("a change is in a list before it is committed")
				}
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		setBit(t, db, 1, 1)
		for _, l := range servers {
			must(t, l.Refresh(t.Context()))
			if s := show(t, l.Issuer.Keys, list(t, l, 0)); !s.revoked(0) || !s.revoked(1) {
				t.Errorf("bits 0 and 1 are %t and %t, want both set", s.revoked(0), s.revoked(1))
			}
		}
		if a, b := list(t, servers[0], 0), list(t, servers[1], 0); a.ETag != b.ETag {
			t.Errorf("two servers call the same bits %s and %s", a.ETag, b.ETag)
		}
	})
}

// A change is in the lists of a server that runs within two seconds.
func TestChangesArriveInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newKeys(databasetest.SQLite(t), NewMasterKey())
		must(t, keys.Start(t.Context(), ES256))
		setBit(t, keys.DB, 0, 1)
		l := newStatusLists(t, keys)
		go func() { _ = l.Run(t.Context()) }()
		for position := int64(1); position < 20; position++ {
			time.Sleep(time.Duration(position) * 37 * time.Millisecond)
			synctest.Wait()
			setBit(t, keys.DB, position, 1)
			if position == 7 {
				setBit(t, keys.DB, 3, 0)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			must(t, keys.Refresh(t.Context()))
			if s := show(t, keys, list(t, l, 0)); !s.revoked(position) || s.revoked(3) != (position >= 3 && position < 7) {
				t.Fatalf("two seconds later, the bit %d is not as it should be, or bit 3", position)
			}
		}
	})
}

// A list that is new on another server is there when the first token that names it is.
func TestNewStatusListIsFound(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		keys := newKeys(db, NewMasterKey())
		must(t, keys.Start(t.Context(), ES256))
		l := newStatusLists(t, keys)
		_, err := db.Exec(t.Context(), `INSERT INTO status_entries (position, client_id) VALUES ($1, 'x')`, 2*statusListSize)
		must(t, err)
		if s := show(t, keys, list(t, l, 2)); s.revoked(0) {
			t.Error("a new client is revoked")
		}
		if n, err := l.Count(t.Context()); err != nil || n != 3 {
			t.Errorf("Count = %d, %v; want 3", n, err)
		}
	})
}

// While the store is away the last lists are served as they are, to their end and no longer:
// none is made to look newer than what the store has confirmed.
func TestStatusListWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newKeys(databasetest.SQLite(t), NewMasterKey())
		must(t, keys.Start(t.Context(), ES256))
		setBit(t, keys.DB, statusListSize+1, 1)
		l := newStatusLists(t, keys)
		made := list(t, l, 0)
		must(t, keys.DB.Close())
		for range 29 {
			time.Sleep(time.Minute)
			if now, err := l.Token(t.Context(), 0); err != nil || now != made {
				t.Fatalf("Token = %p, %v; want the last list", now, err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := l.Token(t.Context(), 0); err == nil || errors.Is(err, ErrNoList) {
			t.Errorf("a list that has ended is served: %v", err)
		}
		if _, err := l.Token(t.Context(), 1); err == nil || errors.Is(err, ErrNoList) {
			t.Errorf("a list that was never made is made without the store: %v", err)
		}
		if err := l.Refresh(t.Context()); err == nil {
			t.Error("Refresh says nothing of a store that is away")
		}
	})
}

// BenchmarkStatusList is what a list costs that changed each time, with a million clients of whom
// one in a hundred was revoked, and one that did not.
func BenchmarkStatusList(b *testing.B) {
	keys := newKeys(databasetest.SQLite(b), NewMasterKey())
	if err := keys.Start(b.Context(), ES256); err != nil {
		b.Fatal(err)
	}
	l := &StatusLists{DB: keys.DB, Issuer: &Issuer{URL: issuerURL, Keys: keys}, Alg: ES256, TTL: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
	if err := l.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	for position := int64(0); position < 1<<20; position += 101 {
		l.apply(statusChange{position: position, version: 1, revoked: true})
	}
	for name, changes := range map[string]bool{"changed": true, "unchanged": false} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				l.confirmed = time.Now()
				if changes {
					l.apply(statusChange{position: int64(i) % statusListSize, version: int64(i) + 2, revoked: i%2 == 0})
				}
				if _, err := l.Token(b.Context(), 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A backup that is put back under a server that runs takes its bits with it, and those that are
// set after it are seen.
func TestStatusListsAfterRestore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		keys := newKeys(db, NewMasterKey())
		must(t, keys.Start(t.Context(), ES256))
		for position := range int64(5) {
			setBit(t, db, position, 1)
		}
		l := newStatusLists(t, keys)
		var said bytes.Buffer
		l.Log = slog.New(slog.NewTextHandler(&said, nil))
		list(t, l, 0)
		_, err := db.Exec(t.Context(), `DELETE FROM status_entries WHERE position > 0`)
		must(t, err)
		_, err = db.Exec(t.Context(), `UPDATE status_version SET version = 2`)
		must(t, err)
		setBit(t, db, 9, 1)
		must(t, l.Refresh(t.Context()))
		must(t, l.Refresh(t.Context()))
		s := show(t, keys, list(t, l, 0))
		if !s.revoked(0) || s.revoked(4) || !s.revoked(9) {
			t.Errorf("after the restore the bits 0, 4 and 9 are %t, %t and %t; want those of the store", s.revoked(0), s.revoked(4), s.revoked(9))
		}
		if !strings.Contains(said.String(), "older than what was read") {
			t.Errorf("the log says %q", said.String())
		}
	})
}
