package audit_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/audit"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

var key = []byte("a key that is not in the database")

var eva = audit.Origin{
	Actor: audit.Actor{Kind: audit.Admin, ID: "a1", Name: "eva@example.com"}, IP: "192.0.2.7", RequestID: "R1",
}

// written is a log with so many events, of which every third tells of a client.
func written(t *testing.T, db *database.DB, n int) *audit.Log {
	t.Helper()
	log := audit.NewLog(db, key)
	for i := range n {
		act := audit.Act{
			Action: "section.create", At: time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC),
			Target:  audit.Target{Kind: "section", ID: "s" + string(rune('a'+i)), Name: "Nordic"},
			Changes: map[string]audit.Change{"name": {After: "Nordic"}},
		}
		if i%3 == 0 {
			act.Action, act.Target.Kind, act.ClientID = "client.update", "client", "c1"
			act.Changes = map[string]audit.Change{"name": {Before: "CRM", After: "CRM <new>"}}
		}
		if err := log.Record(audit.With(t.Context(), eva), act); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func TestEvents(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		log := written(t, db, 9)
		events, err := log.Events(t.Context(), audit.Filter{}, 0, 4)
		if err != nil || len(events) != 4 || events[0].Seq != 9 || events[3].Seq != 6 {
			t.Fatalf("Events = %v, %v; want 9 to 6", events, err)
		}
		if e := events[2]; e.Actor != eva.Actor || e.IP != eva.IP || e.RequestID != "R1" || e.ClientID != "c1" || e.Action != "client.update" ||
			string(e.Changes) != `{"name":{"before":"CRM","after":"CRM \u003cnew\u003e"}}` || e.Previous != events[3].Hash {
			t.Errorf("event 7 = %+v", e)
		}
		for _, tt := range []struct {
			name   string
			filter audit.Filter
			before int64
			want   []int64
		}{
			{"the rest", audit.Filter{}, 6, []int64{5, 4, 3, 2, 1}},
			{"of a client", audit.Filter{ClientID: "c1"}, 0, []int64{7, 4, 1}},
			{"of an unknown client", audit.Filter{ClientID: "c2"}, 0, nil},
			{"by id", audit.Filter{Actor: "a1"}, 8, []int64{7, 6, 5, 4, 3, 2, 1}},
			{"by e-mail", audit.Filter{Actor: "eva@example.com"}, 3, []int64{2, 1}},
			{"by kind", audit.Filter{Actor: "admin"}, 3, []int64{2, 1}},
			{"by another", audit.Filter{Actor: "client"}, 0, nil},
			{"one action", audit.Filter{Action: "client.update"}, 0, []int64{7, 4, 1}},
			{"all actions on a kind", audit.Filter{Action: "client"}, 0, []int64{7, 4, 1}},
			{"a part of a word is no kind", audit.Filter{Action: "clien"}, 0, nil},
			{"since", audit.Filter{Since: time.Date(2026, 1, 1, 0, 7, 0, 0, time.UTC)}, 0, []int64{9, 8}},
			{"until", audit.Filter{Until: time.Date(2026, 1, 1, 0, 2, 0, 0, time.UTC)}, 0, []int64{2, 1}},
			{"two filters", audit.Filter{ClientID: "c1", Since: time.Date(2026, 1, 1, 0, 3, 0, 0, time.UTC)}, 0, []int64{7, 4}},
		} {
			events, err := log.Events(t.Context(), tt.filter, tt.before, 50)
			var got []int64
			for _, e := range events {
				got = append(got, e.Seq)
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%s: Events = %v, %v; want %v", tt.name, got, err, tt.want)
			}
		}
	})
}

// The act and its event are both there, or neither is.
func TestRecordIsPartOfTheAct(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		log := written(t, db, 2)
		failed := errors.New("the act failed after all")
		err := db.Transact(t.Context(), func(ctx context.Context) error {
			if err := log.Record(ctx, audit.Act{Action: "client.delete", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if n, fault, err := log.Verify(t.Context()); n != 2 || fault != nil || err != nil {
			t.Errorf("Verify = %d, %v, %v; want the 2 events from before", n, fault, err)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		log := audit.NewLog(db, key)
		acts := make([]audit.Act, 250) // more than one statement takes
		for i := range acts {
			acts[i] = audit.Act{Action: "client.update", ClientID: "c", At: time.Now()}
		}
		if err := log.Record(t.Context(), acts...); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 10 {
					if err := log.Record(t.Context(), acts[:2]...); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 5 { // while others add, nothing is missing
			if _, fault, err := log.Verify(t.Context()); fault != nil || err != nil {
				t.Errorf("Verify = %v, %v", fault, err)
			}
		}
		wg.Wait()
		if n, fault, err := log.Verify(t.Context()); n != 330 || fault != nil || err != nil {
			t.Errorf("Verify = %d, %v, %v; want 330 events", n, fault, err)
		}
	})
}

func TestExport(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		log := written(t, db, 9)
		var file bytes.Buffer
		for e, err := range log.All(t.Context(), audit.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.Write(&file, e); err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.SplitAfter(strings.TrimSuffix(file.String(), "\n"), "\n")
		for _, tt := range []struct {
			name  string
			lines []string
			n     int64
			fault string
			err   bool
		}{
			{"as it was", lines, 9, "", false},
			{"changed", replaced(lines, 3, "eva@", "ivo@"), 3, "event 4 was changed", false},
			{"one is missing", slices.Concat(lines[:4], lines[5:]), 4, "event 5 is missing", false},
			{"the first is missing", lines[1:], 0, "event 1 is missing", false},
			{"two changed places", slices.Concat(lines[:4], lines[5:6], lines[4:5], lines[6:]), 4, "event 5 is missing", false},
			{"one twice", slices.Concat(lines[:4], lines[3:]), 4, "event 4 stands after event 4", false},
			{"of another chain", slices.Concat(lines[:4], rehashed(t, lines[4], "Nordic", "Baltic"), lines[5:]), 5, "event 6 does not follow", false},
			{"a member more", replaced(lines, 3, `"seq"`, `"extra":1,"seq"`), 3, "", true},
			{"not JSON", slices.Concat(lines[:4], []string{"rubbish\n"}), 4, "", true},
		} {
			n, fault, err := audit.VerifyFile(strings.NewReader(strings.Join(tt.lines, "")))
			reason := ""
			if fault != nil {
				reason = fault.Reason
			}
			if n != tt.n || !strings.HasPrefix(reason, tt.fault) || (tt.fault == "") != (fault == nil) || (err != nil) != tt.err {
				t.Errorf("%s: VerifyFile = %d, %q, %v; want %d, %q", tt.name, n, reason, err, tt.n, tt.fault)
			}
		}
	})
}

func replaced(lines []string, i int, old, text string) []string {
	lines = slices.Clone(lines)
	lines[i] = strings.Replace(lines[i], old, text, 1)
	return lines
}
