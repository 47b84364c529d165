package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wardkey/wardkey/internal/database"
	"github.com/wardkey/wardkey/internal/databasetest"
)

// A receiver is what webhooks lead to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][]string // by webhook-id
	heard  chan http.Header
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{bodies: map[string][]string{}, heard: make(chan http.Header, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := new(strings.Builder)
		if err := req.Write(body); err != nil {
			return // it broke off, and is none
		}
		_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
		id := req.Header.Get("webhook-id")
		r.mu.Lock()
		r.bodies[id] = append(r.bodies[id], text)
		r.mu.Unlock()
		answer(w, req)
		r.heard <- req.Header
	}))
	t.Cleanup(r.Close)
	return r
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// Two servers that both send make each attempt once, and send the same under the same id.
func TestTwoDispatchers(t *testing.T) {
	const alerts = 30
	each(t, func(w *world) {
		r := newReceiver(w.t, status(204))
		w.Private = prefixes("127.0.0.0/8")
		w.hook(r.URL)
		for i := range alerts {
			w.raise(NearLimit, fmt.Sprint(i), nil)
		}
		ctx, stop := context.WithCancel(w.t.Context())
		var both sync.WaitGroup
		for range 2 {
			d := w.dispatcher()
			both.Go(func() { must(w.t, d.Run(ctx)) })
		}
		for range alerts {
			<-r.heard
		}
		stop()
		both.Wait()
		if len(r.bodies) != alerts {
			w.t.Errorf("%d deliveries arrived; want %d", len(r.bodies), alerts)
		}
		for id, bodies := range r.bodies {
			if len(bodies) != 1 {
				w.t.Errorf("%s arrived %d times; want once", id, len(bodies))
			}
		}
		if got := w.deliveries(); slices.ContainsFunc(got, func(d string) bool { return !strings.HasSuffix(d, "delivered 1") }) {
			w.t.Errorf("the log says %q; want all delivered at the first attempt", got)
		}
	})
}

// A server that ends between the claim and the end of an attempt loses nothing: the next one tries
// again, and sends the same under the same id.
func TestKilledWhileSending(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, status(200))
		w.hook(r.URL)
		w.raise(NearLimit, "x", nil)
		d := w.dispatcher()
		receivers, err := d.due(w.t.Context(), time.Now())
		must(w.t, err)
		claimed, err := d.claim(w.t.Context(), receivers[0])
		must(w.t, err)
		if _, err := d.deliver(w.t.Context(), *claimed); err != nil { // and no note of it
			w.t.Fatal(err)
		}
		if w.flush(d); len(r.bodies[claimed.ID]) != 1 {
			w.t.Errorf("it arrived %d times at once; want once", len(r.bodies[claimed.ID]))
		}
		w.later()
		w.flush(d)
		if got := r.bodies[claimed.ID]; len(got) != 2 || got[0] != got[1] {
			w.t.Errorf("what arrived is %q; want the same twice", got)
		}
		if got := w.deliveries(); len(got) != 1 || !strings.HasSuffix(got[0], "delivered 2") {
			w.t.Errorf("the log says %q; want that it was delivered at the second attempt", got)
		}
	})
}

// A server that is stopped after its claim and goes on later sends nothing if another server has
// the attempt by then, wherever it was stopped before the first byte.
func TestStopped(t *testing.T) {
	for _, tt := range []struct {
		name    string
		claimed func(first *Dispatcher, meanwhile func()) // what happens after the claim
		sent    int
		left    string
	}{
		{"and goes on at once", func(*Dispatcher, func()) {}, 1, "delivered 1"},
		{"at once", func(_ *Dispatcher, meanwhile func()) { meanwhile() }, 1, "delivered 2"},
		{"while it looks up the name", func(first *Dispatcher, meanwhile func()) {
			lookup := first.lookup
			first.lookup = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
				meanwhile()
				return lookup(ctx, network, host)
			}
		}, 1, "delivered 2"},
		{"and lost the lease", func(first *Dispatcher, _ func()) {
			first.Transact = func(context.Context, func(context.Context) error) error { return errors.New("lost") }
		}, 0, "waiting 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(w *world) {
				r := newReceiver(w.t, status(204))
				hook, _ := w.hook("http://receiver.example" + r.URL[strings.LastIndex(r.URL, ":"):])
				w.raise(NearLimit, "x", nil)
				first, second := w.dispatcher(), w.dispatcher()
				first.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
					return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
				}
				second.lookup = first.lookup
				claimed, err := first.claim(w.t.Context(), hook.ID)
				must(w.t, err)
				tt.claimed(first, func() { w.later(); w.flush(second) })
				if err := first.try(w.t.Context(), *claimed); (err != nil) != (tt.left != "delivered 1") || err != nil && (!errors.Is(err, errNotMine) || strings.Contains(err.Error(), "receiver.example")) {
					w.t.Errorf("try = %v; want errNotMine without the address, or nothing", err)
				}
				if got := len(r.bodies[claimed.ID]); got != tt.sent || len(r.bodies) > 1 {
					w.t.Errorf("%d of %d arrived; want %d", got, len(r.bodies), tt.sent)
				}
				if got := w.deliveries(); len(got) != 1 || got[0] != hook.ID+" "+tt.left {
					w.t.Errorf("the log says %q; want %q", got, tt.left)
				}
			})
		})
	}
}

// An attempt is left to the server that claimed it for as long as it may take. Then another may have
// it, and it is not the first one's any more, also if nothing came of it yet.
func TestClaims(t *testing.T) {
	in(t, func(w *world) {
		hook, _ := w.hook("https://example.com/hook")
		w.raise(NearLimit, "x", nil)
		first, second := w.dispatcher(), w.dispatcher()
		early, err := first.claim(w.t.Context(), hook.ID)
		must(w.t, err)
		time.Sleep(mailWithin + sendWithin)
		if late, err := second.claim(w.t.Context(), hook.ID); err != nil || late != nil {
			w.t.Errorf("claim = %+v, %v while the first may still send it; want nothing", late, err)
		}
		must(w.t, first.mine(w.t.Context(), *early))
		time.Sleep(claimedFor)
		late, err := second.claim(w.t.Context(), hook.ID)
		must(w.t, err)
		must(w.t, second.mine(w.t.Context(), *late))
		if err := first.mine(w.t.Context(), *early); !errors.Is(err, errNotMine) {
			w.t.Errorf("mine = %v of who claimed it before; want errNotMine", err)
		}
	})
}

// A server that ended during the last attempt has made it: there is no other.
func TestEndedDuringLastAttempt(t *testing.T) {
	in(t, func(w *world) {
		hook, _ := w.hook("https://example.com/hook")
		w.raise(NearLimit, "x", nil)
		w.exec(`UPDATE alert_deliveries SET attempts = $1`, len(backoff)+1)
		d := w.dispatcher()
		d.attempt = func(context.Context, Delivery) (string, error) {
			w.t.Error("it is tried once more")
			return "", nil
		}
		w.flush(d)
		if got := w.deliveries(); len(got) != 1 || got[0] != hook.ID+" failed 12" {
			w.t.Errorf("the log says %q; want that it was given up", got)
		}
	})
}

// An answer that took long is not believed: by now another server may have the lease.
func TestSlowAnswer(t *testing.T) {
	in(t, func(w *world) {
		hook, _ := w.hook("https://example.com/hook")
		w.raise(NearLimit, "x", nil)
		d := w.dispatcher()
		claimed, err := d.claim(w.t.Context(), hook.ID)
		must(w.t, err)
		for _, took := range []time.Duration{4 * time.Second, 6 * time.Second} {
			d.Transact = func(ctx context.Context, ask func(context.Context) error) error {
				defer time.Sleep(took)
				return w.DB.Transact(ctx, ask)
			}
			if err := d.mine(w.t.Context(), *claimed); errors.Is(err, errNotMine) != (took > sureFor) {
				w.t.Errorf("mine = %v after %s", err, took)
			}
		}
	})
}

// A failure that is noted late changes nothing of what another server has done since.
func TestLateFailure(t *testing.T) {
	each(t, func(w *world) {
		hook, _ := w.hook("https://example.com/hook")
		w.raise(NearLimit, "x", nil)
		first := w.dispatcher()
		late, err := first.claim(w.t.Context(), hook.ID)
		must(w.t, err)
		w.later()
		if _, err := w.dispatcher().claim(w.t.Context(), hook.ID); err != nil {
			w.t.Fatal(err)
		}
		must(w.t, w.failed(w.t.Context(), *late, errGone, time.Now()))
		after, err := w.Webhook(w.t.Context(), hook.ID)
		must(w.t, err)
		if got := w.deliveries(); got[0] != hook.ID+" waiting 2" || !after.DisabledAt.IsZero() || !after.FailingSince.IsZero() {
			w.t.Errorf("the log says %q, the webhook is %+v; want that it waits, and nothing noted", got, after)
		}
	})
}

// What comes of an attempt is for admins to read, and what a receiver may do to the next one.
func TestOutcomes(t *testing.T) {
	elsewhere := newReceiver(t, status(200))
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		state   DeliveryState
		outcome string
		enabled bool
	}{
		{"takes it", status(204), Delivered, "answered 204", true},
		{"fails", status(500), Waiting, "answered 500", true},
		{"does not know us", status(404), Waiting, "answered 404", true},
		{"redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, Waiting, "answered 307: redirects are not followed", true},
		{"wants no more", status(410), Failed, "answered 410", false},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Waiting, "could not be reached", true},
		{"talks for ever", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, Delivered, "answered 200", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t))
			d := w.dispatcher()
			hook, _ := w.hook(newReceiver(t, tt.answer).URL + "/a/secret/path?token=hidden")
			w.exec(`UPDATE webhooks SET failing_since = $1`, time.Now().Add(-time.Hour).Unix())
			must(t, w.Test(t.Context(), hook.ID, time.Now()))
			w.flush(d)
			found, err := w.Deliveries(t.Context(), hook.ID, Position{}, 1)
			must(t, err)
			if got := found[0]; got.State != tt.state || !strings.HasPrefix(got.Outcome, tt.outcome) || got.Attempts != 1 {
				t.Errorf("the delivery is %s after %d attempts: %q; want %s: %q", got.State, got.Attempts, got.Outcome, tt.state, tt.outcome)
			}
			if strings.Contains(found[0].Outcome, "secret") || strings.Contains(found[0].Outcome, "hidden") {
				t.Errorf("the outcome shows the address: %q", found[0].Outcome)
			}
			after, err := w.Webhook(t.Context(), hook.ID)
			must(t, err)
			if after.DisabledAt.IsZero() != tt.enabled || after.FailingSince.IsZero() != (tt.state == Delivered) {
				t.Errorf("the webhook is %+v", after)
			}
		})
	}
	if len(elsewhere.bodies) > 0 {
		t.Error("a redirect was followed")
	}
}

// in runs a test in a bubble, in which time passes at once.
func in(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) { test(newWorld(t, databasetest.SQLite(t))) })
}

// pass lets so much time pass, in which what becomes due is sent. A dispatcher that runs would ask
// once a second.
func (w *world) pass(d *Dispatcher, span time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(span); ; {
		w.flush(d)
		var next database.Time
		must(w.t, w.DB.QueryRow(w.t.Context(), `SELECT COALESCE(min(next_at), 0) FROM alert_deliveries WHERE state = 'waiting'`).Scan(&next))
		if next.IsZero() || next.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(next.Time))
	}
}

// What fails is tried for a day, later each time, and then given up: these are the times that the
// guide names, and the log shows when the next is.
func TestBackoff(t *testing.T) {
	in(t, func(w *world) {
		hook, _ := w.hook("https://example.com/hook")
		w.raise(NearLimit, "x", nil)
		began, d, attempts := time.Now(), w.dispatcher(), 0
		d.attempt = func(context.Context, Delivery) (string, error) {
			attempts++
			time.Sleep(3 * time.Second) // the pause begins when the answer is there
			return "", errors.New("answered 500")
		}
		w.flush(d)
		for i, pause := range []string{"5s", "30s", "2m", "10m", "30m", "1h", "2h", "4h", "8h", "8h"} {
			span, err := time.ParseDuration(pause)
			must(w.t, err)
			found, err := w.Deliveries(w.t.Context(), hook.ID, Position{}, 2)
			must(w.t, err)
			if got := time.Until(found[0].NextAt); len(found) != 1 || found[0].State != Waiting || found[0].Attempts != i+1 || got != span {
				w.t.Fatalf("after %d attempts the log says %+v, the next in %s; want it in %s", i+1, found, got, span)
			}
			time.Sleep(span - time.Second)
			if w.flush(d); attempts != i+1 {
				w.t.Fatalf("%d attempts a second before the time of the %dth", attempts, i+2)
			}
			time.Sleep(time.Second)
			w.flush(d)
		}
		if span := time.Since(began); span < 23*time.Hour || span > 24*time.Hour {
			w.t.Errorf("the last attempt was after %s; want a day", span)
		}
		if w.pass(d, 48*time.Hour); attempts != 11 {
			w.t.Errorf("%d attempts; want 11", attempts)
		}
		if got := w.deliveries(); len(got) != 1 || !strings.HasSuffix(got[0], " failed 11") {
			w.t.Errorf("the log says %q; want that it was given up", got)
		}
	})
}

// A receiver that hangs has ten seconds, and holds up no other.
func TestHangingReceiver(t *testing.T) {
	in(t, func(w *world) {
		slow, _ := w.hook("https://slow.example")
		w.hook("https://quick.example")
		for i := range 3 {
			w.raise(NearLimit, fmt.Sprint(i), nil)
		}
		began, d := time.Now(), w.dispatcher()
		var quick []time.Duration
		d.attempt = func(ctx context.Context, d Delivery) (string, error) {
			if d.WebhookID != slow.ID {
				quick = append(quick, time.Since(began))
				return "answered 200", nil
			}
			<-ctx.Done()
			return "", inWords(ctx, ctx.Err(), d.within())
		}
		ctx, stop := context.WithTimeout(w.t.Context(), 40*time.Second)
		defer stop()
		must(w.t, d.Run(ctx))
		if len(quick) != 3 || quick[2] > time.Second {
			w.t.Errorf("the quick one heard after %v; want 3 times at once", quick)
		}
		found, err := w.Deliveries(w.t.Context(), slow.ID, Position{}, 1)
		must(w.t, err)
		if got, want := found[0].Outcome, "did not answer within 10s"; got != want {
			w.t.Errorf("the outcome is %q; want %q", got, want)
		}
	})
}

// A webhook that took nothing in the last five days, and nothing of what is sent to it now in a day,
// is switched off. One that comes back is not, however long nothing was sent to it.
func TestReturningWebhook(t *testing.T) {
	in(t, func(w *world) {
		hook, _ := w.hook("https://example.com/hook")
		d, well := w.dispatcher(), false
		d.attempt = func(context.Context, Delivery) (string, error) {
			if !well {
				return "", errors.New("answered 500")
			}
			return "answered 200", nil
		}
		w.raise(NearLimit, "lost", nil)
		w.pass(d, 20*24*time.Hour)
		w.raise(NearLimit, "late", nil)
		w.pass(d, time.Hour)
		well = true
		w.pass(d, 24*time.Hour)
		if after, err := w.Webhook(w.t.Context(), hook.ID); err != nil || !after.DisabledAt.IsZero() || !after.FailingSince.IsZero() {
			w.t.Errorf("it is %+v, %v; want it on", after, err)
		}
		if got, want := w.deliveries(), []string{hook.ID + " failed 11", hook.ID + " delivered 7"}; !slices.Equal(got, want) {
			w.t.Errorf("the log says %q; want %q", got, want)
		}
	})
}

// A webhook that takes nothing for five days is switched off, and the pages tell so, once.
func TestDeadWebhook(t *testing.T) {
	in(t, func(w *world) {
		dead, _ := w.hook("https://dead.example/secret-path")
		d := w.dispatcher()
		attempts := 0
		d.attempt = func(context.Context, Delivery) (string, error) {
			attempts++
			return "", errors.New("answered 500")
		}
		for day := range 8 {
			w.raise(NearLimit, fmt.Sprint(day), nil)
			w.pass(d, 24*time.Hour)
		}
		after, err := w.Webhook(w.t.Context(), dead.ID)
		must(w.t, err)
		if days := after.DisabledAt.Sub(after.FailingSince).Hours() / 24; days < 5 || days > 6 {
			w.t.Errorf("it was switched off after %.1f days; want 5", days)
		}
		told, err := w.List(w.t.Context(), Filter{Kind: WebhookSwitchedOff}, Position{}, 10)
		must(w.t, err)
		if len(told) != 1 || !strings.Contains(told[0].Text, "dead.example") || strings.Contains(told[0].Text, "secret-path") {
			w.t.Errorf("told %+v; want it once, and not the path", told)
		}
		before := attempts
		w.raise(NearLimit, "later", nil)
		if w.pass(d, time.Hour); attempts != before {
			w.t.Errorf("%d attempts after it was switched off; want none", attempts-before)
		}
		after.DisabledAt = time.Time{}
		must(w.t, w.UpdateWebhook(w.t.Context(), &after))
		w.raise(NearLimit, "again", nil)
		w.pass(d, time.Minute)
		if after, err = w.Webhook(w.t.Context(), dead.ID); err != nil || !after.DisabledAt.IsZero() || attempts == before {
			w.t.Errorf("switched on, it is %+v after %d attempts, %v; want it on, and tried", after, attempts-before, err)
		}
	})
}
