package refusals

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// Refusals that are alike are one row, with the first and the last of them, in whatever order they
// are recorded, by whatever server, and whenever the store is there.
func TestTallyCounts(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, tally *Tally) {
		another := newTally(db)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		record := func(tally *Tally, seconds ...int) {
			for _, s := range seconds {
				tally.Record(wrong("192.0.2.1", at(s)))
			}
		}
		for _, step := range []struct {
			name               string
			do                 func()
			count, first, last int
		}{
			{"one", func() { record(tally, 5) }, 1, 5, 5},
			{"more, in another order", func() { record(tally, 7, 3, 6) }, 4, 3, 7},
			{"nothing new", func() {}, 4, 3, 7},
			{"another server", func() {
				record(tally, 4)
				record(another, 9, 2)
				must(t, another.Flush(t.Context()))
			}, 7, 2, 9},
			{"the store was away", func() {
				record(tally, 10)
				if err := tally.Flush(gone); err == nil {
					t.Error("Flush with a context that ended = nil")
				}
			}, 8, 2, 10},
			{"refused again while it was away", func() {
				record(tally, 12)
				_ = tally.Flush(gone)
				record(tally, 11, 1)
				_ = tally.Flush(gone)
			}, 11, 1, 12},
		} {
			step.do()
			must(t, tally.Flush(t.Context()))
			rows := list(t, tally, Filter{})
			if len(rows) != 1 || int(rows[0].Count) != step.count || !rows[0].FirstAt.Equal(at(step.first)) || !rows[0].LastAt.Equal(at(step.last)) {
				t.Errorf("%s: %+v; want %d from %d to %d", step.name, rows, step.count, step.first, step.last)
			}
			if len(tally.pending) > 0 {
				t.Errorf("%s: %d rows still wait", step.name, len(tally.pending))
			}
		}
	})
}

// What differs in client, cause, detail, address or hour is counted apart.
func TestTallyCountsApart(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, tally *Tally) {
		vary := []func(*Refusal){
			func(*Refusal) {},
			func(r *Refusal) { r.ClientID = "another" },
			func(r *Refusal) { r.Known = false },
			func(r *Refusal) { r.Cause = ClientDisabled },
			func(r *Refusal) { r.Detail = Blanks },
			func(r *Refusal) { r.Address = "192.0.2.2" },
			func(r *Refusal) { r.At = at(3600) },
		}
		ids := map[string]string{}
		for range 2 {
			for _, change := range vary {
				r := wrong("192.0.2.1", noon)
				change(&r)
				id := tally.Record(r)
				row, _, err := tally.ByErrorID(t.Context(), id)
				must(t, err)
				ids[row.Bucket] = id
			}
		}
		rows := list(t, tally, Filter{})
		if len(rows) != len(vary) || len(ids) != len(vary) {
			t.Errorf("%d rows, %d buckets; want %d", len(rows), len(ids), len(vary))
		}
		for _, r := range rows {
			if r.Count != 2 {
				t.Errorf("%+v; want a count of 2", r)
			}
		}
	})
}

// Many rows are written in several statements, and a failure between two of them neither loses
// nor doubles anything.
func TestTallyManyRows(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, tally *Tally) {
		const n = 3*batch + 1
		for round := range 2 {
			for i := range n {
				r := wrong("192.0.2.1", at(i))
				r.ClientID = fmt.Sprint("client ", i)
				tally.Record(r)
			}
			if round == 0 {
				must(t, tally.Flush(t.Context()))
			}
		}
		some := tally.unwritten()
		must(t, tally.write(t.Context(), some[:batch])) // as Flush does, before the store goes away
		tally.written(some[:batch])
		must(t, tally.Flush(t.Context()))
		var rows, total int
		must(t, db.QueryRow(t.Context(), `SELECT count(*), sum(count) FROM refusals`).Scan(&rows, &total))
		if rows != n || total != 2*n {
			t.Errorf("%d rows count %d refusals; want %d and %d", rows, total, n, 2*n)
		}
	})
}

// Nothing is lost between those who record and those who write.
func TestTallyAtOnce(t *testing.T) {
	tally := newTally(databasetest.SQLite(t))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				tally.Record(wrong("192.0.2.1", at(i)))
				if i%50 == 0 {
					if err := tally.Flush(t.Context()); err != nil {
						t.Errorf("Flush: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if rows := list(t, tally, Filter{}); len(rows) != 1 || rows[0].Count != 8*200 {
		t.Errorf("%+v; want one row of %d", rows, 8*200)
	}
}

// Run writes once a second, and what is left when it ends.
func TestTallyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		tally := newTally(db)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- tally.Run(ctx) }()
		count := func() (n int) {
			synctest.Wait()
			must(t, db.QueryRow(t.Context(), `SELECT COALESCE(sum(count), 0) FROM refusals`).Scan(&n))
			return n
		}
		wait := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			if n := count(); n != want {
				t.Errorf("%d refusals are written; want %d", n, want)
			}
		}
		tally.Record(wrong("192.0.2.1", time.Now()))
		wait(999*time.Millisecond, 0)
		wait(2*time.Millisecond, 1)
		tally.Record(wrong("192.0.2.1", time.Now()))
		wait(time.Second, 2)
		tally.Record(wrong("192.0.2.1", time.Now()))
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if n := count(); n != 3 {
			t.Errorf("%d refusals are written when Run ended; want 3", n)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, tally *Tally) {
		old, id := tally.Record(wrong("192.0.2.1", noon)), tally.Record(wrong("192.0.2.2", at(1)))
		must(t, tally.Flush(t.Context()))
		must(t, tally.Purge(t.Context(), noon.Add(kept)))
		if n := len(list(t, tally, Filter{})); n != 2 {
			t.Errorf("%d rows after seven days to the second; want 2", n)
		}
		must(t, tally.Purge(t.Context(), at(1).Add(kept)))
		if _, _, err := tally.ByErrorID(t.Context(), old); err != ErrNotFound { //nolint:errorlint // it is returned as it is
			t.Errorf("ByErrorID of an old one = %v; want ErrNotFound", err)
		}
		if r, _, err := tally.ByErrorID(t.Context(), id); err != nil || r.Address != "192.0.2.2" {
			t.Errorf("ByErrorID = %+v, %v", r, err)
		}
	})
}

// Lists are newest first, page by page, and of what was asked for.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, tally *Tally) {
		tally.Record(wrong("a", at(1)))
		tally.Record(wrong("b", at(5)))
		tally.Record(stranger(billing, "c", at(2))) // before it was known, or on a server that did not ask
		tally.Record(stranger(" "+billing+"\n", "d", at(3)))
		tally.Record(stranger(billing+"x", "e", at(4)))
		tally.Record(Refusal{Cause: Malformed, Address: "f", At: at(6)})
		for _, tt := range []struct {
			name   string
			filter Filter
			want   string
		}{
			{"all", Filter{}, "malformed//f x, wrong_secret//b x, unknown_client//e x, unknown_client//d x, unknown_client//c x, wrong_secret//a x"},
			{"of a client", Filter{ClientID: billing}, "wrong_secret//b x, unknown_client//d x, unknown_client//c x, wrong_secret//a x"},
			{"of a mistyped id", Filter{ClientID: billing + "x"}, "unknown_client//e x"},
			{"of nobody", Filter{ClientID: "nobody"}, ""},
			{"of a cause", Filter{Cause: WrongSecret}, "wrong_secret//b x, wrong_secret//a x"},
			{"since", Filter{Since: at(4)}, "malformed//f x, wrong_secret//b x, unknown_client//e x"},
			{"all at once", Filter{ClientID: billing, Cause: WrongSecret, Since: at(2)}, "wrong_secret//b x"},
		} {
			if got := counts(list(t, tally, tt.filter)); got != tt.want {
				t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
			}
		}
	})
}

// Rows of one second are in one order, without gap or repetition over the pages.
func TestListOfOneSecond(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, tally *Tally) {
		for i := range 25 {
			tally.Record(wrong(fmt.Sprint("192.0.2.", i), noon))
		}
		rows := list(t, tally, Filter{})
		for i := range rows[1:] {
			if rows[i].Bucket <= rows[i+1].Bucket {
				t.Errorf("row %d is not before row %d", i, i+1)
			}
		}
		if len(rows) != 25 {
			t.Errorf("%d rows; want 25", len(rows))
		}
	})
}

// The id of a deleted client is told from one that no client had, and a malformed request in its
// name is its own.
func TestDeletedClients(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, tally *Tally) {
		const other = "9a3c1c9e-7b8e-4d54-8f0e-6a1f4e9b1c02"
		bury := func(id string) {
			_, err := db.Exec(t.Context(), `INSERT INTO deleted_clients (id, name, deleted_at, deleted_by) VALUES ($1, 'x', 1, 'me')`, id)
			must(t, err)
		}
		bury(billing)
		bury("not-a-uuid") // is not looked for
		for _, r := range []Refusal{
			stranger(billing, "192.0.2.1", at(1)),
			stranger(strings.ToUpper(billing), "192.0.2.1", at(2)),
			stranger(other, "192.0.2.1", at(3)),
			stranger("not-a-uuid", "192.0.2.1", at(4)),
			{ClientID: billing, Cause: Malformed, Detail: "x", Address: "192.0.2.1", At: at(5)},
		} {
			tally.Record(r)
		}
		rows := list(t, tally, Filter{})
		var got []string
		for _, r := range rows {
			got = append(got, string(r.Cause)+" "+r.ClientID)
		}
		want := "malformed " + billing + "; unknown_client ; unknown_client ; unknown_client ; client_deleted " + billing
		if strings.Join(got, "; ") != want {
			t.Errorf("%q; want %q", strings.Join(got, "; "), want)
		}
		// An unknown id whose client is deleted within the hour: the row learns of it.
		id := tally.Record(stranger(other, "192.0.2.1", at(6)))
		bury(other)
		if r, _, err := tally.ByErrorID(t.Context(), id); err != nil || r.Cause != ClientDeleted || r.ClientID != other || r.Count != 2 {
			t.Errorf("ByErrorID = %+v, %v", r, err)
		}
	})
}

// What is kept of a stranger's text is printable, short, and no credential.
func TestClean(t *testing.T) {
	secret := "wks_" + strings.Repeat("aB3", 16) + "z"
	long := strings.Repeat("x", 3000)
	for text, want := range map[string]string{
		"https://api.example/v1?tenant=1": "https://api.example/v1?tenant=1",
		"crm_id:read":                     "crm_id:read",
		"a\x00b\r\n\u2028c\xffé":          "abc",
		secret:                            "[secret]",
		"https://x/?k=" + secret + "&b=1": "https://x/?k=[secret]&b=1",
		"w\x00ks_" + secret[4:20]:         "[secret]",
		strings.ToUpper(secret):           "[secret]",
		"https://me:hunter2@x/y":          "https://[secret]@x/y",
		"https://x/a@b":                   "https://x/a@b",
		long:                              long[:maxDetail],
		long[:190] + secret:               long[:190] + "[secret]",
		long[:195] + secret:               long[:195] + "[secr",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q; want %q", text, got, want)
		}
	}
}

// What looks like a secret in place of the client_id leaves not even a hash.
func TestSecretAsID(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, tally *Tally) {
		for _, id := range []string{"wks_abc", " wks_abc", `"wks_abc"`, "client_secret=wks_abc"} {
			r, _, err := tally.ByErrorID(t.Context(), tally.Record(stranger(id, "192.0.2.1", noon)))
			if err != nil || r.Detail != SecretAsID || r.IDHash != "" || r.ClientID != "" {
				t.Errorf("%q is kept as %+v, %v", id, r, err)
			}
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	tally := New(nil, key, slog.New(slog.DiscardHandler))
	for name, r := range map[string]Refusal{
		"wrong secret": wrong("192.0.2.1", noon), "unknown": stranger(billing, "192.0.2.1", noon),
		"IPv6": wrong("2001:db8::1", noon), "audience": {ClientID: billing, Known: true, Cause: AudienceUnknown, Detail: "https://api_x.example/v1", Address: "192.0.2.1", At: noon},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tally.Record(r)
			}
		})
	}
}
