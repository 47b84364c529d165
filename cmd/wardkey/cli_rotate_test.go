package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/admin/adminclient"
)

// TestVigil holds when a wait for silence ends. Times are since it began.
func TestVigil(t *testing.T) {
	const quiet = 24 * time.Hour
	away := errors.New("reach https://auth.example.com: connection refused")
	for _, tt := range []struct {
		name   string
		uses   []time.Duration // of the older secret; negative is before
		ends   string          // the secret that somebody ends after an hour
		fails  error           // in the first hour
		cancel time.Duration   // when who waits interrupts
		want   string          // of the error; "" if the older secret may end
		after  time.Duration
	}{
		{name: "silent for long", uses: []time.Duration{-25 * time.Hour}},
		{name: "never used since it was made", after: quiet},
		{name: "used once", uses: []time.Duration{-time.Hour}, after: 23 * time.Hour},
		{name: "used again and again", uses: []time.Duration{-time.Hour, time.Hour, 20 * time.Hour, 43 * time.Hour}, after: 67 * time.Hour},
		{name: "the server is away", uses: []time.Duration{-time.Hour}, fails: away, after: 23 * time.Hour},
		{name: "the server fails", uses: []time.Duration{-time.Hour}, fails: &refusal{Problem: adminclient.Problem{Status: 503}}, after: 23 * time.Hour},
		{name: "not allowed any more", fails: &refusal{Problem: adminclient.Problem{Status: 403, Title: "not allowed"}}, want: "not allowed"},
		{name: "not a client any more", fails: &tokenRefusal{Code: "invalid_client"}, want: "(invalid_client)"},
		{name: "ended by somebody else", ends: "older", want: "has ended already", after: time.Hour},
		{name: "taken back by somebody else", ends: "newer", want: "took the rotation back", after: time.Hour},
		{name: "interrupted", cancel: 2 * time.Hour, want: "interrupted", after: 2 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				v := vigil{older: "older", newer: "newer", quiet: quiet, tell: func(string, ...any) {}}
				v.read = func(context.Context) (*rotation, error) {
					since := time.Since(began)
					if tt.fails != nil && since < time.Hour {
						return nil, tt.fails
					}
					r := &rotation{now: time.Now()}
					for _, id := range []string{"older", "newer"} {
						if tt.ends == id && since >= time.Hour {
							continue
						}
						s := usedSecret{}
						s.ID, s.CreatedAt = id, began
						for _, use := range tt.uses {
							if id == "older" && use <= since {
								s.LastUsedAt = new(began.Add(use))
							}
						}
						r.Secrets = append(r.Secrets, s)
					}
					return r, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				defer cancel()
				older, err := v.keep(ctx)
				late := time.Since(began) - tt.after
				if late < 0 || late > longestPause || (err == nil) != (tt.want == "") || err == nil && older.ID != "older" {
					t.Errorf("keep = %q, %v after %v; want %q after %v", older.ID, err, time.Since(began), tt.want, tt.after)
				}
				if err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("keep = %v, want %q", err, tt.want)
				}
			})
		})
	}
}

// TestVigilTells holds that what changes is told, and nothing twice.
func TestVigilTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var told []string
		v := vigil{older: "older", newer: "newer", quiet: time.Hour, tell: func(format string, args ...any) {
			told = append(told, fmt.Sprintf(format, args...))
		}}
		v.read = func(context.Context) (*rotation, error) {
			older, newer := usedSecret{}, usedSecret{}
			older.ID, older.Hint, older.CreatedAt, newer.ID = "older", "abcd", began, "newer"
			if time.Since(began) > 10*time.Minute {
				at := began.Add(10 * time.Minute)
				older.LastUsedAt = &at
				older.Addresses = []adminclient.AddressUse{{Address: "192.0.2.7", Uses: 2, LastUsedAt: at}, {Uses: 1, LastUsedAt: at}}
			}
			return &rotation{now: time.Now(), Secrets: []usedSecret{older, newer}}, nil
		}
		if _, err := v.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		const day = "2000-01-01 "
		want := []string{
			"secret …abcd was never used; it must stay so until " + day + "01:00:00 UTC",
			"secret …abcd was used at " + day + "00:10:00 UTC; it must be silent until " + day + "01:10:00 UTC\n" +
				"  192.0.2.7, 2 times in the last day, last at " + day + "00:10:00 UTC\n" +
				"  other addresses, 1 time in the last day, last at " + day + "00:10:00 UTC",
		}
		if strings.Join(told, "|") != strings.Join(want, "|") {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

const rotatedID = "35779f4a-e7b9-4b61-a57e-4b51d83e2cfb"

// A rotatingServer is a fake with a client that has an older and perhaps a newer secret.
type rotatingServer struct {
	lastUsed   time.Time // of the older one
	clock      time.Time // of the server, in its answers
	newer      bool
	olderEnded bool
	asked      func(times int) // when the secrets are asked for
	times      int
}

func (s *rotatingServer) start(t *testing.T) *profile {
	const path = "/admin/v1/clients/" + rotatedID
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", s.clock.UTC().Format(http.TimeFormat))
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	return fakeServer(t, map[string]http.HandlerFunc{
		path: func(w http.ResponseWriter, _ *http.Request) {
			answer(w, adminclient.Client{ID: rotatedID, Name: "CRM"})
		},
		path + "/secrets": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				s.newer = true
				answer(w, adminclient.SecretCreated{ID: "newer", Hint: "new1", ClientSecret: "wks_new", CreatedAt: s.clock})
				return
			}
			s.times++
			if s.asked != nil {
				s.asked(s.times)
			}
			list := page[adminclient.SecretInUse]{Items: []adminclient.SecretInUse{}}
			if !s.olderEnded {
				list.Items = append(list.Items, adminclient.SecretInUse{
					ID: "older", Hint: "old1", CreatedAt: s.clock.Add(-90 * day), LastUsedAt: &s.lastUsed, UsesLastDay: 3, AddressesLastDay: 1,
				})
			}
			if s.newer {
				list.Items = append(list.Items, adminclient.SecretInUse{ID: "newer", Hint: "new1", CreatedAt: s.clock})
			}
			answer(w, list)
		},
		path + "/secrets/older/addresses": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, adminclient.AddressList{Items: []adminclient.AddressUse{{Address: "192.0.2.7", Uses: 3, LastUsedAt: s.lastUsed}}})
		},
		path + "/secrets/newer/addresses": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, adminclient.AddressList{Items: []adminclient.AddressUse{}})
		},
		path + "/secrets/older": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				s.olderEnded = true
			}
			w.WriteHeader(http.StatusNoContent)
		},
	})
}

// TestServerClock holds that how long a secret has been silent is told by the server's clock: the
// one here may be wrong.
func TestServerClock(t *testing.T) {
	for _, tt := range []struct {
		name   string
		wrong  time.Duration // how much the server's clock is ahead of this one
		silent time.Duration
		ends   bool
	}{
		{"right", 0, 25 * time.Hour, true},
		{"right, in use", 0, time.Hour, false},
		{"this one is ahead", -30 * time.Hour, time.Hour, false},
		{"this one is behind", 30 * time.Hour, 25 * time.Hour, true},
	} {
		clock := time.Now().Add(tt.wrong)
		s := &rotatingServer{clock: clock, lastUsed: clock.Add(-tt.silent), newer: true}
		code, _, stderr := s.start(t).wardkey(t, "client", "rotate", rotatedID, "--finish", "--yes")
		if s.olderEnded != tt.ends || (code == exitDone) != tt.ends {
			t.Errorf("%s: finish = %d, %q; ended %v, want %v", tt.name, code, stderr, s.olderEnded, tt.ends)
		}
		if !tt.ends && !strings.Contains(stderr, "\n  192.0.2.7, 3 times, last ") {
			t.Errorf("%s: it does not say who uses it: %q", tt.name, stderr)
		}
	}
}

// TestInterruptedWait holds that whoever leaves while the older secret is waited for leaves both
// alive, has been shown the new one, and is told how to go on.
func TestInterruptedWait(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	s := &rotatingServer{clock: time.Now(), lastUsed: time.Now()}
	s.asked = func(times int) {
		if times == 2 { // the first of the wait
			interrupt()
		}
	}
	p := s.start(t)
	environment := func(name string) string {
		return map[string]string{"WARDKEY_URL": p.URL, "WARDKEY_CLIENT_ID": "id", "WARDKEY_CLIENT_SECRET": "wks_x"}[name]
	}
	var stdout, stderr strings.Builder
	code := run(ctx, []string{"client", "rotate", rotatedID, "--quiet", "2d"}, environment, &stdout, &stderr)
	if code != exitFailed || s.olderEnded || !strings.Contains(stdout.String(), "Client Secret  wks_new\n") {
		t.Errorf("rotate = %d, %q; ended %v", code, stdout.String(), s.olderEnded)
	}
	const want = `wardkey: interrupted; both secrets live on
Go on waiting:  wardkey client rotate 35779f4a-e7b9-4b61-a57e-4b51d83e2cfb --finish --wait --quiet 2d
Look:           wardkey client rotate 35779f4a-e7b9-4b61-a57e-4b51d83e2cfb --status
Take it back:   wardkey client rotate 35779f4a-e7b9-4b61-a57e-4b51d83e2cfb --cancel
`
	if !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("it says %q, want %q", stderr.String(), want)
	}
}

// TestQuietEnds holds that a secret that has been silent is ended, and that --json prints the new
// secret before it waits.
func TestQuietEnds(t *testing.T) {
	s := &rotatingServer{clock: time.Now(), lastUsed: time.Now().Add(-25 * time.Hour)}
	code, stdout, stderr := s.start(t).wardkey(t, "client", "rotate", rotatedID, "--quiet", "24h", "--json")
	if code != exitDone || !s.olderEnded {
		t.Fatalf("rotate = %d, %q; ended %v", code, stderr, s.olderEnded)
	}
	values := json.NewDecoder(strings.NewReader(stdout))
	var made rotated
	var after rotation
	if err := errors.Join(values.Decode(&made), values.Decode(&after)); err != nil {
		t.Fatal(err)
	}
	if made.ClientSecret != "wks_new" || made.ClientID != rotatedID || made.Older == nil || made.Older.ID != "older" {
		t.Errorf("first %+v", made)
	}
	if after.UnderWay || len(after.Secrets) != 1 || after.Secrets[0].ID != "newer" {
		t.Errorf("then %+v", after)
	}
}
