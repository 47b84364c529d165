package leaks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func outcomes(results []Result) (all []Outcome) {
	for _, r := range results {
		all = append(all, r.Outcome)
	}
	return all
}

// Just the secrets that were reported end, each is told of once, and nothing that was reported is
// kept.
func TestTake(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var told []Leak
		w.Leaked = func(_ context.Context, l Leak) error {
			told = append(told, l)
			return nil
		}
		stranger := clients.NewSecret().Reveal()
		all := findings("https://user:"+w.first+"@git.example/repo?token="+w.first+"#L1", w.first, w.first, w.first[:20], stranger, "hunter2", "")
		want := []Outcome{Revoked, Ended, Malformed, NotOurs, Malformed, Malformed}
		for _, dryRun := range []bool{true, true, false} {
			got, err := w.Take(t.Context(), all, "the test", dryRun)
			if err != nil || !slices.Equal(outcomes(got), want) {
				t.Fatalf("Take, dry run %t = %v, %v; want %v", dryRun, outcomes(got), err, want)
			}
			if w.opens(w.first) != dryRun || !w.opens(w.second) {
				t.Errorf("dry run %t: the first opens: %t, the other: %t", dryRun, w.opens(w.first), w.opens(w.second))
			}
		}
		want[0] = Ended
		if got, err := w.Take(t.Context(), all, "the test", false); err != nil || !slices.Equal(outcomes(got), want) {
			t.Errorf("Take again = %v, %v; want %v", outcomes(got), err, want)
		}
		if len(told) != 1 || told[0].ClientName != "CRM" || told[0].FoundAt != "https://git.example/repo" {
			t.Errorf("told of %+v; want one leak, found at https://git.example/repo", told)
		}
		var action, target, changes string
		err := w.DB.QueryRow(t.Context(), `SELECT action, target_id, changes FROM audit_events`).Scan(&action, &target, &changes)
		if err != nil || action != "secret.delete" || target != told[0].SecretID || !strings.Contains(changes, "the test") || strings.Contains(changes, "wks_") {
			t.Errorf("the audit log has %s of %s, %s, %v", action, target, changes, err)
		}
		plain := findings("", w.first)
		if printed := fmt.Sprintf("%v %+v %#v", plain, plain, plain); strings.Contains(printed, w.first) {
			t.Error("findings show the secret when they are printed")
		}
	})
}

// What fails in the end was not done at all.
func TestTakeIsWhole(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		boom := errors.New("boom")
		w.Leaked = func(context.Context, Leak) error { return boom }
		_, err := w.Take(t.Context(), findings("", w.first), "the test", false)
		if !errors.Is(err, boom) || strings.Contains(err.Error(), "wks_") {
			t.Errorf("Take = %v; want boom, and no secret in it", err)
		}
		if n := w.count(`SELECT count(*) FROM audit_events`); !w.opens(w.first) || n != 0 {
			t.Errorf("the secret opens: %t, events: %d; want true and 0", w.opens(w.first), n)
		}
	})
}

// Where a secret was found is kept without what may be another one.
func TestPlace(t *testing.T) {
	secret := clients.NewSecret().Reveal()
	for text, want := range map[string]string{
		"":                                    "",
		"in a chat":                           "in a chat",
		"https://git.example/a/b?x=1#L2":      "https://git.example/a/b",
		"https://me:pw@git.example/a":         "https://git.example/a",
		"https://git.example/" + secret:       "https://git.example/[secret]",
		"here: " + secret + "\r\nX: y":        "here: [secret]  X: y",
		"WKS_abc":                             "[secret]",
		strings.Repeat("å", 2000):             "",
		strings.Repeat("x", 3000):             strings.Repeat("x", maxPlace),
		"https://git.example/\x1b[31mred %zz": "https://git.example/ [31mred %zz",

		"see https://me:pw@git.example/a?token=x#y, line 7":                                  "see https://git.example/a line 7",
		"https://token@git.example/a and ann@example.com":                                    "https://git.example/a and ann@example.com",
		"clone me:pw@git.example:a.git":                                                      "clone git.example:a.git",
		"HTTPS://me:pw@git.example:8443/%zz":                                                 "HTTPS://git.example:8443/%zz",
		"jdbc:postgresql://me:pw@db/x?password=y":                                            "jdbc:postgresql://db/x",
		"https://a.example/x,https://me:pw@b.example/y":                                      "https://a.example/x,https://b.example/y",
		"https://a.example/?next=https://me:pw@b.example":                                    "https://a.example/",
		"https://me:p@s/s?w#o@git.example/a":                                                 "https://[cut]@git.example/a",
		"https://me:p/w@git.example/a":                                                       "https://[cut]@git.example/a",
		"https://git.example:443/@team/a?by=ann@b.example":                                   "https://git.example:443/@team/a",
		"https://blog.example/@ann/post":                                                     "https://blog.example/@ann/post",
		"git.example/a?token=x and git.example/b#key=y":                                      "git.example/a and git.example/b",
		"really? in #general, at 12:30":                                                      "really? in #general, at 12:30",
		strings.Repeat("x", 1990) + " https://me:pw@git.example":                             strings.Repeat("x", maxPlace),
		"https://git.example/?" + strings.Repeat("x", 5000) + " https://me:pw@git.example/a": "https://git.example/ https://git.example/a",
	} {
		if got := place(text); got != want {
			t.Errorf("place(%.40q) = %.80q, want %.80q", text, got, want)
		}
	}
}

// What was interrupted goes on when it is taken again: each secret is revoked once, and copies of
// one that ended cost nothing.
func TestTakeAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var texts []string
		for i := range 2*batch + 20 {
			_, secret := w.create(fmt.Sprint("client ", i))
			texts = append(texts, secret)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		leaks := 0
		w.Leaked = func(context.Context, Leak) error {
			if leaks++; leaks == batch+50 {
				interrupt()
			}
			return nil
		}
		all := findings("", append(texts, texts...)...)
		if _, err := w.Take(ctx, all, "the test", false); err == nil {
			t.Fatal("Take goes on although nobody waits for it")
		}
		if n := w.count(`SELECT count(*) FROM client_secrets WHERE revoked_at > 0`); n != batch {
			t.Errorf("%d were revoked when it was interrupted, want %d", n, batch)
		}
		got, err := w.Take(t.Context(), all, "the test", false)
		if err != nil || len(got) != len(all) {
			t.Fatalf("Take = %d results, %v; want %d", len(got), err, len(all))
		}
		for i, r := range got {
			if want := i >= batch && i < len(texts); (r.Outcome == Revoked) != want || r.Outcome != Revoked && r.Outcome != Ended {
				t.Errorf("of finding %d: %s; want revoked: %t, else ended", i, r.Outcome, want)
			}
		}
		if n := w.count(`SELECT count(DISTINCT target_id) FROM audit_events`); n != len(texts) || n != w.count(`SELECT count(*) FROM audit_events`) {
			t.Errorf("%d secrets stand in the audit log, want %d, each once", n, len(texts))
		}
		if !w.opens(w.first) || !w.opens(w.second) {
			t.Error("a secret ended that was not reported")
		}
	})
}

// Ten thousand at once, when it is asked for.
func TestTenThousand(t *testing.T) {
	if os.Getenv("WARDKEY_TEN_THOUSAND") == "" {
		t.Skip("set WARDKEY_TEN_THOUSAND to measure")
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		var texts []string
		for i := range 10_000 {
			_, secret := w.create(fmt.Sprint("client ", i))
			texts = append(texts, secret)
		}
		start := time.Now()
		got, err := w.Take(t.Context(), findings("", texts...), "the test", false)
		t.Logf("10,000 took %v", time.Since(start))
		if err != nil || len(got) != len(texts) || got[9999].Outcome != Revoked {
			t.Errorf("Take = %d results, %v", len(got), err)
		}
	})
}
