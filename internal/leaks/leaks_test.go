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
	} {
		if got := place(text); got != want {
			t.Errorf("place(%.40q) = %.80q, want %.80q", text, got, want)
		}
	}
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
