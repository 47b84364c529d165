package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// rehashed is a line of an export with another text in it, and the hash that goes with that.
func rehashed(t *testing.T, line, old, text string) []string {
	t.Helper()
	var e audit.Event
	if err := json.Unmarshal([]byte(strings.Replace(line, old, text, 1)), &e); err != nil {
		t.Fatal(err)
	}
	e.Hash = sum(t, e)
	whole, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return []string{string(whole) + "\n"}
}

// sum is the public part of the chain, which anybody can compute.
func sum(t *testing.T, e audit.Event) string {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:])
}

// A tamperer writes to the database without the key. It says what it did, "" if that was nothing.
type tamperer func(exec func(query string, args ...any) int64, r *rand.Rand, events []audit.Event) string

var texts = []string{
	"id", "actor_kind", "actor_id", "actor_name", "action", "target_kind", "target_id", "target_name",
	"client_id", "changes", "ip", "request_id", "hash", "seal",
}

var tamperers = []tamperer{
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string {
		column, seq := texts[r.IntN(len(texts))], events[r.IntN(len(events))].Seq
		exec(`UPDATE audit_events SET `+column+` = `+column+` || 'x' WHERE seq = $1`, seq)
		return fmt.Sprint("changed ", column, " of ", seq)
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string {
		column, from, to := texts[r.IntN(len(texts)-2)], r.IntN(len(events)), r.IntN(len(events))
		if column == "id" {
			return ""
		}
		n := exec(`UPDATE audit_events SET `+column+` = (SELECT `+column+` FROM audit_events WHERE seq = $1) WHERE seq = $2 AND `+
			column+` <> (SELECT `+column+` FROM audit_events WHERE seq = $1)`, events[from].Seq, events[to].Seq)
		return strings.Repeat(fmt.Sprint("copied ", column, " of ", from+1, " to ", to+1), int(n))
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string {
		seq := events[r.IntN(len(events))].Seq
		exec(`UPDATE audit_events SET at = at + $1 WHERE seq = $2`, 1+r.IntN(1e6), seq)
		return fmt.Sprint("moved the time of ", seq)
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string {
		seq := events[r.IntN(len(events))].Seq
		exec(`DELETE FROM audit_events WHERE seq = $1`, seq)
		return fmt.Sprint("deleted ", seq)
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string { // and closes the gap
		seq := events[r.IntN(len(events))].Seq
		exec(`DELETE FROM audit_events WHERE seq = $1`, seq)
		for i := seq + 1; i <= int64(len(events)); i++ {
			exec(`UPDATE audit_events SET seq = seq - 1 WHERE seq = $1`, i)
		}
		if r.IntN(2) == 0 {
			exec(`UPDATE audit_head SET seq = seq - 1`)
		}
		return fmt.Sprint("deleted ", seq, " and closed the gap")
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string { // cuts the end off
		last := events[r.IntN(len(events)-1)]
		exec(`DELETE FROM audit_events WHERE seq > $1`, last.Seq)
		exec(`UPDATE audit_head SET seq = $1, hash = $2`, last.Seq, last.Hash)
		if r.IntN(2) == 0 {
			exec(`UPDATE audit_head SET seal = (SELECT seal FROM audit_events WHERE seq = $1)`, last.Seq)
		}
		return fmt.Sprint("cut all after ", last.Seq)
	},
	func(exec func(string, ...any) int64, _ *rand.Rand, _ []audit.Event) string {
		exec(`DELETE FROM audit_events`)
		exec(`UPDATE audit_head SET seq = 0, hash = '', seal = 'x'`)
		return "deleted everything"
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string {
		a, b := r.IntN(len(events)), r.IntN(len(events))
		if a == b {
			return ""
		}
		exec(`UPDATE audit_events SET seq = -1 WHERE seq = $1`, events[a].Seq)
		exec(`UPDATE audit_events SET seq = $1 WHERE seq = $2`, events[a].Seq, events[b].Seq)
		exec(`UPDATE audit_events SET seq = $1 WHERE seq = -1`, events[b].Seq)
		return fmt.Sprint("swapped ", a+1, " and ", b+1)
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string { // forges one before the first, or behind the last
		seq, previous := int64(-r.IntN(3)), ""
		if r.IntN(2) == 0 {
			seq, previous = events[len(events)-1].Seq+1, events[len(events)-1].Hash
		}
		e := events[0]
		e.Seq, e.ID, e.Previous = seq, "forged", previous
		copyTo(exec, events[0].Seq, e)
		if seq > 0 && r.IntN(2) == 0 {
			exec(`UPDATE audit_head SET seq = $1, hash = (SELECT hash FROM audit_events WHERE seq = $1)`, seq)
		}
		return fmt.Sprint("forged ", seq)
	},
	func(exec func(string, ...any) int64, r *rand.Rand, events []audit.Event) string { // changes one and hashes all after it anew
		from := r.IntN(len(events))
		previous := ""
		if from > 0 {
			previous = events[from-1].Hash
		}
		for i, e := range events[from:] {
			e.Previous = previous
			if i == 0 {
				e.Actor.Name = "somebody else"
				exec(`UPDATE audit_events SET actor_name = $1 WHERE seq = $2`, e.Actor.Name, e.Seq)
			}
			e.Hash = ""
			text, _ := json.Marshal(e) // it is what was read
			hash := sha256.Sum256(text)
			previous = hex.EncodeToString(hash[:])
			exec(`UPDATE audit_events SET hash = $1 WHERE seq = $2`, previous, e.Seq)
		}
		exec(`UPDATE audit_head SET hash = $1`, previous)
		return fmt.Sprint("rewrote all from ", from+1)
	},
}

// copyTo copies an event under the number and id of another, whose hash it gets.
func copyTo(exec func(string, ...any) int64, seq int64, e audit.Event) {
	e.Hash = ""
	text, _ := json.Marshal(e) // it is what was read
	hash := sha256.Sum256(text)
	exec(`INSERT INTO audit_events (seq, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name,
		client_id, changes, ip, request_id, hash, seal) SELECT $1, $2, at, actor_kind, actor_id, actor_name, action, target_kind, target_id,
		target_name, client_id, changes, ip, request_id, $3, seal FROM audit_events WHERE seq = $4`,
		e.Seq, e.ID, hex.EncodeToString(hash[:]), seq)
}

// An end that was changed is told for ever, not only until the next act seals a new one.
func TestChangedEndIsRemembered(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		log := written(t, db, 7)
		if _, err := db.Exec(t.Context(), `DELETE FROM audit_events WHERE seq = 7`); err != nil {
			t.Fatal(err)
		}
		_, err := db.Exec(t.Context(), `UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_events WHERE seq = 6)`)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := log.Record(t.Context(), audit.Act{Action: "section.create", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		if n, fault, err := log.Verify(t.Context()); n != 6 || fault == nil || fault.Seq != 7 || err != nil {
			t.Errorf("Verify = %d, %v, %v; want a fault at event 7", n, fault, err)
		}
		events, err := log.Events(t.Context(), audit.Filter{Action: audit.Broken}, 0, 10)
		if err != nil || len(events) != 1 || events[0].Seq != 7 || events[0].Target.ID != "6" {
			t.Errorf("Events = %v, %v; want one that tells of it", events, err)
		}
	})
}

// Whoever can write to the database and has not the key is found, every time.
func TestTampering(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		const rounds = 10_000
		log := written(t, db, 7)
		var events []audit.Event
		for e, err := range log.All(t.Context(), audit.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		n := rounds
		if !db.Embedded() {
			n = rounds / 20 // a round costs a network's round trips, and what is found is found here
		}
		undo := errors.New("undone")
		r := rand.New(rand.NewPCG(1, 2))
		for round := 0; round < n; {
			err := db.Transact(t.Context(), func(ctx context.Context) error {
				done := tamperers[r.IntN(len(tamperers))](func(query string, args ...any) int64 {
					affected, err := db.Exec(ctx, query, args...)
					if err != nil {
						t.Fatalf("%s: %v", query, err)
					}
					return affected
				}, r, events)
				if done == "" {
					return undo
				}
				round++
				if _, fault, err := log.Verify(ctx); fault == nil || err != nil {
					t.Errorf("round %d: %s: Verify = %v, %v; want a fault", round, done, fault, err)
				}
				return undo
			})
			if !errors.Is(err, undo) {
				t.Fatal(err)
			}
		}
		if n, fault, err := log.Verify(t.Context()); n != 7 || fault != nil || err != nil {
			t.Errorf("Verify of the untouched log = %d, %v, %v", n, fault, err)
		}
	})
}
