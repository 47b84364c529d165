package refusals

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// Every error_id of a row is another, and each leads back to the row and its second, on any server
// with the same key.
func TestErrorIDLeadsBack(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, tally *Tally) {
		seen := map[string]time.Time{}
		for i := range 1000 {
			at := at(i % 60)
			seen[tally.Record(wrong("192.0.2.1", at))] = at
		}
		if len(seen) != 1000 {
			t.Fatalf("1000 refusals have %d error_ids", len(seen))
		}
		must(t, tally.Flush(t.Context()))
		another := newTally(db)
		for id, want := range seen {
			r, got, err := another.ByErrorID(t.Context(), " "+strings.ToLower(id)+"\n")
			if err != nil || !got.Equal(want) || r.ClientID != billing || r.Cause != WrongSecret || r.Count != 1000 {
				t.Fatalf("ByErrorID(%s) = %+v, %v, %v; want the second %v", id, r, got, err, want)
			}
		}
	})
}

// A refusal is found before the second is over in which it would be written.
func TestErrorIDAtOnce(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, tally *Tally) {
		id := tally.Record(stranger("nobody", "192.0.2.1", noon))
		if r, _, err := tally.ByErrorID(t.Context(), id); err != nil || r.Cause != UnknownClient {
			t.Errorf("ByErrorID = %+v, %v", r, err)
		}
	})
}

// No error_id leads anywhere that was not given by a server with the key for a refusal.
func TestErrorIDForged(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, tally *Tally) {
		id := tally.Record(wrong("192.0.2.1", noon))
		must(t, tally.Flush(t.Context()))
		other := New(db, []byte("another key of 16 bytes"), tally.log)
		forged := []string{"", "A", id + "A", id[:25], strings.Repeat("A", 26), strings.Repeat("0", 26), "é" + id[2:], rand.Text(), other.Record(wrong("192.0.2.1", noon))}
		for i := range 25 { // each letter but the last, of which two bits are filling
			letter := "A"
			if id[i] == 'A' {
				letter = "B"
			}
			forged = append(forged, id[:i]+letter+id[i+1:])
		}
		for _, text := range forged {
			if r, at, err := tally.ByErrorID(t.Context(), text); !errors.Is(err, ErrNotFound) || r != (Row{}) || !at.IsZero() {
				t.Errorf("ByErrorID(%q) = %+v, %v, %v; want ErrNotFound", text, r, at, err)
			}
		}
	})
}

// What one cause has in its error_ids, all have: every letter stands everywhere, and about as
// often for one cause as for another, though id, address and second are the same.
func TestErrorIDsLookRandom(t *testing.T) {
	const n = 4000
	tally := newTally(databasetest.SQLite(t))
	causes := map[string]Refusal{
		"wrong secret": wrong("192.0.2.1", noon),
		"secret ended": {ClientID: billing, Known: true, Cause: SecretEnded, Detail: "a secret", Address: "192.0.2.1", At: noon},
		"unknown":      stranger(billing, "192.0.2.1", noon),
	}
	for name, refusal := range causes {
		var seen [idLength]map[byte]int
		for i := range seen {
			seen[i] = map[byte]int{}
		}
		for range n {
			id := tally.Record(refusal)
			if len(id) != idLength {
				t.Fatalf("the error_id is %q", id)
			}
			for i := range id {
				seen[i][id[i]]++
			}
		}
		for i, letters := range seen {
			for letter, times := range letters {
				if len(letters) != 32 || times < n/32/3 || times > n/32*3 {
					t.Errorf("%s: of %d error_ids, %d have %c at %d, where %d letters stand", name, n, times, letter, i, len(letters))
				}
			}
		}
	}
}
