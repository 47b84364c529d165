package limits

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

func TestHabits(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		noon := time.Unix(20_000*86400+43200, 0)
		h := &Habits{DB: db, Log: slog.New(slog.DiscardHandler)}
		given := Token{ClientID: "billing", Audience: []string{"https://api.example"}, Scope: "email:read", Address: "192.0.2.1", UserAgent: "curl/8.5 wks_oops", Lifetime: time.Hour}
		for _, change := range []func(*Token){
			func(*Token) {},
			func(t *Token) { t.At = noon.Add(29 * time.Minute) }, // early
			func(t *Token) { t.At = noon.Add(60 * time.Minute) },
			func(t *Token) { t.Address = "192.0.2.2" },
			func(t *Token) { t.Scope = "email:write" },
			func(t *Token) { t.Audience = nil },
			func(t *Token) { t.ClientID = "crm" },
		} {
			token := given
			token.At = noon
			change(&token)
			h.Given(token)
		}
		for range 2 { // the second time there is nothing left to write
			if err := h.Flush(t.Context(), noon); err != nil {
				t.Fatal(err)
			}
		}
		h.Over("billing")
		h.Over("shop")
		if err := h.Flush(t.Context(), noon); err != nil {
			t.Fatal(err)
		}
		want := Habit{ClientID: "billing", Early: 1, Over: 1, UserAgent: "curl/8.5 "}
		if got, err := h.Today(t.Context(), "billing", noon); got != want || err != nil {
			t.Errorf("Today = %+v, %v; want %+v", got, err, want)
		}
		if got, err := h.Today(t.Context(), "billing", noon.AddDate(0, 0, 1)); got.Early != 0 || err != nil {
			t.Errorf("Today = %+v, %v on the next day", got, err)
		}
		if worst, err := h.Worst(t.Context(), noon, 10); len(worst) != 1 || worst[0] != want || err != nil {
			t.Errorf("Worst = %+v, %v; want billing alone", worst, err)
		}
		if err := h.Purge(t.Context(), noon.AddDate(0, 0, 32)); err != nil {
			t.Fatal(err)
		}
		if worst, err := h.Worst(t.Context(), noon, 10); len(worst) != 0 || err != nil {
			t.Errorf("Worst = %+v, %v after they were purged", worst, err)
		}
	})
}

// TestHabitsAreKept holds that what cannot be written is written later, and that it stays bounded.
func TestHabitsAreKept(t *testing.T) {
	away, err := database.Open(databasetest.SQLiteURL(t)) // without a schema
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	h := &Habits{DB: away, Log: slog.New(slog.DiscardHandler)}
	for i := range 2 * maxHabits {
		h.Over(fmt.Sprint("client", i))
	}
	now := time.Now()
	if err := h.Flush(t.Context(), now); err == nil {
		t.Error("Flush to nowhere has no error")
	}
	h.Over("client1")
	h.DB = databasetest.SQLite(t)
	if err := h.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Today(t.Context(), "client1", now); got.Over != 2 || err != nil {
		t.Errorf("Today = %+v, %v; want 2 over", got, err)
	}
	if got, err := h.Today(t.Context(), fmt.Sprint("client", maxHabits), now); got.Over != 0 || err != nil {
		t.Errorf("Today = %+v, %v of a client beyond the bound", got, err)
	}
}

func TestAdvice(t *testing.T) {
	for userAgent, want := range map[string]string{
		"Go-http-client/1.1":     "golang.org/x/oauth2",
		"python-requests/2.32.3": "Authlib",
		"node":                   "Node",
		"axios/1.7.2":            "Node",
		"curl/8.5.0":             "a shell",
		"Java-http-client/21":    "Spring Security",
		"":                       "any language",
		"Mozilla/5.0":            "any language",
	} {
		if got := AdviceFor(userAgent); got.Library != want || got.Snippet == "" {
			t.Errorf("AdviceFor(%q) = %+v, want %s", userAgent, got, want)
		}
	}
}
